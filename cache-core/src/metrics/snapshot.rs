//! What readers of metrics get: plain data, per kind, with no name in it that can grow without bound.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Count, Counters, Distribution, Histogram, Recent};

/// All figures of a cache at one moment, per kind.
///
/// Serializes to JSON for dashboards; its `Display` is a table.
///
/// ```
/// use cache_core::Cache;
///
/// let cache = Cache::builder().build();
/// assert!(cache.snapshot().kinds.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The kinds that were used, by name.
    pub kinds: BTreeMap<String, KindSnapshot>,
    /// Invalidations, by tag, key or kind, that took effect everywhere before they returned.
    pub invalidations_applied: u64,
    /// Invalidations that were kept for when the store can be reached.
    pub invalidations_queued: u64,
    /// Tags and keys that wait to be invalidated in the shared tier, at the moment. Some of them may
    /// be on their way.
    pub invalidations_pending: u64,
    /// Tags and keys that were invalidated in the shared tier once it could be reached, or after a
    /// lost connection once more (`replay_window`).
    pub invalidations_replayed: u64,
    /// How often too much was pending to be kept one by one, and became the tags of its kinds, or
    /// the whole namespace.
    pub queue_widened: u64,
    /// How often the journal's disk failed, or was too slow to be waited for.
    pub journal_errors: u64,
    /// Whether calls go past the shared tier at the moment, because it does not answer, or because
    /// something is pending.
    pub breaker_open: bool,
    /// How often that began.
    pub breaker_opened: u64,
    /// How often the shared tier lost touch, so that local values could not be trusted to be told of
    /// changes. Only counted where it tells (`tracking`).
    pub trust_lost: u64,
    /// How often everything learnt so far was given up: after a loss, after `FLUSHALL`, at the end of
    /// an outage.
    pub epoch_steps: u64,
    /// How often the shared tier said something that makes no sense: an answer of the wrong type, a
    /// number out of range, a push of no known shape. Each time its connection was replaced, and
    /// nothing that was read before was served unasked.
    #[serde(default)]
    pub distrusted: u64,
    /// The kinds that have a policy (`builder.policy`, a policy file) and that no function has used so
    /// far. A name that stays here is most likely misspelt.
    pub unclaimed_policies: Vec<String>,
    /// How long the cache has been there, in milliseconds.
    pub uptime_ms: u64,
}

impl Snapshot {
    pub(crate) fn of(totals: &Counters) -> Self {
        Self {
            kinds: BTreeMap::new(),
            invalidations_applied: totals.sum(Count::InvalidationApplied),
            invalidations_queued: totals.sum(Count::InvalidationQueued),
            invalidations_replayed: totals.sum(Count::InvalidationReplayed),
            queue_widened: totals.sum(Count::QueueWidened),
            breaker_opened: totals.sum(Count::BreakerOpened),
            trust_lost: totals.sum(Count::TrustLost),
            epoch_steps: totals.sum(Count::EpochStep),
            distrusted: totals.sum(Count::Distrusted),
            // What is so at the moment, the engine adds.
            ..Self::default()
        }
    }
}

/// The figures of one kind since the process started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KindSnapshot {
    /// Calls answered from the local tier.
    pub hits_local: u64,
    /// Calls answered from the shared tier.
    pub hits_shared: u64,
    /// Calls answered with a value past its time to live, while another call loaded a new one or after
    /// a load had failed.
    pub hits_stale: u64,
    /// Calls answered from the local tier while the shared one could not be reached.
    pub hits_outage: u64,
    /// Calls answered with the value of another call of the same process, under way at the time.
    pub coalesced: u64,
    /// Calls that ran the function.
    pub misses: u64,
    /// Calls that went past the cache: the kind, or the cache, is switched off, or can't serve it.
    pub bypassed: u64,
    /// How often the function ran.
    pub loads: u64,
    /// How often it ran although there was a value that could have been served.
    pub refreshes: u64,
    /// How often it returned an `Err`.
    pub load_errors: u64,
    /// How often it took longer than the hard timeout.
    pub load_timeouts: u64,
    /// Calls whose load failed, and that were answered with the value from before.
    pub rescued: u64,
    /// How long it took.
    pub load_time: Distribution,
    /// Loads whose value was not stored, because the lease was gone by then.
    pub fills_refused: u64,
    /// Writes whose value was stored (`#[updates]`).
    #[serde(default)]
    pub updates: u64,
    /// Writes whose value was not stored: something moved meanwhile, it is none that is cached, or the
    /// store could not be reached. What there was before them was invalidated.
    #[serde(default)]
    pub updates_refused: u64,
    /// Invalidations that took effect everywhere before they returned.
    pub invalidations_applied: u64,
    /// Invalidations that were kept for when the store can be reached.
    pub invalidations_queued: u64,
    /// Calls to the store that failed or took too long.
    pub store_errors: u64,
    /// Entries whose bytes could not be trusted.
    pub undecodable: u64,
    /// Calls whose arguments could not be made a key.
    pub unkeyed: u64,
    /// Local entries there are.
    pub local_entries: u64,
    /// Bytes they take, estimated.
    pub local_bytes: u64,
    /// Local entries that had to make room.
    pub evictions: u64,
    /// Hits and misses of the last minutes; `None` before anything was counted.
    #[serde(default)]
    pub recent: Option<Recent>,
}

impl KindSnapshot {
    pub(crate) fn of(counters: &Counters, loads: &Histogram) -> Self {
        Self {
            hits_local: counters.sum(Count::HitLocal),
            hits_shared: counters.sum(Count::HitShared),
            hits_stale: counters.sum(Count::HitStale),
            hits_outage: counters.sum(Count::HitOutage),
            coalesced: counters.sum(Count::Coalesced),
            misses: counters.sum(Count::Miss),
            bypassed: counters.sum(Count::Bypassed),
            loads: counters.sum(Count::Load),
            refreshes: counters.sum(Count::Refresh),
            load_errors: counters.sum(Count::LoadError),
            load_timeouts: counters.sum(Count::LoadTimeout),
            rescued: counters.sum(Count::Rescued),
            load_time: loads.distribution(),
            fills_refused: counters.sum(Count::FillRefused),
            updates: counters.sum(Count::Update),
            updates_refused: counters.sum(Count::UpdateRefused),
            invalidations_applied: counters.sum(Count::InvalidationApplied),
            invalidations_queued: counters.sum(Count::InvalidationQueued),
            store_errors: counters.sum(Count::StoreError),
            undecodable: counters.sum(Count::Undecodable),
            unkeyed: counters.sum(Count::Unkeyed),
            evictions: counters.sum(Count::Evicted),
            ..Self::default()
        }
    }

    /// Hits and misses alone.
    pub(crate) fn asked(counters: &Counters) -> [u64; 2] {
        let hits = [
            Count::HitLocal,
            Count::HitShared,
            Count::HitStale,
            Count::HitOutage,
            Count::Coalesced,
        ];
        let hits = hits.map(|hit| counters.sum(hit)).iter().sum();
        [hits, counters.sum(Count::Miss)]
    }

    /// Calls that were answered without running the function.
    pub fn hits(&self) -> u64 {
        let hits = [
            self.hits_local,
            self.hits_shared,
            self.hits_stale,
            self.hits_outage,
            self.coalesced,
        ];
        // Sums of a fleet come from Redis, where others can write.
        hits.into_iter().fold(0, u64::saturating_add)
    }

    /// Hits among all calls that asked the cache, from 0 to 1; `None` before the first.
    pub fn hit_ratio(&self) -> Option<f64> {
        super::window::ratio(self.hits(), self.misses)
    }

    /// The time that hits saved: their number times the mean load time.
    pub fn time_saved(&self) -> Duration {
        let times = &self.load_time;
        if times.count == 0 {
            return Duration::ZERO;
        }
        // Two numbers of 64 bits make one of 128 at most.
        let micros =
            u128::from(self.hits()) * u128::from(times.total_micros) / u128::from(times.count);
        let seconds = u64::try_from(micros / 1_000_000).unwrap_or(u64::MAX);
        let rest = u32::try_from(micros % 1_000_000).unwrap_or_default();
        Duration::new(seconds, rest * 1_000)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.kinds.keys().map(String::len).max().unwrap_or(0).max(4);
        writeln!(
            f,
            "{:<width$} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10}",
            "kind", "hit %", "local", "shared", "joined", "miss", "entries", "load p50", "saved",
        )?;
        for (name, kind) in &self.kinds {
            let ratio = kind
                .hit_ratio()
                .map_or_else(|| "-".to_owned(), |ratio| format!("{:.1}", ratio * 100.0));
            let p50 = kind
                .load_time
                .quantile(0.5)
                .map_or_else(|| "-".to_owned(), |time| format!("{time:.1?}"));
            writeln!(
                f,
                "{name:<width$} {ratio:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {p50:>10} {:>10}",
                kind.hits_local,
                kind.hits_shared,
                kind.coalesced,
                kind.misses,
                kind.local_entries,
                format!("{:.1?}", kind.time_saved()),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(hits: u64, loads: u64, total_micros: u64) -> KindSnapshot {
        let mut kind = KindSnapshot {
            hits_local: hits,
            ..KindSnapshot::default()
        };
        kind.load_time.count = loads;
        kind.load_time.total_micros = total_micros;
        kind
    }

    #[test]
    fn the_time_saved_is_exact_however_many_hits_there_are() {
        for (hits, loads, micros, saved) in [
            (1 << 40, 3, 30_000, Duration::from_millis((1 << 40) * 10)),
            (1_000_000, 10, 19, Duration::from_millis(1_900)),
            (7, 0, 0, Duration::ZERO),
        ] {
            assert_eq!(kind(hits, loads, micros).time_saved(), saved);
        }
    }

    #[test]
    fn sums_that_make_no_sense_stay_at_the_largest_number() {
        let most = KindSnapshot {
            hits_shared: u64::MAX,
            misses: u64::MAX,
            ..kind(u64::MAX, 1, u64::MAX)
        };
        assert_eq!(most.hits(), u64::MAX);
        assert_eq!(most.hit_ratio(), Some(1.0));
        assert!(most.time_saved() > Duration::from_secs(1 << 63));
        let mut twice = most.clone();
        twice.add(&most);
        assert_eq!(twice.hits_local, u64::MAX);
    }
}
