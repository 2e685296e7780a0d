//! What the program `cache` does for Redis users who may not do everything: as much as they may.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use cache_tests::program::{self, Program};
use cache_tests::server::RedisServer;

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"))]
async fn profile(id: u64) -> String {
    format!("user {id}")
}

fn node(server: &RedisServer) -> Cache {
    Cache::builder()
        .namespace("shifts")
        .shared(RedisStore::new(&server.url()).unwrap())
        .try_build()
        .unwrap()
}

fn program(url: &str, arguments: &[&str]) -> Program {
    Program::on(env!("CARGO_BIN_EXE_tested-cache"), url, arguments)
}

async fn state(node: &Cache, id: u64) -> (bool, bool) {
    program::state(node, &format!("profile:profile:{id}")).await
}

/// A user with these rights besides what the library needs, and the URL of it.
fn user(server: &RedisServer, rules: &[&str]) -> String {
    const LIBRARY: &str = "+get +mget +getrange +strlen +set +del +unlink +pttl +pexpire +eval +evalsha \
                           +ping +hget +hset +hincrby +hdel +hrandfield +pexpireat +time +client";
    let begin = ["ACL", "SETUSER", "app", "reset", "on", ">pw"];
    let rights: Vec<&str> = LIBRARY.split_whitespace().collect();
    server.command::<()>(&[&begin[..], &rights, rules].concat());
    server.url().replace("redis://", "redis://app:pw@")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_keeps_no_other_from_being_tried() {
    let server = RedisServer::start();
    let node = node(&server);
    for id in 1..=3 {
        node.scope(profile(id)).await;
    }
    let keys = [
        "~shifts:t:~*",
        "~shifts:t:user:1",
        "~shifts:t:user:3",
        "~shifts:[el]:*",
    ];
    let url = user(&server, &keys);
    let tags = ["--tag", "user:1", "--tag", "user:2", "--tag", "user:3"];
    let run = program(&url, &[&["invalidate"], &tags[..]].concat()).run();
    assert_eq!(run.code, 1, "{run:?}");
    let done =
        "invalidated tag user:1 in namespace shifts\ninvalidated tag user:3 in namespace shifts\n";
    assert_eq!(run.out, done);
    assert!(
        run.err
            .starts_with("tag user:2 in namespace shifts was not invalidated: redis://"),
        "{run:?}"
    );
    assert!(run.err.ends_with("cache: 1 of 3 not done\n"), "{run:?}");
    assert!(!state(&node, 3).await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_librarys_own_user_can_invalidate() {
    let server = RedisServer::start();
    let node = node(&server);
    for id in 1..=2 {
        node.scope(profile(id)).await;
    }
    node.report().await.unwrap();
    let url = user(&server, &["~shifts:*"]);
    let tag = program(&url, &["invalidate", "--tag", "user:1"]).run();
    assert_eq!((tag.code, tag.err.as_str()), (0, ""), "{tag:?}");
    // It may not look for the names that two functions of one name have.
    let key = program(&url, &["invalidate", "--key", "profile:profile:2"]).run();
    assert_eq!(key.code, 0, "{key:?}");
    assert_eq!(
        key.out,
        "invalidated key profile:profile:2 in namespace shifts\n"
    );
    assert!(
        key.err.contains("may have were not looked for: "),
        "{key:?}"
    );
    assert!(key.err.contains("+scan"), "{key:?}");
    for id in 1..=2 {
        assert!(!state(&node, id).await.1, "{id}");
    }
    // What is only a hint is no reason to fail.
    for (command, words) in [
        ("stats", "can't be seen"),
        ("nodes", "can't be seen"),
        (
            "invalidate",
            "whether anything is in namespace other can't be seen",
        ),
    ] {
        let what = if command == "invalidate" {
            &["--tag", "user:1"][..]
        } else {
            &[]
        };
        let arguments = [&[command, "--namespace", "other"], what].concat();
        let url = user(&server, &["~shifts:*", "~other:*"]);
        let run = program(&url, &arguments).run();
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.err.contains(words), "{run:?}");
    }
    let get = program(&url, &["get", "profile:profile:77"]).run();
    assert_eq!(get.code, 1, "{get:?}");
    assert!(get.err.contains("there is no entry at"), "{get:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_rights_are_enough_for_what_the_docs_say() {
    let server = RedisServer::start();
    let node = node(&server);
    node.scope(profile(1)).await;
    node.report().await.unwrap();
    let get = ["get", "profile:profile:1"];
    let invalidate = ["invalidate", "--key", "profile:profile:7"];
    let cases: [(&[&str], &[&[&str]]); 3] = [
        (&[], &[&["stats"], &["top", "--once"], &["nodes"], &get]),
        (&["+scan"], &[&["ls"], &invalidate]),
        (&["+scan", "+type"], &[&["sweep", "--yes"]]),
    ];
    for (rights, commands) in cases {
        let url = user(&server, &[&["~shifts:*"], rights].concat());
        for command in commands {
            let run = program(&url, command).run();
            assert_eq!(
                (run.code, run.err.as_str()),
                (0, ""),
                "{command:?}: {run:?}"
            );
        }
    }
    let url = user(&server, &["~shifts:*"]);
    for command in ["ls", "sweep"] {
        let run = program(&url, &[command]).run();
        assert_eq!(run.code, 1, "{run:?}");
        assert!(
            run.err.contains("the program `cache` +scan +type"),
            "{run:?}"
        );
    }
    let doctor = program(&url, &["doctor"]).run();
    assert_eq!(doctor.code, 0, "{doctor:?}");
}
