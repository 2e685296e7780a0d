//! Invariant 1 under fire: random calls, writes and invalidations on several nodes, checked against
//! an oracle. A failing run prints its seed.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_core::{Cache, Invalidation, cached};
use cache_tests::world::{World, polled};

/// How long each world is under fire.
const LASTS: Duration = Duration::from_millis(1200);
const KEYS: usize = 4;

/// A database of versions, and what has been acknowledged of them.
#[derive(Default)]
struct Database {
    versions: [AtomicU64; KEYS],
    /// Every version up to this one has been invalidated before it, acknowledged.
    acknowledged: [AtomicU64; KEYS],
    loads: AtomicU64,
    calls: AtomicU64,
}

impl Database {
    async fn load(&self, key: usize, pauses: u64) -> u64 {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let version = self.versions[key].load(Ordering::SeqCst);
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
        version
    }
}

/// xorshift64*: enough to choose by.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn key(&mut self) -> usize {
        usize::try_from(self.below(KEYS as u64)).expect("few")
    }
}

#[cached(
    kind = "versions",
    ttl = "1m",
    schema = 1,
    skip(database, pauses),
    tags("version:{key}")
)]
async fn version(database: &Database, key: usize, pauses: u64) -> u64 {
    database.load(key, pauses).await
}

/// The same, for values that do not leave the process.
#[cached(
    kind = "versions_here",
    ttl = "1m",
    skip(database, pauses),
    tags("version:{key}")
)]
async fn version_here(database: &Database, key: usize, pauses: u64) -> Result<u64, String> {
    Ok(database.load(key, pauses).await)
}

#[cached(
    kind = "versions_plain",
    ttl = "1m",
    schema = 1,
    skip(database),
    tags("version:{key}")
)]
fn version_plain(database: &Database, key: usize) -> u64 {
    database.loads.fetch_add(1, Ordering::Relaxed);
    let version = database.versions[key].load(Ordering::SeqCst);
    std::thread::yield_now();
    version
}

async fn reader(cache: Cache, database: Arc<Database>, mut random: Random, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let key = random.key();
        let pauses = random.below(6);
        let choice = random.below(20);
        let database = &*database;
        let floor = database.acknowledged[key].load(Ordering::SeqCst);
        let got = match choice {
            0..10 => Some(cache.scope(version(database, key, pauses)).await),
            10..14 => cache.scope(version_here(database, key, pauses)).await.ok(),
            14 | 15 => Some(cache.scope_blocking(|| version_plain(database, key))),
            16 => cache.scope(version::peek(key)).await,
            17 => Some(cache.scope(version::refresh(database, key, pauses)).await),
            _ => {
                let polls = usize::try_from(random.below(8)).expect("few");
                polled(polls, cache.scope(version(database, key, pauses))).await
            }
        };
        database.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(got) = got {
            assert!(
                got >= floor,
                "key {key}, choice {choice}: version {got} after {floor} was acknowledged"
            );
        }
        if random.below(4) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn writer(cache: Cache, database: Arc<Database>, mut random: Random, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let key = random.key();
        let written = database.versions[key].fetch_add(1, Ordering::SeqCst) + 1;
        let outcomes = match random.below(12) {
            0..7 => vec![cache.invalidate_tag(&format!("version:{key}")).await],
            7..10 => vec![
                cache.scope(version::invalidate(key)).await,
                cache.scope(version_here::invalidate(key)).await,
                cache.scope_blocking(|| version_plain::invalidate(key)),
            ],
            10 => vec![
                cache.invalidate_kind("versions").await,
                cache.invalidate_kind("versions_here").await,
                cache.invalidate_kind("versions_plain").await,
            ],
            _ => vec![Ok(cache.clear().await)],
        };
        let applied = outcomes
            .into_iter()
            .all(|outcome| outcome.expect("good names") == Invalidation::Applied);
        assert!(applied, "the store is well");
        database.acknowledged[key].fetch_max(written, Ordering::SeqCst);
        for _ in 0..random.below(12) {
            tokio::task::yield_now().await;
        }
    }
}

async fn under_fire(world: World) {
    let seed = u64::from(std::process::id()) << 20 | 0x9e37;
    println!("{}: seed {seed}", world.name);
    let database = Arc::new(Database::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for (number, cache) in (1_u64..).zip(&world.caches) {
        let random = |salt: u64| Random(seed.wrapping_mul(number * 16 + salt) | 1);
        for salt in 0..6 {
            let (cache, database, stop) = (cache.clone(), database.clone(), stop.clone());
            tasks.push(tokio::spawn(reader(cache, database, random(salt), stop)));
        }
        let (cache, database, stop) = (cache.clone(), database.clone(), stop.clone());
        tasks.push(tokio::spawn(writer(cache, database, random(15), stop)));
    }
    let begun = Instant::now();
    while begun.elapsed() < LASTS && !tasks.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        let ended = tokio::time::timeout(Duration::from_secs(10), task).await;
        ended.expect("nobody hangs").expect("nothing stale");
    }
    let written: u64 = database
        .acknowledged
        .iter()
        .map(|v| v.load(Ordering::SeqCst))
        .sum();
    let (loads, calls) = (
        database.loads.load(Ordering::Relaxed),
        database.calls.load(Ordering::Relaxed),
    );
    println!(
        "{}: {calls} calls, {loads} loads, {written} writes",
        world.name
    );
    assert!(
        written > 20 && loads > 20 && calls > loads,
        "the fire was out"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn embedded() {
    under_fire(World::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn three_nodes_that_are_told() {
    under_fire(World::tracked(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn three_nodes_that_ask() {
    under_fire(World::checked(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn three_nodes_on_redis() {
    under_fire(World::redis(3)).await;
}
