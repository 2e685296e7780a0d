//! A primary and its replica: what `Applied` means where replicas are waited for, and what a failover
//! brings back.

use std::time::{Duration, Instant};

use cache_core::store::Store;
use cache_core::{Cache, ErrorKind, Invalidation, cached};
use cache_redis::{RedisConfig, RedisStore};
use cache_tests::fixture::{attach, names};
use cache_tests::proxy::Proxy;
use cache_tests::server::{RedisServer, until};
use cache_tests::source::Source;

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"), skip(source))]
async fn profile(source: &Source, id: u64) -> u64 {
    assert_eq!(id, 7, "the tests ask for one");
    source.load().await
}

const STAMP: &str = "test:t:user:7";
const TIMEOUT: Duration = Duration::from_millis(500);
/// The bound of invariant 1, with the heartbeat of these nodes.
const BOUND: Duration = Duration::from_secs(1);

/// A replica that has caught up.
async fn replica_of(primary: &RedisServer) -> RedisServer {
    primary.command::<()>(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    let port = primary.port().to_string();
    let replica = RedisServer::options()
        .arguments(["--replicaof", "127.0.0.1", &port])
        .start();
    until("it has caught up", async || is_linked(&replica)).await;
    replica
}

fn is_linked(replica: &RedisServer) -> bool {
    let information: String = replica.command(&["INFO", "replication"]);
    information.contains("master_link_status:up")
}

fn config(url: &str) -> RedisConfig {
    RedisStore::builder(url)
        .unwrap()
        .tracking(true)
        .heartbeat(BOUND / 4, BOUND * 3 / 4)
}

fn node(config: RedisConfig) -> Cache {
    let builder = Cache::builder().namespace("test").store_timeout(2 * BOUND);
    builder.shared(config.build().unwrap()).try_build().unwrap()
}

async fn get(node: &Cache, source: &Source) -> u64 {
    node.scope(profile(source, 7)).await
}

fn stamps(server: &RedisServer) -> u64 {
    server.command(&["EXISTS", STAMP])
}

/// Calls until the shared tier has the value and its stamp, on both servers.
async fn shared(node: &Cache, source: &Source, servers: [&RedisServer; 2]) {
    until("it is shared", async || {
        get(node, source).await;
        servers.into_iter().all(|server| stamps(server) == 1) && node.health().usable
    })
    .await;
}

#[tokio::test]
async fn applied_means_that_the_replicas_have_it() {
    let primary = RedisServer::start();
    let replica = replica_of(&primary).await;
    let node = node(config(&primary.url()).replicas(1, TIMEOUT));
    let source = Source::new(0);
    for round in 0..20 {
        source.set(round);
        shared(&node, &source, [&primary, &replica]).await;
        assert_eq!(
            node.invalidate_tag("user:7").await.unwrap(),
            Invalidation::Applied
        );
        assert_eq!(stamps(&replica), 0);
    }
}

#[tokio::test]
async fn too_few_replicas_keep_it_queued_until_there_are_enough() {
    let primary = RedisServer::start();
    let replica = replica_of(&primary).await;
    let node = node(config(&primary.url()).replicas(1, TIMEOUT));
    let source = Source::new(0);
    for round in 1..3 {
        source.set(round * 10);
        shared(&node, &source, [&primary, &replica]).await;
        replica.pause();
        let begun = Instant::now();
        source.set(round * 10 + 1);
        let outcome = node.invalidate_tag("user:7").await.unwrap();
        assert_eq!(outcome, Invalidation::Queued);
        assert!(begun.elapsed() >= TIMEOUT, "it was waited for");
        // The primary has removed it: what is sent again removes nothing, and still waits.
        assert_eq!(stamps(&primary), 0);
        let before = node.snapshot().invalidations_applied;
        for _ in 0..10 {
            assert_eq!(get(&node, &source).await, round * 10 + 1);
        }
        assert!(!node.health().usable);
        replica.resume();
        until("it was sent again", async || {
            assert_eq!(get(&node, &source).await, round * 10 + 1);
            node.health().usable
        })
        .await;
        assert_eq!(node.health().queued, 0);
        assert_eq!(node.snapshot().invalidations_applied, before);
        shared(&node, &source, [&primary, &replica]).await;
        let outcome = node.invalidate_tag("user:7").await.unwrap();
        assert_eq!(outcome, Invalidation::Applied);
        assert_eq!(stamps(&replica), 0);
        node.clear().await;
    }
}

#[tokio::test]
async fn what_is_asked_for_in_vain_says_so() {
    let primary = RedisServer::start();
    let store = config(&primary.url()).replicas(2, TIMEOUT).build().unwrap();
    let _events = attach(&store);
    for error in [
        store.invalidate(&names(&["tag"])).await.unwrap_err(),
        store.remove(&names(&["kind:fn:1"])).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("0 of 2 replicas"), "{error}");
    }
    store.invalidate(&[]).await.unwrap();
}

/// The node that invalidated is gone when the replica takes over: nobody sends it again.
#[tokio::test]
async fn a_failover_brings_nothing_back_that_was_applied() {
    for round in 0..5 {
        let mut primary = RedisServer::start();
        let replica = replica_of(&primary).await;
        let proxy = Proxy::start(primary.port()).await;
        let reader = node(config(&proxy.url()));
        let source = Source::new(round * 10);
        shared(&reader, &source, [&primary, &replica]).await;
        let old = get(&reader, &source).await;

        let writer = node(config(&primary.url()).replicas(1, TIMEOUT));
        source.set(old + 1);
        let outcome = writer.invalidate_tag("user:7").await.unwrap();
        assert_eq!(outcome, Invalidation::Applied);
        let since = Instant::now();
        drop(writer);
        primary.kill();
        proxy.switch(replica.port());
        replica.command::<()>(&["REPLICAOF", "NO", "ONE"]);

        // It may not have been told yet.
        loop {
            let began = since.elapsed();
            if get(&reader, &source).await == old + 1 {
                break;
            }
            assert!(began < BOUND, "stale {began:?} after it was applied");
        }
        until("the new primary is in use", async || {
            assert_eq!(get(&reader, &source).await, old + 1);
            stamps(&replica) == 1 && reader.health().trusted
        })
        .await;
        for _ in 0..5 {
            assert_eq!(get(&reader, &source).await, old + 1);
        }
    }
}
