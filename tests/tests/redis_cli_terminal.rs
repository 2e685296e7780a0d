//! The program `cache` as something that people and scripts live with: help, wrong usage, hostile texts,
//! pipes and terminals.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use cache_tests::program::{Program, Run};
use cache_tests::server::{RedisServer, free_port};

const SECRET: &str = "Tr0ub4dorX";

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"))]
async fn profile(id: u64) -> String {
    format!("user {id}")
}

async fn filled(server: &RedisServer, entries: u64) -> Cache {
    let config = RedisStore::builder(&server.url()).unwrap();
    let store = config.report_every(Duration::from_secs(1)).build().unwrap();
    let node = Cache::builder().namespace("shifts").shared(store);
    let node = node.try_build().unwrap();
    for id in 0..entries {
        node.scope(profile(id)).await;
    }
    node.report().await.unwrap();
    node
}

fn program(server: &RedisServer, arguments: &[&str]) -> Program {
    Program::new(env!("CARGO_BIN_EXE_tested-cache"), arguments)
        .env("REDIS_URL", &server.url())
        .env("CACHE_NAMESPACE", "shifts")
}

fn alone(arguments: &[&str]) -> Run {
    Program::new(env!("CARGO_BIN_EXE_tested-cache"), arguments).run()
}

const COMMANDS: [&str; 8] = [
    "stats",
    "top",
    "ls",
    "get",
    "invalidate",
    "nodes",
    "sweep",
    "doctor",
];

#[test]
fn help_teaches() {
    let run = alone(&["--help"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    for part in [
        "Examples:",
        "Exit codes:",
        "Environment:",
        "REDIS_URL",
        "CACHE_NAMESPACE",
        "NO_COLOR",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    for command in COMMANDS {
        assert!(
            run.out.contains(&format!("\n  {command} ")),
            "{command}: {}",
            run.out
        );
        let run = alone(&[command, "--help"]);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{command}");
        let example = format!("Examples:\n  cache {command}");
        assert!(run.out.contains(&example), "{command}: {}", run.out);
        assert!(run.out.contains("--namespace"), "{command}: {}", run.out);
    }
    assert!(alone(&["--version"]).out.starts_with("cache "));
}

#[test]
fn wrong_usage_has_its_code_and_shows_no_secret() {
    let url = format!("redis://app:{SECRET}@127.0.0.1:1");
    let flag = format!("--urls={url}");
    let unfit = format!("--timeout=redis://:{SECRET}={SECRET}@h");
    let long = format!("redis://:{}@h", SECRET.repeat(20));
    let quoted = format!("\"redis://app:{SECRET}@127.0.0.1:1\"");
    for arguments in [
        &[][..],
        &["statss"],
        &["stats", "--since", "soon"],
        &["stats", &url],
        &[&flag, "stats"],
        &["--namespace", "a:b", "stats"],
        &["--url", &quoted, "stats"],
        &["--url", &url, "--ca-certificate", "/nowhere.pem", "stats"],
        &["top", "--interval", "1ms"],
        &[&unfit, "doctor"],
        &["--namespace", &url, "doctor"],
        &["--namespace", &long, "doctor"],
        &["get", &url],
        &["invalidate", "--key", &url],
        &["invalidate", "--kind", &url],
        &[
            "--ca-certificate",
            &url,
            "--url",
            "rediss://127.0.0.1",
            "ls",
        ],
    ] {
        let run = alone(arguments);
        assert_eq!(
            (run.code, run.out.as_str()),
            (2, ""),
            "{arguments:?}: {run:?}"
        );
        assert!(!run.err.is_empty(), "{arguments:?}");
        assert!(!run.err.contains(SECRET), "{}", run.err);
    }

    let program = Program::new(env!("CARGO_BIN_EXE_tested-cache"), &["ls"]);
    let run = program.env("CACHE_NAMESPACE", &url).run();
    assert!(run.err.contains("redis://***@127.0.0.1:1"), "{run:?}");
    let doctor = ["doctor", "--url", "rediss://127.0.0.1", "--ca-certificate"];
    let run = alone(&[&doctor[..], &[&url]].concat());
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.out.contains("redis://***@127.0.0.1:1"), "{run:?}");
    let run = alone(&["--url", &quoted, "stats"]);
    assert!(
        run.err.contains("--url: the Redis URL is in quotes"),
        "{run:?}"
    );
}

#[test]
fn redis_out_of_reach_is_a_failure_with_a_cause() {
    let url = format!("redis://app:{SECRET}@127.0.0.1:{}", free_port());
    for command in ["stats", "ls", "nodes", "sweep"] {
        let run = alone(&["--url", &url, "--timeout", "1s", command]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        assert!(
            run.err.starts_with("cache: redis://app:***@127.0.0.1:"),
            "{run:?}"
        );
        assert!(run.err.contains("the connection was refused"), "{run:?}");
        assert!(!run.err.contains(SECRET), "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_steer_no_terminal() {
    let server = RedisServer::start();
    let _node = filled(&server, 1).await;
    let hostile = "\x1b]0;owned\x07\x1b[2J\nfake line\u{202e}\u{9b}31m";
    for key in [
        format!("shifts:e:{{profile:profile:{hostile}}}"),
        format!("shifts:t:{hostile}"),
        format!("shifts:x:{hostile}"),
    ] {
        server.command::<()>(&["SET", &key, hostile]);
    }
    let (seconds, _): (u64, u64) = server.command(&["TIME"]);
    let node = format!(
        "seen_ms={}&host=%1b%5b2Jhost%0afake&version=%1b%5b31m&process=1",
        (seconds - 1) * 1000
    );
    server.command::<()>(&["HSET", "shifts:n", "00000000000000ff", &node]);
    // Whatever goes to the terminal, `run` looks at.
    let ls = program(&server, &["ls"]).run();
    assert!(
        ls.out
            .contains("\\x1b]0;owned\\x07\\x1b[2J\\nfake line\\u{202e}"),
        "{ls:?}"
    );
    let sweep = program(&server, &["sweep"]).run();
    assert_eq!(sweep.code, 3);
    assert!(sweep.out.contains("\\x1b[2J"), "{sweep:?}");
    for (command, code) in [("ls", 0), ("sweep", 3), ("nodes", 3)] {
        let run = program(&server, &[command, "--json"]).run();
        assert_eq!(run.code, code, "{run:?}");
        for line in run.out.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value.is_object());
        }
        assert!(!run.out.contains('\u{202e}'), "{run:?}");
    }
    let nodes = program(&server, &["nodes"]).run();
    assert_eq!(nodes.out.lines().count(), 3, "{nodes:?}");
    let get = program(&server, &["get", &format!("profile:profile:{hostile}")]).run();
    assert_eq!(get.code, 2, "{get:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let server = RedisServer::start();
    let _node = filled(&server, 2_000).await;
    for arguments in [&["ls", "--limit", "0"][..], &["top", "--interval", "100ms"]] {
        let mut child = program(&server, arguments).start();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().is_ok());
        drop(lines);
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(said, "", "{arguments:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_is_found_though_nobody_reads() {
    let server = RedisServer::start();
    let _node = filled(&server, 1).await;
    server.command::<()>(&["SET", "shifts:x:1", "foreign"]);
    let (seconds, _): (u64, u64) = server.command(&["TIME"]);
    let node = format!("seen_ms={}&every_ms=1000&process=1", (seconds - 60) * 1000);
    server.command::<()>(&["HSET", "shifts:n", "00000000000000ff", &node]);
    for command in ["nodes", "sweep"] {
        let run = program(&server, &[command]).run_unread();
        assert_eq!(run.code, 3, "{command}: {run:?}");
    }
    let url = format!("redis://127.0.0.1:{}", free_port());
    let doctor = Program::new(env!("CARGO_BIN_EXE_tested-cache"), &["doctor"]);
    let doctor = doctor.env("REDIS_URL", &url).run_unread();
    assert_eq!(doctor.code, 3, "{doctor:?}");
    let invalidate = ["invalidate", "--namespace", "other", "--tag", "a"];
    let run = program(&server, &invalidate).run_unread();
    assert_eq!(run.code, 3, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_prints_tables_where_there_is_no_terminal() {
    let server = RedisServer::start();
    let _node = filled(&server, 3).await;
    let mut child = program(&server, &["top", "--interval", "100ms"]).start();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let table: Vec<String> = lines.by_ref().take(4).map(Result::unwrap).collect();
        assert!(table[0].starts_with("shifts at 20"), "{table:?}");
        assert!(table[2].starts_with("profile "), "{table:?}");
        assert_eq!(table[3], "");
        assert!(!table.concat().contains('\x1b'), "{table:?}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn top_leaves_the_terminal_as_it_was() {
    const ENTERED: &str = "\x1b[?1049h";
    let server = RedisServer::start();
    let _node = filled(&server, 3).await;
    for end in ["q", "\x03", "-TERM"] {
        let mut terminal = program(&server, &["top", "--interval", "100ms"]).on_a_terminal();
        terminal.until(ENTERED);
        terminal.until("profile");
        if end == "-TERM" {
            terminal.signal(end);
        } else {
            terminal.press(end);
        }
        let (code, seen) = terminal.end();
        assert_eq!(code, 0, "{end:?}");
        assert!(seen.ends_with("\x1b[?1049l\x1b[?25h"), "{end:?}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_that_want_them() {
    let server = RedisServer::start();
    let seen = |variables: &[(&str, &str)]| {
        let program = variables
            .iter()
            .fold(program(&server, &["doctor"]), |program, (name, value)| {
                program.env(name, value)
            });
        let (code, seen) = program.on_a_terminal().end();
        assert_eq!(code, 0, "{seen}");
        seen
    };
    assert!(seen(&[]).contains("\x1b[32mok"));
    let plain = seen(&[("NO_COLOR", "1")]);
    assert!(!plain.contains('\x1b'), "{plain:?}");
    assert!(plain.contains("ok       ping"), "{plain:?}");
}

#[test]
fn what_takes_long_shows_how_far_it_is() {
    let server = RedisServer::start();
    let fill = "for i = 1, 300000 do redis.call('SET', 'shifts:x:' .. i, 'x', 'EX', 600) end";
    server.command::<()>(&["EVAL", fill, "0"]);
    let mut terminal = program(&server, &["sweep"]).on_a_terminal();
    terminal.until(" of 300000 keys, ");
    let (code, seen) = terminal.end();
    assert_eq!(code, 3);
    assert!(seen.contains("library's: 300000"), "{seen:?}");
    let piped = program(&server, &["sweep"]).run();
    assert!(!piped.err.contains(" of 300000 keys"), "{piped:?}");
}

#[test]
fn top_does_not_wait_for_a_server_that_was_never_there() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let program = Program::new(env!("CARGO_BIN_EXE_tested-cache"), &["top", "--url", &url]);
    let (code, seen) = program.on_a_terminal().end();
    assert_eq!(code, 1);
    assert!(seen.contains("the connection was refused"), "{seen:?}");
}
