//! A real Prometheus asks several processes of the service under load: everything that the dashboard and the
//! rules ask it has an answer, its sums are those of the processes, and promtool has nothing to complain
//! of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use cache_core::metrics::prometheus::Exporter;
use cache_core::{Cache, cached};
use cache_tests::prometheus::{Prometheus, promtool, repository};
use cache_tests::server::RedisServer;
use cache_tests::service::{Service, database, until};
use prometheus::{Registry, TextEncoder};
use serde_json::json;

#[path = "prometheus/questions.rs"]
mod questions;

const BINARY: &str = env!("CARGO_BIN_EXE_tested-shifts");
const RULES: &str = "docs/prometheus/alerts.yml";
/// The outcomes of calls: as the processes call them, and as Prometheus does.
const OUTCOMES: [(&str, &str); 7] = [
    ("hits_local", "hit_local"),
    ("hits_shared", "hit_shared"),
    ("hits_stale", "hit_stale"),
    ("hits_outage", "hit_outage"),
    ("coalesced", "coalesced"),
    ("misses", "miss"),
    ("bypassed", "bypassed"),
];

/// Reads and writes through all of them until it is told to end.
fn load(services: &[Service], ended: &AtomicBool) {
    let mut round = 0_u64;
    while !ended.load(Relaxed) {
        for (at, service) in services.iter().enumerate() {
            let id = round % 40 + 1;
            for path in [
                format!("/employees/{id}"),
                format!(
                    "/workplaces/{}/schedule?from=2026-03-02&days=14",
                    id % 5 + 1
                ),
                "/settings/currency".to_owned(),
                // There is none: a load that fails.
                format!("/shifts/{}", 10_000_000 + round),
            ] {
                service.get(&path);
            }
            if (round + at as u64).is_multiple_of(3) {
                let body = json!({ "value": format!("round {round}") });
                assert_eq!(
                    service.ask("PUT", "/settings/currency", Some(&body)).status,
                    200
                );
            }
        }
        round += 1;
    }
}

/// Starts this many, with load until the closure returns.
fn under_load<T>(services: &[Service], run: impl FnOnce() -> T) -> T {
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| load(services, &ended));
        // Also when it panics.
        let _end = End(&ended);
        run()
    })
}

fn fleet(count: usize, redis: &RedisServer, db: &std::path::Path) -> Vec<Service> {
    let arguments = ["--warm", "0", "--report-every", "1"];
    (0..count)
        .map(|_| Service::start(BINARY, db, Some(&redis.url()), &arguments))
        .collect()
}

#[test]
fn everything_that_is_asked_has_an_answer_and_the_sums_are_those_of_the_processes() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let services = fleet(3, &redis, &db);
    let prometheus = Prometheus::start(&services.iter().collect::<Vec<_>>(), &repository(RULES));

    under_load(&services, || {
        questions::of_the_dashboard(&prometheus);
        questions::of_the_rules(&prometheus);
        // All is well, but for the loads that fail.
        until("that loads fail is noticed, and nothing else", || {
            pending(&prometheus) == BTreeSet::from(["CacheLoadsFailing".to_owned()])
        });
        until("all nodes are listed", || {
            let nodes = prometheus.query("max(cache_fleet_nodes - cache_fleet_nodes_missing)");
            nodes.iter().any(|nodes| nodes.value.to_string() == "3")
        });
    });

    check_sums(&prometheus, &services);
    for service in &services {
        let text = service.get("/metrics");
        let wanted = (200, "text/plain; version=0.0.4");
        assert_eq!((text.status, &*text.media), wanted);
        assert_eq!(promtool(&["check", "metrics"], &text.body), "");
    }
}

/// What each process has counted until now is what Prometheus has after it has asked once more: in all, by
/// kind, and by outcome. Nothing is asked of the processes meanwhile.
fn check_sums(prometheus: &Prometheus, services: &[Service]) {
    let sum = |kind: Option<&str>, figures: &[&str]| {
        let services = services.iter();
        let sum: u64 = services.map(|service| service.figure(kind, figures)).sum();
        sum.to_string()
    };
    let summed = |query: &str| {
        let found = prometheus.query(query);
        let [found] = &*found else {
            panic!("{query}: {found:?}");
        };
        found.value.to_string()
    };
    let figures = OUTCOMES.map(|(figure, _)| figure);
    let calls = sum(None, &figures);
    assert!(
        calls.parse::<u64>().is_ok_and(|calls| calls > 500),
        "{calls} calls are no load"
    );
    until("all calls are counted", || {
        summed("sum(cache_requests_total)") == calls
    });
    for (figure, outcome) in OUTCOMES {
        for kind in ["settings", "user_profile", "schedule", "shift_data"] {
            let query =
                format!("sum(cache_requests_total{{kind=\"{kind}\",outcome=\"{outcome}\"}})");
            assert_eq!(summed(&query), sum(Some(kind), &[figure]), "{query}");
        }
    }
    assert_eq!(
        summed("sum(cache_load_duration_seconds_count)"),
        sum(None, &["loads"])
    );
}

#[test]
fn an_outage_and_a_misspelt_policy_are_on_their_way_to_an_alert() {
    let (mut redis, (directory, db)) = (RedisServer::start(), database());
    let policies = directory.path().join("policies.toml");
    fs::write(&policies, "[kinds.user_profil]\nttl = \"1m\"\n").expect("it can be written");
    let policies = policies.to_str().expect("a text");
    let arguments = ["--warm", "0", "--report-every", "1", "--policies", policies];
    let service = Service::start(BINARY, &db, Some(&redis.url()), &arguments);
    let prometheus = Prometheus::start(&[&service], &repository(RULES));
    let policy = || BTreeSet::from(["CachePolicyUnclaimed".to_owned()]);
    until("the policy is noticed", || pending(&prometheus) == policy());
    redis.kill();
    let body = json!({ "value": "written meanwhile" });
    let written = service.ask("PUT", "/settings/currency", Some(&body));
    assert_eq!(written.status, 200);
    let mut wanted = policy();
    wanted.extend(["CacheBreakerOpen", "CacheInvalidationsPending"].map(str::to_owned));
    until("the outage is noticed", || pending(&prometheus) == wanted);
    redis.restart();
    until("it is over", || pending(&prometheus) == policy());
}

/// The alerts that fire when this goes on, which promtool's tests wait for.
fn pending(prometheus: &Prometheus) -> BTreeSet<String> {
    let alerts = prometheus.query("ALERTS").into_iter();
    alerts
        .map(|mut alert| alert.labels.remove("alertname").unwrap_or_default())
        .collect()
}

#[test]
fn a_node_that_is_killed_is_missing_and_one_that_ends_is_not() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let mut services = fleet(3, &redis, &db);
    let counted = |service: &Service| {
        let text = service.get("/metrics").body;
        let figure = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
                .map(str::to_owned)
        };
        ["cache_fleet_nodes", "cache_fleet_nodes_missing"]
            .map(|name| figure(name).unwrap_or_default())
    };
    until("all are listed", || counted(&services[0]) == ["3", "0"]);
    let mut ended = services.pop().expect("three");
    ended.signal("-TERM");
    assert!(ended.wait().success(), "{}", ended.log());
    assert_eq!(counted(&services[0]), ["2", "0"]);
    services.pop().expect("two").signal("-KILL");
    until("it is missing", || counted(&services[0]) == ["2", "1"]);
}

#[test]
fn a_scrape_is_answered_while_redis_is_silent() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let services = fleet(1, &redis, &db);
    let readable = |service: &Service| {
        let begun = Instant::now();
        let text = service.get("/metrics");
        assert_eq!(text.status, 200);
        // The store timeout is far below that.
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
        assert!(text.body.contains("\ncache_uptime_seconds "), "{text:?}");
        text.body.contains("\ncache_fleet_readable 1\n")
    };
    until("Redis is read from", || readable(&services[0]));
    redis.pause();
    assert!(!readable(&services[0]));
    redis.resume();
    until("Redis is read from again", || readable(&services[0]));
}

#[test]
fn promtool_is_content_with_the_rules_and_their_tests() {
    let rules = repository(RULES);
    let checked = promtool(&["check", "rules", &rules.to_string_lossy()], "");
    assert!(checked.contains("11 rules found"), "{checked}");
    let tests = repository("docs/prometheus/alerts.test.yml");
    promtool(&["test", "rules", &tests.to_string_lossy()], "");
    // Each alert has a test in which it fires.
    let tests = fs::read_to_string(tests).expect("they are there");
    let rules = fs::read_to_string(rules).expect("they are there");
    for alert in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        let fires = format!("alertname: {alert}\n        exp_alerts:");
        assert!(tests.contains(&fires), "no test in which {alert} fires");
        let silent = format!("alertname: {alert} }}");
        assert!(tests.contains(&silent), "no test in which {alert} does not");
    }
}

#[test]
fn two_caches_of_a_process_share_a_registry_and_are_told_apart() {
    #[cached(kind = "exported", ttl = "1m")]
    fn doubled(number: u64) -> u64 {
        number * 2
    }
    let registry = Registry::new();
    let caches = ["big", "a \"small\" one\n"].map(|name| {
        let cache = Cache::builder().build();
        let exporter = Exporter::new(cache.clone())
            .label("cache", name)
            .expect("a good name");
        registry
            .register(Box::new(exporter))
            .expect("they differ by their label");
        cache
    });
    let again = Exporter::new(caches[0].clone())
        .label("cache", "big")
        .expect("a good name");
    assert!(
        registry.register(Box::new(again)).is_err(),
        "twice the same"
    );
    for (cache, calls) in caches.iter().zip([3, 4]) {
        for _ in 0..calls {
            assert_eq!(cache.scope_blocking(|| doubled(2)), 4);
        }
    }
    let found = figures(
        &TextEncoder::new()
            .encode_to_string(&registry.gather())
            .expect("good families"),
    );
    let hits = |name: &str| {
        found[&format!(
            "cache_requests_total{{cache=\"{name}\",kind=\"exported\",outcome=\"hit_local\"}}"
        )]
            .to_string()
    };
    assert_eq!([hits("big"), hits(r#"a \"small\" one\n"#)], ["2", "3"]);
}

/// The figures of a text: by name and labels, as it stands there.
fn figures(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}
