//! The simulation has teeth: with any one guard of DESIGN 4 removed, it finds a violation within a
//! stated number of seeds. Built with the feature `sabotage` only.
#![cfg(feature = "sabotage")]

use std::ops::Range;

use cache_tests::simulation::hunt::{hunt, report};
use cache_tests::simulation::{Guard, run};

const STALE: &str = "invariant 1, no stale value";
const WAITS: &str = "invariant 5, waits are bounded";

/// Each guard, the rule that is broken without it, and among which seeds that shows.
///
/// The searches for the rarest two start near a seed that is known to show them.
const TEETH: [(Guard, &str, Range<u64>); 17] = [
    (Guard::G1, STALE, 0..2_000),
    (Guard::G2, STALE, 0..500),
    (Guard::G3, STALE, 0..200),
    (Guard::G4, STALE, 0..2_000),
    (Guard::G5, STALE, 0..200),
    (Guard::G6, STALE, 0..500),
    (Guard::G7, STALE, 0..500),
    (Guard::G8, STALE, 0..1_000),
    (Guard::G9, STALE, 0..1_000),
    (Guard::G10, STALE, 0..200),
    (Guard::G11, STALE, 0..3_000),
    (Guard::G12, STALE, 0..2_000),
    (Guard::G13, STALE, 0..10_000),
    (Guard::G14, WAITS, 0..200),
    (Guard::G15, STALE, 56_000..58_000),
    (Guard::G16, STALE, 0..10_000),
    (Guard::G17, STALE, 13_000..15_000),
];

#[test]
fn without_any_one_guard_a_violation_is_found() {
    for (guard, rule, seeds) in TEETH {
        let found = hunt(seeds.clone(), Some(guard), Some(rule));
        let Some(seed) = found else {
            panic!("without {guard:?} nothing was found in {seeds:?}");
        };
        println!("without {guard:?}: seed {seed} breaks {rule}");
        let with = run(seed, None, false).violation;
        assert_eq!(with, None, "{}", report(seed, None, false));
    }
}
