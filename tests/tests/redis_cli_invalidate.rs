//! What the program `cache` invalidates: it holds everywhere, and what does not is said to.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use cache_tests::program::{self, Program, Run};
use cache_tests::server::{RedisServer, free_port, until};

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"))]
async fn profile(id: u64) -> String {
    format!("user {id}")
}

mod here {
    #[cache_core::cached(kind = "twin", ttl = "10m")]
    pub(super) async fn twin(id: u64) -> u64 {
        id
    }
}

mod there {
    #[cache_core::cached(kind = "twin", ttl = "10m")]
    pub(super) async fn twin(id: u64) -> u64 {
        id + 1
    }
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

fn cache(server: &RedisServer, arguments: &[&str]) -> Run {
    program(&server.url(), arguments).run()
}

async fn state(node: &Cache, id: u64) -> (bool, bool) {
    program::state(node, &format!("profile:profile:{id}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_holds_on_every_node() {
    let server = RedisServer::start();
    let node = node(&server);
    for id in 1..=6 {
        node.scope(profile(id)).await;
    }
    assert_eq!(state(&node, 1).await, (true, true));
    let loads = || node.snapshot().kinds["profile"].loads;
    let cases: [(&[&str], u64, &str); 4] = [
        (
            &["--tag", "user:1"],
            1,
            "invalidated tag user:1 in namespace shifts\n",
        ),
        (
            &[
                "--key",
                "profile:profile:2",
                "--key",
                "shifts:e:{profile:profile:3}",
            ],
            2,
            "invalidated key profile:profile:2 in namespace shifts\ninvalidated key profile:profile:3 in namespace shifts\n",
        ),
        (
            &["--kind", "profile", "--yes"],
            4,
            "invalidated kind profile in namespace shifts\n",
        ),
        (
            &["--all", "--yes"],
            5,
            "invalidated everything in namespace shifts\n",
        ),
    ];
    for (arguments, id, told) in cases {
        node.scope(profile(id)).await;
        assert!(state(&node, id).await.1, "{arguments:?}");
        let run = cache(&server, &[&["invalidate"], arguments].concat());
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
        assert_eq!(run.out, told);
        assert!(!state(&node, id).await.1, "{arguments:?}");
        // It asks nobody on a hit: it has been told.
        until("the node has been told", async || !state(&node, id).await.0).await;
        let before = loads();
        node.scope(profile(id)).await;
        assert_eq!(loads(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_under_all_of_its_names() {
    let server = RedisServer::start();
    let node = node(&server);
    for id in [1, 12] {
        node.scope(here::twin(id)).await;
        node.scope(there::twin(id)).await;
    }
    let keys = || -> Vec<String> { server.command(&["KEYS", "shifts:e:{twin:*:1}"]) };
    assert_eq!(keys().len(), 2, "one of them has a suffix");
    let run = cache(&server, &["invalidate", "--key", "twin:twin:1"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.out
            .contains("invalidated key twin:twin:1 in namespace shifts\n"),
        "{run:?}"
    );
    assert!(run.out.contains("invalidated key twin:twin~"), "{run:?}");
    assert_eq!(keys().len(), 0);
    let others: Vec<String> = server.command(&["KEYS", "shifts:e:{twin:*:12}"]);
    assert_eq!(others.len(), 2, "other arguments are another call's");
    // And from the other name, of several keys at a time.
    let suffixed = others.iter().find(|key| key.contains('~')).unwrap();
    let run = cache(
        &server,
        &["invalidate", "--key", suffixed, "--key", "twin:twin:99"],
    );
    assert_eq!(run.code, 0, "{run:?}");
    let left: Vec<String> = server.command(&["KEYS", "shifts:e:{twin:*}"]);
    assert_eq!(left.len(), 0, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_queued_is_a_failure() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    for what in [&["--tag", "user:1"][..], &["--all", "--yes"]] {
        let arguments = [&["--timeout", "1s", "invalidate"], what].concat();
        let run = program(&url, &arguments).run();
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        assert!(
            run.err.contains("was not invalidated: redis://127.0.0.1"),
            "{run:?}"
        );
        assert!(run.err.contains("refused"), "{run:?}");
    }
    // It answers, and says no.
    let server = RedisServer::start();
    server.command::<()>(&[
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">pw",
        "~*",
        "+@read",
        "+@connection",
        "+eval",
        "+evalsha",
    ]);
    let url = server.url().replace("redis://", "redis://reader:pw@");
    let run = program(&url, &["invalidate", "--tag", "user:1"]).run();
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
    assert!(run.err.contains("lacks a permission"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_large_is_done_unasked() {
    let server = RedisServer::start();
    let node = node(&server);
    node.scope(profile(1)).await;
    for arguments in [&["--all"][..], &["--kind", "profile"]] {
        let run = cache(&server, &[&["invalidate"], arguments].concat());
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains("add --yes"), "{run:?}");
    }
    for wrong in [
        &[][..],
        &["--tag", "~profile"],
        &["--tag", ""],
        &["--key", "profile"],
        &["--kind", "A", "--yes"],
        &["--key", "other:e:{a:b:1}"],
    ] {
        let run = cache(&server, &[&["invalidate"], wrong].concat());
        assert_eq!(run.code, 2, "{wrong:?}: {run:?}");
    }
    assert_eq!(state(&node, 1).await, (true, true));

    // On a terminal it asks.
    let ask = || program(&server.url(), &["invalidate", "--all"]).on_a_terminal();
    let mut terminal = ask();
    terminal.until("Invalidate everything in namespace shifts? [y/N] ");
    terminal.press("\n");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0);
    assert!(seen.contains("nothing was invalidated"), "{seen}");
    assert!(state(&node, 1).await.1);
    let mut terminal = ask();
    terminal.until("[y/N]");
    terminal.press("y\n");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0);
    assert!(seen.contains("invalidated everything"), "{seen}");
    assert!(!state(&node, 1).await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_done_where_nobody_reads() {
    let server = RedisServer::start();
    let node = node(&server);
    for id in 1..=3 {
        node.scope(profile(id)).await;
    }
    let tags = ["invalidate", "--tag", "user:1", "--tag", "user:2", "--key"];
    let arguments = [&tags[..], &["profile:profile:3"]].concat();
    let run = program(&server.url(), &arguments).run_unread();
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    for id in 1..=3 {
        assert!(!state(&node, id).await.1, "{id}");
    }
    // It has failed, whoever reads of what was done before.
    let url = format!("redis://127.0.0.1:{}", free_port());
    let run = program(&url, &["invalidate", "--tag", "user:1"]).run_unread();
    assert_eq!(run.code, 1, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_is_no_silent_success() {
    let server = RedisServer::start();
    let node = node(&server);
    node.scope(profile(1)).await;
    for what in [
        &["--tag", "user:1"][..],
        &["--key", "profile:profile:1"],
        &["--kind", "profile", "--yes"],
        &["--all", "--yes"],
    ] {
        let arguments = [&["--namespace", "shift", "invalidate"], what].concat();
        let run = cache(&server, &arguments);
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.out.contains(" in namespace shift\n"), "{run:?}");
        assert!(
            run.err.contains("there is shifts: name one with"),
            "{run:?}"
        );
    }
    assert!(state(&node, 1).await.1);
    // Nor is a kind that nobody has, which may be a slip.
    let misspelt = cache(&server, &["invalidate", "--kind", "profiel", "--yes"]);
    assert_eq!(misspelt.code, 0, "{misspelt:?}");
    assert!(
        misspelt.err.contains("nothing of kind profiel was stored"),
        "{misspelt:?}"
    );
    assert!(state(&node, 1).await.1);
    // The last key of its namespace was somebody's.
    let all = cache(&server, &["invalidate", "--all", "--yes"]);
    assert_eq!((all.code, all.err.as_str()), (0, ""), "{all:?}");
    let again = cache(&server, &["invalidate", "--tag", "user:1"]);
    assert_eq!((again.code, again.err.as_str()), (0, ""), "{again:?}");
}
