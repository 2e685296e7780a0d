//! A fleet's figures where Redis is in their way: full, read-only, silent, lying, or holding garbage.
//! Nothing is lost or counted twice, no call notices, and nothing of it stays for ever.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use cache_core::{Env, ErrorKind};
use cache_redis::RedisStore;
use cache_tests::fleet::{
    BY_HAND, Early, adds_up, cache, cache_in, config, counted, figures, fleet, node, sum, work,
};
use cache_tests::impostor::Impostor;
use cache_tests::proxy::Proxy;
use cache_tests::server::{RedisServer, free_port, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_of_a_report_expires_and_nodes_of_yesterday_go() {
    let server = RedisServer::start();
    let (one, two) = (node(&server), node(&server));
    // Left there by others: without an expiry, of yesterday, of no known form.
    for (id, text) in [
        ("00000000000000aa", "seen_ms=1000&host=yesterday"),
        ("00000000000000ab", "seen_ms=99999999999999&host=tomorrow"),
        ("00000000000000ac", "no node's text"),
    ] {
        server.command::<u64>(&["HSET", "test:n", id, text]);
    }
    for round in 0..3 {
        for node in [&one, &two] {
            work(node, round..round + 10).await;
            node.report().await.unwrap();
        }
        // Some of them were looked at by each report.
        let mut keys: Vec<String> = server.command(&["KEYS", "test:[mn]*"]);
        keys.sort();
        assert!(keys.len() >= 4, "{keys:?}");
        for key in keys {
            let left: i64 = server.command(&["PTTL", &key]);
            let day = 24 * 60 * 60 * 1000;
            assert!(left > day - 60_000 && left <= day + 60_000, "{key}: {left}");
        }
    }
    let ids: Vec<String> = server.command(&["HKEYS", "test:n"]);
    assert_eq!(ids.len(), 2, "{ids:?}");
    one.shutdown().await.unwrap();
    two.shutdown().await.unwrap();
    assert_eq!(server.command::<u64>(&["EXISTS", "test:n"]), 0);

    // One whose clock is a day behind, or far ahead, does no harm.
    for (minutes, fields) in [(24 * 60 + 2, 0), (0, 1)] {
        let early = Early(Arc::new(AtomicU64::new(minutes)));
        let node = cache_in(Env::system().with_clock(early), config(&server.url()));
        node.report().await.unwrap();
        let key = format!("test:m::{}", node.minute());
        let found: u64 = server.command(&["HEXISTS", &key, "reports"]);
        assert_eq!(found, fields, "{minutes} minutes late");
    }
}

#[tokio::test]
async fn what_is_in_the_way_is_left_out_and_replaced() {
    let server = RedisServer::start();
    let (early, node) = (Arc::new(AtomicU64::new(5)), node(&server));
    let env = Env::system().with_clock(Early(early.clone()));
    let past = cache_in(env, config(&server.url()));
    let reader = cache(config(&server.url()).report_every(Duration::ZERO));
    work(&past, 0..10).await;
    past.report().await.unwrap();
    let good = sum(&[&past]);
    let minute = reader.minute();
    let redis = |words: &[&str]| server.command::<redis::Value>(words);

    // Keys of another type, and fields that are no figures.
    redis(&["RPUSH", &format!("test:m::{}", minute - 2), "x"]);
    redis(&["SET", &format!("test:m::{}", minute - 3), "x"]);
    redis(&[
        "HSET",
        &format!("test:m::{}", minute - 4),
        "reports",
        "many",
    ]);
    let busy = format!("test:m::{}", past.minute());
    redis(&[
        "HSET",
        &busy,
        "kind.gone",
        "1",
        "kind.wrong",
        "1",
        "kind.\u{1b}",
        "1",
        "x",
        "\0",
    ]);
    redis(&["SADD", &format!("test:m:wrong:{}", past.minute()), "x"]);
    let profile = format!("test:m:profile:{}", past.minute());
    redis(&[
        "HSET",
        &profile,
        "hits_shared",
        "none",
        "#",
        "x",
        "",
        "7",
        "load_below_micros.x",
        "7",
    ]);
    redis(&[
        "HSET",
        "test:n",
        "not an id",
        "x",
        "00000000000000aa",
        "x",
        "00000000000000ab",
        "",
    ]);
    let found = fleet(&reader).await;
    let mut wanted = good.clone();
    wanted.remove("profile hits_shared");
    assert_eq!(figures(&found.sum()), wanted);
    assert_eq!(found.minutes.len(), 1);
    assert_eq!(found.nodes.len(), 1);

    // What is added to goes on from what makes sense.
    redis(&[
        "HSET",
        &profile,
        "hits_local",
        "9223372036854775807",
        "misses",
        "x",
    ]);
    let before = past.snapshot();
    work(&past, 100..110).await;
    past.report().await.unwrap();
    let added = figures(&past.snapshot().since(&before));
    let now = counted(&reader).await;
    let max = u64::try_from(i64::MAX).unwrap();
    assert_eq!(now["profile hits_local"], max, "no room for more");
    assert_eq!(now.get("profile misses"), added.get("profile misses"));
    assert_eq!(
        now["shift loads"],
        good["shift loads"] + added["shift loads"]
    );

    // And what is no hash makes room.
    for key in ["test:n".to_owned(), busy, profile] {
        redis(&["DEL", &key]);
        redis(&["RPUSH", &key, "x"]);
    }
    assert!(fleet(&reader).await.nodes.is_empty());
    let before = past.snapshot();
    work(&past, 200..210).await;
    past.report().await.unwrap();
    work(&node, 0..10).await;
    node.report().await.unwrap();
    let found = fleet(&reader).await;
    assert_eq!(found.nodes.len(), 2);
    let added = past.snapshot().since(&before);
    assert_eq!(
        found.minutes[&past.minute()].kinds["profile"],
        added.kinds["profile"]
    );
    let distrusted = past.snapshot().distrusted + node.snapshot().distrusted;
    assert_eq!(distrusted, 0);
}

#[tokio::test]
async fn reading_leaves_nothing_behind() {
    let server = RedisServer::start();
    let node = node(&server);
    work(&node, 0..10).await;
    node.report().await.unwrap();
    let of_stats = |name: &str| -> String {
        let statistics: String = server.command(&["INFO", "stats"]);
        let line = statistics.lines().find(|line| line.starts_with(name));
        line.expect("INFO has it").to_owned()
    };
    let connections = || -> usize {
        let list: String = server.command(&["CLIENT", "LIST"]);
        list.lines().count()
    };
    let (tracked, open) = (of_stats("tracking_total_keys"), connections());
    let before = node.snapshot().epoch_steps;
    for _ in 0..3 {
        assert!(!fleet(&node).await.minutes.is_empty());
    }
    until("the readers have hung up", async || connections() == open).await;
    assert_eq!(of_stats("tracking_total_keys"), tracked);
    assert_eq!(node.snapshot().epoch_steps, before);

    // One who stops waiting takes the connection along.
    server.pause();
    let reading = tokio::time::timeout(Duration::from_millis(300), node.fleet(0..=0)).await;
    assert!(reading.is_err(), "nobody answers");
    server.resume();
    until("that one has hung up", async || connections() == open).await;
}

#[tokio::test]
async fn a_server_that_stands_still_is_not_waited_for() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let patience = Duration::from_millis(200);
    let config = config(&proxy.url());
    let node = cache(config.heartbeat(Duration::from_secs(1), patience));
    work(&node, 0..10).await;
    node.report().await.unwrap();
    server.pause();
    let begun = Instant::now();
    let error = node.fleet(0..=0).await.expect_err("nobody answers");
    let limit = Duration::from_secs(2) + patience + Duration::from_secs(2);
    assert!(begun.elapsed() < limit, "{:?}: {error}", begun.elapsed());
    server.resume();
    until("it answers", async || node.fleet(0..=0).await.is_ok()).await;
}

/// A script of a report.
const REPORT: fn(&[String]) -> bool =
    |words| words[0].starts_with("EVAL") && words[3].starts_with("TEST:M:");

#[tokio::test]
async fn only_nonsense_ends_the_connection() {
    let server = RedisServer::start();
    let impostor = Impostor::start(server.port()).await;
    let node = cache(config(&impostor.url()));
    let reader = cache_tests::fleet::node(&server);
    work(&node, 0..10).await;
    node.report().await.unwrap();
    let state = || {
        let snapshot = node.snapshot();
        let figures = (
            snapshot.distrusted,
            snapshot.epoch_steps,
            snapshot.breaker_opened,
        );
        (figures, impostor.connections())
    };

    let before = state();
    let refusals = [
        "-OOM command not allowed when used memory > 'maxmemory'\r\n",
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        "-NOPERM this user has no permissions to run the 'evalsha' command\r\n",
        "-ERR something went wrong\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
    ];
    for refusal in refusals {
        work(&node, 0..3).await;
        impostor.lie(REPORT, refusal);
        node.report().await.expect_err(refusal);
        assert!(impostor.has_lied());
        assert_eq!(state(), before, "{refusal:?}");
        node.report().await.unwrap();
        assert_eq!(counted(&reader).await, sum(&[&node]), "{refusal:?}");
    }

    for answer in [
        ":2\r\n",
        ":-1\r\n",
        "+OK\r\n",
        "_\r\n",
        "*0\r\n",
        "HTTP/1.1 400\r\n",
    ] {
        let before = node.snapshot().distrusted;
        work(&node, 0..3).await;
        impostor.lie(REPORT, answer);
        node.report().await.expect_err(answer);
        assert!(impostor.has_lied());
        assert_eq!(node.snapshot().distrusted, before + 1, "{answer:?}");
        until("it is trusted again", async || node.health().trusted).await;
        // It was added, whatever was said of it.
        adds_up(&reader, &[&node]).await;
    }
}

#[tokio::test]
async fn a_full_server_takes_no_report_and_loses_none() {
    let server = RedisServer::start();
    let node = node(&server);
    work(&node, 0..10).await;
    node.report().await.unwrap();
    let reported = counted(&node).await;
    work(&node, 0..10).await;
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..2 {
        let error = node.report().await.expect_err("it is full");
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(error.to_string().contains("allkeys-lru"), "{error}");
    }
    assert_eq!(counted(&node).await, reported);
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    node.report().await.unwrap();
    assert_eq!(counted(&node).await, sum(&[&node]));
}

#[tokio::test]
async fn a_server_that_stays_read_only_has_its_connection_made_anew_once() {
    let server = RedisServer::start();
    let impostor = Impostor::start(server.port()).await;
    let node = cache(config(&impostor.url()));
    work(&node, 0..10).await;
    node.report().await.unwrap();
    let before = impostor.connections();
    let nowhere = free_port().to_string();
    server.command::<()>(&["REPLICAOF", "127.0.0.1", &nowhere]);
    for _ in 0..6 {
        until("it is refused", async || {
            let error = node.report().await.expect_err("it takes no writes");
            error.to_string().contains("read-only replica")
        })
        .await;
    }
    assert_eq!(impostor.connections(), before + 1);
    assert!(node.health().usable);
    server.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    adds_up(&cache_tests::fleet::node(&server), &[&node]).await;
    assert_eq!(impostor.connections(), before + 1);
}

#[test]
fn what_is_too_often_is_refused() {
    let config = || RedisStore::builder("redis://localhost").unwrap();
    for often in [Duration::from_millis(1), Duration::from_millis(999)] {
        let error = config().report_every(often).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("at least 1s"), "{error}");
    }
    for every in [Duration::ZERO, Duration::from_secs(1), BY_HAND] {
        config().report_every(every).build().unwrap();
    }
}
