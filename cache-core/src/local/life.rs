//! When a local entry is what: served without a thought, fresh, stale, gone. In nanoseconds of the
//! node's monotonic clock, so that a hit compares one word.

use std::time::Duration;

/// How many load costs before its end an entry may be refreshed early. Further away the chance
/// of it is less than one in twenty thousand.
const EARLY: u32 = 10;

/// The course of an entry's life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// Until then it is served as it is.
    quiet: u64,
    /// Until then it is fresh: it may have ended to be so before the clock's origin.
    fresh: i64,
    /// Until then it is kept.
    ends: u64,
    /// What loading it took.
    cost: u64,
    /// When the shared tier was last asked about it and had not changed its mind.
    confirmed: u64,
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

    /// In short, without when it was confirmed, which changes.
    pub(super) fn course(&self) -> Course {
        let quiet = signed(self.quiet);
        let ends = signed(self.ends).max(quiet).max(self.fresh);
        let sure = quiet.min(self.fresh);
        let between = Span::of(quiet.max(self.fresh).abs_diff(sure));
        // From what that is, now that it is shortened.
        let then = sure.saturating_add_unsigned(between.nanoseconds());
        let kept = Span::of(ends.abs_diff(then));
        let rested = u64::from(quiet > self.fresh);
        let rest = (rested << RESTED)
            | (u64::from(between.0) << BETWEEN)
            | (u64::from(kept.0) << KEPT)
            | u64::from(rough(self.cost));
        Course { sure, rest }
    }
}

/// A [`Life`] as an entry holds it, in two words.
///
/// What follows the first moment is counted from it, in the finest unit in which it can be: seconds and
/// hours that people write stay what they are, odd spans lose less than a thousandth, and all are
/// shortened, so that nothing lasts longer than it may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// Until then it is fresh and quiet: signed, since it may have ended to be so before the clock's
    /// origin.
    sure: i64,
    /// From the highest bit down: whether it was rested, so that it is quiet for longer than it is
    /// fresh; for how long it is only one of the two; for how long it is kept after that; and the
    /// cost.
    rest: u64,
}

/// Where the parts of a [`Course`] begin, from the lowest bit up; at zero is the cost.
const KEPT: u32 = 15;
const BETWEEN: u32 = KEPT + Span::BITS;
const RESTED: u32 = BETWEEN + Span::BITS;

impl Course {
    /// Whether there is nothing to ask but whether it holds: it is fresh, and not near its end.
    #[inline]
    pub(super) fn is_sure(self, now: u64) -> bool {
        self.sure > 0 && now < self.sure.cast_unsigned()
    }

    /// All of it.
    pub(super) fn life(self, confirmed: u64) -> Life {
        let then = self
            .sure
            .saturating_add_unsigned(Span::at(self.rest >> BETWEEN).nanoseconds());
        let ends = then.saturating_add_unsigned(Span::at(self.rest >> KEPT).nanoseconds());
        let (quiet, fresh) = if self.rest >> RESTED == 1 {
            (then, self.sure)
        } else {
            (self.sure, then)
        };
        Life {
            quiet: unsigned(quiet),
            fresh,
            ends: unsigned(ends),
            cost: exact(self.rest & ((1 << KEPT) - 1)),
            confirmed,
        }
    }
}

/// So long, in one of eight units: the three highest of its bits say in which.
#[derive(Clone, Copy, Debug)]
struct Span(u32);

/// From a nanosecond to a year, which can be counted for longer than any clock runs.
const UNITS: [u64; 8] = [
    1,
    1_000,
    1_000_000,
    1_000_000_000,
    60 * 1_000_000_000,
    3_600 * 1_000_000_000,
    86_400 * 1_000_000_000,
    365 * 86_400 * 1_000_000_000,
];

impl Span {
    const BITS: u32 = 24;
    /// Of those, how many count units.
    const COUNT: u32 = 21;

    /// Not longer than that.
    fn of(nanoseconds: u64) -> Self {
        let mut unit = 0;
        while (nanoseconds / UNITS[unit as usize]) >> Self::COUNT > 0 {
            unit += 1;
        }
        let count = nanoseconds / UNITS[unit as usize];
        Self((unit << Self::COUNT) | u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The one in the lowest bits.
    fn at(word: u64) -> Self {
        let bits = word & ((1 << Self::BITS) - 1);
        Self(u32::try_from(bits).unwrap_or(u32::MAX))
    }

    fn nanoseconds(self) -> u64 {
        let unit = UNITS[(self.0 >> Self::COUNT) as usize % UNITS.len()];
        unit.saturating_mul(u64::from(self.0 & ((1 << Self::COUNT) - 1)))
    }
}

/// The first nine bits of a number, and in the six above them how many follow.
fn rough(number: u64) -> u16 {
    let follow = (u64::BITS - number.leading_zeros()).saturating_sub(9);
    let rough = (u64::from(follow) << 9) | (number >> follow);
    u16::try_from(rough).unwrap_or(u16::MAX)
}

fn exact(rough: u64) -> u64 {
    (rough & 0x1ff) << (rough >> 9)
}

/// More than 500 years are as good as for ever.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    // In 64 bits all along: every hit makes some of these.
    let seconds = time.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::from(time.subsec_nanos()))
}

fn signed(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}

fn unsigned(nanoseconds: i64) -> u64 {
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
    #[allow(clippy::cast_precision_loss)]
    fn what_an_entry_holds_of_its_life_is_no_longer_and_hardly_shorter() {
        let year = SECOND * 86_400 * 365;
        let spans = [
            Duration::ZERO,
            Duration::from_nanos(3),
            MILLI,
            Duration::from_nanos(1_234_567_891),
            SECOND * 30,
            SECOND * 3_600,
            SECOND * 86_399,
            year,
            year * 200,
        ];
        let mut lives = Vec::new();
        for fresh in spans {
            for grace in spans {
                for cost in spans {
                    let born = SECOND * 1_000_003;
                    let life = Life::new(born + fresh, born + fresh + grace, cost, SECOND);
                    let older = life.aged(SECOND * 2_000_000);
                    let rested = life.rested(born + fresh + grace / 2);
                    lives.extend([life, life.unhurried(), older, rested]);
                }
            }
        }
        for life in lives {
            let (course, held) = (life.course(), life.course().life(7));
            // Of the whole distance from the first moment to the last.
            let whole = signed(life.ends).abs_diff(signed(life.quiet).min(life.fresh));
            let close = |short: i64, long: i64| {
                short <= long && short.abs_diff(long) as f64 <= whole as f64 / 1_000.0
            };
            let is_held = close(held.fresh, life.fresh)
                && close(signed(held.quiet), signed(life.quiet))
                && close(signed(held.ends), signed(life.ends));
            assert!(is_held, "{life:?} is held as {held:?}");
            assert!(held.cost <= life.cost && held.cost >= life.cost - life.cost / 200);
            assert_eq!(held.confirmed, 7);
            for now in [0, life.quiet, held.quiet, held.ends, life.ends, u64::MAX] {
                let at = Duration::from_nanos(now);
                let sure = held.age(at) == Age::Quiet && !held.is_stale(at);
                assert_eq!(course.is_sure(now), sure, "{life:?} at {now}");
            }
        }
    }

    #[test]
    fn what_people_write_is_held_exactly() {
        for (fresh, grace, cost) in [
            (SECOND * 30, SECOND * 86_400, Duration::ZERO),
            (SECOND * 1_800, SECOND * 45, MILLI),
            (MILLI * 1_500, Duration::ZERO, SECOND / 5),
            (SECOND * 86_400 * 30, SECOND * 3_600, SECOND * 2),
        ] {
            let now = Duration::from_nanos(987_654_321);
            let life = Life::new(now + fresh, now + fresh + grace, cost, now);
            let held = life.course().life(0);
            assert_eq!(held.outlook(now)[..2], life.outlook(now)[..2]);
            assert_eq!(held.quiet, life.quiet);
        }
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
