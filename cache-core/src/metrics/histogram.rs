//! How load times are distributed: buckets whose bounds grow by a quarter of a power of two, so that
//! a quantile is too large by a quarter at most.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Buckets from below a microsecond to above two hours.
const BUCKETS: usize = 4 * 33 + 1;

/// The live histogram.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            micros: AtomicU64::new(0),
        }
    }

    pub(crate) fn record(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    pub(crate) fn distribution(&self) -> Distribution {
        let counts = self.buckets.iter().map(|word| word.load(Relaxed));
        let buckets: Vec<Bucket> = counts
            .enumerate()
            .filter(|(_, count)| *count > 0)
            .map(|(at, count)| Bucket {
                below_micros: upper_bound(at),
                count,
            })
            .collect();
        let mut distribution = Distribution {
            count: buckets.iter().map(|bucket| bucket.count).sum(),
            total_micros: self.micros.load(Relaxed),
            buckets,
            ..Distribution::default()
        };
        distribution.settle();
        distribution
    }
}

/// A bucket for every quarter of each power of two: 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ...
fn bucket(micros: u64) -> usize {
    if micros < 4 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let power = micros.ilog2();
    let quarter = (micros >> (power - 2)) & 3;
    (4 * (power as usize - 1) + usize::try_from(quarter).unwrap_or(0)).min(BUCKETS - 1)
}

/// The smallest number of microseconds that no longer falls into this bucket.
fn upper_bound(bucket: usize) -> u64 {
    if bucket < 4 {
        return bucket as u64 + 1;
    }
    let (power, quarter) = (bucket / 4 + 1, bucket as u64 % 4);
    (5 + quarter) << (power - 2)
}

/// How times were distributed, as plain data.
///
/// ```
/// let times = cache_core::metrics::Distribution::default();
/// assert_eq!(times.mean(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Distribution {
    /// How many times were recorded.
    pub count: u64,
    /// Their sum in microseconds.
    pub total_micros: u64,
    /// The median in microseconds, as [`quantile`](Self::quantile) has it.
    pub p50_micros: Option<u64>,
    /// What 95 of 100 do not exceed, in microseconds.
    pub p95_micros: Option<u64>,
    /// What 99 of 100 do not exceed, in microseconds.
    pub p99_micros: Option<u64>,
    /// How many there were in each range, from short to long; empty ranges are left out.
    pub buckets: Vec<Bucket>,
}

/// How many times were in one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bucket {
    /// The end of the range, in microseconds; it begins where the one before it ends.
    pub below_micros: u64,
    /// How many times.
    pub count: u64,
}

impl Distribution {
    /// Says what its quantiles are, once its buckets are as they should be.
    pub(super) fn settle(&mut self) {
        let micros = |share| {
            let time = self.quantile(share)?;
            u64::try_from(time.as_micros()).ok()
        };
        [self.p50_micros, self.p95_micros, self.p99_micros] =
            [micros(0.5), micros(0.95), micros(0.99)];
    }

    /// The mean; `None` while nothing was recorded.
    pub fn mean(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.total_micros / self.count))
    }

    /// The time that a share of all times does not exceed: `quantile(0.99)`. Never too small, and
    /// too large by a quarter at most. `None` while nothing was recorded.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.count as f64 * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0_u64;
        self.buckets
            .iter()
            .find(|bucket| {
                seen = seen.saturating_add(bucket.count);
                seen >= rank
            })
            .map(|bucket| Duration::from_micros(bucket.below_micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_below_its_buckets_bound_and_not_below_the_one_before() {
        for shift in 0..33 {
            for offset in [0, 1, 3, 7] {
                let micros = (1_u64 << shift) + offset;
                let at = bucket(micros);
                assert!(
                    at == BUCKETS - 1 || micros < upper_bound(at),
                    "{micros} in {at}"
                );
                assert!(at == 0 || micros >= upper_bound(at - 1), "{micros} in {at}");
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_off_by_a_quarter_at_most() {
        let histogram = Histogram::new();
        for millis in 1..=100 {
            histogram.record(Duration::from_millis(millis));
        }
        let times = histogram.distribution();
        assert_eq!(times.count, 100);
        assert_eq!(times.mean(), Some(Duration::from_micros(50_500)));
        for (share, exact) in [(0.5, 50_000), (0.95, 95_000), (0.99, 99_000)] {
            let found = times.quantile(share).expect("not empty").as_micros();
            assert!(found >= exact && found <= exact * 5 / 4, "{share}: {found}");
        }
        let median = times.quantile(0.5).map(|time| time.as_micros());
        assert_eq!(times.p50_micros.map(u128::from), median);
        assert!(times.buckets.iter().all(|bucket| bucket.count > 0));
    }

    #[test]
    fn an_empty_distribution_has_no_quantile() {
        assert_eq!(Histogram::new().distribution().quantile(0.5), None);
    }
}
