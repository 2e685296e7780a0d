//! The invalidations of the last few seconds. Redis acknowledges a write before its replicas have it:
//! a failover, or a restart from a snapshot, loses what was acknowledged last, and a lost connection
//! is all that is seen of it from here. So they are applied again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::queue::Queue;

/// Invalidations that were sent not longer ago than the window; some of up to twice as long ago.
#[derive(Debug)]
pub(super) struct Recent {
    window: Duration,
    spans: Mutex<Spans>,
}

/// Two spans of a window each, so that forgetting is dropping one of them.
#[derive(Debug, Default)]
struct Spans {
    /// When the current one began.
    since: Duration,
    current: Queue,
    previous: Queue,
}

impl Recent {
    /// Keeps invalidations for `window`; none where it is zero.
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            spans: Mutex::default(),
        }
    }

    /// An invalidation is about to be sent.
    pub(super) fn note(&self, now: Duration, tags: &[String], keys: &[String]) {
        if !self.window.is_zero() {
            self.spans(now).current.add(tags, keys);
        }
    }

    /// What is to be applied again after a loss. It stays: what applies it may be lost too.
    pub(super) fn since_window(&self, now: Duration) -> Queue {
        let spans = self.spans(now);
        let mut all = spans.previous.clone();
        all.join(spans.current.clone());
        all
    }

    fn spans(&self, now: Duration) -> MutexGuard<'_, Spans> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_sub(spans.since);
        if age >= self.window {
            let current = std::mem::take(&mut spans.current);
            spans.previous = if age >= self.window * 2 {
                Queue::default()
            } else {
                current
            };
            spans.since = now;
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn count(recent: &Recent, now: Duration) -> usize {
        recent.since_window(now).len()
    }

    #[test]
    fn they_are_kept_for_the_window_and_not_for_ever() {
        let recent = Recent::new(SECOND * 5);
        recent.note(SECOND * 10, &["a".into()], &[]);
        recent.note(SECOND * 14, &["b".into()], &["k:f:1".into()]);
        assert_eq!(count(&recent, SECOND * 15), 3);
        assert_eq!(count(&recent, SECOND * 19), 3, "b is five seconds old");
        assert_eq!(count(&recent, SECOND * 25), 0);
        recent.note(SECOND * 26, &["c".into()], &[]);
        assert_eq!(count(&recent, SECOND * 100), 0);
    }

    #[test]
    fn without_a_window_nothing_is_kept() {
        let recent = Recent::new(Duration::ZERO);
        recent.note(SECOND, &["a".into()], &[]);
        assert_eq!(count(&recent, SECOND), 0);
    }
}
