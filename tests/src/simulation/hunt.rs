//! Many runs, on all processors, and the report of one that broke a rule.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use super::{Guard, run};

/// So many runs share a thread: what a thread keeps of each ends with it.
const BATCH: u64 = 200;
/// How many lines of a failing run are shown, unless all are asked for.
const SHOWN: usize = 120;

/// Makes the runs of these seeds; the lowest that broke a rule, or this one, if one did. After the
/// first that is found, no later ones are begun.
#[must_use]
pub fn hunt(seeds: Range<u64>, removed: Option<Guard>, rule: Option<&str>) -> Option<u64> {
    let next = Mutex::new(seeds.start);
    let found: Mutex<Option<u64>> = Mutex::new(None);
    let batches = || {
        loop {
            let batch = {
                let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                let start = *next;
                let lowest = found.lock().unwrap_or_else(PoisonError::into_inner);
                if start >= seeds.end || lowest.is_some_and(|lowest| start > lowest) {
                    return;
                }
                *next = (start + BATCH).min(seeds.end);
                start..*next
            };
            thread::scope(|scope| {
                scope.spawn(|| {
                    let broke = batch.clone().find(|seed| {
                        let violation = run(*seed, removed, false).violation;
                        violation
                            .is_some_and(|violation| rule.is_none_or(|rule| violation.rule == rule))
                    });
                    let mut lowest = found.lock().unwrap_or_else(PoisonError::into_inner);
                    *lowest = [*lowest, broke].into_iter().flatten().min();
                });
            });
        }
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(batches);
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What a seed's run came to: the rule it broke, its last events, and how to see it again.
#[must_use]
pub fn report(seed: u64, removed: Option<Guard>, whole: bool) -> String {
    let outcome = run(seed, removed, true);
    let mut text = String::new();
    let shown = if whole { usize::MAX } else { SHOWN };
    let skipped = outcome.log.len().saturating_sub(shown);
    if let Some(plan) = outcome.log.first() {
        let _ = writeln!(text, "seed {seed}: {}", plan.trim());
    }
    if skipped > 0 {
        let _ = writeln!(text, "... {skipped} events");
    }
    for line in outcome.log.iter().skip(skipped.max(1)) {
        let _ = writeln!(text, "{line}");
    }
    let _ = match outcome.violation {
        Some(violation) => writeln!(
            text,
            "seed {seed} breaks {violation}\nto see all of it: ./tests/simulate --seed {seed}"
        ),
        None => writeln!(
            text,
            "seed {seed} keeps every rule, in {} steps",
            outcome.steps
        ),
    };
    text
}
