//! How often a call goes to Redis and back, counted between the two.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::{Cache, Policy, cached};
use cache_redis::RedisStore;
use cache_tests::impostor::Impostor;
use cache_tests::proxy::Proxy;
use cache_tests::server::{RedisServer, until};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"))]
async fn profile(id: u64) -> u64 {
    id + 1
}

#[cached(kind = "remote", ttl = "10m", tags("user:{id}"))]
async fn remote(id: u64) -> u64 {
    id + 1
}

#[cached(kind = "beside", ttl = "10m", tags("user:{id}"))]
async fn beside(id: u64) -> u64 {
    id + 1
}

#[cached(kind = "name", ttl = "10m", each = ids)]
async fn names(ids: &[u64]) -> HashMap<u64, String> {
    ids.iter().map(|id| (*id, format!("name {id}"))).collect()
}

/// A value that can't be read while this is set.
static REFUSES: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Picky(u64);

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if REFUSES.load(Ordering::SeqCst) {
            return Err(D::Error::custom("not now"));
        }
        u64::deserialize(from).map(Self)
    }
}

#[cached(kind = "remote", ttl = "10m", schema = 1, tags("user:{id}"))]
async fn picky(id: u64) -> Picky {
    Picky(id + 1)
}

/// A node over whose connection nothing goes but what calls ask for.
fn node(proxy: &Proxy) -> Cache {
    let store = RedisStore::builder(&proxy.url())
        .unwrap()
        .tracking(true)
        .heartbeat(Duration::from_mins(5), Duration::from_mins(5))
        .report_every(Duration::ZERO)
        .build();
    Cache::builder()
        .namespace("test")
        .shared(store.unwrap())
        .policy("remote", Policy::new().local(false))
        .store_timeout(Duration::from_secs(20))
        .try_build()
        .unwrap()
}

/// A server, and a node that knows it already.
async fn scene() -> (RedisServer, Proxy, Cache) {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let node = node(&proxy);
    shared(&node).await;
    (server, proxy, node)
}

/// The connections are made, the kinds are known, the scripts are there, and nothing is on its way any more: a
/// batch leaves answers to be heard, which come before those that the calls after it wait for.
async fn shared(node: &Cache) {
    until("it is shared", async || {
        node.scope(names(&[0])).await;
        node.scope(profile(0)).await;
        node.scope(remote(0)).await;
        node.health().trusted
    })
    .await;
}

#[tokio::test]
async fn a_miss_takes_three() {
    let (server, proxy, node) = scene().await;
    for id in 1..10 {
        let before = proxy.turns();
        assert_eq!(node.scope(profile(id)).await, id + 1);
        // It is read, the lease is asked for, it is filled.
        assert_eq!(proxy.turns() - before, 3);
        assert_eq!(node.scope(remote(id)).await, id + 1);
        assert_eq!(proxy.turns() - before, 6);
        // A hit of the local tier, and one of the shared.
        assert_eq!(node.scope(profile(id)).await, id + 1);
        assert_eq!(proxy.turns() - before, 6);
        assert_eq!(node.scope(remote(id)).await, id + 1);
        assert_eq!(proxy.turns() - before, 7);
    }
    // Nor does it take more where an entry is there that is good no longer.
    node.invalidate_tag("user:3").await.unwrap();
    let before = proxy.turns();
    assert_eq!(node.scope(profile(3)).await, 4);
    assert_eq!(proxy.turns() - before, 3);
    drop(server);
}

#[tokio::test]
async fn what_is_known_here_is_not_asked_for() {
    let (server, _proxy, node) = scene().await;
    node.scope(remote(1)).await;
    let before = server.commands();
    for _ in 0..10 {
        node.scope(remote(1)).await;
    }
    // The entry, and nothing else.
    assert_eq!(server.commands() - before, 10);
    // Of what was invalidated nothing is known.
    node.invalidate_tag("user:1").await.unwrap();
    let before = node.snapshot().kinds["remote"].loads;
    assert_eq!(node.scope(remote(1)).await, 2);
    assert_eq!(node.snapshot().kinds["remote"].loads, before + 1);
}

/// Who stores by force has not looked: that a stamp is not known here does not say that there is none.
#[tokio::test]
async fn a_put_under_a_tag_that_others_use_takes_two() {
    let (server, proxy, node) = scene().await;
    let second = Proxy::start(server.port()).await;
    let other = self::node(&second);
    shared(&other).await;
    other.scope(profile(5)).await;
    let turns = proxy.turns();
    assert!(node.scope(remote::put(5, 50)).await);
    assert_eq!(proxy.turns() - turns, 2);
    assert_eq!(other.scope(remote(5)).await, 50);
}

#[tokio::test]
async fn a_batch_takes_as_many_as_one_call() {
    let (server, proxy, node) = scene().await;
    let cached: Vec<u64> = (0..50).collect();
    let all: Vec<u64> = (0..100).collect();
    let stored = |node: &Cache| node.snapshot().kinds["name"].local_entries;
    node.scope(names(&cached)).await;
    until("all are stored", async || stored(&node) >= 50).await;
    // Another node: nothing is local.
    let other = self::node(&proxy);
    shared(&other).await;
    // So late that whatever is asked at one time is on its way before the first answer comes.
    proxy.delay(Duration::from_millis(150));
    let before = proxy.turns();
    assert_eq!(other.scope(names(&all)).await.len(), 100);
    let turns = proxy.turns() - before;
    // It is read, and the lease is asked for. It is filled too, but that is not waited for.
    assert!((2..=4).contains(&turns), "{turns}");
    until("all are stored", async || stored(&other) >= 100).await;
    let turns = proxy.turns() - before;
    assert!((3..=5).contains(&turns), "{turns}");
    drop(server);
}

#[tokio::test]
async fn an_entry_that_can_t_be_read_is_not_looked_at_twice() {
    let (server, proxy, node) = scene().await;
    let remote = || node.snapshot().kinds.remove("remote").unwrap();
    assert_eq!(node.scope(picky(1)).await, Picky(2));
    let (turns, before) = (proxy.turns(), remote());
    assert_eq!(node.scope(picky(1)).await, Picky(2));
    assert_eq!(proxy.turns() - turns, 1);
    assert_eq!(remote().hits_shared - before.hits_shared, 1);
    REFUSES.store(true, Ordering::SeqCst);
    let (turns, before) = (proxy.turns(), remote());
    assert_eq!(node.scope(picky(1)).await, Picky(2));
    REFUSES.store(false, Ordering::SeqCst);
    // As a miss: it is read, the lease is asked for, having seen the entry, and it is filled.
    assert_eq!(proxy.turns() - turns, 3);
    assert_eq!(remote().hits_shared, before.hits_shared);
    assert_eq!(remote().undecodable - before.undecodable, 1);
    assert_eq!(remote().loads - before.loads, 1);
    drop(server);
}

/// A node that is not told what changes from here on, though it knows the stamps, and maybe that they last, and
/// one that is.
async fn one_is_late(lasts: bool) -> (RedisServer, Impostor, Cache, Cache) {
    let server = RedisServer::start();
    let impostor = Impostor::start(server.port()).await;
    let node = |url: &str| {
        let store = RedisStore::builder(url).unwrap().tracking(true).build();
        Cache::builder()
            .namespace("test")
            .shared(store.unwrap())
            .policy("remote", Policy::new().local(false))
            .try_build()
            .unwrap()
    };
    let (late, other) = (node(&impostor.url()), node(&server.url()));
    until("it knows the stamps", async || {
        late.scope(remote(1)).await;
        late.scope(profile(2)).await;
        late.health().trusted
    })
    .await;
    if lasts {
        // Known from the second call that has the tag.
        late.scope(beside(1)).await;
    }
    impostor.withhold();
    other.invalidate_tag("user:1").await.unwrap();
    (server, impostor, late, other)
}

fn loads(node: &Cache, kind: &str) -> u64 {
    node.snapshot().kinds.get(kind).map_or(0, |kind| kind.loads)
}

/// What a node knows may be out of date while a push is on its way: an entry that only that speaks against
/// is not loaded once more.
#[tokio::test]
async fn redis_is_asked_before_what_is_known_here_makes_a_miss() {
    let (_server, _impostor, late, other) = one_is_late(false).await;
    let before = loads(&late, "remote");
    assert_eq!(other.scope(remote(1)).await, 2);
    assert_eq!(loads(&other, "remote"), 1);
    assert_eq!(late.scope(remote(1)).await, 2);
    assert_eq!(loads(&late, "remote"), before);
}

/// The same race where values are kept here: the entry of another node is read over the stamp of a tag that
/// is known from before.
#[tokio::test]
async fn redis_is_asked_before_an_entry_to_be_kept_here_is_a_miss() {
    let (_server, _impostor, late, other) = one_is_late(false).await;
    let before = loads(&late, "profile");
    assert_eq!(other.scope(profile(1)).await, 2);
    assert_eq!(loads(&other, "profile"), 1);
    assert_eq!(late.scope(profile(1)).await, 2);
    assert_eq!(loads(&late, "profile"), before);
}

/// Where nothing is stored, `begin` makes a stamp that gainsays the one that is known, and then nothing is
/// (guard G17): asked once more, it is known again before the load begins, so that the value is stored.
#[tokio::test]
async fn what_is_loaded_under_a_stamp_that_gainsays_is_stored() {
    let (_server, _impostor, late, other) = one_is_late(false).await;
    let before = loads(&late, "profile");
    assert_eq!(late.scope(profile(1)).await, 2);
    assert_eq!(loads(&late, "profile"), before + 1);
    assert_eq!(other.scope(profile(1)).await, 2);
    assert_eq!(loads(&other, "profile"), 0);
    assert_eq!(late.scope(profile(1)).await, 2);
    assert_eq!(loads(&late, "profile"), before + 1);
}

/// Who stores by force has not looked either whether a stamp that lasts is still there. It is read back: what is
/// loaded anew is not stored under one that is none any more, and what was loaded before the tag ended is not said
/// to be stored.
#[tokio::test]
async fn what_is_stored_by_force_under_a_stamp_that_has_gone() {
    let (_server, _impostor, late, other) = one_is_late(true).await;
    assert_eq!(late.scope(remote::refresh(1)).await, 2);
    assert_eq!(other.scope(remote(1)).await, 2);
    assert_eq!(loads(&other, "remote"), 0);

    let (_server, _impostor, late, _other) = one_is_late(true).await;
    assert!(!late.scope(remote::put(1, 50)).await);
}
