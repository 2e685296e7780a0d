//! Nodes of a fleet that count, and what the fleet is to have of it in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::metrics::Fleet;
use cache_core::store::BoxFuture;
use cache_core::{Cache, Clock, Env, Snapshot, SystemClock, cached};
use cache_redis::{RedisConfig, RedisStore};

use crate::server::{RedisServer, until};

/// A kind with tags.
#[cached(kind = "profile", ttl = "10m", tags("user:{id}"))]
pub async fn profile(id: u64) -> u64 {
    std::future::ready(id).await
}

/// Another kind, of which not everything is stored.
#[cached(kind = "shift", ttl = "10m", cache_if = |value: &u64| *value < 100)]
pub async fn shift(id: u64) -> u64 {
    std::future::ready(id).await
}

/// Reports are made when the test says so.
pub const BY_HAND: Duration = Duration::from_hours(1);

/// What a store has to answer in: the machine may be busy.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A node that is told of changes, and reports by hand.
///
/// # Panics
///
/// When the URL makes no sense.
pub fn config(url: &str) -> RedisConfig {
    let config = RedisStore::builder(url).unwrap();
    config
        .report_every(BY_HAND)
        .tracking(true)
        // A machine under load must not end the trust in the local tier.
        .heartbeat(Duration::from_secs(1), Duration::from_secs(10))
}

/// A node of the namespace `test`.
///
/// # Panics
///
/// When the configuration makes no sense.
pub fn cache(config: RedisConfig) -> Cache {
    cache_in(Env::system(), config)
}

/// The same in a world of the test's.
///
/// # Panics
///
/// As [`cache`].
pub fn cache_in(env: Env, config: RedisConfig) -> Cache {
    built(env, config, TIMEOUT)
}

/// A node that soon gives up what is not answered.
///
/// # Panics
///
/// As [`cache`].
pub fn hasty(config: RedisConfig) -> Cache {
    built(Env::system(), config, Duration::from_millis(300))
}

fn built(env: Env, config: RedisConfig, store_timeout: Duration) -> Cache {
    Cache::builder()
        .namespace("test")
        .env(env)
        .shared(config.build().unwrap())
        .store_timeout(store_timeout)
        // Else what is applied again after a lost connection would be counted in between.
        .replay_window(Duration::ZERO)
        .try_build()
        .unwrap()
}

/// A node on this server.
pub fn node(server: &RedisServer) -> Cache {
    cache(config(&server.url()))
}

/// Hits, misses, and invalidations, of two kinds.
///
/// # Panics
///
/// When a call returns something else than the function.
pub async fn work(cache: &Cache, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        for _ in 0..3 {
            assert_eq!(cache.scope(profile(id % 7)).await, id % 7);
        }
        assert_eq!(cache.scope(shift(id)).await, id);
        if id % 5 == 0 {
            cache
                .invalidate_tag(&format!("user:{}", id % 7))
                .await
                .unwrap();
        }
    }
}

/// Every figure that adds up, by name.
pub fn figures(snapshot: &Snapshot) -> BTreeMap<String, u64> {
    let kinds = snapshot.kinds.iter().flat_map(|(kind, figures)| {
        let named = move |(name, count)| (format!("{kind} {name}"), count);
        figures.fields().map(named)
    });
    snapshot.fields().chain(kinds).collect()
}

/// What these have counted, all together.
pub fn sum(caches: &[&Cache]) -> BTreeMap<String, u64> {
    let mut sum = Snapshot::default();
    for cache in caches {
        sum.add(&cache.snapshot());
    }
    figures(&sum)
}

/// Hits of a kind, among what [`figures`] names.
pub fn hits(figures: &BTreeMap<String, u64>, kind: &str) -> u64 {
    let of = |name: &&str| figures.get(&format!("{kind} {name}")).copied().unwrap_or(0);
    let names = ["hits_local", "hits_shared", "hits_stale", "coalesced"];
    names.iter().map(of).sum()
}

/// What the fleet has, of the last hour.
///
/// # Panics
///
/// When the store does not tell.
pub async fn fleet(cache: &Cache) -> Fleet {
    let now = cache.minute();
    cache.fleet(now - 60..=now).await.expect("figures")
}

/// What the fleet has counted in the last hour, as [`fleet`].
pub async fn counted(cache: &Cache) -> BTreeMap<String, u64> {
    figures(&fleet(cache).await.sum())
}

/// Has them report until the fleet has what they have counted. An increment that was lost, or that
/// counts twice, would keep it from that for ever: figures never fall.
///
/// # Panics
///
/// When they do not add up in time.
pub async fn adds_up(reader: &Cache, nodes: &[&Cache]) {
    let mut seen = BTreeMap::new();
    let adding_up = until("the fleet has what its nodes have counted", async || {
        for node in nodes {
            if node.report().await.is_err() {
                return false;
            }
        }
        seen = counted(reader).await;
        // Less is what was counted in between: the end of an outage, say.
        for (name, count) in &seen {
            assert!(count <= &sum(nodes)[name], "{name} counts twice: {seen:?}");
        }
        seen == sum(nodes)
    });
    adding_up.await;
}

/// Reports, however long the store takes to be there again.
pub async fn reported(cache: &Cache) {
    until("the report is taken", async || cache.report().await.is_ok()).await;
}

/// The machine's clocks, but for the wall's, which shows an earlier minute.
pub struct Early(pub Arc<AtomicU64>);

impl Clock for Early {
    fn now(&self) -> Duration {
        SystemClock.now()
    }

    fn coarse(&self) -> Duration {
        SystemClock.coarse()
    }

    fn wall(&self) -> Duration {
        let early = Duration::from_mins(self.0.load(Ordering::Relaxed));
        SystemClock.wall().saturating_sub(early)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(duration)
    }
}
