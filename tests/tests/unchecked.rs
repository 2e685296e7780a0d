//! Local values that are served without asking a store that can't tell of changes or can't be reached:
//! only where a kind or a cache allows it, and never against this node's own word. And the opposite:
//! kinds that ask on every call. Time stands still unless a test moves it.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::time::Duration;

use cache_core::memory::{MemoryServer, Trouble};
use cache_core::{
    Cache, CacheBuilder, Consistency, Env, ErrorKind, Invalidation, KindSnapshot, ManualClock,
    Policy, cached, updates,
};
use cache_tests::gate::{Gates, Op, gated};
use cache_tests::source::Source;
use cache_tests::world::{Here, settle};

const SECOND: Duration = Duration::from_secs(1);

#[cached(kind = "kept", ttl = "1h", schema = 1, skip(source), tags("kept:{id}"))]
async fn kept(source: &Source, id: u64) -> u64 {
    let _ = id;
    source.load().await
}

#[cached(
    kind = "kept_here",
    ttl = "1h",
    local_only,
    skip(source),
    tags("kept:{id}")
)]
async fn kept_here(source: &Source, id: u64) -> u64 {
    let _ = id;
    source.load().await
}

#[updates(kept_here(id))]
async fn keep_here(id: u64, value: u64) -> u64 {
    let _ = id;
    value
}

struct Node {
    cache: Cache,
    gates: Gates,
    server: MemoryServer,
    clock: ManualClock,
    source: Source,
}

impl Node {
    fn new(tracked: bool, with: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Self {
        let clock = ManualClock::new();
        let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
        let server = MemoryServer::new(env.clone());
        let (store, gates) = gated(if tracked {
            server.store()
        } else {
            server.checked_store()
        });
        let cache = with(Cache::builder().env(env).store_timeout(SECOND / 4)).shared(store);
        Self {
            cache: cache.try_build().expect("good settings"),
            gates,
            server,
            clock,
            source: Source::new(1),
        }
    }

    fn with_outage_ttl(tracked: bool, span: Duration) -> Self {
        let policy = Policy::new().outage_ttl(span);
        Self::new(tracked, |builder| builder.policy("kept", policy))
    }

    /// Another node on the same server.
    fn other(&self) -> Cache {
        let env = Env::system()
            .with_clock(self.clock.clone())
            .with_spawn(Here);
        let cache = Cache::builder().env(env).shared(self.server.store());
        cache.try_build().expect("good settings")
    }

    async fn get(&self, id: u64) -> u64 {
        self.cache.scope(kept(&self.source, id)).await
    }

    /// The store can't be reached, and the node knows it.
    async fn cut_off(&self) {
        self.server.trouble(Trouble::Down);
        for id in 100..104 {
            self.get(id).await;
        }
        assert!(!self.cache.health().usable);
    }

    async fn heal(&self) {
        self.server.trouble(Trouble::None);
        for _ in 0..100 {
            settle().await;
            if self.cache.health().usable {
                return;
            }
            self.clock.advance(Duration::from_millis(100));
        }
        panic!("it does not heal");
    }

    async fn invalidate(&self, id: u64) -> Invalidation {
        let tag = format!("kept:{id}");
        self.cache.invalidate_tag(&tag).await.expect("a good name")
    }

    fn figures(&self) -> KindSnapshot {
        self.cache.snapshot().kinds["kept"].clone()
    }
}

fn both(span: Duration) -> [Node; 2] {
    [true, false].map(|tracked| Node::with_outage_ttl(tracked, span))
}

#[tokio::test]
async fn local_values_outlast_an_outage_for_as_long_as_allowed() {
    for node in both(SECOND * 60) {
        node.get(1).await;
        node.source.set(2);
        node.cut_off().await;
        assert_eq!(node.get(1).await, 1);
        assert_eq!(node.figures().hits_outage, 1);
        node.clock.advance(SECOND * 58);
        assert_eq!(node.get(1).await, 1);
        node.clock.advance(SECOND * 2);
        assert_eq!(node.get(1).await, 2, "it is not known to be right any more");
    }
}

#[tokio::test]
async fn without_a_word_of_it_an_outage_runs_the_function() {
    for node in both(Duration::ZERO) {
        node.get(1).await;
        node.source.set(2);
        node.cut_off().await;
        assert_eq!(node.get(1).await, 2);
        assert_eq!(node.figures().hits_outage, 0);
    }
}

#[tokio::test]
async fn what_this_node_invalidates_is_gone_at_once() {
    for node in both(SECOND * 60) {
        node.get(1).await;
        node.get(2).await;
        node.source.set(2);
        node.cut_off().await;
        assert_eq!(node.get(1).await, 1);
        assert_eq!(node.invalidate(1).await, Invalidation::Queued);
        assert_eq!(node.get(1).await, 2);
        node.cache.invalidate_key(kept::key(2).unwrap()).await;
        assert_eq!(node.get(2).await, 2);
    }
}

#[tokio::test]
async fn what_is_loaded_meanwhile_is_kept_meanwhile() {
    for node in both(SECOND * 60) {
        node.get(1).await;
        node.cut_off().await;
        let before = node.source.loads();
        for _ in 0..5 {
            assert_eq!(node.get(7).await, 1);
        }
        assert_eq!(node.source.loads(), before + 1);
        node.source.set(2);
        node.invalidate(7).await;
        assert_eq!(node.get(7).await, 2);
        node.source.set(3);
        node.clock.advance(SECOND * 60);
        assert_eq!(node.get(7).await, 3);
    }
}

/// A load that was under way when its tag was invalidated here is not kept.
#[tokio::test]
async fn a_load_that_an_invalidation_overtakes_is_not_kept() {
    for node in both(SECOND * 60) {
        node.cut_off().await;
        node.source.hold();
        let loads = node.source.loads();
        let source = node.source.clone();
        let slow = tokio::spawn(node.cache.scope(async move { kept(&source, 7).await }));
        node.source.loading(loads + 1).await;
        node.source.set(2);
        node.invalidate(7).await;
        node.source.let_go();
        assert_eq!(slow.await.unwrap(), 1);
        assert_eq!(node.get(7).await, 2);
    }
}

/// A load that began when the store did not answer has read no stamps, so that nobody tells of their
/// end: who comes after another node's invalidation must not share it, however clean it looks.
#[tokio::test]
async fn a_load_without_the_stores_word_is_not_for_those_who_come_later() {
    let node = Node::with_outage_ttl(true, SECOND * 60);
    let call = || {
        let source = node.source.clone();
        tokio::spawn(node.cache.scope(async move { kept(&source, 7).await }))
    };
    node.source.hold();
    node.gates.fail(Op::Read, ErrorKind::Unavailable);
    let early = call();
    node.source.loading(1).await;
    node.gates.open(Op::Read);
    assert!(node.cache.health().trusted, "one failure opens nothing");
    node.source.set(2);
    let applied = node.other().invalidate_tag("kept:7").await;
    assert_eq!(applied.expect("a good name"), Invalidation::Applied);
    let late = call();
    settle().await;
    node.source.let_go();
    assert_eq!(early.await.unwrap(), 1);
    assert_eq!(late.await.unwrap(), 2);
}

#[tokio::test]
async fn after_an_outage_the_shared_tier_has_the_last_word() {
    for node in both(SECOND * 60) {
        node.get(1).await;
        node.cut_off().await;
        assert_eq!(node.get(1).await, 1);
        node.source.set(2);
        node.heal().await;
        // Written by another node, which this one has not been told of.
        node.other().invalidate_tag("kept:1").await.unwrap();
        assert_eq!(node.get(1).await, 2);
        // And what was kept before is not brought back by the next outage.
        node.source.set(3);
        node.cut_off().await;
        assert_eq!(node.get(1).await, 2);
    }
}

/// Two outages, and a value that was not asked for in between: another node may have invalidated it
/// then, so that the first outage's allowance is all it has.
#[tokio::test]
async fn a_second_outage_does_not_prolong_the_first_ones_allowance() {
    let node = Node::with_outage_ttl(true, SECOND * 60);
    node.get(1).await;
    node.cut_off().await;
    node.clock.advance(SECOND * 30);
    node.source.set(2);
    node.heal().await;
    node.clock.advance(SECOND * 20);
    node.cut_off().await;
    node.clock.advance(SECOND * 20);
    assert_eq!(
        node.get(1).await,
        2,
        "it was last known to be right 70 s ago"
    );
}

/// FLUSHALL is somebody's word that nothing is to be served any more.
#[tokio::test]
async fn a_flush_before_an_outage_is_obeyed_in_it() {
    let node = Node::with_outage_ttl(true, SECOND * 60);
    node.get(1).await;
    node.source.set(2);
    node.server.flush();
    node.cut_off().await;
    assert_eq!(node.get(1).await, 2);
}

#[tokio::test]
async fn where_nothing_is_told_local_trust_saves_round_trips_for_a_while() {
    let node = Node::new(false, |builder| builder.local_trust(SECOND * 5));
    node.get(1).await;
    node.gates.hold_requests(Op::Read);
    for _ in 0..5 {
        assert_eq!(node.get(1).await, 1, "without a round trip");
    }
    node.gates.open(Op::Read);
    node.source.set(2);
    // Another node's word is heard when the time is over, and this node's own at once.
    node.other().invalidate_tag("kept:1").await.unwrap();
    node.clock.advance(Duration::from_millis(4_999));
    assert_eq!(node.get(1).await, 1);
    node.clock.advance(Duration::from_millis(1));
    assert_eq!(node.get(1).await, 2);
    node.source.set(3);
    assert_eq!(node.invalidate(1).await, Invalidation::Applied);
    assert_eq!(node.get(1).await, 3);
}

#[tokio::test]
async fn local_trust_is_renewed_by_asking() {
    let node = Node::new(false, |builder| builder.local_trust(SECOND * 5));
    node.get(1).await;
    node.clock.advance(SECOND * 6);
    assert_eq!(node.get(1).await, 1);
    node.gates.hold_requests(Op::Read);
    node.clock.advance(SECOND * 4);
    assert_eq!(node.get(1).await, 1, "it was asked about four seconds ago");
    assert_eq!(node.source.loads(), 1);
    node.gates.open(Op::Read);
}

/// What a write has brought was right when its update was carried out: the time since then counts, too.
#[tokio::test]
async fn local_trust_in_what_was_written_begins_when_the_store_was_asked() {
    let node = Node::new(false, |builder| builder.local_trust(SECOND * 5));
    let here = || {
        let source = node.source.clone();
        node.cache.scope(async move { kept_here(&source, 1).await })
    };
    assert_eq!(here().await, 1);
    node.gates.hold_replies(Op::Update);
    let writing = tokio::spawn(node.cache.scope(keep_here(1, 2)));
    node.gates.held(Op::Update, 1).await;
    node.source.set(3);
    node.other().invalidate_tag("kept:1").await.unwrap();
    node.clock.advance(SECOND / 5);
    node.gates.open(Op::Update);
    assert_eq!(writing.await.unwrap(), 2);
    let loads = node.source.loads();
    node.clock.advance(Duration::from_millis(4_799));
    assert_eq!(here().await, 2, "it is kept");
    assert_eq!(node.source.loads(), loads);
    node.clock.advance(Duration::from_millis(1));
    assert_eq!(here().await, 3);
}

#[tokio::test]
async fn local_trust_means_nothing_where_changes_are_told_or_the_store_is_away() {
    let node = Node::new(true, |builder| builder.local_trust(SECOND * 3600));
    node.get(1).await;
    node.source.set(2);
    node.other().invalidate_tag("kept:1").await.unwrap();
    assert_eq!(node.get(1).await, 2);
    for tracked in [true, false] {
        let node = Node::new(tracked, |builder| builder.local_trust(SECOND * 3600));
        node.get(1).await;
        node.source.set(2);
        node.cut_off().await;
        assert_eq!(node.get(1).await, 2);
    }
}

/// In the tracked world a push is told at once; so the store's answers show who asks.
#[tokio::test]
async fn a_strict_kind_asks_on_every_call() {
    let policy = Policy::new().consistency(Consistency::Strict);
    let node = Node::new(true, |builder| builder.policy("kept", policy));
    node.get(1).await;
    let asked = node.gates.calls(Op::Read);
    for _ in 0..3 {
        assert_eq!(node.get(1).await, 1);
        assert!(node.cache.scope(kept::peek(1)).await.is_some());
    }
    // A peek doesn't know the call's tags: it asks for them in a second round trip.
    assert_eq!(node.gates.calls(Op::Read), asked + 9);
    assert_eq!(node.source.loads(), 1);
    // A read that is on its way is not joined by a later call (guard G11).
    node.gates.hold_requests(Op::Read);
    let source = node.source.clone();
    let early = tokio::spawn(node.cache.scope(async move { kept(&source, 1).await }));
    node.gates.held(Op::Read, 1).await;
    node.gates.open(Op::Read);
    assert_eq!(early.await.unwrap(), 1);
}
