//! What `cache doctor` finds, each against a real server that is set up that way; and that it never
//! shows a secret.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use cache_tests::impostor::Impostor;
use cache_tests::program::{Program, Run};
use cache_tests::server::{RedisServer, free_port, until};
use rcgen::{BasicConstraints, CertificateParams, IsCa};
use serde_json::Value;

/// As it is, and as it stands in a URL: nothing of either may be seen.
const SECRET: &str = "Tr0ub4dor/Qx#7%";
const ENCODED: &str = "Tr0ub4dor%2FQx%237%25";

fn doctor(variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let arguments = [&["doctor", "--timeout", "2s"], arguments].concat();
    let program = variables.iter().fold(
        Program::new(env!("CARGO_BIN_EXE_tested-cache"), &arguments),
        |program, (name, value)| program.env(name, value),
    );
    let run = program.run();
    for part in ["Tr0ub4dor", "Qx#7", "Qx%237"] {
        assert!(!run.out.contains(part), "{}", run.out);
        assert!(!run.err.contains(part), "{}", run.err);
    }
    run
}

fn at(url: &str, arguments: &[&str]) -> Run {
    doctor(&[("REDIS_URL", url)], arguments)
}

/// That a check has failed, with these words, and that all before it is well.
#[track_caller]
fn assert_fails(run: &Run, check: &str, words: &[&str]) {
    assert_eq!(run.code, 3, "{run:?}");
    let mark = format!("failure  {check:<9} ");
    let line = run.out.lines().find(|line| line.starts_with(&mark));
    let line = line.unwrap_or_else(|| panic!("{check} has not failed: {}", run.out));
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
    let first = run.out.lines().find(|line| line.starts_with("failure"));
    assert_eq!(first, Some(line), "it is the first: {}", run.out);
}

/// The line of a check.
#[track_caller]
fn line<'a>(run: &'a Run, check: &str) -> &'a str {
    let line = run
        .out
        .lines()
        .find(|line| line.get(9..).is_some_and(|line| line.starts_with(check)));
    line.unwrap_or_else(|| panic!("{check} was not checked: {}", run.out))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_server() {
    #[cached(kind = "doctored", ttl = "1m")]
    async fn doctored(id: u64) -> u64 {
        id
    }
    let server = RedisServer::options().password(SECRET).start();
    let store = RedisStore::new(&server.url()).unwrap();
    let node = Cache::builder().namespace("cache").shared(store).build();
    node.scope(doctored(1)).await;
    node.report().await.unwrap();
    let url = format!("redis://:{ENCODED}@127.0.0.1:{}/2", server.port());
    // The figures are in another database.
    let keys: u64 = server.command(&["DBSIZE"]);
    let elsewhere = at(&url, &[]);
    assert_eq!(elsewhere.code, 0, "{elsewhere:?}");
    assert!(
        line(&elsewhere, "fleet").contains("no node has reported"),
        "{elsewhere:?}"
    );

    let run = at(&server.url(), &[]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    for (check, words) in [
        ("source", "REDIS_URL: redis://:***@127.0.0.1:"),
        ("name", "127.0.0.1"),
        ("network", "connected to 127.0.0.1:"),
        ("tls", "not used"),
        ("greeting", "RESP3, as user default, database 0"),
        ("ping", "answered"),
        ("server", "standalone, master"),
        ("rights", "may run all"),
        ("write", "written, read and removed"),
        ("memory", "no limit"),
        ("latency", "100 pings: min "),
        ("clock", "Redis's clock is "),
        ("fleet", "nodes that report: 1, none is missing"),
    ] {
        let line = line(&run, check);
        assert!(line.starts_with("ok "), "{line}");
        assert!(line.contains(words), "{words:?} is not in {line:?}");
    }
    // As the library decides it, by the server's version.
    let version: String = server.command(&["INFO", "server"]);
    let is_old = version.contains("redis_version:6.2.") && !version.contains("redis_version:6.2.1");
    let proof = if is_old {
        "warning  tracking"
    } else {
        "ok       tracking  told of a change"
    };
    assert!(line(&run, "tracking").starts_with(proof), "{run:?}");
    until("its keys are gone", async || {
        server.command::<u64>(&["DBSIZE"]) == keys
    })
    .await;

    let shown = at(&server.url(), &["--json"]);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["healthy"], true);
    assert_eq!(shown["failures"], 0);
    assert_eq!(shown["checks"][5]["check"], "ping");
    assert_eq!(shown["checks"][5]["state"], "ok");
    assert_eq!(shown["checks"].as_array().unwrap().len(), 14);
}

#[test]
fn passwords() {
    let server = RedisServer::options().password("another").start();
    let port = server.port();
    let wrong = at(&format!("redis://:{ENCODED}@127.0.0.1:{port}"), &[]);
    assert_fails(
        &wrong,
        "greeting",
        &["refused the user name or the password", "percent-encoded"],
    );
    assert!(line(&wrong, "ping").starts_with("skipped"), "{wrong:?}");
    let user = at(
        &format!("redis://nobody:{ENCODED}@127.0.0.1:{port}"),
        &["--json"],
    );
    assert_eq!(user.code, 3);
    let port = port.to_string();
    let parts = [
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("REDIS_PASSWORD", SECRET),
    ];
    assert_fails(
        &doctor(&parts, &[]),
        "greeting",
        &["refused the user name or the password"],
    );
    let quoted = format!("\"{SECRET}\"");
    let parts = [parts[0], parts[1], ("REDIS_PASSWORD", &quoted)];
    let run = doctor(&parts, &[]);
    assert!(
        line(&run, "source").contains("begins and ends with a quote"),
        "{run:?}"
    );
    let missing = at(&format!("redis://127.0.0.1:{port}"), &[]);
    assert_fails(
        &missing,
        "greeting",
        &["wants a password", "REDIS_PASSWORD"],
    );
}

#[test]
fn variables() {
    let quoted = format!("\"redis://:{ENCODED}@127.0.0.1:6379\"");
    for (url, words) in [
        (quoted.as_str(), "is in quotes: write it without them"),
        (
            &format!("redis://:{SECRET}@127.0.0.1:6379"),
            "percent-encode",
        ),
        (
            &format!("REDIS_URL=redis://:{ENCODED}@h"),
            "begins with a variable's name",
        ),
        (&format!("redis-cli -u redis://:{ENCODED}@h"), "redis-cli"),
        (&format!("https://:{ENCODED}@h"), "begins with http"),
    ] {
        let run = at(url, &[]);
        assert_fails(&run, "source", &["REDIS_URL: the Redis URL", words]);
        assert!(line(&run, "greeting").starts_with("skipped"), "{run:?}");
    }
    let server = RedisServer::start();
    let both = [
        ("UPSTASH_REDIS_URL", server.url()),
        ("REDIS_URL", format!("redis://:{ENCODED}@elsewhere")),
        ("REDIS_PASSWORD", SECRET.to_owned()),
    ];
    let both: Vec<(&str, &str)> = both
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let run = doctor(&both, &[]);
    assert_eq!(run.code, 0, "{run:?}");
    let source = line(&run, "source");
    assert!(
        source.contains("UPSTASH_REDIS_URL: redis://127.0.0.1"),
        "{source}"
    );
    assert!(
        source.contains("not used: REDIS_URL, REDIS_PASSWORD"),
        "{source}"
    );
}

#[test]
fn networks() {
    let refused = at(
        &format!("redis://:{ENCODED}@127.0.0.1:{}", free_port()),
        &[],
    );
    assert_fails(&refused, "network", &["refused: is Redis running"]);
    assert!(line(&refused, "name").starts_with("ok"), "{refused:?}");
    let unknown = at(
        &format!("redis://:{ENCODED}@no-such-host.invalid:6379"),
        &[],
    );
    assert_fails(
        &unknown,
        "name",
        &["can't be resolved", "check how it is written"],
    );
    let socket = at(&format!("unix:///nowhere.sock?pass={ENCODED}"), &[]);
    assert_eq!(socket.code, 3, "{socket:?}");
    assert!(
        socket.out.contains("the socket can't be opened"),
        "{socket:?}"
    );
}

/// A server that does this with each connection.
fn listen(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    format!("redis://:{ENCODED}@127.0.0.1:{port}")
}

#[test]
fn services_that_are_not_redis() {
    let web = listen(|mut stream| {
        let mut bytes = [0; 1024];
        let _ = stream.read(&mut bytes);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    assert_fails(
        &at(&web, &[]),
        "greeting",
        &["a web server, answers on this port", "6379"],
    );
    let other = listen(|mut stream| {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert_fails(
        &at(&other, &[]),
        "greeting",
        &["not Redis's protocol", "another service"],
    );
    let silent = listen(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let run = at(&silent, &["--timeout", "500ms"]);
    assert_eq!(run.code, 2, "an option twice: {run:?}");
    assert_fails(
        &at(&silent, &[]),
        "greeting",
        &["Redis did not answer", "rediss://"],
    );
    let tls = silent.replace("redis://", "rediss://");
    assert_fails(
        &at(&tls, &[]),
        "tls",
        &["no answer to the TLS handshake", "redis:// (with one s)"],
    );
}

#[test]
fn tls() {
    let server = RedisServer::options().password(SECRET).tls().start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), server.authority()).unwrap();
    let authority = file.path().to_str().unwrap();
    let (plain, encrypted) = (server.port(), server.tls_port());
    let url = |scheme: &str, host: &str, port: u16| format!("{scheme}://:{ENCODED}@{host}:{port}");

    let good = at(
        &url("rediss", "localhost", encrypted),
        &["--ca-certificate", authority],
    );
    assert_eq!(good.code, 0, "{good:?}");
    let tls = line(&good, "tls");
    assert!(tls.contains("TLS 1.3, certificate for "), "{tls}");
    assert!(tls.contains(", good until 4096-01-01"), "{tls}");

    let plain_to_tls = at(&url("redis", "localhost", encrypted), &[]);
    assert_fails(
        &plain_to_tls,
        "greeting",
        &["speaks TLS on this port: write rediss://"],
    );
    let tls_to_plain = at(
        &url("rediss", "localhost", plain),
        &["--ca-certificate", authority],
    );
    assert_fails(&tls_to_plain, "tls", &["redis:// (with one s)"]);
    let unknown = at(&url("rediss", "localhost", encrypted), &[]);
    assert_eq!(unknown.code, 3, "{unknown:?}");
    let stranger = RedisServer::options().tls().start();
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other.path(), stranger.authority()).unwrap();
    let unknown = at(
        &url("rediss", "localhost", encrypted),
        &["--ca-certificate", other.path().to_str().unwrap()],
    );
    assert_fails(
        &unknown,
        "tls",
        &[
            "from an unknown authority",
            "give the authority to --ca-certificate FILE",
            "(it shows a certificate for ",
        ],
    );
    let another = at(
        &url("rediss", "127.0.0.1", encrypted),
        &["--ca-certificate", authority],
    );
    assert_fails(&another, "tls", &["for another host"]);
    server.expire_certificate(true);
    let expired = at(
        &url("rediss", "localhost", encrypted),
        &["--ca-certificate", authority],
    );
    assert_fails(&expired, "tls", &["certificate is not valid", "expired"]);
    let unused = at(
        &url("redis", "localhost", plain),
        &["--ca-certificate", authority],
    );
    assert_fails(
        &unused,
        "source",
        &["is not encrypted, so its certificates"],
    );
    let nowhere = at(
        &url("rediss", "localhost", encrypted),
        &["--ca-certificate", "/nowhere.pem"],
    );
    assert_fails(&nowhere, "source", &["/nowhere.pem can't be read"]);
}

#[test]
fn tls_with_a_certificate_made_by_oneself() {
    let server = RedisServer::options().tls().start();
    let file = tempfile::NamedTempFile::new().unwrap();
    let doctor = |certificate: &CertificateParams| {
        std::fs::write(file.path(), server.sign_certificate(certificate)).unwrap();
        let authority = file.path().to_str().unwrap();
        at(&server.tls_url(), &["--ca-certificate", authority])
    };
    // As `openssl req -x509` makes them.
    let mut usual = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    usual.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let run = doctor(&usual);
    let advice = "-addext basicConstraints=CA:FALSE";
    assert_fails(&run, "tls", &["is an authority's (CA:TRUE)", advice]);
    for name in ["CaUsedAsEndEntity", "Other("] {
        assert!(!run.out.contains(name), "{run:?}");
    }
    // And as it is told to be made.
    usual.is_ca = IsCa::ExplicitNoCa;
    let run = doctor(&usual);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(line(&run, "tls").starts_with("ok"), "{run:?}");
}

#[test]
fn databases() {
    let server = RedisServer::options().password(SECRET).start();
    let run = at(&format!("{}/77", server.url()), &[]);
    assert_fails(&run, "greeting", &["no database of this number", "(/0)"]);
}

#[test]
fn rights() {
    let server = RedisServer::start();
    let user = |rules: &[&str]| {
        let password = format!(">{SECRET}");
        let words = [
            &["ACL", "SETUSER", "app", "reset", "on", &password][..],
            rules,
        ]
        .concat();
        server.command::<()>(&words);
        at(
            &format!("redis://app:{ENCODED}@127.0.0.1:{}", server.port()),
            &[],
        )
    };
    let run = user(&["~cache:*", "+@all", "-set", "-evalsha"]);
    assert_fails(
        &run,
        "rights",
        &[
            "user app lacks permissions",
            "ACL SETUSER app +set +evalsha",
        ],
    );
    let run = user(&["~other:*", "+@all"]);
    assert_fails(&run, "rights", &["ACL SETUSER app ~cache:*"]);
    let run = user(&["~cache:*", "+@all", "-hincrby", "-info"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        line(&run, "rights").contains("no figures of the fleet"),
        "{run:?}"
    );
    assert!(line(&run, "server").starts_with("warning"), "{run:?}");
    assert!(line(&run, "memory").starts_with("ok"), "{run:?}");
    let run = user(&["~cache:*", "+@all", "-info", "-config"]);
    assert!(line(&run, "memory").contains("can't be seen"), "{run:?}");
    let run = user(&["~cache:*", "+@all", "-client"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(line(&run, "tracking").starts_with("warning"), "{run:?}");
    // What the doctor says is enough is enough.
    let run = user(&[
        "~cache:*",
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
        "+hget",
        "+hset",
        "+hincrby",
        "+hdel",
        "+hrandfield",
        "+pexpireat",
        "+time",
        "+hello",
        "+client",
        "+select",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    let rights = line(&run, "rights");
    assert!(rights.starts_with("ok"), "{run:?}");
    assert!(rights.ends_with(" need more, the cache does not: ACL SETUSER app +scan +type"));
    let run = user(&["~cache:*", "+@all", "-scan", "-set"]);
    assert_fails(
        &run,
        "rights",
        &["ACL SETUSER app +set;", "ACL SETUSER app +scan"],
    );
    let keys: Vec<String> = server.command(&["KEYS", "cache:d:*"]);
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_take_no_writes() {
    let primary = RedisServer::start();
    let port = primary.port().to_string();
    let replica = RedisServer::options()
        .arguments(["--replicaof", "127.0.0.1", &port])
        .start();
    let run = at(&replica.url(), &[]);
    assert_fails(
        &run,
        "write",
        &["read-only replica: connect to the primary"],
    );
    assert!(
        line(&run, "server").contains(&format!("a replica of 127.0.0.1:{port}")),
        "{run:?}"
    );
    assert!(line(&run, "tracking").starts_with("warning"), "{run:?}");

    let full = RedisServer::options()
        .arguments(["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"])
        .start();
    let roomy = at(&full.url(), &[]);
    assert_eq!(roomy.code, 0, "{roomy:?}");
    assert!(line(&roomy, "memory").starts_with("warning"), "{roomy:?}");
    assert!(
        line(&roomy, "memory").contains("set maxmemory-policy allkeys-lru"),
        "{roomy:?}"
    );
    full.command::<()>(&["CONFIG", "SET", "maxmemory", "100mb"]);
    full.command::<()>(&["SET", "large", &"x".repeat(3 << 20)]);
    full.command::<()>(&["CONFIG", "SET", "maxmemory", "3mb"]);
    let run = at(&full.url(), &[]);
    assert_fails(
        &run,
        "write",
        &["Redis is full and its policy evicts nothing", "allkeys-lru"],
    );
    assert!(line(&run, "memory").starts_with("failure"), "{run:?}");
    full.command::<()>(&["DEL", "large"]);
    for (policy, words) in [
        ("volatile-lru", "only keys with an expiry"),
        ("allkeys-lfu", "old entries make room"),
    ] {
        full.command::<()>(&["CONFIG", "SET", "maxmemory-policy", policy]);
        let run = at(&full.url(), &[]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(line(&run, "memory").contains(words), "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tracking_is_only_believed_when_it_is_seen() {
    let server = RedisServer::start();
    if !line(&at(&server.url(), &[]), "tracking").starts_with("ok") {
        // This version can't, and says so: see above.
        return;
    }
    // A proxy that says OK to CLIENT TRACKING, and has not told the server of it.
    let impostor = Impostor::start(server.port()).await;
    impostor.lie(
        |words| words.starts_with(&["CLIENT".into(), "TRACKING".into()]),
        b"+OK\r\n".to_vec(),
    );
    impostor.withhold();
    let url = impostor.url();
    let run = tokio::task::spawn_blocking(move || at(&url, &[]))
        .await
        .unwrap();
    assert!(impostor.has_lied());
    assert_fails(
        &run,
        "tracking",
        &["a change was not told of within 2s", "tracking(false)"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_remembers_no_more_keys() {
    #[cached(kind = "remembered", ttl = "1m")]
    async fn remembered(id: u64) -> u64 {
        id
    }
    let server = RedisServer::start();
    if !line(&at(&server.url(), &[]), "tracking").starts_with("ok") {
        // This version can't tell of changes, and says so: see above.
        return;
    }
    let store = RedisStore::new(&server.url()).unwrap();
    let node = Cache::builder().namespace("cache").shared(store).build();
    for id in 0..100 {
        node.scope(remembered(id)).await;
    }
    let statistics: String = server.command(&["INFO", "stats"]);
    let keys = statistics
        .lines()
        .find_map(|line| line.strip_prefix("tracking_total_keys:"));
    let keys = keys.and_then(|keys| keys.trim().parse::<u64>().ok());
    let keys = keys.expect("it says so");
    assert!(keys >= 100, "{keys}");
    for (most, is_full) in [(keys * 2, false), (0, false), (keys + keys / 20, true)] {
        let most = most.to_string();
        server.command::<()>(&["CONFIG", "SET", "tracking-table-max-keys", &most]);
        let run = at(&server.url(), &[]);
        assert_eq!(run.code, 0, "{run:?}");
        let line = line(&run, "tracking");
        assert!(line.contains("told of a change"), "{line}");
        assert_eq!(line.starts_with("warning"), is_full, "{line}");
        let words = format!("of {most} at most");
        assert_eq!(line.contains(&words), is_full, "{line}");
    }
    // A user that may not ask for settings is told of the usual limit, which is far away.
    server.command::<()>(&["ACL", "SETUSER", "default", "-config"]);
    let run = at(&server.url(), &[]);
    assert!(line(&run, "tracking").starts_with("ok"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_midway() {
    let server = RedisServer::start();
    for (about, check, rest) in [
        (is_info as fn(&[String]) -> bool, "server", 7),
        (is_memory, "memory", 4),
        (is_statistics, "tracking", 3),
    ] {
        let impostor = Impostor::start(server.port()).await;
        // Nobody knows what it means, and the connection ends with it.
        impostor.lie(about, b"!nonsense\r\n".to_vec());
        let url = impostor.url();
        let run = tokio::task::spawn_blocking(move || at(&url, &["--json"]))
            .await
            .unwrap();
        assert_eq!(run.code, 3, "{run:?}");
        let shown: Value = serde_json::from_str(&run.out).unwrap();
        let checks = shown["checks"].as_array().unwrap();
        assert_eq!(checks.len(), 14, "{shown}");
        let failed = &checks[14 - rest - 1];
        assert_eq!(failed["check"], check, "{shown}");
        assert_eq!(failed["state"], "failure", "{shown}");
        for skipped in &checks[14 - rest..] {
            assert_eq!(skipped["state"], "skipped", "{shown}");
        }
    }
}

fn is_info(words: &[String]) -> bool {
    words.first().is_some_and(|word| word == "INFO")
}

fn is_memory(words: &[String]) -> bool {
    is_info(words) && words.get(1).is_some_and(|word| word == "MEMORY")
}

fn is_statistics(words: &[String]) -> bool {
    is_info(words) && words.get(1).is_some_and(|word| word == "STATS")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_far_away_and_a_node_gone() {
    let server = RedisServer::start();
    let store = RedisStore::builder(&server.url()).unwrap();
    let store = store.report_every(Duration::from_secs(1)).build().unwrap();
    let node = Cache::builder().namespace("cache").shared(store).build();
    node.report().await.unwrap();
    drop(node);
    until("the node is missing", async || {
        let run = at(&server.url(), &[]);
        assert_eq!(run.code, 0, "{run:?}");
        line(&run, "fleet").starts_with("warning  fleet     nodes missing: 1 of 1;")
    })
    .await;
}
