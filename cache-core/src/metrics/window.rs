//! Hits and misses of the last minutes. Nothing is added to the hit path for it: whoever misses, or reads
//! the figures, notes them if that was not done lately.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How far it looks back.
const SPAN: Duration = Duration::from_mins(5);
/// How often figures are noted.
const STEP: Duration = Duration::from_secs(10);

/// Hits and misses of about the last five minutes.
///
/// The figures of a kind are noted every ten seconds, but only where something misses or somebody reads
/// them. So a kind that only hits, and that nobody reads, has a longer span than that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Recent {
    /// How long a time they are of, in milliseconds.
    pub span_ms: u64,
    /// Calls that were answered without running the function.
    pub hits: u64,
    /// Calls that ran it.
    pub misses: u64,
}

impl Recent {
    /// Hits among all calls that asked the cache, from 0 to 1; `None` where there were none.
    pub fn hit_ratio(&self) -> Option<f64> {
        ratio(self.hits, self.misses)
    }
}

/// Hits among hits and misses.
#[allow(clippy::cast_precision_loss)]
pub(super) fn ratio(hits: u64, misses: u64) -> Option<f64> {
    let asked = hits.saturating_add(misses);
    (asked > 0).then(|| hits as f64 / asked as f64)
}

/// Figures as they were.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    hits: u64,
    misses: u64,
}

/// The last minutes of a kind.
#[derive(Debug)]
pub(crate) struct Window {
    /// When the figures are to be noted again, in milliseconds of the coarse clock.
    due: AtomicU64,
    samples: Mutex<VecDeque<Sample>>,
}

impl Window {
    /// That of a kind of which nothing was counted until now.
    pub(crate) fn new(now: Duration) -> Self {
        let start = Sample {
            at: now,
            hits: 0,
            misses: 0,
        };
        Self {
            due: AtomicU64::new(millis(now)),
            samples: Mutex::new(VecDeque::from([start])),
        }
    }

    /// Whether the figures are to be noted.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        millis(now) >= self.due.load(Relaxed)
    }

    /// Notes the figures, if they are to be, and says what has come to them in the last minutes.
    pub(crate) fn note(&self, now: Duration, hits: u64, misses: u64) -> Recent {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        // The newest of those that are old enough is where the span begins.
        let is_old = |sample: &Sample| now.saturating_sub(sample.at) >= SPAN;
        while samples.get(1).is_some_and(is_old) {
            samples.pop_front();
        }
        let start = samples.front().copied();
        if self.is_due(now) {
            samples.push_back(Sample {
                at: now,
                hits,
                misses,
            });
            self.due.store(millis(now + STEP), Relaxed);
        }
        start.map_or_else(Recent::default, |start| Recent {
            span_ms: millis(now.saturating_sub(start.at)),
            hits: hits.saturating_sub(start.hits),
            misses: misses.saturating_sub(start.misses),
        })
    }
}

/// Whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_last_five_minutes_are_told_from_what_was_before() {
        let window = Window::new(SECOND * 100);
        let mut hits = 0;
        // Ten minutes in which everything misses, then hits only.
        for second in 100..700 {
            window.note(SECOND * second, 0, u64::from(second) - 99);
        }
        for second in 700..1_300 {
            hits += 1;
            let recent = window.note(SECOND * second, hits, 600);
            let span = recent.span_ms / 1_000;
            assert!((300..=310).contains(&span), "{span} at {second}");
            assert_eq!(recent.hits + recent.misses, span, "at {second}");
        }
        let recent = window.note(SECOND * 1_300, hits, 600);
        assert_eq!(recent.hit_ratio(), Some(1.0));
        assert!(window.samples.lock().unwrap().len() < 40);
    }

    #[test]
    fn what_is_young_has_a_short_span_and_no_ratio() {
        let window = Window::new(SECOND * 5);
        assert_eq!(window.note(SECOND * 5, 0, 0).hit_ratio(), None);
        let recent = window.note(SECOND * 7, 3, 1);
        assert_eq!((recent.span_ms, recent.hit_ratio()), (2_000, Some(0.75)));
        assert!(!window.is_due(SECOND * 14));
        assert!(window.is_due(SECOND * 15));
    }

    #[test]
    fn figures_that_come_out_of_order_are_no_negative_rate() {
        let window = Window::new(Duration::ZERO);
        window.note(SECOND * 20, 10, 10);
        let late = window.note(SECOND * 19, 9, 9);
        assert_eq!((late.hits, late.misses), (9, 9));
        let recent = window.note(SECOND * 400, 8, 10);
        assert_eq!((recent.hits, recent.misses), (0, 0));
    }
}
