//! Redis saying no: wrong passwords, missing rights, a full or read-only server, TLS where there is
//! none. Each error says what to do, and none shows a secret.

use std::fmt::Write as _;

use cache_core::store::{Begin, Fill, Found, Read, Store, Turn};
use cache_core::{Error, ErrorKind};
use cache_redis::{RedisConfig, RedisStore, Roots};
use cache_tests::fixture::{MINUTE, attach, entry, names, token};
use cache_tests::server::{RedisServer, free_port, until};

const SECRET: &str = "Tr0ub4dorX";
const KEY: &str = "kind:fn:1";

/// That an error is of this kind, says this, and shows no secret.
#[track_caller]
fn assert_says(error: &Error, kind: ErrorKind, part: &str) {
    assert!(
        error.to_string().contains(part),
        "{part:?} is not in: {error}"
    );
    assert_eq!(error.kind(), kind, "{error}");
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let _ = write!(shown, "{inner} {inner:?}");
        source = inner.source();
    }
    assert!(!shown.contains(SECRET), "{shown}");
}

/// What every method answers, in order: read, begin, fill, renew, release, remove, invalidate,
/// probe.
async fn every_error(store: &RedisStore) -> Vec<Option<Error>> {
    let some = names(&["tag"]);
    let bytes = entry(token(1), b"value");
    vec![
        store.read(Read::new(KEY, &some)).await.err(),
        store.begin(Begin::new(KEY, token(1), &some)).await.err(),
        store
            .fill(Fill::new(KEY, token(1), &bytes, MINUTE))
            .await
            .err(),
        store.renew(KEY, token(1), MINUTE).await.err(),
        store.release(KEY, token(1)).await.err(),
        store.remove(&some).await.err(),
        store.invalidate(&some).await.err(),
        store.probe().await.err(),
    ]
}

/// That all of them fail alike.
async fn assert_all_say(config: RedisConfig, kind: ErrorKind, part: &str) {
    let store = config.build().unwrap();
    let _events = attach(&store);
    for error in every_error(&store).await {
        assert_says(&error.expect("all fail"), kind, part);
    }
    for shown in [format!("{store:?}"), store.describe()] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

async fn works(config: RedisConfig) {
    let store = config.build().unwrap();
    let _events = attach(&store);
    for error in every_error(&store).await {
        assert!(error.is_none(), "{error:?}");
    }
}

#[tokio::test]
async fn passwords() {
    let server = RedisServer::options().password("right/#%").start();
    let url = format!("redis://127.0.0.1:{}", server.port());
    let config = || RedisConfig::new(&url).unwrap();
    works(config().password("right/#%")).await;
    works(config().username("default").password("right/#%")).await;
    let encoded = format!("redis://:right%2F%23%25@127.0.0.1:{}", server.port());
    works(RedisConfig::new(&encoded).unwrap()).await;
    assert_all_say(
        config().password(SECRET),
        ErrorKind::Rejected,
        "percent-encoded",
    )
    .await;
    let nobody = config().username("nobody").password(SECRET);
    assert_all_say(nobody, ErrorKind::Rejected, "user name or the password").await;
    assert_all_say(config(), ErrorKind::Rejected, "REDIS_PASSWORD").await;
}

#[tokio::test]
async fn a_password_that_nobody_wants_is_no_obstacle() {
    let server = RedisServer::start();
    works(RedisConfig::new(&server.url()).unwrap().password(SECRET)).await;
}

#[tokio::test]
async fn users_without_rights() {
    let server = RedisServer::start();
    let allow = |user: &str, rules: &[&str]| {
        let password = format!(">{SECRET}");
        let words = [&["ACL", "SETUSER", user, "on", &password][..], rules].concat();
        server.command::<()>(&words);
        let config = RedisConfig::new(&server.url()).unwrap();
        config.username(user).password(SECRET)
    };
    works(allow(
        "app",
        &[
            "~test:*",
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
        ],
    ))
    .await;

    let store = allow("elsewhere", &["~other:*", "+@all"]).build().unwrap();
    let _events = attach(&store);
    let mut errors = every_error(&store).await;
    assert!(errors.pop().unwrap().is_none(), "a PING touches no key");
    for error in errors {
        assert_says(
            &error.expect("all keys are forbidden"),
            ErrorKind::Rejected,
            "~<namespace>:*",
        );
    }

    let store = allow("reader", &["~test:*", "+@read"]).build().unwrap();
    let _events = attach(&store);
    let errors = every_error(&store).await;
    assert!(errors[0].is_none() && errors[7].is_none(), "{errors:?}");
    for error in errors[1..7].iter().flatten() {
        assert_says(error, ErrorKind::Rejected, "+evalsha");
    }
    assert_eq!(errors[1..7].iter().flatten().count(), 6);
}

#[tokio::test]
async fn a_full_server() {
    let server = RedisServer::start();
    let store = RedisStore::new(&server.url()).unwrap();
    let _events = attach(&store);
    let tags = names(&["tag"]);
    let begin = |byte| store.begin(Begin::new(KEY, token(byte), &tags).force(true));
    assert_eq!(begin(1).await.unwrap().turn, Turn::Granted);
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let bytes = entry(token(1), b"value");
    let fill = Fill::new(KEY, token(1), &bytes, MINUTE);
    for error in [
        begin(2).await.unwrap_err(),
        store.fill(fill).await.unwrap_err(),
    ] {
        assert_says(&error, ErrorKind::Rejected, "maxmemory-policy allkeys-lru");
    }
    // What makes room, and what only looks, still works.
    store.read(Read::new(KEY, &tags)).await.unwrap();
    store.release(KEY, token(1)).await.unwrap();
    store.remove(&names(&[KEY])).await.unwrap();
    store.invalidate(&tags).await.unwrap();
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(begin(3).await.unwrap().turn, Turn::Granted);
    assert!(
        store
            .fill(Fill::new(KEY, token(3), &entry(token(3), b"x"), MINUTE))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_server_that_was_demoted() {
    let server = RedisServer::start();
    let store = RedisStore::new(&server.url()).unwrap();
    let _events = attach(&store);
    let tags = names(&["tag"]);
    let begin = || store.begin(Begin::new(KEY, token(1), &tags).force(true));
    begin().await.unwrap();
    server.command::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    assert_says(
        &begin().await.unwrap_err(),
        ErrorKind::Rejected,
        "connect to the primary",
    );
    let error = store.invalidate(&tags).await.unwrap_err();
    assert_says(&error, ErrorKind::Rejected, "connect to the primary");
    server.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    until("writes work again", async || {
        begin().await.is_ok() && store.invalidate(&tags).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn databases() {
    let server = RedisServer::options()
        .arguments(["--databases", "2"])
        .start();
    let store = RedisStore::new(&format!("{}/1", server.url())).unwrap();
    let _events = attach(&store);
    store.begin(Begin::new(KEY, token(1), &[])).await.unwrap();
    let in_first: u64 = server.command(&["DBSIZE"]);
    assert_eq!(in_first, 0);
    let config = RedisConfig::new(&format!("{}/2", server.url())).unwrap();
    assert_all_say(config, ErrorKind::Rejected, "no database of this number").await;
}

#[tokio::test]
async fn servers_without_resp3() {
    let arguments = ["--rename-command", "HELLO", ""];
    let server = RedisServer::options()
        .arguments(arguments)
        .password("right")
        .start();
    works(RedisConfig::new(&server.url()).unwrap()).await;
    let config = RedisConfig::new(&server.url()).unwrap().password(SECRET);
    assert_all_say(config, ErrorKind::Rejected, "password").await;
}

#[tokio::test]
async fn servers_without_scripts() {
    let arguments = ["--rename-command", "EVALSHA", ""];
    let server = RedisServer::options().arguments(arguments).start();
    let store = RedisStore::new(&server.url()).unwrap();
    let _events = attach(&store);
    let error = store
        .begin(Begin::new(SECRET, token(1), &[]))
        .await
        .unwrap_err();
    assert_says(&error, ErrorKind::Rejected, "needs Redis 6.2");
}

#[tokio::test]
async fn nobody_there() {
    let refused = format!("redis://:{SECRET}@127.0.0.1:{}", free_port());
    assert_all_say(
        RedisConfig::new(&refused).unwrap(),
        ErrorKind::Unavailable,
        "refused",
    )
    .await;
    let unknown = format!("redis://app:{SECRET}@no-such-host.invalid");
    let config = RedisConfig::new(&unknown).unwrap();
    assert_all_say(config, ErrorKind::Unavailable, "can't be resolved").await;
    let socket = format!("unix:///nowhere/redis.sock?pass={SECRET}");
    assert_all_say(
        RedisConfig::new(&socket).unwrap(),
        ErrorKind::Unavailable,
        "socket",
    )
    .await;
}

#[tokio::test]
async fn something_else_is_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let config = RedisConfig::new(&format!("redis://:{SECRET}@127.0.0.1:{port}")).unwrap();
    assert_all_say(config, ErrorKind::Protocol, "another service").await;
    answering.abort();
}

#[tokio::test]
async fn sockets_of_the_machine() {
    let path = std::env::temp_dir().join(format!("cache-tests-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let _server = RedisServer::options()
        .arguments(["--unixsocket", path])
        .start();
    works(RedisConfig::new(&format!("unix://{path}?db=3")).unwrap()).await;
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn tls_with_a_private_authority() {
    let server = RedisServer::options().tls().start();
    let config = || RedisConfig::new(&server.tls_url()).unwrap();
    works(config().ca_certificate(server.authority())).await;
    let file = std::env::temp_dir().join(format!("cache-tests-{}.pem", std::process::id()));
    std::fs::write(&file, server.authority()).unwrap();
    works(config().ca_certificate_file(&file)).await;
    std::fs::remove_file(&file).unwrap();

    let stranger = RedisServer::options().tls().start();
    let unknown = "unknown authority: give the authority to ca_certificate";
    let roots = config().roots(Roots::Webpki).password(SECRET);
    assert_all_say(roots, ErrorKind::Unavailable, unknown).await;
    let other = config().ca_certificate(stranger.authority());
    assert_all_say(other, ErrorKind::Unavailable, unknown).await;

    let by_address = format!("rediss://127.0.0.1:{}", server.tls_port());
    let config = RedisConfig::new(&by_address)
        .unwrap()
        .ca_certificate(server.authority());
    assert_all_say(config, ErrorKind::Unavailable, "another host").await;
}

#[tokio::test]
async fn plain_and_tls_mixed_up() {
    let server = RedisServer::options().tls().start();
    let plain = format!("redis://:{SECRET}@127.0.0.1:{}", server.tls_port());
    let config = RedisConfig::new(&plain).unwrap();
    assert_all_say(
        config,
        ErrorKind::Unavailable,
        "write rediss:// (with two s)",
    )
    .await;

    let tls = format!("rediss://:{SECRET}@localhost:{}", server.port());
    let config = RedisConfig::new(&tls)
        .unwrap()
        .ca_certificate(server.authority());
    let config = config.connect_timeout(std::time::Duration::from_millis(300));
    assert_all_say(
        config,
        ErrorKind::Unavailable,
        "write redis:// (with one s)",
    )
    .await;
}

#[tokio::test]
async fn a_large_value_over_tls_comes_whole() {
    let server = RedisServer::options().tls().start();
    let config = RedisConfig::new(&server.tls_url()).unwrap();
    let store = config.ca_certificate(server.authority()).build().unwrap();
    let _events = attach(&store);
    store.begin(Begin::new(KEY, token(1), &[])).await.unwrap();
    let bytes = entry(token(1), &vec![7; 8 << 20]);
    assert!(
        store
            .fill(Fill::new(KEY, token(1), &bytes, MINUTE))
            .await
            .unwrap()
    );
    let reading = store.read(Read::new(KEY, &[])).await.unwrap();
    assert!(reading.entry == Found::Bytes(bytes));
}
