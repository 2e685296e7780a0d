//! What the program `cache` sweeps away: what nobody can use, and nothing that a node or another program
//! does.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use cache_core::{Cache, Policy, cached};
use cache_redis::RedisStore;
use cache_tests::impostor::Impostor;
use cache_tests::program::{self, Program, Run};
use cache_tests::server::RedisServer;
use serde_json::Value;

#[cached(kind = "profile", ttl = "10m")]
async fn profile(id: u64) -> String {
    format!("user {id}")
}

fn node(server: &RedisServer) -> Cache {
    Cache::builder()
        .namespace("shifts")
        .shared(RedisStore::new(&server.url()).unwrap())
        .store_timeout(Duration::from_secs(10))
        .policy("export", Policy::new().max_bytes(32 << 20))
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

/// A namespace with one of everything that should not be there.
fn soil(server: &RedisServer) {
    let digits = "0123456789abcdef";
    for (key, value) in [
        ("shifts:e:{profile:profile:90}", "no entry"),
        ("shifts:l:{profile:profile:90}", "no lease"),
        ("shifts:t:user:90", "0000000000000000"),
        ("shifts:m:profile:29000000", "no hash"),
        ("shifts:x:1", "foreign"),
    ] {
        server.command::<()>(&["SET", key, value, "PX", "600000"]);
    }
    server.command::<()>(&["SET", "shifts:t:user:91", digits]);
    server.command::<()>(&["RPUSH", "shifts:e:{profile:profile:91}", "a"]);
    server.command::<()>(&["PEXPIRE", "shifts:e:{profile:profile:91}", "600000"]);
    server.command::<()>(&["SET", "shift:x:1", "another namespace's"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_finds_what_nobody_else_would() {
    let server = RedisServer::start();
    let node = node(&server);
    node.scope(profile(1)).await;
    node.report().await.unwrap();
    let clean = cache(&server, &["sweep"]);
    assert_eq!((clean.code, clean.err.as_str()), (0, ""), "{clean:?}");

    soil(&server);
    // An entry of a real node's, with a bit that has fallen over.
    node.scope(profile(2)).await;
    server.command::<()>(&["SETRANGE", "shifts:e:{profile:profile:2}", "60", "?"]);

    let before: u64 = server.command(&["DBSIZE"]);
    let run = cache(&server, &["sweep"]);
    assert_eq!(run.code, 3, "{run:?}");
    for line in [
        "found keys without an expiry, which would stay for ever: 1\n      shifts:t:user:91\n",
        "found entries that can't be read, of another format or damaged: 3\n",
        "found leases that are none: 1\n      shifts:l:{profile:profile:90}\n",
        "found stamps that are none, under which no entry is served: 1\n",
        "found keys that are none of this library's: 2\n",
        "      shifts:m:profile:29000000\n",
        "      shifts:x:1\n",
    ] {
        assert!(run.out.contains(line), "{line}: {}", run.out);
    }
    assert!(run.err.contains("nothing was removed: --yes"), "{run:?}");
    assert_eq!(server.command::<u64>(&["DBSIZE"]), before);

    let shown = cache(&server, &["sweep", "--yes", "--json"]);
    assert_eq!(shown.code, 3, "two are left: {shown:?}");
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["faults"]["entry"]["removed"], 3);
    assert_eq!(shown["faults"]["foreign"]["removed"], 0);
    assert_eq!(shown["left"], 2);
    assert_eq!(server.command::<u64>(&["DBSIZE"]), before - 6);
    let rest = cache(&server, &["sweep", "--yes", "--foreign"]);
    assert_eq!(rest.code, 0, "{rest:?}");
    assert!(rest.out.contains("library's: 2, 2 removed"), "{rest:?}");
    assert_eq!(server.command::<u64>(&["DBSIZE"]), before - 8);
    let again = cache(&server, &["sweep"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(
        state(&node, 1).await,
        (true, true),
        "what is good was left alone"
    );
    assert_eq!(server.command::<u8>(&["EXISTS", "shift:x:1"]), 1);
    assert_eq!(cache(&server, &["sweep", "--foreign"]).code, 2);
}

static PORT: AtomicU16 = AtomicU16::new(0);
static REWRITTEN: AtomicBool = AtomicBool::new(false);

/// Writes two of the keys again, as a node would, when the first removal is on its way.
fn rewrite(words: &[String]) -> bool {
    if words.first().is_some_and(|word| word == "EVAL") && !REWRITTEN.swap(true, Ordering::SeqCst) {
        let url = format!("redis://127.0.0.1:{}", PORT.load(Ordering::SeqCst));
        let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
        for (key, value) in [
            ("shifts:e:{profile:profile:90}", "an entry"),
            ("shifts:t:user:91", "0123456789abcdef"),
            ("shifts:e:{profile:profile:91}", "an entry"),
        ] {
            let mut command = redis::cmd("SET");
            command.arg(key).arg(value).arg("PX").arg(600_000);
            command.exec(&mut connection).unwrap();
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_leaves_what_was_written_again_meanwhile() {
    let server = RedisServer::start();
    soil(&server);
    PORT.store(server.port(), Ordering::SeqCst);
    let impostor = Impostor::start(server.port()).await;
    impostor.lie(rewrite, b"$-1\r\n".to_vec());
    let program = program(&impostor.url(), &["sweep", "--yes", "--json"]);
    let run = tokio::task::spawn_blocking(|| program.run()).await.unwrap();
    assert!(REWRITTEN.load(Ordering::SeqCst), "{run:?}");
    let shown: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(shown["faults"]["entry"]["found"], 2, "{shown}");
    assert_eq!(shown["faults"]["entry"]["changed"], 2, "{shown}");
    assert_eq!(shown["faults"]["endless"]["changed"], 1, "{shown}");
    assert_eq!(shown["faults"]["lease"]["removed"], 1, "{shown}");
    for key in [
        "shifts:e:{profile:profile:90}",
        "shifts:e:{profile:profile:91}",
        "shifts:t:user:91",
    ] {
        assert_eq!(server.command::<u8>(&["EXISTS", key]), 1, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_to_be_looked_at_stays() {
    const LARGE: usize = 17 << 20;
    #[cached(kind = "export", ttl = "10m")]
    async fn export(id: u64) -> String {
        "x".repeat(LARGE + usize::try_from(id).unwrap())
    }
    let server = RedisServer::start();
    let node = node(&server);
    for id in 1..=2 {
        node.scope(export(id)).await;
    }
    let key = |id: u64| format!("shifts:e:{{export:export:{id}}}");
    assert!(server.command::<usize>(&["STRLEN", &key(1)]) > LARGE);
    server.command::<()>(&["SETRANGE", &key(2), "0", "no entry"]);
    let run = cache(&server, &["sweep", "--yes"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("damaged: 1, 1 removed\n"), "{run:?}");
    let left: Vec<String> = server.command(&["KEYS", "shifts:e:*"]);
    assert_eq!(left, [key(1)]);
    let ls = cache(&server, &["ls"]);
    assert!(
        ls.out.contains("  too large    export:export:1\n"),
        "{ls:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_keeps_is_left_alone() {
    let server = RedisServer::start();
    for (key, value) in [
        ("shifts:t:task:1", "a task"),
        ("shifts:e:{a:b:c}", "an element"),
        ("shifts:l:{a:b:c}", "a list"),
        ("shifts:m:user:7", "a message"),
        ("shifts:d:{x}", "a document"),
    ] {
        server.command::<()>(&["SET", key, value]);
    }
    server.command::<()>(&["HSET", "shifts:n", "name", "theirs"]);
    server.command::<()>(&["HSET", "shifts:m:week:7", "misses", "1", "guests", "2"]);
    let run = cache(&server, &["sweep", "--yes", "--json"]);
    assert_eq!(run.code, 3, "{run:?}");
    let shown: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(shown["faults"]["foreign"]["found"], 7, "{shown}");
    assert_eq!(shown["left"], 7, "{shown}");
    assert_eq!(server.command::<u64>(&["DBSIZE"]), 7);

    // What this library has left without an expiry is told from it by what it holds.
    let node = node(&server);
    node.scope(profile(1)).await;
    node.report().await.unwrap();
    server.command::<()>(&["DEL", "shifts:n"]);
    node.report().await.unwrap();
    let ours: Vec<String> = server.command(&["KEYS", "shifts:*profile*"]);
    let minutes: Vec<String> = server.command(&["KEYS", "shifts:m::*"]);
    let ours: Vec<&str> = ours.iter().chain(&minutes).map(String::as_str).collect();
    assert!(ours.len() >= 4, "entry, stamps, figures: {ours:?}");
    for key in ours.iter().chain(&["shifts:t:~", "shifts:n"]) {
        assert_eq!(server.command::<u8>(&["PERSIST", key]), 1, "{key}");
    }
    let run = cache(&server, &["sweep", "--yes", "--json"]);
    let shown: Value = serde_json::from_str(&run.out).unwrap();
    let of_ours = ours.len() + 2;
    assert_eq!(shown["faults"]["endless"]["removed"], of_ours, "{shown}");
    assert_eq!(shown["left"], 6, "{shown}");
}

#[test]
fn sweep_comes_to_its_end_beside_many_keys_of_others() {
    let server = RedisServer::start();
    // Beyond whatever could be kept in mind.
    let fill = "for i = 1, 205000 do redis.call('SET', 'shifts:x:' .. i, 'x') end";
    server.command::<()>(&["EVAL", fill, "0"]);
    let fill = "for i = 1, 500 do redis.call('SET', 'shifts:t:' .. i, '0123456789abcdef') end";
    server.command::<()>(&["EVAL", fill, "0"]);
    let run = cache(&server, &["sweep", "--yes", "--json"]);
    assert_eq!(run.code, 3, "{run:?}");
    let shown: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(shown["faults"]["endless"]["removed"], 500, "{shown}");
    assert_eq!(shown["left"], 205_000, "{shown}");
}
