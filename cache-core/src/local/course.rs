//! The course of a life as an entry holds it, in two words: a million of them are held at a time.

use super::life::{Life, signed, unsigned};

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
    /// That of a life, without when it was confirmed, which changes.
    pub(super) fn of(life: &Life) -> Self {
        let quiet = signed(life.quiet);
        let ends = signed(life.ends).max(quiet).max(life.fresh);
        let sure = quiet.min(life.fresh);
        let between = Span::of(quiet.max(life.fresh).abs_diff(sure));
        // From what that is, now that it is shortened.
        let then = sure.saturating_add_unsigned(between.nanoseconds());
        let kept = Span::of(ends.abs_diff(then));
        let rested = u64::from(quiet > life.fresh);
        let rest = (rested << RESTED)
            | (u64::from(between.0) << BETWEEN)
            | (u64::from(kept.0) << KEPT)
            | u64::from(rough(life.cost));
        Self { sure, rest }
    }

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::local::Age;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

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
            let (course, held) = (Course::of(&life), Course::of(&life).life(7));
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
            let held = Course::of(&life).life(0);
            assert_eq!(held.outlook(now)[..2], life.outlook(now)[..2]);
            assert_eq!(held.quiet, life.quiet);
        }
    }
}
