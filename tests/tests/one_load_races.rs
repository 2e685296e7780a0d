//! Races in which a value would be loaded twice, or in vain, made to happen: answers of the store are held
//! back while something else goes on. No value is wrong in them; the database has more to do.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::store::{Begin, Store as _, Turn};
use cache_core::{Cache, EntryId, Env, ErrorKind, ManualClock, cached};
use cache_tests::fixture::attach_in;
use cache_tests::gate::{Gates, Op, gated};
use cache_tests::source::Source;
use cache_tests::world::{Here, settle};
use tokio::task::JoinHandle;

#[cached(kind = "here", ttl = "1m", local_only, skip(source))]
async fn here(source: &Source, id: u64) -> u64 {
    let _ = id;
    source.load().await
}

fn call(cache: &Cache, source: &Source, id: u64) -> JoinHandle<u64> {
    let source = source.clone();
    tokio::spawn(cache.scope(async move { here(&source, id).await }))
}

/// A node that is told of what changes, and the gates of its store. The clock stands still: whatever needs it
/// to go on, hangs.
fn node() -> (Cache, Gates) {
    let (cache, _, gates) = timed();
    (cache, gates)
}

fn timed() -> (Cache, ManualClock, Gates) {
    let clock = ManualClock::new();
    let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
    let (store, gates) = gated(MemoryServer::new(env.clone()).store());
    (
        Cache::builder().env(env).shared(store).build(),
        clock,
        gates,
    )
}

/// A call whose flight was replaced while it waited for the store leaves the load to the one that replaced it.
#[tokio::test]
async fn a_call_whose_flight_was_replaced_does_not_load_as_well() {
    // What has not asked for the lease by then does not take it from who loads.
    for (held, leases) in [(Op::Read, 1), (Op::Begin, 2)] {
        let (cache, gates) = node();
        let source = Source::new(1);
        gates.hold_replies(held);
        let early = call(&cache, &source, 1);
        gates.held(held, 1).await;
        source.hold();
        let refreshing = {
            let (cache, source) = (cache.clone(), source.clone());
            tokio::spawn(async move { cache.scope(here::refresh(&source, 1)).await })
        };
        settle().await;
        gates.open(held);
        source.loading(1).await;
        settle().await;
        source.let_go();
        assert_eq!(refreshing.await.expect("no panic"), 1);
        assert_eq!(early.await.expect("no panic"), 1);
        assert_eq!(call(&cache, &source, 1).await.expect("no panic"), 1);
        assert_eq!(source.loads(), 1, "held at {held:?}: it is kept");
        assert_eq!(gates.calls(Op::Begin), leases, "held at {held:?}");
    }
}

/// Guard G17, where it has nothing to say: a look from before the first stamps of two tags were made does not
/// end a load under them.
#[tokio::test]
async fn a_look_from_before_the_first_stamps_ends_nothing() {
    let (cache, gates) = node();
    let source = Source::new(1);
    gates.hold_requests(Op::Begin);
    let first = call(&cache, &source, 1);
    gates.held(Op::Begin, 1).await;
    // Its look finds no stamps, and is answered when there are some.
    gates.hold_replies(Op::Read);
    let second = call(&cache, &source, 2);
    gates.held(Op::Read, 1).await;
    source.hold();
    gates.open(Op::Begin);
    source.loading(1).await;
    gates.open(Op::Read);
    source.loading(2).await;
    source.let_go();
    for load in [first, second] {
        assert_eq!(load.await.expect("no panic"), 1);
    }
    for id in [1, 2] {
        assert_eq!(call(&cache, &source, id).await.expect("no panic"), 1);
    }
    assert_eq!(source.loads(), 2, "both are kept here");
}

/// A request for a lease that was given up may reach the store yet, after the release that was to undo it.
#[tokio::test]
async fn a_lease_that_is_granted_after_its_release_is_given_up() {
    let clock = ManualClock::new();
    let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
    let server = MemoryServer::new(env.clone());
    let (store, gates) = gated(server.store());
    let builder = Cache::builder().namespace("test").env(env.clone());
    let cache = builder.shared(store).build();
    let source = Source::new(1);

    gates.hold_requests(Op::Begin);
    let first = call(&cache, &source, 1);
    gates.held(Op::Begin, 1).await;
    clock.advance(Duration::from_millis(250));
    assert_eq!(first.await.expect("no panic"), 1, "without a lease");
    settle().await;
    assert_eq!(gates.calls(Op::Release), 1);

    let late = server.store();
    let _events = attach_in(&late, env.clone());
    let [(key, token)] = &gates.leases()[..] else {
        panic!("one lease was asked for: {:?}", gates.leases());
    };
    let begin = Begin::new(key, *token, &[]).lease(Duration::from_secs(10));
    assert_eq!(late.begin(begin).await.unwrap().turn, Turn::Granted);

    // Far from the lease's end.
    for _ in 0..60 {
        clock.advance(Duration::from_millis(50));
        settle().await;
    }
    let other = Begin::new(key, EntryId([9; 16]), &[]);
    assert_eq!(late.begin(other).await.unwrap().turn, Turn::Granted);

    // It is not asked often, nor for ever.
    for _ in 0..400 {
        clock.advance(Duration::from_millis(50));
        settle().await;
    }
    let releases = gates.calls(Op::Release);
    assert!((3..=6).contains(&releases), "{releases}");
    clock.advance(Duration::from_mins(1));
    settle().await;
    assert_eq!(gates.calls(Op::Release), releases);
}

/// Whatever the store says to it, a request that is answered needs one release.
#[tokio::test]
async fn a_lease_that_is_refused_is_given_up_once() {
    let (cache, clock, gates) = timed();
    let source = Source::new(1);
    gates.fail(Op::Begin, ErrorKind::Rejected);
    assert_eq!(call(&cache, &source, 1).await.expect("no panic"), 1);
    for _ in 0..20 {
        settle().await;
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(gates.calls(Op::Release), 1);

    // Where that is refused as well, it is tried again, and seldom.
    gates.fail(Op::Release, ErrorKind::Rejected);
    assert_eq!(call(&cache, &source, 2).await.expect("no panic"), 1);
    for _ in 0..400 {
        settle().await;
        clock.advance(Duration::from_millis(50));
    }
    let releases = gates.calls(Op::Release) - 1;
    assert!((3..=6).contains(&releases), "{releases}");
}
