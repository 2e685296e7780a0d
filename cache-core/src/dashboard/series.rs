//! What this node has counted over time, for charts: kept for a day, whoever looks, in a bounded number
//! of slices.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::metrics::{Fleet, Minute, Snapshot, millis};

/// How often the figures are noted: the finest slice.
pub(super) const STEP: Duration = Duration::from_secs(5);

pub(super) const MINUTE_MS: u64 = 60_000;

/// How far back a chart reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    Minutes,
    Hour,
    Day,
}

impl Range {
    pub(super) const ALL: [Self; 3] = [Self::Minutes, Self::Hour, Self::Day];

    /// What it is called in a query.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Minutes => "5m",
            Self::Hour => "1h",
            Self::Day => "24h",
        }
    }

    /// Its length in milliseconds.
    pub(super) fn span_ms(self) -> u64 {
        self.minutes() * MINUTE_MS
    }

    /// Its length in minutes.
    fn minutes(self) -> u64 {
        match self {
            Self::Minutes => 5,
            Self::Hour => 60,
            Self::Day => 24 * 60,
        }
    }

    /// Its minutes, if the last of them is this one, which is running.
    pub(super) fn up_to(self, now: Minute) -> RangeInclusive<Minute> {
        (now + 1).saturating_sub(self.minutes())..=now
    }

    /// How long a slice of this node's figures is. There are at most a hundred in each range.
    fn step_ms(self) -> u64 {
        match self {
            Self::Minutes => millis(STEP),
            Self::Hour => MINUTE_MS,
            Self::Day => 15 * MINUTE_MS,
        }
    }
}

/// What was counted in one slice of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Slice {
    /// How much of the slice was looked at, in milliseconds.
    pub(super) covered_ms: u64,
    pub(super) counted: Snapshot,
}

/// Slices of one length, by when they begin, in milliseconds since the epoch. One in which nothing is
/// known is missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    pub(super) step_ms: u64,
    pub(super) slices: BTreeMap<u64, Slice>,
}

impl Series {
    fn of_step(step_ms: u64) -> Self {
        Self {
            step_ms,
            slices: BTreeMap::new(),
        }
    }

    fn add(&mut self, at_ms: u64, covered_ms: u64, counted: &Snapshot) {
        let slice = self.slices.entry(at_ms - at_ms % self.step_ms).or_default();
        slice.covered_ms += covered_ms;
        slice.counted.add(counted);
    }

    /// The fleet's minutes. One that nobody has reported stays a gap.
    pub(super) fn of_fleet(fleet: &Fleet, range: Range) -> Self {
        let mut series = Self::of_step(range.step_ms().max(MINUTE_MS));
        for (minute, counted) in &fleet.minutes {
            let at = minute.saturating_mul(MINUTE_MS);
            let covered = fleet.now_ms.saturating_sub(at).min(MINUTE_MS);
            series.add(at, covered, counted);
        }
        series
    }

    /// What was counted in all of it.
    pub(super) fn sum(&self) -> Snapshot {
        let mut sum = Snapshot::default();
        for slice in self.slices.values() {
            sum.add(&slice.counted);
        }
        sum
    }

    /// How much time it knows of, in milliseconds.
    pub(super) fn covered_ms(&self) -> u64 {
        self.slices.values().map(|slice| slice.covered_ms).sum()
    }
}

/// The last day of this node.
#[derive(Debug)]
pub(super) struct History {
    state: Mutex<State>,
    /// When it began, in milliseconds since the epoch.
    pub(super) since_ms: u64,
}

#[derive(Debug)]
struct State {
    /// The figures when they were noted last, and when that was, on the monotonic clock.
    last: Snapshot,
    noted: Duration,
    series: [Series; 3],
}

impl History {
    /// One that begins now, with these figures.
    pub(super) fn new(now: Duration, wall: Duration, figures: Snapshot) -> Self {
        Self {
            state: Mutex::new(State {
                last: figures,
                noted: now,
                series: Range::ALL.map(|range| Series::of_step(range.step_ms())),
            }),
            since_ms: millis(wall),
        }
    }

    /// Notes what has come to the figures since they were noted last, and returns them.
    ///
    /// They are read while the lock is held. Were they read before, one who has read them early and
    /// gets the lock late would set them back, and what came in between would be counted twice.
    pub(super) fn note(
        &self,
        now: Duration,
        wall: Duration,
        read: impl FnOnce() -> Snapshot,
    ) -> Snapshot {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = read();
        let counted = figures.since(&state.last);
        let covered = millis(now.saturating_sub(state.noted));
        let at = millis(wall);
        for (series, range) in state.series.iter_mut().zip(Range::ALL) {
            series.add(at, covered, &counted);
            // A clock that was set back leaves slices of the future behind: those end too.
            let begin = at.saturating_sub(range.span_ms());
            let step = series.step_ms;
            series
                .slices
                .retain(|start, _| *start <= at && start + step > begin);
        }
        state.last = figures.clone();
        state.noted = state.noted.max(now);
        figures
    }

    /// What was noted in a range.
    pub(super) fn series(&self, range: Range) -> Series {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Range::ALL.iter().position(|other| *other == range);
        state.series[place.unwrap_or_default()].clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use super::*;
    use crate::metrics::KindSnapshot;

    const SECOND: Duration = Duration::from_secs(1);
    const WALL: Duration = Duration::from_mins(28_333_335);

    fn figures(hits: u64) -> Snapshot {
        let mut kind = KindSnapshot::default();
        kind.add_field("hits_local", hits);
        let mut snapshot = Snapshot::default();
        snapshot.kinds.insert("walk".to_owned(), kind);
        snapshot
    }

    fn hits(series: &Series) -> u64 {
        series.sum().kinds.get("walk").map_or(0, KindSnapshot::hits)
    }

    #[test]
    fn what_comes_to_the_figures_is_noted_where_it_came() {
        let history = History::new(SECOND, WALL, figures(10));
        for second in 1..=600_u32 {
            let at = SECOND * second;
            history.note(SECOND + at, WALL + at, || figures(10 + u64::from(second)));
        }
        let fine = history.series(Range::Minutes);
        // Sixty whole slices, and the one that is growing; what was there before is in none.
        assert_eq!(fine.slices.len(), 61);
        assert_eq!((hits(&fine), fine.covered_ms()), (301, 301_000));
        let hour = history.series(Range::Hour);
        assert_eq!((hits(&hour), hour.covered_ms()), (600, 600_000));
        assert_eq!(hits(&history.series(Range::Day)), 600);
    }

    #[test]
    fn a_time_in_which_nothing_was_noted_is_a_gap_and_the_past_ends() {
        let history = History::new(SECOND, WALL, figures(0));
        history.note(SECOND * 2, WALL + SECOND, || figures(1));
        let later = SECOND * 120;
        history.note(later, WALL + later, || figures(3));
        let fine = history.series(Range::Minutes);
        let starts: Vec<u64> = fine.slices.keys().map(|at| at - millis(WALL)).collect();
        assert_eq!(starts, [0, 120_000]);
        history.note(later * 20, WALL + later * 20, || figures(3));
        assert_eq!(history.series(Range::Minutes).slices.len(), 1);
        assert_eq!(hits(&history.series(Range::Hour)), 3);
        // The clock is set back: what it has left in the future goes.
        history.note(later * 21, WALL, || figures(4));
        assert_eq!(hits(&history.series(Range::Hour)), 2);
    }

    #[test]
    fn those_who_note_at_once_count_nothing_twice() {
        let history = History::new(SECOND, WALL, figures(0));
        let counted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        history.note(SECOND, WALL, || figures(counted.fetch_add(1, SeqCst) + 1));
                    }
                });
            }
        });
        assert_eq!(hits(&history.series(Range::Minutes)), 2_000);
    }

    #[test]
    fn a_range_ends_with_the_minute_that_is_running() {
        assert_eq!(Range::Minutes.up_to(100), 96..=100);
        assert_eq!(Range::Hour.up_to(100), 41..=100);
        assert_eq!(Range::Day.up_to(100), 0..=100);
    }

    #[test]
    fn minutes_of_the_fleet_that_nobody_reported_stay_gaps() {
        let mut fleet = Fleet {
            now_ms: 30 * MINUTE_MS + 20_000,
            ..Fleet::default()
        };
        for minute in [3, 4, 29, 30] {
            fleet.minutes.insert(minute, figures(minute));
        }
        let hour = Series::of_fleet(&fleet, Range::Hour);
        let starts: Vec<u64> = hour.slices.keys().map(|at| at / MINUTE_MS).collect();
        assert_eq!(starts, [3, 4, 29, 30]);
        assert_eq!(hour.covered_ms(), 3 * MINUTE_MS + 20_000);
        let day = Series::of_fleet(&fleet, Range::Day);
        assert_eq!(day.slices.len(), 3);
        assert_eq!((hits(&day), day.covered_ms()), (66, hour.covered_ms()));
    }
}
