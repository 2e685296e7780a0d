//! Redis users who may cache, but not all of what reports need: it costs one complaint now and then, and
//! nothing that was counted. One test of the log, since a process has one listener.

use std::collections::BTreeMap;
use std::time::Duration;

use cache_core::{Cache, ErrorKind, Snapshot};
use cache_tests::fleet::{cache, config, counted, hits, node, sum, work};
use cache_tests::logs::Logs;
use cache_tests::server::{RedisServer, until};

/// What caching needs. 6.2 knows the subcommands of few commands.
const BASE: [&str; 16] = [
    "~test:*",
    "&*",
    "+get",
    "+mget",
    "+getrange",
    "+strlen",
    "+set",
    "+del",
    "+unlink",
    "+pttl",
    "+pexpire",
    "+eval",
    "+evalsha",
    "+ping",
    "+hello",
    "+client",
];
/// What reports need besides.
const FIGURES: [&str; 7] = [
    "+hget",
    "+hset",
    "+hincrby",
    "+hdel",
    "+hrandfield",
    "+pexpireat",
    "+time",
];

/// A node whose Redis user has these rights.
fn limited(server: &RedisServer, user: &str, rights: &[&str], every: Duration) -> Cache {
    let words = [&["ACL", "SETUSER", user, "on", ">pw"], rights].concat();
    server.command::<()>(&words);
    let config = config(&server.url()).username(user).password("pw");
    cache(config.report_every(every))
}

/// What must not move because of a report.
fn state(cache: &Cache) -> [u64; 4] {
    let Snapshot {
        epoch_steps,
        trust_lost,
        distrusted,
        breaker_opened,
        ..
    } = cache.snapshot();
    [epoch_steps, trust_lost, distrusted, breaker_opened]
}

#[tokio::test]
async fn each_right_is_asked_for_before_anything_counts() {
    let server = RedisServer::start();
    let reader = node(&server);
    for missing in FIGURES {
        let granted = FIGURES.into_iter().filter(|right| *right != missing);
        let rights: Vec<&str> = BASE.into_iter().chain(granted).collect();
        let node = limited(&server, &missing[1..], &rights, Duration::from_hours(1));
        work(&node, 0..10).await;
        assert!(node.health().trusted);
        let kept = || server.command::<Vec<String>>(&["KEYS", "test:m:*"]).len();
        let (before, keys, all) = (state(&node), kept(), counted(&reader).await);
        for _ in 0..3 {
            let refused = match missing {
                // Who leaves needs it, and who finds nodes of yesterday.
                "+hdel" => node.shutdown().await,
                _ => node.report().await,
            };
            let error = refused.expect_err(missing);
            assert_eq!(error.kind(), ErrorKind::Rejected, "{missing}: {error}");
            assert!(error.to_string().contains(missing), "{error}");
        }
        // Without these the node can't be listed, though its figures are in.
        if !["+hrandfield", "+time", "+hdel"].contains(&missing) {
            assert_eq!(counted(&reader).await, all, "{missing}");
            assert_eq!(kept(), keys, "{missing}");
        }
        for key in server.command::<Vec<String>>(&["KEYS", "test:[mn]*"]) {
            let left: i64 = server.command(&["PTTL", &key]);
            assert!(left > 0, "{missing}: {key} stays for ever");
        }
        work(&node, 0..10).await;
        assert!(node.health().usable && node.health().trusted);
        assert_eq!(state(&node), before, "{missing}");

        server.command::<()>(&["ACL", "SETUSER", &missing[1..], missing]);
        node.report().await.unwrap();
        let mut now = counted(&reader).await;
        for (name, count) in all {
            *now.get_mut(&name).expect("figures never fall") -= count;
        }
        now.retain(|_, count| *count > 0);
        assert_eq!(now, sum(&[&node]), "{missing}");
    }
}

/// How many calls of the kind `profile` were counted.
fn calls(figures: &BTreeMap<String, u64>) -> u64 {
    let misses = figures.get("profile misses").copied().unwrap_or(0);
    misses + hits(figures, "profile")
}

#[tokio::test]
async fn it_is_complained_of_once_and_counts_once_it_may() {
    let logs = Logs::install();
    let server = RedisServer::start();
    let reader = node(&server);
    let rights = ["~test:*", "&*", "+@all", "-hincrby"];
    let limited = limited(&server, "app", &rights, Duration::from_secs(1));
    work(&limited, 0..10).await;
    let scripts = || -> u64 {
        let statistics: String = server.command(&["INFO", "commandstats"]);
        let calls = statistics.lines().find_map(|line| {
            line.strip_prefix("cmdstat_evalsha:calls=")?
                .split(',')
                .next()
        });
        calls.map_or(0, |calls| calls.parse().expect("a number"))
    };
    // Two kinds, the whole, and the node.
    let before = scripts();
    until("it was refused a few times", async || {
        scripts() >= before + 3 * 4
    })
    .await;
    let complaints = logs.about("can't be reported at the moment");
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("+hincrby"), "{complaints:?}");
    assert_eq!(calls(&counted(&reader).await), 0);
    server.command::<()>(&["ACL", "SETUSER", "app", "+hincrby"]);
    until("what it had counted arrives", async || {
        calls(&counted(&reader).await) == 30
    })
    .await;
}
