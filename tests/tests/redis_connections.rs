//! One connection against several: whether what is small waits behind what is large.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::store::{Begin, Fill, Found, Read, Store};
use cache_redis::RedisConfig;
use cache_tests::fixture::{MINUTE, attach, entry, names, token};
use cache_tests::proxy::Proxy;
use cache_tests::server::{RedisServer, until};
use tokio::task::JoinSet;

const LARGE: &str = "kind:fn:large";
const SMALL: usize = 24;

/// What became of small calls while a large answer was on its way.
struct Outcome {
    /// Small reads that were answered before the large one.
    overtook: usize,
    /// The median of how long they took.
    median: Duration,
    /// How long the large one took.
    large: Duration,
    /// Whether an invalidation was answered before it.
    invalidated: bool,
}

async fn race(connections: usize) -> Outcome {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let config = RedisConfig::new(&proxy.url()).unwrap().tracking(true);
    let store = Arc::new(config.connections(connections).build().unwrap());
    let _events = attach(&*store);
    let begin = Begin::new(LARGE, token(1), &[]);
    store.begin(begin).await.unwrap();
    let bytes = entry(token(1), &vec![7; 2 << 20]);
    let fill = Fill::new(LARGE, token(1), &bytes, MINUTE);
    assert!(store.fill(fill).await.unwrap());
    let small = |number: usize| format!("kind:fn:{number}");
    // Every connection is there.
    for number in 0..SMALL {
        store.read(Read::new(&small(number), &[])).await.unwrap();
    }
    store.invalidate(&names(&["tag"])).await.unwrap();

    proxy.slow(true);
    let (begun, passed) = (Instant::now(), proxy.answered());
    let mut large = pin!(store.read(Read::new(LARGE, &[])));
    tokio::select! {
        outcome = &mut large => panic!("so soon? {outcome:?}"),
        () = until("the answer is under way", async || proxy.answered() > passed) => {}
    }
    let mut calls = JoinSet::new();
    for number in 0..SMALL {
        let store = store.clone();
        calls.spawn(async move {
            let begun = Instant::now();
            let reading = store.read(Read::new(&small(number), &[])).await.unwrap();
            assert_eq!(reading.entry, Found::Nothing);
            Some(begun.elapsed())
        });
    }
    let other = store.clone();
    calls.spawn(async move {
        other.invalidate(&names(&["tag"])).await.unwrap();
        None
    });
    let (mut overtook, mut invalidated) = (Vec::new(), false);
    let reading = loop {
        tokio::select! {
            biased;
            reading = &mut large => break reading.unwrap(),
            Some(call) = calls.join_next() => match call.unwrap() {
                Some(took) => overtook.push(took),
                None => invalidated = true,
            },
        }
    };
    let large = begun.elapsed();
    assert_eq!(reading.entry, Found::Bytes(bytes));
    let mut all = overtook.clone();
    while let Some(call) = calls.join_next().await {
        all.extend(call.unwrap());
    }
    all.sort_unstable();
    Outcome {
        overtook: overtook.len(),
        median: all[all.len() / 2],
        large,
        invalidated,
    }
}

#[tokio::test]
async fn a_large_value_holds_up_what_shares_its_connection_and_nothing_else() {
    let one = race(1).await;
    let several = race(6).await;
    for (connections, outcome) in [(1, &one), (6, &several)] {
        println!(
            "{connections} connections: the large value took {:?}, {} of {SMALL} small ones overtook \
             it, the median of all took {:?}",
            outcome.large, outcome.overtook, outcome.median
        );
        assert!(outcome.invalidated, "an invalidation waits behind no value");
    }
    assert_eq!(one.overtook, 0);
    // A sixth of them is expected to share its connection.
    assert!(several.overtook >= SMALL / 2, "{}", several.overtook);
    assert!(one.median > several.median * 4);
}
