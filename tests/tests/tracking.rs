//! Local hits that ask nobody, and everything that ends them, on a real Redis that tells of changes.

use std::time::{Duration, Instant};

use cache_core::{Cache, Invalidation, cached};
use cache_redis::{RedisConfig, RedisStore};
use cache_tests::server::{RedisServer, until};
use cache_tests::source::Source;

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"), skip(source))]
async fn profile(source: &Source, id: u64) -> u64 {
    assert_eq!(id, 7, "the tests ask for one");
    source.load().await
}

#[cached(kind = "brief", ttl = "300ms", skip(source))]
async fn brief(source: &Source) -> u64 {
    source.load().await
}

const ENTRY: &str = "test:e:{profile:profile:7}";
const STAMP: &str = "test:t:user:7";

fn config(server: &RedisServer) -> RedisConfig {
    RedisStore::builder(&server.url())
        .unwrap()
        .tracking(true)
        // Reports would be among the commands that are counted.
        .report_every(Duration::ZERO)
}

fn node(config: RedisConfig) -> Cache {
    Cache::builder()
        .namespace("test")
        .shared(config.build().unwrap())
        .try_build()
        .unwrap()
}

async fn get(node: &Cache, source: &Source) -> u64 {
    node.scope(profile(source, 7)).await
}

/// Calls until the value is local, so that the next call asks nobody.
async fn warm(server: &RedisServer, node: &Cache, source: &Source) {
    until("the value is local", async || {
        get(node, source).await;
        let before = server.commands();
        get(node, source).await;
        server.commands() == before
    })
    .await;
}

#[tokio::test]
async fn local_hits_ask_nobody() {
    let server = RedisServer::start();
    for connections in [1, 3] {
        let node = node(config(&server).connections(connections));
        let source = Source::new(1);
        warm(&server, &node, &source).await;
        assert!(node.health().trusted);
        let before = server.commands();
        let loads = source.loads();
        for _ in 0..10_000 {
            assert_eq!(get(&node, &source).await, 1);
        }
        assert_eq!(server.commands(), before);
        assert_eq!(source.loads(), loads);
        node.clear().await;
    }
}

#[tokio::test]
async fn a_value_another_node_loaded_is_local_at_the_second_call() {
    let server = RedisServer::start();
    let (one, two) = (node(config(&server)), node(config(&server)));
    let source = Source::new(1);
    warm(&server, &one, &source).await;
    warm(&server, &two, &source).await;
    let loads = source.loads();
    assert!(loads <= 2, "{loads} loads");
    assert!(two.health().trusted);
}

/// Something that ends the entry, done by one node or behind everybody's back.
type Ending = (&'static str, fn(&RedisServer, &Cache));

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

const ENDINGS: [Ending; 9] = [
    ("a tag", |_, other| {
        assert_eq!(
            other.invalidate_tag_blocking("user:7").unwrap(),
            Invalidation::Applied
        );
    }),
    ("a key", |_, other| {
        let key = profile::key(7).unwrap();
        assert_eq!(wait(other.invalidate_key(key)), Invalidation::Applied);
    }),
    ("a kind", |_, other| {
        let outcome = other.invalidate_kind_blocking("profile").unwrap();
        assert_eq!(outcome, Invalidation::Applied);
    }),
    ("everything", |_, other| {
        assert_eq!(wait(other.clear()), Invalidation::Applied);
    }),
    ("DEL of the stamp", |server, _| {
        assert_eq!(server.command::<u8>(&["DEL", STAMP]), 1);
    }),
    ("SET of the stamp", |server, _| {
        server.command::<()>(&["SET", STAMP, "00000000000000aa", "PX", "60000"]);
    }),
    ("DEL of the entry", |server, _| {
        assert_eq!(server.command::<u8>(&["DEL", ENTRY]), 1);
    }),
    ("garbage over the entry", |server, _| {
        server.command::<()>(&["SET", ENTRY, "garbage", "PX", "60000"]);
    }),
    ("FLUSHALL", |server, _| {
        server.command::<()>(&["FLUSHALL"]);
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_ends_an_entry_ends_it_everywhere() {
    for connections in [1, 3] {
        let server = RedisServer::start();
        let (one, other) = (
            node(config(&server).connections(connections)),
            node(config(&server).connections(connections)),
        );
        let source = Source::new(0);
        for (number, (what, end)) in (1..).zip(ENDINGS) {
            warm(&server, &one, &source).await;
            source.set(number);
            assert_eq!(get(&one, &source).await, number - 1, "it is local");
            end(&server, &other);
            let ended = Instant::now();
            until(what, async || get(&one, &source).await == number).await;
            let delay = ended.elapsed();
            println!("{connections} connections, {what}: noticed after {delay:?}");
            // By a push, not because trust ran out.
            assert!(delay < Duration::from_millis(900), "{what}: {delay:?}");
            assert!(one.health().trusted);
        }
    }
}

#[tokio::test]
async fn one_s_own_invalidation_holds_at_once() {
    let server = RedisServer::start();
    let node = node(config(&server));
    let source = Source::new(0);
    for number in 1..200 {
        warm_up(&node, &source).await;
        source.set(number);
        let outcome = match number % 3 {
            0 => node.invalidate_tag("user:7").await.unwrap(),
            1 => node.invalidate_key(profile::key(7).unwrap()).await,
            _ => node.invalidate_kind("profile").await.unwrap(),
        };
        assert_eq!(outcome, Invalidation::Applied);
        assert_eq!(get(&node, &source).await, number);
    }
}

async fn warm_up(node: &Cache, source: &Source) {
    for _ in 0..3 {
        get(node, source).await;
    }
}

#[tokio::test]
async fn a_local_copy_does_not_outlive_the_entry() {
    let server = RedisServer::start();
    let (one, two) = (node(config(&server)), node(config(&server)));
    let source = Source::new(0);
    let entry = "test:e:{brief:brief:}";
    for number in 1..4 {
        // The second node's copy is of an entry that is older than the copy.
        one.scope(brief(&source)).await;
        until("half of its life is over", async || {
            server.command::<i64>(&["PTTL", entry]) < 150
        })
        .await;
        source.set(number);
        two.scope(brief(&source)).await;
        until("it is gone", async || {
            server.command::<u8>(&["EXISTS", entry]) == 0
        })
        .await;
        // Ages are told by a clock that may be behind by a tick, which is ten milliseconds at most.
        tokio::time::sleep(Duration::from_millis(12)).await;
        assert_eq!(two.scope(brief(&source)).await, number);
        one.clear().await;
    }
}

#[tokio::test]
async fn without_tracking_each_call_asks() {
    let server = RedisServer::start();
    let node = node(config(&server).tracking(false));
    let source = Source::new(1);
    warm_up(&node, &source).await;
    assert!(!node.health().trusted);
    let before = server.commands();
    for _ in 0..100 {
        get(&node, &source).await;
    }
    assert!(server.commands() >= before + 100);
    assert_eq!(source.loads(), 1);
    // So that what others do is seen at once.
    server.command::<()>(&["FLUSHALL"]);
    source.set(2);
    assert_eq!(get(&node, &source).await, 2);
}
