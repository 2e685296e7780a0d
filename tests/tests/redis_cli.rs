//! What the program `cache` shows of what real nodes have stored and counted.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::time::Duration;

use cache_core::{Cache, Codec, Policy, cached};
use cache_redis::RedisStore;
use cache_tests::program::{Program, Run};
use cache_tests::server::{RedisServer, until};
use serde_json::Value;

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"))]
async fn profile(id: u64) -> String {
    format!("user {id}")
}

#[cached(kind = "settings", ttl = "1h")]
async fn settings(name: &str) -> Vec<(String, u8)> {
    vec![(name.to_owned(), 7)]
}

fn node(server: &RedisServer) -> Cache {
    let config = RedisStore::builder(&server.url()).unwrap();
    let store = config.report_every(Duration::from_secs(1)).build().unwrap();
    Cache::builder()
        .namespace("shifts")
        .shared(store)
        .policy("settings", Policy::new().codec(Codec::MessagePack))
        .try_build()
        .unwrap()
}

fn cache(server: &RedisServer, arguments: &[&str]) -> Run {
    program(server, arguments).run()
}

fn program(server: &RedisServer, arguments: &[&str]) -> Program {
    Program::new(env!("CARGO_BIN_EXE_tested-cache"), arguments)
        .env("REDIS_URL", &server.url())
        .env("CACHE_NAMESPACE", "shifts")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_are_the_sums_of_all_nodes() {
    let server = RedisServer::start();
    let (one, two) = (node(&server), node(&server));
    for node in [&one, &two] {
        for id in 0..5 {
            node.scope(profile(id)).await;
            node.scope(profile(id)).await;
        }
        node.scope(settings("a")).await;
        node.invalidate_tag("user:3").await.unwrap();
        node.report().await.unwrap();
    }
    let mut sum = one.snapshot();
    sum.add(&two.snapshot());

    let shown = json(&cache(&server, &["stats", "--json"]).out);
    assert_eq!(shown["minutes"], 60);
    // The minute may have changed between the two nodes' reports, or since.
    assert!(
        (57..=59).contains(&shown["gaps"].as_u64().unwrap()),
        "{shown}"
    );
    assert_eq!(
        shown["to"].as_u64().unwrap() - shown["from"].as_u64().unwrap(),
        3600
    );
    for (name, kind) in &sum.kinds {
        let shown = &shown["kinds"][name];
        for (counter, count) in kind.counters() {
            assert_eq!(shown[counter], count, "{counter} of {name}");
        }
        assert_eq!(shown["hits"], kind.hits());
        assert_eq!(shown["calls"], kind.hits() + kind.misses);
        assert_eq!(shown["hit_ratio"].as_f64(), kind.hit_ratio());
        assert_eq!(shown["p99_micros"].as_u64(), kind.load_time.p99_micros);
    }
    assert_eq!(sum.kinds["profile"].misses, 6);
    let totals = &shown["totals"];
    assert_eq!(totals["calls"], 22);
    assert_eq!(totals["invalidations_applied"], 2);

    let run = cache(&server, &["stats"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let lines: Vec<&str> = run.out.lines().collect();
    assert!(lines[0].starts_with("shifts from 20"), "{}", run.out);
    assert!(lines[0].contains(", no figures for 5"), "{}", run.out);
    assert!(lines[1].starts_with("kind "), "{}", run.out);
    assert!(lines[2].starts_with("profile  "), "{}", run.out);
    assert!(lines[3].starts_with("settings "), "{}", run.out);
    assert!(lines[4].starts_with("all "), "{}", run.out);
    assert_eq!(lines[5], "invalidations: 2 applied, 0 queued, 0 replayed");
    let columns: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(columns[1], "70.0", "{}", run.out);

    let one = json(&cache(&server, &["stats", "--json", "--kind", "settings"]).out);
    assert_eq!(one["kinds"].as_object().unwrap().len(), 1);
    let none = cache(&server, &["stats", "--kind", "nothing"]);
    assert!(none.err.contains("no figures for kind nothing"), "{none:?}");
    let short = json(&cache(&server, &["stats", "--json", "--since", "90s"]).out);
    assert_eq!(short["minutes"], 2);
    let long = cache(&server, &["stats", "--since", "25h"]);
    assert_eq!(long.code, 2);
    assert!(long.err.contains("at most 24h"), "{long:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_rates_and_sorts() {
    let server = RedisServer::start();
    let node = node(&server);
    for id in 0..20 {
        node.scope(profile(id)).await;
    }
    node.scope(settings("a")).await;
    node.scope(settings("a")).await;
    node.report().await.unwrap();
    let first = |sort: &str| {
        let run = cache(&server, &["top", "--once", "--sort", sort]);
        assert_eq!(run.code, 0, "{run:?}");
        let lines: Vec<&str> = run.out.lines().collect();
        assert!(lines[0].starts_with("shifts at 20"), "{}", run.out);
        assert!(lines[0].contains(", nodes: 1, "), "{}", run.out);
        assert_eq!(lines.len(), 4, "{}", run.out);
        lines[2].split_whitespace().next().map(str::to_owned)
    };
    assert_eq!(first("misses").as_deref(), Some("profile"));
    assert_eq!(first("hits").as_deref(), Some("settings"));
    assert_eq!(first("name").as_deref(), Some("profile"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ls_lists_entries_by_kind_and_tag() {
    let server = RedisServer::start();
    let node = node(&server);
    for id in 0..50 {
        node.scope(profile(id)).await;
    }
    node.scope(settings("a")).await;
    node.invalidate_tag("user:7").await.unwrap();

    let all = cache(&server, &["ls"]);
    assert_eq!((all.code, all.err.as_str()), (0, ""));
    assert_eq!(
        all.out.lines().count(),
        52,
        "a heading, and each entry once"
    );
    assert!(
        all.out.contains("fresh        profile:profile:8\n"),
        "{}",
        all.out
    );
    assert!(
        all.out.contains("invalidated  profile:profile:7\n"),
        "{}",
        all.out
    );

    let entries = |arguments: &[&str]| -> Vec<Value> {
        let run = cache(&server, &[&["ls", "--json"], arguments].concat());
        assert_eq!(run.code, 0, "{run:?}");
        run.out.lines().map(json).collect()
    };
    let of_kind = entries(&["--kind", "settings"]);
    assert_eq!(of_kind.len(), 1);
    assert_eq!(of_kind[0]["key"], "settings:settings:'a'");
    assert_eq!(of_kind[0]["state"], "fresh");
    assert_eq!(of_kind[0]["codec"], "messagepack");
    assert_eq!(of_kind[0]["ttl_ms"], 3_600_000);
    let left = of_kind[0]["left_ms"].as_u64().unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    let of_tag = entries(&["--tag", "user:7"]);
    assert_eq!(of_tag.len(), 1);
    assert_eq!(of_tag[0]["key"], "profile:profile:7");
    assert_eq!(of_tag[0]["valid"], false);
    assert!(entries(&["--tag", "user:77"]).is_empty());
    assert!(entries(&["--kind", "profil"]).is_empty());

    let some = cache(&server, &["ls", "--limit", "10"]);
    assert_eq!(some.out.lines().count(), 11);
    assert!(
        some.err.contains("the first 10; --limit 0 shows all"),
        "{some:?}"
    );
    let exact = cache(&server, &["ls", "--limit", "51"]);
    assert_eq!(exact.err, "", "there are no more");
    assert_eq!(cache(&server, &["ls", "--kind", "A B"]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn get_shows_what_is_stored() {
    let server = RedisServer::start();
    let node = node(&server);
    node.scope(profile(42)).await;
    node.scope(settings("a")).await;

    let run = cache(&server, &["get", "profile:profile:42"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    for line in [
        "key    profile:profile:42\n",
        "state  fresh\n",
        "codec  bincode\n",
        "tag    user:42\n",
        "tag    ~profile  everything of the kind\n",
        "tag    ~  everything in the namespace\n",
    ] {
        assert!(run.out.contains(line), "{line}: {}", run.out);
    }
    assert!(!run.out.contains("value"), "not asked for: {}", run.out);

    // As it was copied out of Redis, whatever the namespace is.
    let full = Program::new(
        env!("CARGO_BIN_EXE_tested-cache"),
        &["get", "shifts:e:{profile:profile:42}", "--value"],
    )
    .env("REDIS_URL", &server.url())
    .run();
    assert_eq!(full.code, 0, "{full:?}");
    // bincode: the length, and the text.
    let hex = "value  8 bytes: 0775736572203432\n";
    assert!(full.out.contains(hex), "{}", full.out);
    assert!(full.err.contains("does not describe itself"), "{full:?}");
    let shown = json(&cache(&server, &["get", "profile:profile:42", "--value", "--json"]).out);
    assert_eq!(shown["value"], Value::Null);
    assert_eq!(shown["value_bytes"], 8);
    assert_eq!(shown["value_hex"], "0775736572203432");

    let told = cache(&server, &["get", "settings:settings:'a'", "--value"]);
    assert!(told.out.contains("value  [[\"a\", 7]]\n"), "{told:?}");

    let missing = cache(&server, &["get", "profile:profile:1"]);
    assert_eq!(missing.code, 1);
    assert!(
        missing
            .err
            .contains("there is no entry at profile:profile:1"),
        "{missing:?}"
    );
    assert_eq!(cache(&server, &["get", "profile"]).code, 2);
    let elsewhere = [
        "--namespace",
        "other",
        "get",
        "shifts:e:{profile:profile:42}",
    ];
    assert_eq!(cache(&server, &elsewhere).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_listed_and_missed() {
    let server = RedisServer::start();
    let (one, two) = (node(&server), node(&server));
    one.scope(profile(1)).await;
    one.report().await.unwrap();
    two.report().await.unwrap();
    let run = cache(&server, &["nodes"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(run.out.lines().count(), 3, "{}", run.out);
    assert!(
        run.out.contains(&std::process::id().to_string()),
        "{}",
        run.out
    );

    // One ends as it should, the other one does not.
    two.shutdown().await.unwrap();
    drop((one, two));
    until("the node is missing", async || {
        cache(&server, &["nodes"]).code == 3
    })
    .await;
    let shown = json(&cache(&server, &["nodes", "--json"]).out);
    assert_eq!(shown["missing"], 1);
    assert_eq!(shown["nodes"][0]["missing"], true);
    assert_eq!(shown["nodes"][0]["local_entries"], 1);
    assert_eq!(shown["nodes"][0]["every_ms"], 1000);
    assert_eq!(shown["nodes"].as_array().unwrap().len(), 1);
    let top = cache(&server, &["top", "--once"]);
    assert!(top.out.contains(", missing: 1"), "{}", top.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_namespace_is_said_to_be_empty() {
    let server = RedisServer::start();
    for command in ["ls", "stats", "nodes", "sweep", "top"] {
        let mut arguments = vec![command];
        if command == "top" {
            arguments.push("--once");
        }
        let run = cache(&server, &arguments);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(
            run.err
                .contains("nothing in namespace shifts, and no other"),
            "{run:?}"
        );
    }
    let node = node(&server);
    node.scope(profile(1)).await;
    server.command::<()>(&["SET", "session:1", "another program's"]);
    for command in ["ls", "stats", "nodes", "sweep"] {
        let run = cache(&server, &["--namespace", "shift", command]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(
            run.err.contains("there is shifts: name one with"),
            "{run:?}"
        );
    }
    let get = cache(&server, &["get", "a:b:1", "--namespace", "shift"]);
    assert!(get.err.contains("there is shifts: name one"), "{get:?}");
}
