//! Invariant 2: the cache never changes a result, and never delays it by more than the store
//! timeout. Time stands still unless a test moves it.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::time::Duration;

use cache_core::memory::{MemoryServer, Trouble};
use cache_core::store::Store;
use cache_core::{Cache, Env, ErrorKind, Invalidation, ManualClock, cached};
use cache_tests::gate::{Gates, Op, gated};
use cache_tests::source::Source;
use cache_tests::world::{Here, settle};
use tokio::task::JoinHandle;

const TIMEOUT: Duration = Duration::from_millis(250);

#[cached(kind = "outage", ttl = "1h", skip(source), tags("outage:{id}"))]
async fn get(source: &Source, id: u64) -> u64 {
    let _ = id;
    source.load().await
}

struct Node {
    cache: Cache,
    server: MemoryServer,
    clock: ManualClock,
}

fn cache(env: Env, store: impl Store) -> Cache {
    let builder = Cache::builder().env(env).shared(store);
    builder.store_timeout(TIMEOUT).build()
}

impl Node {
    fn new(tracked: bool) -> Self {
        let clock = ManualClock::new();
        let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
        let server = MemoryServer::new(env.clone());
        let store = match tracked {
            true => server.store(),
            false => server.checked_store(),
        };
        Self {
            cache: cache(env, store),
            server,
            clock,
        }
    }

    /// A node whose store's calls can be held back one by one.
    fn gated() -> (Self, Gates) {
        let clock = ManualClock::new();
        let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
        let server = MemoryServer::new(env.clone());
        let (store, gates) = gated(server.checked_store());
        let node = Self {
            cache: cache(env, store),
            server,
            clock,
        };
        (node, gates)
    }

    fn call(&self, source: &Source, id: u64) -> JoinHandle<u64> {
        let source = source.clone();
        tokio::spawn(self.cache.scope(async move { get(&source, id).await }))
    }

    /// A call's value, and how much time had to pass for it.
    async fn timed(&self, source: &Source, id: u64) -> (u64, Duration) {
        let call = self.call(source, id);
        let mut passed = Duration::ZERO;
        loop {
            settle().await;
            if call.is_finished() {
                return (call.await.expect("no panic"), passed);
            }
            self.clock.advance(Duration::from_millis(10));
            passed += Duration::from_millis(10);
            assert!(passed < Duration::from_mins(1), "it hangs");
        }
    }

    async fn heal(&self) {
        self.server.trouble(Trouble::None);
        let (cache, clock) = (self.cache.clone(), self.clock.clone());
        cache_tests::server::until("the node is back", async || {
            clock.advance(Duration::from_millis(100));
            settle().await;
            cache.health().usable
        })
        .await;
    }
}

#[tokio::test]
async fn a_store_in_trouble_changes_no_result_and_delays_none_beyond_its_timeout() {
    for tracked in [true, false] {
        for trouble in [Trouble::Down, Trouble::Hung, Trouble::ReadOnly] {
            let node = Node::new(tracked);
            node.server.trouble(trouble);
            for id in 0..20 {
                let source = Source::new(id);
                let (value, delay) = node.timed(&source, id).await;
                assert_eq!(value, id, "{trouble:?}");
                assert!(delay <= TIMEOUT, "{trouble:?}: {delay:?} late");
                assert_eq!(source.loads(), 1, "{trouble:?}");
            }
            let figures = node.cache.snapshot();
            assert!(figures.kinds["outage"].store_errors > 0, "{trouble:?}");
        }
    }
}

#[tokio::test]
async fn an_open_breaker_asks_the_store_nothing_and_waits_for_nothing() {
    for trouble in [Trouble::Down, Trouble::Hung] {
        let node = Node::new(false);
        node.server.trouble(trouble);
        let source = Source::new(1);
        let mut asked = 0;
        while node.cache.health().usable {
            node.timed(&source, asked).await;
            asked += 1;
            assert!(asked <= 5, "{trouble:?}: the breaker does not open");
        }
        settle().await;
        let calls = node.server.calls();
        for id in 100..150 {
            let (value, delay) = node.timed(&source, id).await;
            assert_eq!((value, delay), (1, Duration::ZERO), "{trouble:?}");
        }
        // Probes are in the background, and time stands still for them.
        assert!(node.server.calls() <= calls + 1, "{trouble:?}");
        node.heal().await;
        let loads = source.loads();
        assert_eq!(node.timed(&source, 100).await.0, 1);
        assert_eq!(node.timed(&source, 100).await.0, 1);
        assert_eq!(source.loads(), loads + 1, "{trouble:?}: it caches again");
    }
}

#[tokio::test]
async fn queued_invalidations_are_replayed_before_the_shared_tier_is_used_again() {
    for tracked in [true, false] {
        for trouble in [Trouble::Down, Trouble::Hung, Trouble::ReadOnly] {
            let node = Node::new(tracked);
            let source = Source::new(1);
            assert_eq!(node.timed(&source, 1).await.0, 1);
            assert_eq!(node.timed(&source, 2).await.0, 1);
            node.server.trouble(trouble);
            source.set(2);
            let (cache, clock) = (node.cache.clone(), node.clock.clone());
            let invalidating = tokio::spawn(async move { cache.invalidate_tag("outage:1").await });
            cache_tests::server::until("it is queued", async || {
                clock.advance(Duration::from_millis(50));
                settle().await;
                invalidating.is_finished()
            })
            .await;
            let outcome = invalidating.await.expect("no panic").expect("a tag");
            assert_eq!(outcome, Invalidation::Queued, "{trouble:?}");
            assert_eq!(
                node.timed(&source, 1).await.0,
                2,
                "{trouble:?}: it holds here"
            );
            node.heal().await;
            assert_eq!(node.cache.health().queued, 0);
            assert_eq!(node.timed(&source, 1).await.0, 2, "{trouble:?}");
            assert_eq!(
                node.timed(&source, 2).await.0,
                1,
                "{trouble:?}: the rest is still there"
            );
            let figures = node.cache.snapshot();
            assert_eq!(figures.invalidations_queued, 1);
            assert_eq!(figures.invalidations_applied, 0);
        }
    }
}

#[tokio::test]
async fn an_overflowing_queue_widens_to_the_kinds_and_forgets_nothing() {
    let node = Node::new(false);
    let source = Source::new(1);
    assert_eq!(node.timed(&source, 7).await.0, 1);
    node.server.trouble(Trouble::Down);
    for id in 0..10_050_u64 {
        let outcome = node.cache.scope(get::invalidate(id)).await;
        assert_eq!(outcome.expect("a key"), Invalidation::Queued);
    }
    assert!(
        node.cache.health().queued <= 20_000,
        "{:?}",
        node.cache.health()
    );
    source.set(2);
    node.heal().await;
    assert_eq!(node.timed(&source, 7).await.0, 2);
}

/// Without the shared tier nothing is stored: a slow load's value is only for those who called
/// before it began. The others must not wait for all of it, and then load all the same.
#[tokio::test]
async fn calls_during_an_outage_share_loads_without_waiting_for_those_that_are_not_for_them() {
    let node = Node::new(false);
    node.server.trouble(Trouble::Down);
    let source = Source::new(1);
    let mut id = 0;
    while node.cache.health().usable {
        node.timed(&source, id).await;
        id += 1;
    }
    let source = Source::new(7);
    source.hold();
    let first = node.call(&source, id);
    source.loading(1).await;
    let late: Vec<_> = (0..100).map(|_| node.call(&source, id)).collect();
    settle().await;
    assert_eq!(
        source.loads(),
        2,
        "the first has nothing around it, and the others gather"
    );
    node.clock.advance(TIMEOUT);
    source.loading(3).await;
    settle().await;
    assert_eq!(source.loads(), 3, "they share one load");
    source.let_go();
    assert_eq!(first.await.expect("no panic"), 7);
    for call in late {
        assert_eq!(call.await.expect("no panic"), 7);
    }
    assert_eq!(source.loads(), 3);
}

/// Reads are answered throughout: an end to the streak of failures for calls that read, and only
/// for them.
#[tokio::test]
async fn writes_that_hang_open_the_breaker_and_a_probe_that_only_reads_does_not_close_it() {
    let (node, gates) = Node::gated();
    let source = Source::new(1);
    for op in [Op::Begin, Op::Fill, Op::Renew, Op::Release] {
        gates.hold_requests(op);
    }
    let mut paid = 0;
    while node.cache.health().usable {
        let (value, delay) = node.timed(&source, paid).await;
        assert_eq!(value, 1);
        assert!(delay <= TIMEOUT, "{delay:?}");
        paid += 1;
        assert!(paid <= 3, "the breaker does not open");
    }
    let reads = gates.calls(Op::Read);
    for _ in 0..600 {
        settle().await;
        let (value, delay) = node.timed(&source, 1_000).await;
        assert_eq!((value, delay), (1, Duration::ZERO));
        assert!(!node.cache.health().usable, "it flaps");
        node.clock.advance(Duration::from_millis(100));
    }
    let probes = gates.calls(Op::Probe);
    assert!(probes >= 20, "{probes}");
    assert!(
        gates.calls(Op::Read) - reads <= probes,
        "only probes asked anything"
    );
    let figures = node.cache.snapshot();
    assert_eq!((figures.breaker_opened, figures.breaker_open), (1, true));
    for op in [Op::Begin, Op::Fill, Op::Renew, Op::Release] {
        gates.open(op);
    }
    node.heal().await;
    assert!(!node.cache.snapshot().breaker_open);
    let loads = source.loads();
    assert_eq!(node.timed(&source, 2_000).await.0, 1);
    assert_eq!(node.timed(&source, 2_000).await.0, 1);
    assert_eq!(source.loads(), loads + 1, "it caches again");
}

#[tokio::test]
async fn reads_that_hang_open_the_breaker() {
    let (node, gates) = Node::gated();
    let source = Source::new(1);
    gates.hold_requests(Op::Read);
    for id in 0..3 {
        assert_eq!(node.timed(&source, id).await, (1, TIMEOUT));
    }
    assert_eq!(node.timed(&source, 3).await, (1, Duration::ZERO));
    gates.open(Op::Read);
    node.heal().await;
}

/// A full Redis refuses writes at once and still has hits: an open breaker would lose those. Nor do
/// refusals of the probe's own write keep it open.
#[tokio::test]
async fn refusals_do_not_open_the_breaker() {
    let (node, gates) = Node::gated();
    let source = Source::new(1);
    assert_eq!(node.timed(&source, 0).await.0, 1);
    for op in [Op::Begin, Op::Fill, Op::Release] {
        gates.fail(op, ErrorKind::Rejected);
    }
    for id in 1..20 {
        assert_eq!(node.timed(&source, id).await, (1, Duration::ZERO));
    }
    let loads = source.loads();
    assert_eq!(node.timed(&source, 0).await.0, 1);
    assert_eq!(source.loads(), loads, "a hit");
    assert_eq!(node.cache.snapshot().breaker_opened, 0);
    node.server.trouble(Trouble::Down);
    for id in 20..25 {
        node.timed(&source, id).await;
    }
    assert!(!node.cache.health().usable);
    node.heal().await;
}

/// A failure now and then is none in a row.
#[tokio::test]
async fn an_answer_ends_a_streak_of_failures() {
    let (node, gates) = Node::gated();
    let source = Source::new(1);
    for round in 0..10 {
        for id in 0..2 {
            gates.fail(Op::Read, ErrorKind::Unavailable);
            node.timed(&source, 100 * round + id).await;
            gates.open(Op::Read);
        }
        node.timed(&source, 100 * round + 2).await;
        assert!(node.cache.health().usable);
    }
    assert_eq!(node.cache.snapshot().breaker_opened, 0);
}
