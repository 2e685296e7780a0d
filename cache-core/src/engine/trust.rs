//! How long local values may be served without asking: a deadline that each hit compares with the
//! clock, not a flag that a task clears, so that a blocked runtime can't prolong it (invariant 1).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::local::nanoseconds;

/// More than the coarse clock may be behind (the contract of
/// [`Clock::coarse`](crate::Clock::coarse)). It comes off every deadline, so that the bound is not
/// longer than stated.
const LAG: Duration = Duration::from_millis(12);

/// The deadline, in nanoseconds of the node's monotonic clock; zero while nothing is proven.
#[derive(Debug, Default)]
pub(super) struct Trust {
    until: AtomicU64,
    /// Whether it was ever granted or withdrawn.
    used: AtomicBool,
}

impl Trust {
    /// The store's events flow: what is learnt from here on is good until then.
    pub(super) fn grant(&self, until: Duration) {
        self.used.store(true, Ordering::Release);
        self.until.store(deadline(until), Ordering::Release);
    }

    /// The store has shown that it is there. Means nothing where nothing is proven.
    pub(super) fn prolong(&self, until: Duration) {
        let prolonged = self
            .until
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now != 0).then_some(deadline(until))
            });
        // Between `Lost` and `Proven` there is nothing to prolong.
        let _ = prolonged;
    }

    /// The store's events can't be relied on.
    pub(super) fn withdraw(&self) {
        self.used.store(true, Ordering::Release);
        self.until.store(0, Ordering::Release);
    }

    /// Whether nothing was ever proven or lost: then the store has answered nothing so far.
    pub(super) fn is_new(&self) -> bool {
        !self.used.load(Ordering::Acquire)
    }

    /// Whether events flow, in time or not.
    pub(super) fn is_proven(&self) -> bool {
        self.until.load(Ordering::Acquire) != 0
    }

    /// Until when events have told of whatever moved, as far as is known now; `None` where they don't.
    pub(super) fn known_until(&self, now: Duration) -> Option<Duration> {
        match self.until.load(Ordering::Acquire) {
            0 => None,
            until => Some(now.min(Duration::from_nanos(until))),
        }
    }

    /// Whether a local value may be served, at this time of the coarse clock, in nanoseconds.
    #[inline]
    pub(super) fn holds_at(&self, now: u64) -> bool {
        now < self.until.load(Ordering::Acquire)
    }
}

fn deadline(until: Duration) -> u64 {
    nanoseconds(until.saturating_sub(LAG)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn holds(trust: &Trust, now: Duration) -> bool {
        trust.holds_at(nanoseconds(now))
    }

    #[test]
    fn it_ends_by_itself() {
        let trust = Trust::default();
        assert!(!holds(&trust, Duration::ZERO) && trust.is_new());
        trust.grant(SECOND * 2);
        assert!(holds(&trust, SECOND));
        assert!(
            !holds(&trust, (SECOND * 2).saturating_sub(LAG)),
            "the coarse clock may be late"
        );
        assert!(trust.is_proven());
        trust.prolong(SECOND * 4);
        assert!(holds(&trust, SECOND * 3));
    }

    #[test]
    fn a_late_sign_of_life_restores_nothing() {
        let trust = Trust::default();
        trust.grant(Duration::MAX);
        assert!(holds(&trust, Duration::from_secs(1 << 33)));
        trust.withdraw();
        trust.prolong(Duration::MAX);
        assert!(!holds(&trust, Duration::ZERO));
        assert!(!trust.is_proven() && !trust.is_new());
    }
}
