//! The breaker on a real Redis: writes that hang while reads are answered open it, and refusals
//! don't.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::time::{Duration, Instant};

use cache_core::{Cache, Invalidation, cached};
use cache_redis::RedisStore;
use cache_tests::server::{RedisServer, until};
use cache_tests::source::Source;

/// So long that a call that pays it can't be taken for one that does not.
const TIMEOUT: Duration = Duration::from_millis(600);

#[cached(kind = "breaker", ttl = "1h", skip(source), tags("breaker:{id}"))]
async fn get(source: &Source, id: u64) -> u64 {
    source.load().await + id
}

fn node(server: &RedisServer, tracked: bool) -> Cache {
    let store = RedisStore::builder(&server.url())
        .expect("a URL")
        .tracking(tracked)
        .ping_timeout(Duration::from_millis(100))
        // A report would hang, too, and cost a connection.
        .report_every(Duration::ZERO)
        .build()
        .expect("a store");
    Cache::builder()
        .shared(store)
        .store_timeout(TIMEOUT)
        .try_build()
        .expect("a cache")
}

/// A call's value, and how long it took.
async fn timed(cache: &Cache, source: &Source, id: u64) -> (u64, Duration) {
    let began = Instant::now();
    let value = cache.scope(get(source, id)).await;
    (value, began.elapsed())
}

#[tokio::test]
async fn writes_that_hang_open_it_and_keep_it_open_until_they_no_longer_do() {
    for tracked in [false, true] {
        let server = RedisServer::start();
        let cache = node(&server, tracked);
        let source = Source::new(1_000);
        assert_eq!(timed(&cache, &source, 0).await.0, 1_000);
        assert_eq!(timed(&cache, &source, 0).await.0, 1_000);
        assert_eq!(source.loads(), 1);

        server.command::<()>(&["CLIENT", "PAUSE", "3600000", "WRITE"]);
        let mut paid = 0;
        until("the breaker opens", async || {
            if !cache.health().usable {
                return true;
            }
            paid += 1;
            // What is there can be read, which says nothing of the writes.
            assert_eq!(timed(&cache, &source, 0).await.0, 1_000);
            let (value, delay) = timed(&cache, &source, paid).await;
            assert_eq!(value, 1_000 + paid);
            assert!(delay < TIMEOUT * 2, "{delay:?} late");
            false
        })
        .await;
        assert!(paid <= 3, "{paid} calls waited in vain");

        // It is open, and none of these waits, however often it is probed meanwhile.
        let opened = cache.snapshot().breaker_opened;
        // Each probe whose write hangs costs a connection: what does not answer is given up.
        let (before, mut asked) = (server.connections_taken(), 0);
        until("it was probed a few times", async || {
            let began = Instant::now();
            for id in 100..120 {
                assert_eq!(timed(&cache, &source, id).await.0, 1_000 + id);
            }
            assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
            assert!(!cache.health().usable, "it is closed, and writes hang");
            asked += 1;
            // Each question has a connection of its own.
            server.connections_taken() >= before + asked + 3
        })
        .await;
        assert_eq!(cache.snapshot().breaker_opened, opened, "it flapped");

        server.command::<()>(&["CLIENT", "UNPAUSE"]);
        until("the breaker closes", async || cache.health().usable).await;
        let loads = source.loads();
        assert_eq!(timed(&cache, &source, 7_000).await.0, 8_000);
        assert_eq!(timed(&cache, &source, 7_000).await.0, 8_000);
        assert_eq!(source.loads(), loads + 1, "it caches again");
        assert!(!cache.snapshot().breaker_open);
    }
}

#[tokio::test]
async fn invalidations_during_it_are_queued_without_a_wait_and_replayed_after_it() {
    let server = RedisServer::start();
    let (cache, other) = (node(&server, false), node(&server, false));
    let source = Source::new(1);
    assert_eq!(timed(&cache, &source, 1).await.0, 2);
    assert_eq!(timed(&other, &source, 1).await.0, 2);
    server.command::<()>(&["CLIENT", "PAUSE", "3600000", "WRITE"]);
    source.set(5);
    let first = cache.invalidate_tag("breaker:1").await;
    assert_eq!(first.expect("a tag"), Invalidation::Queued);
    assert!(!cache.health().usable, "one is enough: guard G10");
    let began = Instant::now();
    for id in 2..50 {
        let outcome = cache.invalidate_tag(&format!("breaker:{id}")).await;
        assert_eq!(outcome.expect("a tag"), Invalidation::Queued);
    }
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(timed(&cache, &source, 1).await.0, 6);
    assert!(cache.snapshot().invalidations_pending > 0);
    server.command::<()>(&["CLIENT", "UNPAUSE"]);
    until("they are replayed", async || cache.health().usable).await;
    let figures = cache.snapshot();
    assert_eq!(figures.invalidations_pending, 0);
    assert!(figures.invalidations_replayed >= 49, "{figures:?}");
    assert_eq!(timed(&other, &source, 1).await.0, 6);
}

#[tokio::test]
async fn a_full_redis_refuses_at_once_and_still_serves_what_it_has() {
    let server = RedisServer::start();
    let cache = node(&server, false);
    let source = Source::new(1_000);
    assert_eq!(timed(&cache, &source, 0).await.0, 1_000);
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let began = Instant::now();
    for id in 1..50 {
        assert_eq!(timed(&cache, &source, id).await.0, 1_000 + id);
    }
    assert!(began.elapsed() < TIMEOUT * 2, "{:?}", began.elapsed());
    assert_eq!(source.loads(), 50);
    for _ in 0..50 {
        assert_eq!(timed(&cache, &source, 0).await.0, 1_000);
    }
    assert_eq!(source.loads(), 50, "hits are served");
    let figures = cache.snapshot();
    assert!(figures.kinds["breaker"].store_errors >= 49);
    assert_eq!((figures.breaker_opened, figures.breaker_open), (0, false));
    // What was removed makes room: invalidations work.
    let outcome = cache.invalidate_tag("breaker:0").await;
    assert_eq!(outcome.expect("a tag"), Invalidation::Applied);
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    timed(&cache, &source, 1).await;
    let loads = source.loads();
    timed(&cache, &source, 1).await;
    assert_eq!(source.loads(), loads, "it caches again");
}

/// A replica refuses writes, and answers the write probe, which changes nothing there. Reads go on;
/// an invalidation is queued and keeps the breaker open until it can be applied.
#[tokio::test]
async fn a_demoted_redis_is_no_outage_until_something_is_to_be_invalidated() {
    let server = RedisServer::start();
    let cache = node(&server, false);
    let source = Source::new(1);
    assert_eq!(timed(&cache, &source, 0).await.0, 1);
    server.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    for id in 1..10 {
        assert_eq!(timed(&cache, &source, id).await.0, 1 + id);
    }
    assert!(cache.snapshot().kinds["breaker"].store_errors > 0);
    source.set(2);
    let outcome = cache.invalidate_tag("breaker:0").await;
    assert_eq!(outcome.expect("a tag"), Invalidation::Queued);
    assert_eq!(timed(&cache, &source, 0).await.0, 2);
    assert!(!cache.health().usable);
    server.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    until("it is replayed", async || cache.health().usable).await;
    assert_eq!(timed(&cache, &source, 0).await.0, 2);
}
