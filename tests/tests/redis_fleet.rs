//! The figures of a fleet on a real Redis: all nodes add up, each increment counts once whatever the
//! network does, and what Redis loses is a gap.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::metrics::{Minute, Node};
use cache_core::{Env, ErrorKind};
use cache_tests::fleet::{
    Early, adds_up, cache, cache_in, config, counted, figures, fleet, hasty, hits, node, profile,
    reported, sum, work,
};
use cache_tests::proxy::Proxy;
use cache_tests::server::{RedisServer, until};
use cache_tests::service::program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_add_up_to_the_sum_of_what_each_has_counted() {
    let server = RedisServer::start();
    let nodes = [node(&server), node(&server), node(&server)];
    let working: Vec<_> = (0..)
        .zip(&nodes)
        .map(|(number, node)| {
            let node = node.clone();
            tokio::spawn(async move {
                for round in 0..20 {
                    work(&node, (0..10).map(|id| id * (number + 1) + round)).await;
                    node.report().await.unwrap();
                }
            })
        })
        .collect();
    for work in working {
        work.await.unwrap();
    }
    let nodes = nodes.each_ref();
    // Nothing happens any more, but for a late sign of life that costs trust.
    adds_up(nodes[0], &nodes).await;
    let wanted = sum(&nodes);
    assert_eq!(wanted["profile misses"] + hits(&wanted, "profile"), 3 * 600);
    assert_eq!(wanted["shift misses"] + hits(&wanted, "shift"), 600);
    assert_eq!(wanted["invalidations_applied"], 3 * 40);

    let fleet = fleet(nodes[1]).await;
    assert_eq!(fleet.nodes.len(), 3);
    assert_eq!(fleet.missing().count(), 0);
    assert!(fleet.nodes.iter().all(|node| node.local_entries > 0));
    for node in &fleet.nodes {
        assert_eq!(node.process, std::process::id());
        assert!(node.trusted && !node.breaker_open, "{node:?}");
        assert_eq!(node.every_ms, 3_600_000);
    }
}

/// The exactly-once test: without the sequence, what was added and not acknowledged would count twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_whose_answer_is_lost_counts_once() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let suffering = hasty(config(&proxy.url()));
    let other = node(&server);
    for round in 0..6 {
        work(&suffering, 0..10).await;
        reported(&suffering).await;
        work(&suffering, 10..20).await;
        let before = counted(&other).await;
        proxy.black_hole(true);
        let error = suffering.report().await.expect_err("no answer comes");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        until("it has arrived all the same", async || {
            counted(&other).await != before
        })
        .await;
        // Sent again and again, in the dark, as the connection is made anew.
        if round % 2 == 0 {
            assert!(suffering.report().await.is_err());
            proxy.cut();
        }
        proxy.black_hole(false);
        adds_up(&other, &[&suffering]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_arrives_late_counts_once() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let suffering = hasty(config(&proxy.url()));
    let other = node(&server);
    for _ in 0..3 {
        work(&suffering, 0..10).await;
        reported(&suffering).await;
        work(&suffering, 10..20).await;
        // It is on its way into a server that stands still, and then a second time, on a new connection.
        server.pause();
        assert!(suffering.report().await.is_err());
        proxy.cut();
        assert!(suffering.report().await.is_err());
        server.resume();
        reported(&suffering).await;
        work(&suffering, 20..22).await;
        adds_up(&other, &[&suffering]).await;
    }
}

#[tokio::test]
async fn a_script_that_is_missing_in_mid_pipeline_counts_nothing_twice() {
    const SCRIPTS: [&str; 2] = [
        include_str!("../../cache-redis/src/scripts/report.lua"),
        include_str!("../../cache-redis/src/scripts/node.lua"),
    ];
    let server = RedisServer::start();
    let node = node(&server);
    for known in [&SCRIPTS[..0], &SCRIPTS[..1], &SCRIPTS[1..]] {
        work(&node, 0..10).await;
        server.command::<()>(&["SCRIPT", "FLUSH"]);
        for script in known {
            let _: String = server.command(&["SCRIPT", "LOAD", script]);
        }
        node.report().await.unwrap();
        assert_eq!(counted(&node).await, sum(&[&node]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_loses_is_a_gap_and_no_figure_is_negative_or_doubled() {
    let mut server = RedisServer::start();
    let early = Arc::new(AtomicU64::new(31));
    let env = Env::system().with_clock(Early(early.clone()));
    let node = cache_in(env, config(&server.url()));
    let reader = self::node(&server);
    let minutes = async || -> Vec<Minute> {
        let now = reader.minute();
        let fleet = reader.fleet(now - 60..=now).await.expect("figures");
        fleet.minutes.into_keys().collect()
    };

    let lost = node.minute();
    work(&node, 0..5).await;
    node.report().await.unwrap();
    early.store(30, Ordering::Relaxed);
    work(&node, 5..10).await;
    node.report().await.unwrap();
    assert_eq!(minutes().await.len(), 2);
    let before = node.snapshot();

    server.kill();
    work(&node, 10..20).await;
    assert!(node.report().await.is_err());
    server.restart();
    early.store(20, Ordering::Relaxed);
    until("it heals", async || node.health().usable).await;
    work(&node, 20..30).await;
    reported(&node).await;
    // What could not be reported then is of the minute in which it was counted.
    let kept = minutes().await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(!kept.contains(&lost), "{kept:?}");
    let after = node.snapshot().since(&before);
    assert_eq!(
        of_kinds(&counted(&reader).await),
        of_kinds(&figures(&after))
    );
    assert!(after.kinds["profile"].misses > 0 && after.trust_lost > 0);

    // A fleet that has nothing left goes on.
    server.command::<()>(&["FLUSHALL"]);
    assert!(minutes().await.is_empty());
    let before = node.snapshot();
    early.store(10, Ordering::Relaxed);
    work(&node, 30..40).await;
    reported(&node).await;
    assert_eq!(minutes().await, [node.minute()]);
    let after = figures(&node.snapshot().since(&before));
    assert_eq!(of_kinds(&counted(&reader).await), of_kinds(&after));
}

/// Without those of the cache as a whole, of which some move when a lost connection is there again.
fn of_kinds(figures: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut figures = figures.clone();
    figures.retain(|name, _| name.contains(' '));
    figures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_loses_what_it_has_not_reported_and_is_missing() {
    let server = RedisServer::start();
    let reader = cache(config(&server.url()).report_every(Duration::ZERO));
    let mut child = program(env!("CARGO_BIN_EXE_journaled"), None)
        .arg(server.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(output.next().unwrap().unwrap(), "ready");
    let mut says = |order: &str| {
        writeln!(input, "{order}").expect("it reads");
        output.next().unwrap().unwrap()
    };
    for _ in 0..5 {
        says("get 7");
    }
    assert_eq!(says("report"), "");
    for _ in 0..3 {
        says("get 7");
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let counts = counted(&reader).await;
    let known = counts["journaled misses"] + hits(&counts, "journaled");
    // It may have reported by itself in between.
    assert!((5..=8).contains(&known), "{counts:?}");
    let found = fleet(&reader).await;
    assert_eq!(
        found.nodes.len(),
        1,
        "one that reports nothing is not listed"
    );
    let killed = &found.nodes[0];
    assert_eq!((killed.process, killed.every_ms), (child.id(), 15_000));
    assert!(!killed.host.is_empty() && killed.version == env!("CARGO_PKG_VERSION"));
    assert_eq!(found.missing().count(), 0);
    assert!(!killed.is_missing(killed.seen_ms + 45_000));
    assert!(killed.is_missing(killed.seen_ms + 45_001));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_ends_unheard_is_missing_and_one_that_says_so_is_not() {
    let server = RedisServer::start();
    let every = |seconds| config(&server.url()).report_every(Duration::from_secs(seconds));
    let reader = cache(every(0));
    let (mut nodes, mut ids) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        // One after the other: who started first is nothing to tell them apart by, to the millisecond.
        let node = cache(every(1));
        work(&node, 0..10).await;
        node.report().await.unwrap();
        let listed = fleet(&reader).await.nodes.into_iter();
        let added: Vec<_> = listed
            .map(|it| it.id)
            .filter(|id| !ids.contains(id))
            .collect();
        assert_eq!(added.len(), 1);
        ids.extend(added);
        nodes.push(node);
    }
    let [living, ending, crashing] = nodes.try_into().expect("three");
    work(&ending, 10..20).await;
    ending.shutdown().await.unwrap();
    let listed: Vec<_> = fleet(&reader).await.nodes;
    let of = |nodes: &[Node], id| nodes.iter().find(|node| node.id == id).cloned();
    assert_eq!(listed.len(), 2);
    assert_eq!(of(&listed, ids[1]), None);
    let all = of_kinds(&sum(&[&living, &ending, &crashing]));
    assert_eq!(
        of_kinds(&counted(&reader).await),
        all,
        "the last ones are in"
    );

    drop(crashing);
    drop(ending);
    // The others go on by themselves, all the while; on a busy machine late, which is no reason to wait less.
    until("it is missing, and it alone", async || {
        let fleet = fleet(&reader).await;
        assert_eq!(fleet.nodes.len(), 2);
        let [Some(goes_on), Some(crashed)] = [ids[0], ids[2]].map(|id| of(&fleet.nodes, id)) else {
            panic!("{:?}", fleet.nodes);
        };
        let missing: Vec<_> = fleet.missing().map(|node| node.id).collect();
        missing == [crashed.id] && crashed.is_missing(goes_on.seen_ms)
    })
    .await;
    assert_eq!(
        of_kinds(&counted(&reader).await),
        all,
        "nothing was counted meanwhile"
    );
}

#[tokio::test]
async fn local_hits_ask_nobody_but_for_the_report() {
    let server = RedisServer::start();
    let node = node(&server);
    until("the value is local", async || {
        node.scope(profile(1)).await;
        let before = server.commands();
        node.scope(profile(1)).await;
        server.commands() == before
    })
    .await;
    node.report().await.unwrap();
    let (before, figures) = (server.commands(), counted(&node).await);
    let asked = server.commands() - before;
    for _ in 0..10_000 {
        node.scope(profile(1)).await;
    }
    assert_eq!(server.commands(), before + asked);
    node.report().await.unwrap();
    let now = counted(&node).await;
    assert_eq!(
        now["profile hits_local"],
        figures["profile hits_local"] + 10_000
    );
}
