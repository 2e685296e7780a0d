//! What happens between a store and its server: a failover behind one name, slow answers, cuts.

use std::time::Duration;

use cache_core::ErrorKind;
use cache_core::store::{Begin, Fill, Found, Read, Store, Turn};
use cache_redis::{RedisConfig, RedisStore};
use cache_tests::fixture::{MINUTE, attach, entry, names, token};
use cache_tests::proxy::Proxy;
use cache_tests::server::{RedisServer, until};

const KEY: &str = "kind:fn:1";

async fn put(store: &RedisStore, payload: &[u8]) -> cache_core::Result<bool> {
    let begin = Begin::new(KEY, token(1), &[]).force(true);
    if store.begin(begin).await?.turn != Turn::Granted {
        return Ok(false);
    }
    let bytes = entry(token(1), payload);
    store.fill(Fill::new(KEY, token(1), &bytes, MINUTE)).await
}

/// A store that tells of connections lost and proven.
fn tracked(url: &str) -> RedisStore {
    let config = RedisConfig::new(url).unwrap().tracking(true);
    config.build().unwrap()
}

#[tokio::test]
async fn a_failover_behind_one_name_is_followed() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let proxy = Proxy::start(old.port()).await;
    let store = tracked(&proxy.url());
    let _events = attach(&store);
    assert!(put(&store, b"old").await.unwrap());
    store.invalidate(&names(&["tag"])).await.unwrap();

    // The old primary stays up as a replica, and so do the connections to it.
    proxy.switch(new.port());
    old.command::<()>(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    until("the new primary is found", async || {
        put(&store, b"new").await.is_ok() && store.invalidate(&names(&["tag"])).await.is_ok()
    })
    .await;
    assert_eq!(new.command::<u8>(&["EXISTS", "test:e:{kind:fn:1}"]), 1);
}

#[tokio::test]
async fn a_busy_connection_is_not_a_silent_one() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let ping_timeout = Duration::from_millis(100);
    let config = RedisConfig::new(&proxy.url())
        .unwrap()
        .tracking(true)
        .ping_timeout(ping_timeout);
    let store = config.build().unwrap();
    let events = attach(&store);
    let large = vec![7; 1 << 20];
    assert!(put(&store, &large).await.unwrap());

    // More than half a second's worth of answer is under way when the call is dropped.
    proxy.slow(true);
    let begun = proxy.answered();
    let call = store.read(Read::new(KEY, &[]));
    tokio::select! {
        outcome = call => panic!("so soon? {outcome:?}"),
        () = until("the answer is under way", async || proxy.answered() > begun) => {}
    }
    let small = store.read(Read::new("another", &[])).await.unwrap();
    assert_eq!(small.entry, Found::Nothing);
    assert_eq!(events.connections(), ["proven"]);
}

#[tokio::test]
async fn a_cut_in_mid_answer_fails_the_call_and_heals() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = tracked(&proxy.url());
    let events = attach(&store);
    let large = vec![7; 1 << 20];
    assert!(put(&store, &large).await.unwrap());
    for _ in 0..3 {
        proxy.slow(true);
        let call = store.read(Read::new(KEY, &[]));
        let cut = async {
            let begun = proxy.answered();
            until("the answer is under way", async || {
                proxy.answered() > begun + (99 << 10)
            })
            .await;
            proxy.cut();
            proxy.slow(false);
        };
        let (outcome, ()) = tokio::join!(call, cut);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
        until("the whole value comes", async || {
            match store.read(Read::new(KEY, &[])).await {
                Ok(reading) => reading.entry == Found::Bytes(entry(token(1), &large)),
                Err(_) => false,
            }
        })
        .await;
    }
    assert_eq!(
        events.connections(),
        [&["proven"][..], &["lost", "proven"].repeat(3)].concat()
    );
}
