//! Races that are rare by chance, made to happen: answers of the store are held back while something
//! else goes on.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::pin::pin;
use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env, ErrorKind, Invalidation, ManualClock, cached};
use cache_tests::gate::{Gates, Op, gated};
use cache_tests::source::Source;
use cache_tests::world::{Here, polled, settle};
use tokio::task::JoinHandle;

#[cached(
    kind = "raced",
    ttl = "1m",
    schema = 1,
    skip(source),
    tags("raced:{id}")
)]
async fn raced(source: &Source, id: u64) -> u64 {
    let _ = id;
    source.load().await
}

fn call(cache: &Cache, source: &Source) -> JoinHandle<u64> {
    let source = source.clone();
    tokio::spawn(cache.scope(async move { raced(&source, 1).await }))
}

/// A node whose store's answers can be held, and another one on the same server. The clock stands
/// still: whatever needs it to go on, hangs.
struct Pair {
    server: MemoryServer,
    clock: ManualClock,
    held: Cache,
    gates: Gates,
    other: Cache,
}

impl Pair {
    fn new(tracked: bool) -> Self {
        let clock = ManualClock::new();
        let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
        let server = MemoryServer::new(env.clone());
        let store = || match tracked {
            true => server.store(),
            false => server.checked_store(),
        };
        let (store_held, gates) = gated(store());
        Self {
            held: Cache::builder().env(env.clone()).shared(store_held).build(),
            other: Cache::builder().env(env).shared(store()).build(),
            gates,
            clock,
            server,
        }
    }

    fn both() -> [Self; 2] {
        [Self::new(true), Self::new(false)]
    }
}

async fn applied(invalidation: impl Future<Output = cache_core::Result<Invalidation>>) {
    assert_eq!(
        invalidation.await.expect("a good name"),
        Invalidation::Applied
    );
}

/// Guard G6: what a read brings that was sent before an invalidation is not for calls after it.
#[tokio::test]
async fn a_read_on_its_way_is_not_shared_with_calls_after_an_invalidation() {
    for by_key in [true, false] {
        for pair in Pair::both() {
            let source = Source::new(1);
            call(&pair.other, &source).await.expect("stored");
            source.set(2);
            pair.gates.hold_replies(Op::Read);
            let early = call(&pair.held, &source);
            pair.gates.held(Op::Read, 1).await;
            match by_key {
                true => applied(pair.held.scope(raced::invalidate(1))).await,
                false => applied(pair.held.invalidate_tag("raced:1")).await,
            }
            let late: Vec<_> = (0..5).map(|_| call(&pair.held, &source)).collect();
            settle().await;
            pair.gates.open(Op::Read);
            assert!(matches!(early.await.expect("no panic"), 1 | 2));
            for late in late {
                assert_eq!(late.await.expect("no panic"), 2, "by key: {by_key}");
            }
            assert_eq!(call(&pair.held, &source).await.expect("no panic"), 2);
            assert_eq!(call(&pair.other, &source).await.expect("no panic"), 2);
        }
    }
}

/// The same while another node invalidates.
#[tokio::test]
async fn a_read_on_its_way_is_not_kept_after_another_nodes_invalidation() {
    for pair in Pair::both() {
        let source = Source::new(1);
        call(&pair.other, &source).await.expect("stored");
        source.set(2);
        pair.gates.hold_replies(Op::Read);
        let early = call(&pair.held, &source);
        pair.gates.held(Op::Read, 1).await;
        applied(pair.other.invalidate_tag("raced:1")).await;
        pair.gates.open(Op::Read);
        assert!(matches!(early.await.expect("no panic"), 1 | 2));
        assert_eq!(call(&pair.held, &source).await.expect("no panic"), 2);
    }
}

/// Guard G1: stamps that `begin` brought from before an invalidation teach nothing.
#[tokio::test]
async fn stamps_on_their_way_do_not_outlive_an_invalidation() {
    for pair in Pair::both() {
        let source = Source::new(1);
        pair.gates.hold_replies(Op::Begin);
        let early = call(&pair.held, &source);
        pair.gates.held(Op::Begin, 1).await;
        applied(pair.other.invalidate_tag("raced:1")).await;
        pair.gates.open(Op::Begin);
        early.await.expect("no panic");
        source.set(2);
        let late = call(&pair.held, &source).await.expect("no panic");
        assert_eq!(
            late, 2,
            "it was loaded under a stamp that is no longer there"
        );
    }
}

/// Step 8: what was filled before an invalidation is not kept after it.
#[tokio::test]
async fn a_fill_on_its_way_is_not_kept_after_an_invalidation() {
    for by_key in [true, false] {
        for own in [true, false] {
            for pair in Pair::both() {
                let source = Source::new(1);
                pair.gates.hold_replies(Op::Fill);
                let early = call(&pair.held, &source);
                pair.gates.held(Op::Fill, 1).await;
                source.set(2);
                let cache = if own { &pair.held } else { &pair.other };
                match by_key {
                    true => applied(cache.scope(raced::invalidate(1))).await,
                    false => applied(cache.invalidate_tag("raced:1")).await,
                }
                let late = call(&pair.held, &source);
                settle().await;
                pair.gates.open(Op::Fill);
                assert_eq!(early.await.expect("no panic"), 1);
                assert_eq!(
                    late.await.expect("no panic"),
                    2,
                    "by key: {by_key}, own: {own}"
                );
                assert_eq!(call(&pair.held, &source).await.expect("no panic"), 2);
            }
        }
    }
}

/// Guard G4: the effect on this node is there before the store has answered.
#[tokio::test]
async fn an_invalidation_under_way_is_felt_here_at_once() {
    let pair = Pair::new(true);
    let source = Source::new(1);
    call(&pair.held, &source).await.expect("stored");
    source.set(2);
    pair.gates.hold_requests(Op::Invalidate);
    let cache = pair.held.clone();
    let invalidating = tokio::spawn(async move { cache.invalidate_tag("raced:1").await });
    pair.gates.held(Op::Invalidate, 1).await;
    // Until it is acknowledged the shared tier may still serve the old one; but then, once it is,
    // nothing that was learnt in between counts.
    let between = call(&pair.held, &source).await.expect("no panic");
    assert!(matches!(between, 1 | 2));
    pair.gates.open(Op::Invalidate);
    applied(async { invalidating.await.expect("no panic") }).await;
    assert_eq!(call(&pair.held, &source).await.expect("no panic"), 2);
}

/// Invariant 4: a caller that goes away while it asks for the lease does not keep it.
#[tokio::test]
async fn a_call_cancelled_while_it_asks_for_the_lease_gives_it_up() {
    for pair in Pair::both() {
        let source = Source::new(1);
        pair.gates.hold_replies(Op::Begin);
        let cancelled = call(&pair.held, &source);
        pair.gates.held(Op::Begin, 1).await;
        cancelled.abort();
        assert!(cancelled.await.is_err_and(|error| error.is_cancelled()));
        pair.gates.open(Op::Begin);
        let released = pair.gates.clone();
        cache_tests::server::until("the lease is released", async || {
            released.calls(Op::Release) > 0
        })
        .await;
        // The clock stands still: a lease that has to run out would never do so.
        for cache in [&pair.other, &pair.held] {
            let answer = call(cache, &source);
            let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
            assert_eq!(
                answer
                    .expect("nobody waits for the dead")
                    .expect("no panic"),
                1
            );
        }
    }
}

/// Guards G6 and G14: a lease given up because its load is in vain lets the node's own next load go
/// on, even where that has already begun to wait for it.
#[tokio::test]
async fn a_load_waiting_for_the_nodes_own_useless_lease_is_woken_by_its_release() {
    let pair = Pair::new(true);
    let source = Source::new(1);
    source.hold();
    let early = call(&pair.held, &source);
    source.loading(1).await;
    source.set(2);
    pair.gates.hold_requests(Op::Release);
    applied(pair.other.invalidate_tag("raced:1")).await;
    pair.gates.held(Op::Release, 1).await;
    let begins = pair.gates.calls(Op::Begin);
    let late = call(&pair.held, &source);
    let gates = pair.gates.clone();
    cache_tests::server::until("it has asked for the lease", async || {
        gates.calls(Op::Begin) > begins
    })
    .await;
    settle().await;
    assert_eq!(source.loads(), 1, "the lease is still held");
    pair.gates.open(Op::Release);
    // Neither the clock nor the first load goes on.
    let loading = tokio::time::timeout(Duration::from_secs(5), source.loading(2)).await;
    loading.expect("the release is told");
    source.let_go();
    assert_eq!(late.await.expect("no panic"), 2);
    assert_eq!(early.await.expect("no panic"), 1);
}

/// Guard G10: while an invalidation is queued here, this node does not read what it invalidated,
/// not even in calls that were under way.
#[tokio::test]
async fn a_waiting_call_does_not_go_back_to_the_store_once_an_invalidation_is_queued() {
    for pair in Pair::both() {
        let source = Source::new(1);
        source.hold();
        // The other node loads; the held one waits for it.
        let loading = call(&pair.other, &source);
        source.loading(1).await;
        let begins = pair.gates.calls(Op::Begin);
        let waiting = call(&pair.held, &source);
        let gates = pair.gates.clone();
        cache_tests::server::until("it has asked for the lease", async || {
            gates.calls(Op::Begin) > begins
        })
        .await;
        settle().await;

        // Its invalidation does not get through, though its reads would.
        source.set(2);
        pair.gates.fail(Op::Invalidate, ErrorKind::Unavailable);
        pair.gates.fail(Op::Probe, ErrorKind::Unavailable);
        let outcome = pair.held.invalidate_tag("raced:1").await.expect("a tag");
        assert_eq!(outcome, Invalidation::Queued);
        assert!(!pair.held.health().usable && pair.held.health().queued > 0);
        let late = call(&pair.held, &source);
        source.let_go();
        assert_eq!(loading.await.expect("no panic"), 1);
        // The other node has stored the old value by now, under stamps that still stand.
        for _ in 0..100 {
            settle().await;
            pair.clock.advance(Duration::from_millis(10));
        }
        assert!(matches!(waiting.await.expect("no panic"), 1 | 2));
        assert_eq!(late.await.expect("no panic"), 2);
        assert_eq!(call(&pair.held, &source).await.expect("no panic"), 2);

        // Once it gets through, the queue is applied before the shared tier is used again.
        pair.gates.open(Op::Invalidate);
        pair.gates.open(Op::Probe);
        let (held, clock) = (pair.held.clone(), pair.clock.clone());
        cache_tests::server::until("the node is back", async || {
            clock.advance(Duration::from_millis(100));
            held.health().usable
        })
        .await;
        assert_eq!(pair.held.health().queued, 0);
        assert_eq!(call(&pair.other, &source).await.expect("no panic"), 2);
        assert_eq!(call(&pair.held, &source).await.expect("no panic"), 2);
    }
}

/// A flight whose place was taken by a refresh keeps nothing: no invalidation would find it.
#[tokio::test]
async fn a_replaced_flight_keeps_nothing_that_is_invalidated_later() {
    let pair = Pair::new(true);
    let source = Source::new(1);
    call(&pair.other, &source).await.expect("stored");
    // Held twice: once before it is replaced, and once more when it looks again.
    pair.gates.hold_replies(Op::Read);
    let early = call(&pair.held, &source);
    pair.gates.held(Op::Read, 1).await;
    let refreshing = {
        let (cache, source) = (pair.held.clone(), source.clone());
        tokio::spawn(async move { cache.scope(raced::refresh(&source, 1)).await })
    };
    assert_eq!(refreshing.await.expect("no panic"), 1);
    source.set(2);
    applied(pair.held.scope(raced::invalidate(1))).await;
    pair.gates.open(Op::Read);
    early.await.expect("no panic");
    assert_eq!(call(&pair.held, &source).await.expect("no panic"), 2);
}

/// Guard G12: FLUSHALL ends what was learnt before it, and what is on its way.
#[tokio::test]
async fn a_flush_ends_what_is_here_and_what_is_on_its_way() {
    let pair = Pair::new(true);
    let source = Source::new(1);
    call(&pair.held, &source).await.expect("stored");
    source.set(2);
    pair.server.flush();
    assert_eq!(call(&pair.held, &source).await.expect("no panic"), 2);

    call(&pair.other, &source).await.expect("stored");
    pair.server.flush();
    source.set(3);
    call(&pair.other, &source).await.expect("stored");
    source.set(4);
    pair.gates.hold_replies(Op::Read);
    let early = call(&pair.held, &source);
    pair.gates.held(Op::Read, 1).await;
    pair.server.flush();
    pair.gates.open(Op::Read);
    assert!(matches!(early.await.expect("no panic"), 3 | 4));
    assert_eq!(call(&pair.held, &source).await.expect("no panic"), 4);
}

/// Guard G13: what is queued while the queue is replayed is replayed too.
#[tokio::test]
async fn what_is_queued_during_a_replay_is_not_forgotten() {
    let pair = Pair::new(false);
    let source = Source::new(1);
    call(&pair.other, &source).await.expect("stored");
    pair.gates.fail(Op::Invalidate, ErrorKind::Unavailable);
    let outcome = pair.held.invalidate_tag("elsewhere").await.expect("a tag");
    assert_eq!(outcome, Invalidation::Queued);
    pair.gates.hold_requests(Op::Invalidate);
    let (clock, gates) = (pair.clock.clone(), pair.gates.clone());
    cache_tests::server::until("the queue is being replayed", async || {
        clock.advance(Duration::from_millis(20));
        gates.held_so_far(Op::Invalidate) > 0
    })
    .await;
    source.set(2);
    let outcome = pair.held.invalidate_tag("raced:1").await.expect("a tag");
    assert_eq!(outcome, Invalidation::Queued);
    pair.gates.open(Op::Invalidate);
    let (held, clock) = (pair.held.clone(), pair.clock.clone());
    cache_tests::server::until("the node is back", async || {
        clock.advance(Duration::from_millis(100));
        held.health().usable
    })
    .await;
    assert_eq!(call(&pair.other, &source).await.expect("no panic"), 2);
}

/// Guard G14: a flight that waits for another node, and whose place is taken by a refresh, goes on
/// with that, since nobody would wake it.
#[tokio::test]
async fn a_waiting_flight_that_is_replaced_is_not_left_behind() {
    let pair = Pair::new(true);
    let source = Source::new(1);
    source.hold();
    let loading = call(&pair.other, &source);
    source.loading(1).await;
    let waiting = call(&pair.held, &source);
    settle().await;
    let refreshing = {
        let (cache, source) = (pair.held.clone(), source.clone());
        tokio::spawn(async move { cache.scope(raced::refresh(&source, 1)).await })
    };
    source.loading(2).await;
    settle().await;
    source.let_go();
    // The clock stands still: no lease runs out.
    let waited = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    assert_eq!(waited.expect("it is woken").expect("no panic"), 1);
    assert_eq!(refreshing.await.expect("no panic"), 1);
    assert_eq!(loading.await.expect("no panic"), 1);
}

/// Guard G17: an answer to `begin` is heard though the caller that asked is held up.
#[tokio::test]
async fn the_answer_to_begin_is_heard_though_its_caller_is_not_polled() {
    let pair = Pair::new(true);
    let source = Source::new(1);
    pair.gates.hold_requests(Op::Begin);
    let mut asking = pin!(pair.held.scope(raced(&source, 1)));
    while pair.gates.held_so_far(Op::Begin) == 0 {
        assert_eq!(polled(1, asking.as_mut()).await, None);
        settle().await;
    }
    pair.gates.open(Op::Begin);
    // From here on nobody polls it.
    settle().await;
    pair.clock.advance(Duration::from_millis(100));
    settle().await;
    // The lease is taken: whoever else asks waits for it.
    let other = call(&pair.other, &source);
    settle().await;
    assert_eq!(source.loads(), 0);
    assert_eq!(asking.await, 1);
    assert_eq!(other.await.expect("it is there"), 1);
    assert_eq!(source.loads(), 1);
}
