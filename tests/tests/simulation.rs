//! Runs of the simulation: what always holds holds in all of them, and a seed is a run. More of them:
//! `./tests/simulate --seeds N`.

use cache_tests::simulation::hunt::{hunt, report};
use cache_tests::simulation::run;

/// How many runs are made: a second's worth in a build without optimization, and many in the one
/// that `tests/run` makes for this.
const SEEDS: u64 = if cfg!(feature = "sabotage") {
    5_000
} else {
    300
};

#[test]
fn every_rule_holds_in_every_run() {
    if let Some(seed) = hunt(0..SEEDS, None, None) {
        panic!("{}", report(seed, None, false));
    }
}

#[test]
fn a_seed_reproduces_its_run() {
    for seed in 0..40 {
        let first = run(seed, None, true);
        let second = run(seed, None, true);
        assert_eq!(first.violation, second.violation, "seed {seed}");
        for (line, (one, other)) in first.log.iter().zip(&second.log).enumerate() {
            assert_eq!(one, other, "seed {seed}, line {line}");
        }
        assert_eq!(first.log.len(), second.log.len(), "seed {seed}");
        assert!(first.log.len() > 50, "seed {seed}: something happens");
        // Without a log it is the same run.
        assert_eq!(run(seed, None, false).steps, first.steps, "seed {seed}");
    }
}
