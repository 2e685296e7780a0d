//! When a local entry is what: served without a thought, fresh, stale, gone. In nanoseconds of the
//! node's monotonic clock, so that a hit compares one word.

use std::time::Duration;

/// How many load costs before its end an entry may be refreshed early. Further away the chance
/// of it is less than one in twenty thousand.
pub(crate) const EARLY: u32 = 10;

/// The course of an entry's life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// Until then it is served as it is.
    pub(super) quiet: u64,
    /// Until then it is fresh: it may have ended to be so before the clock's origin.
    pub(super) fresh: i64,
    /// Until then it is kept.
    pub(super) ends: u64,
    /// What loading it took.
    pub(super) cost: u64,
    /// When the shared tier was last asked about it and had not changed its mind.
    pub(super) confirmed: u64,
}

/// What an entry is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Fresh, and not near its end. Or stale, and a refresh has just failed.
    Quiet,
    /// Fresh, with this much left.
    Early(Duration),
    /// Past its time to live, by this much.
    Stale(Duration),
    /// Gone.
    Ended,
}

impl Life {
    /// Of an entry that is fresh until `fresh`, is kept until `ends`, and took `cost` to load; what is
    /// known of it was asked for at `asked`.
    pub(crate) fn new(fresh: Duration, ends: Duration, cost: Duration, asked: Duration) -> Self {
        let quiet = fresh.saturating_sub(cost.saturating_mul(EARLY));
        Self {
            quiet: nanoseconds(quiet.min(ends)),
            fresh: signed(nanoseconds(fresh.min(ends))),
            ends: nanoseconds(ends),
            cost: nanoseconds(cost),
            confirmed: nanoseconds(asked),
        }
    }

    /// The same, left in peace until then although it is stale.
    pub(crate) fn rested(&self, until: Duration) -> Self {
        Self {
            quiet: nanoseconds(until).clamp(self.quiet, self.ends),
            ..*self
        }
    }

    /// The same, stale for this much longer.
    pub(crate) fn aged(mut self, by: Duration) -> Self {
        self.fresh = self.fresh.saturating_sub(signed(nanoseconds(by)));
        self.quiet = self.quiet.min(unsigned(self.fresh));
        self
    }

    /// The same, where the shared tier was last asked then.
    pub(crate) fn confirmed_at(mut self, asked: Duration) -> Self {
        self.confirmed = nanoseconds(asked);
        self
    }

    /// The same, never refreshed before it is stale.
    pub(crate) fn unhurried(mut self) -> Self {
        self.quiet = unsigned(self.fresh);
        self
    }

    /// What it is at a time.
    pub(crate) fn age(&self, now: Duration) -> Age {
        let now = nanoseconds(now);
        if now < self.quiet {
            Age::Quiet
        } else if now >= self.ends {
            Age::Ended
        } else {
            let past = signed(now).saturating_sub(self.fresh);
            let by = Duration::from_nanos(past.unsigned_abs());
            if past < 0 {
                Age::Early(by)
            } else {
                Age::Stale(by)
            }
        }
    }

    /// Whether it is past its time to live.
    pub(crate) fn is_stale(&self, now: Duration) -> bool {
        signed(nanoseconds(now)) >= self.fresh
    }

    /// Until when it may be served past its time to live, where that is allowed for so long.
    pub(crate) fn stale_until(&self, span: Duration) -> Duration {
        let until = self.fresh.saturating_add(signed(nanoseconds(span)));
        Duration::from_nanos(unsigned(until).min(self.ends))
    }

    /// How long it is fresh from then on, how long it is kept, and what loading it took.
    pub(crate) fn outlook(&self, now: Duration) -> [Duration; 3] {
        let now = nanoseconds(now);
        let fresh = unsigned(self.fresh.saturating_sub(signed(now)));
        [fresh, self.ends.saturating_sub(now), self.cost].map(Duration::from_nanos)
    }

    /// Whether it is kept.
    pub(crate) fn lasts(&self, now: Duration) -> bool {
        nanoseconds(now) < self.ends
    }

    /// Whether a call should refresh it although it is fresh: with a chance that grows from nothing to
    /// one as the end comes near, the sooner the more a load costs. `chance` is drawn from 0 to 1.
    ///
    /// `XFetch`: A. Vattani, F. Chierichetti, K. Lowenstein, "Optimal probabilistic cache stampede
    /// prevention", VLDB 2015, with beta = 1.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn is_due(&self, left: Duration, chance: f64) -> bool {
        self.cost as f64 * -chance.ln() >= left.as_nanos() as f64
    }

    /// When the shared tier was last asked.
    pub(crate) fn confirmed(&self) -> Duration {
        Duration::from_nanos(self.confirmed)
    }
}

/// More than 500 years are as good as for ever.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    // In 64 bits all along: every hit makes some of these.
    let seconds = time.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::from(time.subsec_nanos()))
}

pub(super) fn signed(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(nanoseconds: i64) -> u64 {
    u64::try_from(nanoseconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn an_entry_ages() {
        let life = Life::new(SECOND * 10, SECOND * 15, SECOND / 10, Duration::ZERO);
        for (now, age) in [
            (Duration::ZERO, Age::Quiet),
            (Duration::from_millis(8_999), Age::Quiet),
            (SECOND * 9, Age::Early(SECOND)),
            (Duration::from_millis(9_999), Age::Early(MILLI)),
            (SECOND * 10, Age::Stale(Duration::ZERO)),
            (SECOND * 14, Age::Stale(SECOND * 4)),
            (SECOND * 15, Age::Ended),
        ] {
            assert_eq!(life.age(now), age, "at {now:?}");
        }
        assert_eq!(
            life.unhurried().age(Duration::from_millis(9_999)),
            Age::Quiet
        );
    }

    #[test]
    fn an_entry_may_be_stale_for_longer_than_the_clock_runs() {
        let now = SECOND * 2;
        let life = Life::new(now, SECOND * 15, SECOND, now).aged(SECOND * 5);
        assert_eq!(life.age(now), Age::Stale(SECOND * 5));
        assert_eq!(life.age(SECOND * 3), Age::Stale(SECOND * 6));
        assert_eq!(life.stale_until(SECOND), Duration::ZERO);
        assert_eq!(life.stale_until(SECOND * 6), SECOND * 3);
        assert_eq!(life.age(SECOND * 15), Age::Ended);
    }

    #[test]
    fn a_rested_entry_is_stale_and_quiet_and_lives_no_longer() {
        let life = Life::new(SECOND * 10, SECOND * 15, SECOND / 10, Duration::ZERO);
        let rested = life.rested(SECOND * 12);
        assert_eq!(rested.age(SECOND * 11), Age::Quiet);
        assert!(rested.is_stale(SECOND * 11) && !rested.is_stale(SECOND * 9));
        assert_eq!(rested.age(SECOND * 12), Age::Stale(SECOND * 2));
        let rested = life.rested(SECOND * 99);
        assert_eq!(rested.age(SECOND * 14), Age::Quiet);
        assert_eq!(rested.age(SECOND * 15), Age::Ended);
    }

    #[test]
    fn the_chance_of_an_early_refresh_follows_the_cost() {
        let life = Life::new(SECOND * 10, SECOND * 10, SECOND / 10, Duration::ZERO);
        let due = |left: Duration| {
            let draws = (1..10_000).filter(|n| life.is_due(left, f64::from(*n) / 10_000.0));
            draws.count()
        };
        // e to the minus one, and to the minus five, of ten thousand.
        assert!((3_670..=3_690).contains(&due(SECOND / 10)));
        assert!((60..=75).contains(&due(SECOND / 2)));
        assert_eq!(due(Duration::ZERO), 9_999);
        let free = Life::new(SECOND, SECOND, Duration::ZERO, Duration::ZERO);
        assert!(!free.is_due(MILLI, 0.000_1));
    }
}
