//! Redis going away and coming back: killed, paused, restarted, not there yet; and what becomes of
//! calls, connections and events meanwhile.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use cache_core::ErrorKind;
use cache_core::store::{Begin, Fill, Found, Read, Store, Turn};
use cache_redis::{RedisConfig, RedisStore};
use cache_tests::fixture::{MINUTE, attach, entry, names, token};
use cache_tests::server::{RedisServer, free_port, until};

const KEY: &str = "kind:fn:1";

/// A store that tells of connections lost and proven.
fn tracked(url: &str) -> RedisStore {
    let config = RedisConfig::new(url).unwrap().tracking(true);
    config.build().unwrap()
}

/// A store that notices a silent server soon.
fn quick(url: &str) -> RedisStore {
    RedisConfig::new(url)
        .unwrap()
        .tracking(true)
        .connect_timeout(Duration::from_millis(300))
        .ping_timeout(Duration::from_millis(100))
        .build()
        .unwrap()
}

/// Loads and stores something, and reads it back.
async fn round(store: &RedisStore, byte: u8) -> cache_core::Result<bool> {
    let tags = names(&["tag"]);
    let begin = Begin::new(KEY, token(byte), &tags).force(true);
    if store.begin(begin).await?.turn != Turn::Granted {
        return Ok(false);
    }
    let bytes = entry(token(byte), b"value");
    let stored = store
        .fill(Fill::new(KEY, token(byte), &bytes, MINUTE))
        .await?;
    let reading = store.read(Read::new(KEY, &tags)).await?;
    Ok(stored && reading.entry == Found::Bytes(bytes))
}

/// Clients of the server that are the store's: the question's own connection sets no name for
/// itself and is the one that runs CLIENT.
fn connections(server: &RedisServer) -> usize {
    clients(server).len()
}

/// The ids of the connections, but for those of this test's own commands, which Redis may not have seen closed.
fn clients(server: &RedisServer) -> Vec<String> {
    let list: String = server.command(&["CLIENT", "LIST"]);
    list.lines()
        .filter(|line| !line.contains("cmd=client"))
        .filter_map(|line| line.strip_prefix("id=")?.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_restart_heals_without_a_new_store() {
    let mut server = RedisServer::start();
    let store = tracked(&server.url());
    let events = attach(&store);
    assert!(round(&store, 1).await.unwrap());
    store.invalidate(&names(&["tag"])).await.unwrap();
    for byte in 2..5 {
        server.restart();
        until("the store works again", async || {
            matches!(round(&store, byte).await, Ok(true))
        })
        .await;
        until("it invalidates again", async || {
            store.invalidate(&names(&["tag"])).await.is_ok()
        })
        .await;
    }
    let seen = events.connections();
    assert!(
        seen.starts_with(&["proven", "lost"]) && seen.ends_with(&["lost", "proven"]),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_program_starts_while_redis_is_down() {
    let mut server = RedisServer::start();
    server.kill();
    let store = tracked(&server.url());
    let events = attach(&store);
    let error = round(&store, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("refused"), "{error}");
    server.restart();
    until("the store works", async || {
        matches!(round(&store, 1).await, Ok(true))
    })
    .await;
    assert_eq!(
        events.connections(),
        ["proven"],
        "what never was there was not lost"
    );
}

#[tokio::test]
async fn while_redis_is_down_calls_fail_at_once() {
    let store = quick(&format!("redis://127.0.0.1:{}", free_port()));
    let _events = attach(&store);
    let attempts = async {
        for _ in 0..2000 {
            let error = store.read(Read::new(KEY, &[])).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
    };
    // Each of them waiting for an attempt's backoff would take minutes.
    tokio::time::timeout(Duration::from_secs(10), attempts)
        .await
        .expect("at once");
    assert_eq!(
        store.probe().await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test]
async fn a_probe_connects_at_once() {
    let mut server = RedisServer::start();
    let store = quick(&server.url());
    let _events = attach(&store);
    store.probe().await.unwrap();
    server.kill();
    until("the loss is noticed", async || store.probe().await.is_err()).await;
    server.restart();
    // However long the wait for the next attempt had become.
    store.probe().await.unwrap();
    assert!(round(&store, 1).await.unwrap());
}

#[tokio::test]
async fn first_calls_at_one_time_make_one_connection() {
    let server = RedisServer::start();
    let store = Arc::new(tracked(&server.url()));
    let _events = attach(&*store);
    let before: u64 = server.connections_taken();
    let calls: Vec<_> = (0..100)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = format!("key{n}");
                store.read(Read::new(&key, &[])).await.unwrap();
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    // One is the store's, the other asks.
    assert_eq!(server.connections_taken(), before + 2);
    assert_eq!(connections(&server), 1);
    store.invalidate(&names(&["tag"])).await.unwrap();
    assert_eq!(connections(&server), 2);
    drop(store);
    until("the dropped store has hung up", async || {
        connections(&server) == 0
    })
    .await;
}

#[tokio::test]
async fn dropped_calls_do_not_poison_the_connection() {
    let server = RedisServer::start();
    let store = tracked(&server.url());
    let events = attach(&store);
    assert!(round(&store, 1).await.unwrap());
    let tags = names(&["a", "b", "c"]);
    for polls in 0..200 {
        let mut call = store.read(Read::new(KEY, &tags));
        for _ in 0..polls % 4 {
            if poll_once(&mut call).is_ready() {
                break;
            }
        }
        drop(call);
        let reading = store.read(Read::new(KEY, &[])).await.unwrap();
        assert_eq!(reading.entry, Found::Bytes(entry(token(1), b"value")));
    }
    assert_eq!(connections(&server), 1);
    assert_eq!(events.connections(), ["proven"]);
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_found_again() {
    let server = RedisServer::start();
    let store = quick(&server.url());
    let events = attach(&store);
    assert!(round(&store, 1).await.unwrap());
    server.pause();
    let waiting = store.read(Read::new(KEY, &[]));
    assert!(
        tokio::time::timeout(Duration::from_millis(20), waiting)
            .await
            .is_err()
    );
    // Nothing else is called: the one dropped call is what gives the connection away.
    until("the connection is given up", async || {
        events.connections() == ["proven", "lost"]
    })
    .await;
    until("calls fail by themselves", async || {
        let call = store.read(Read::new(KEY, &[]));
        matches!(
            tokio::time::timeout(Duration::from_secs(5), call).await,
            Ok(Err(_))
        )
    })
    .await;
    assert!(store.probe().await.is_err());
    server.resume();
    until("it is found again", async || store.probe().await.is_ok()).await;
    assert_eq!(events.connections()[..3], ["proven", "lost", "proven"]);
    assert!(round(&store, 2).await.unwrap());
}

#[tokio::test]
async fn a_probe_ends_by_itself_and_gives_a_silent_server_up() {
    let server = RedisServer::start();
    let store = quick(&server.url());
    let events = attach(&store);
    store.probe().await.unwrap();
    server.pause();
    let error = store.probe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("PING"), "{error}");
    until("the loss is told", async || {
        events.connections() == ["proven", "lost"]
    })
    .await;
    server.resume();
}

#[tokio::test]
async fn a_connection_that_is_killed_is_made_again_unasked() {
    let server = RedisServer::start();
    let store = tracked(&server.url());
    let events = attach(&store);
    assert!(round(&store, 1).await.unwrap());
    for round in 1..4 {
        let clients = clients(&server);
        assert_eq!(clients.len(), 1);
        let killed: u64 = server.command(&["CLIENT", "KILL", "ID", &clients[0]]);
        assert_eq!(killed, 1);
        until("it is back", async || {
            events.connections().len() == 1 + 2 * round
        })
        .await;
        assert_eq!(connections(&server), 1);
    }
    assert_eq!(
        events.connections(),
        [&["proven"][..], &["lost", "proven"].repeat(3)].concat()
    );
    assert!(round(&store, 2).await.unwrap());
}

#[test]
fn calls_need_no_runtime_of_the_caller() {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    fn wait<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    let server = RedisServer::start();
    let store = tracked(&server.url());
    let _events = attach(&store);
    wait(store.probe()).unwrap();
    assert!(wait(round(&store, 1)).unwrap());
    wait(store.invalidate(&names(&["tag"]))).unwrap();
    // A call that is dropped has its connection checked, which needs no runtime here either.
    drop(poll_once(&mut store.read(Read::new(KEY, &[]))));
    wait(store.remove(&names(&[KEY]))).unwrap();
}
