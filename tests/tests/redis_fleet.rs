//! The figures of a fleet on a real Redis: all nodes add up, each increment counts once whatever the
//! network does, what Redis loses is a gap, and none of it is in the way of a call.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_core::metrics::{Fleet, Minute};
use cache_core::store::BoxFuture;
use cache_core::{Cache, Clock, Env, ErrorKind, Snapshot, SystemClock, cached};
use cache_redis::{RedisConfig, RedisStore};
use cache_tests::impostor::Impostor;
use cache_tests::logs::Logs;
use cache_tests::proxy::Proxy;
use cache_tests::server::{RedisServer, until};
use cache_tests::service::program;

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"))]
async fn profile(id: u64) -> u64 {
    std::future::ready(id).await
}

#[cached(kind = "shift", ttl = "10m", cache_if = |value: &u64| *value < 100)]
async fn shift(id: u64) -> u64 {
    std::future::ready(id).await
}

/// Reports are made when the test says so.
const BY_HAND: Duration = Duration::from_hours(1);
const TIMEOUT: Duration = Duration::from_millis(300);

fn config(url: &str) -> RedisConfig {
    let config = RedisStore::builder(url).unwrap();
    config.report_every(BY_HAND).tracking(true)
}

fn cache(config: RedisConfig) -> Cache {
    cache_in(Env::system(), config)
}

fn cache_in(env: Env, config: RedisConfig) -> Cache {
    Cache::builder()
        .namespace("test")
        .env(env)
        .shared(config.build().unwrap())
        .store_timeout(TIMEOUT)
        // Else what is applied again after a lost connection would be counted in between.
        .replay_window(Duration::ZERO)
        .try_build()
        .unwrap()
}

fn node(server: &RedisServer) -> Cache {
    cache(config(&server.url()))
}

/// Hits, misses, and invalidations, of two kinds.
async fn work(cache: &Cache, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        for _ in 0..3 {
            assert_eq!(cache.scope(profile(id % 7)).await, id % 7);
        }
        assert_eq!(cache.scope(shift(id)).await, id);
        if id % 5 == 0 {
            cache
                .invalidate_tag(&format!("user:{}", id % 7))
                .await
                .unwrap();
        }
    }
}

/// Every figure that adds up, by name.
fn figures(snapshot: &Snapshot) -> BTreeMap<String, u64> {
    let kinds = snapshot.kinds.iter().flat_map(|(kind, figures)| {
        let named = move |(name, count)| (format!("{kind} {name}"), count);
        figures.fields().map(named)
    });
    snapshot.fields().chain(kinds).collect()
}

/// What these have counted, all together.
fn sum(caches: &[&Cache]) -> BTreeMap<String, u64> {
    let mut sum = Snapshot::default();
    for cache in caches {
        sum.add(&cache.snapshot());
    }
    figures(&sum)
}

/// What the fleet has, of the last hour.
async fn fleet(cache: &Cache) -> Fleet {
    let now = cache.minute();
    cache.fleet(now - 60..=now).await.expect("figures")
}

async fn counted(cache: &Cache) -> BTreeMap<String, u64> {
    figures(&fleet(cache).await.sum())
}

/// Has them report until the fleet has what they have counted. An increment that was lost, or that
/// counts twice, would keep it from that for ever: figures never fall.
async fn adds_up(reader: &Cache, nodes: &[&Cache]) {
    let mut seen = BTreeMap::new();
    let adding_up = until("the fleet has what its nodes have counted", async || {
        for node in nodes {
            if node.report().await.is_err() {
                return false;
            }
        }
        seen = counted(reader).await;
        // Less is what was counted in between: the end of an outage, say.
        for (name, count) in &seen {
            assert!(count <= &sum(nodes)[name], "{name} counts twice: {seen:?}");
        }
        seen == sum(nodes)
    });
    adding_up.await;
}

/// Reports, however long the store takes to be there again.
async fn reported(cache: &Cache) {
    until("the report is taken", async || cache.report().await.is_ok()).await;
}

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
    let wanted = sum(&nodes);
    assert_eq!(counted(nodes[0]).await, wanted);
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

fn hits(figures: &BTreeMap<String, u64>, kind: &str) -> u64 {
    let of = |name: &&str| figures.get(&format!("{kind} {name}")).copied().unwrap_or(0);
    let names = ["hits_local", "hits_shared", "hits_stale", "coalesced"];
    names.iter().map(of).sum()
}

/// The exactly-once test: without the sequence, what was added and not acknowledged would count twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_whose_answer_is_lost_counts_once() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let suffering = cache(config(&proxy.url()));
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
    let suffering = cache(config(&proxy.url()));
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

/// The machine's clocks, but for the wall's, which shows an earlier minute.
struct Early(Arc<AtomicU64>);

impl Clock for Early {
    fn now(&self) -> Duration {
        SystemClock.now()
    }

    fn coarse(&self) -> Duration {
        SystemClock.coarse()
    }

    fn wall(&self) -> Duration {
        SystemClock.wall() - Duration::from_secs(60 * self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(duration)
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
    let [living, ending, crashing] = [1, 1, 1].map(|seconds| cache(every(seconds)));
    let reader = cache(every(0));
    for node in [&living, &ending, &crashing] {
        work(node, 0..10).await;
        node.report().await.unwrap();
    }
    work(&ending, 10..20).await;
    assert_eq!(fleet(&reader).await.nodes.len(), 3);
    ending.shutdown().await.unwrap();
    assert_eq!(fleet(&reader).await.nodes.len(), 2);
    let all = sum(&[&living, &ending, &crashing]);
    assert_eq!(counted(&reader).await, all, "the last ones are in");

    let crashed = fleet(&reader).await.nodes[1].clone();
    drop(crashing);
    drop(ending);
    // The others go on by themselves, all the while.
    let mut missing = Vec::new();
    until("it is missing", async || {
        let fleet = fleet(&reader).await;
        assert_eq!(fleet.nodes.len(), 2);
        missing = fleet.missing().map(|node| node.id).collect();
        !missing.is_empty()
    })
    .await;
    assert_eq!(missing, [crashed.id]);
    assert_eq!(counted(&reader).await, all, "nothing was counted meanwhile");
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_the_rights_costs_one_complaint_and_counts_once_it_has_them() {
    let logs = Logs::install();
    let server = RedisServer::start();
    let reader = node(&server);
    let rights = [
        "+hget",
        "+hset",
        "+hincrby",
        "+hdel",
        "+hrandfield",
        "+pexpireat",
        "+time",
    ];
    let base = "~test:* &* +get +mget +getrange +strlen +set +del +unlink +pttl +pexpire +eval \
                +evalsha +ping +hello +client|setinfo";
    for missing in rights {
        // 6.2 knows the subcommands of few commands.
        let user = missing.trim_start_matches('+');
        let granted = rights.iter().filter(|right| **right != missing);
        let base = base.replace("+client|setinfo", "+client");
        let words: Vec<&str> = ["ACL", "SETUSER", user, "on", ">pw"]
            .into_iter()
            .chain(base.split_whitespace())
            .chain(granted.copied())
            .collect();
        server.command::<()>(&words);
        let limited = cache(config(&server.url()).username(user).password("pw"));
        work(&limited, 0..10).await;
        let before = limited.snapshot();
        let figures_kept = || server.command::<Vec<String>>(&["KEYS", "test:m:*"]).len();
        let (keys, all) = (figures_kept(), counted(&reader).await);
        for _ in 0..3 {
            // The last one is needed by who leaves.
            let refused = match missing {
                "+hdel" => limited.shutdown().await,
                _ => limited.report().await,
            };
            let error = refused.expect_err(missing);
            assert_eq!(error.kind(), ErrorKind::Rejected, "{missing}: {error}");
            assert!(error.to_string().contains(missing), "{error}");
        }
        // Figures that are refused halfway have not been counted, and left nothing without an expiry.
        let node_alone = ["+hrandfield", "+time", "+hdel"].contains(&missing);
        if !node_alone {
            assert_eq!(counted(&reader).await, all, "{missing}");
            assert_eq!(figures_kept(), keys, "{missing}");
        }
        for key in server.command::<Vec<String>>(&["KEYS", "test:[mn]*"]) {
            assert!(
                server.command::<i64>(&["PTTL", &key]) > 0,
                "{missing}: {key}"
            );
        }
        work(&limited, 0..10).await;
        let after = limited.snapshot();
        assert!(limited.health().usable && limited.health().trusted);
        assert_eq!(
            (
                after.epoch_steps,
                after.trust_lost,
                after.distrusted,
                after.breaker_opened
            ),
            (
                before.epoch_steps,
                before.trust_lost,
                before.distrusted,
                before.breaker_opened
            ),
            "{missing}"
        );

        server.command::<()>(&["ACL", "SETUSER", user, missing]);
        limited.report().await.unwrap();
        let mut now = counted(&reader).await;
        for (name, count) in all {
            *now.get_mut(&name).unwrap() -= count;
        }
        now.retain(|_, count| *count > 0);
        assert_eq!(now, sum(&[&limited]), "{missing}");
    }

    // By itself, again and again, it complains once.
    let words = [
        "ACL", "SETUSER", "app", "on", ">pw", "~test:*", "&*", "+@all", "-hincrby",
    ];
    server.command::<()>(&words);
    let config = config(&server.url()).username("app").password("pw");
    let limited = cache(config.report_every(Duration::from_secs(1)));
    work(&limited, 0..10).await;
    let refused = || -> u64 {
        let statistics: String = server.command(&["INFO", "commandstats"]);
        let line = statistics
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        line.and_then(|line| line.split(',').next()?.parse().ok())
            .unwrap()
    };
    let before = refused();
    until("it was refused a few times", async || {
        refused() >= before + 3 * 4
    })
    .await;
    let complaints = logs.about("can't be reported at the moment");
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("+hincrby"), "{complaints:?}");
    let before = counted(&reader).await;
    let total =
        |figures: &BTreeMap<String, u64>| figures["profile misses"] + hits(figures, "profile");
    server.command::<()>(&["ACL", "SETUSER", "app", "+hincrby"]);
    until("what it had counted arrives", async || {
        total(&counted(&reader).await) == total(&before) + 30
    })
    .await;
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
    let reading = tokio::time::timeout(TIMEOUT, node.fleet(0..=0)).await;
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
    let reader = self::node(&server);
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
    let nowhere = cache_tests::server::free_port().to_string();
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
    adds_up(&self::node(&server), &[&node]).await;
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
