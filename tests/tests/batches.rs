//! Batches: one look at all elements, one run of the function for those that are missing, and each
//! element an entry like any other.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_core::__private::{
    Given, Instance, Site, Spec, Ticket, batch, element, elements, load, lookup, shape,
};
use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env, Policy, Tag, cached};
use cache_redis::RedisStore;
use cache_tests::gate::{Gates, Op, gated};
use cache_tests::proxy::Proxy;
use cache_tests::server::RedisServer;
use tokio::sync::Notify;
use tokio::time::timeout;

type Users = HashMap<u64, String>;
type Found = Result<Users, &'static str>;

static SITE: Site = Site::new(Spec {
    module: "batches",
    name: "user",
    kind: "user",
    file: "batches.rs",
    line: 1,
    column: 1,
    path: || "batches::user",
    policy: Given::Known(Policy::new()),
    schema: None,
    version: 0,
    own_ttl: false,
    late_tags: false,
    tags: &[],
});

/// What the function is asked for, each time it runs.
#[derive(Default)]
struct Source {
    asked: Mutex<Vec<Vec<u64>>>,
    failing: Mutex<bool>,
    /// Where the function stops until it is told to go on.
    gate: Option<(Arc<Notify>, Arc<Notify>)>,
}

impl Source {
    async fn users(&self, ids: &[u64]) -> Result<Users, &'static str> {
        self.asked.lock().unwrap().push(ids.to_vec());
        if let Some((arrived, go)) = &self.gate {
            arrived.notify_one();
            go.notified().await;
        }
        if *self.failing.lock().unwrap() {
            return Err("no database");
        }
        let known = ids.iter().filter(|id| **id < 100);
        Ok(known.map(|id| (*id, format!("user {id}"))).collect())
    }

    fn asked(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn users(cache: &Cache, source: &Source, ids: &[u64]) -> Result<Users, &'static str> {
    batch::<Found, _, _, _, _, _, _>(
        shape!(Found),
        elements(ids),
        |id| {
            let shape = element::<Found, _, _, _, _, false, false>(shape!(Found));
            lookup(&SITE, Instance::SOLE, shape, Some(cache), &(id,), |tags| {
                use cache_core::__private::Part::{Text, Value};
                tags.tag(&[Text("user:"), Value(id)]);
            })
        },
        |missing: Vec<u64>| async move { source.users(&missing).await },
    )
    .await
}

/// The function for one element, over the same entries.
async fn user(cache: &Cache, loads: &AtomicUsize, id: u64) -> Option<String> {
    let shape = shape!(Option<String>);
    let found: Result<_, Ticket<Option<String>, _>> =
        lookup(&SITE, Instance::SOLE, shape, Some(cache), &(id,), |tags| {
            use cache_core::__private::Part::{Text, Value};
            tags.tag(&[Text("user:"), Value(&id)]);
        });
    match found {
        Ok(value) => value,
        Err(ticket) => {
            load(ticket, async {
                loads.fetch_add(1, Ordering::Relaxed);
                Some(format!("user {id}"))
            })
            .await
        }
    }
}

fn caches() -> Vec<Cache> {
    let server = MemoryServer::new(Env::system());
    vec![
        Cache::builder().build(),
        Cache::builder().shared(server.store()).build(),
    ]
}

fn named(ids: &[u64]) -> Users {
    ids.iter().map(|id| (*id, format!("user {id}"))).collect()
}

#[tokio::test]
async fn only_what_is_missing_is_asked_for() {
    for cache in caches() {
        let source = Source::default();
        assert_eq!(
            users(&cache, &source, &[1, 2, 2, 3]).await,
            Ok(named(&[1, 2, 3]))
        );
        assert_eq!(source.asked(), [vec![1, 2, 3]]);
        assert_eq!(
            users(&cache, &source, &[3, 4, 1]).await,
            Ok(named(&[1, 3, 4]))
        );
        assert_eq!(source.asked(), [vec![4]]);
        assert_eq!(users(&cache, &source, &[4, 3]).await, Ok(named(&[3, 4])));
        assert!(source.asked().is_empty());
        assert_eq!(users(&cache, &source, &[]).await, Ok(Users::new()));

        // Each is an entry of its own.
        cache.invalidate_tag("user:3").await.unwrap();
        assert_eq!(
            users(&cache, &source, &[1, 3, 4]).await,
            Ok(named(&[1, 3, 4]))
        );
        assert_eq!(source.asked(), [vec![3]]);
        // What there is nothing of is no entry.
        assert_eq!(users(&cache, &source, &[1, 100]).await, Ok(named(&[1])));
        assert_eq!(users(&cache, &source, &[1, 100]).await, Ok(named(&[1])));
        assert_eq!(source.asked(), [vec![100], vec![100]]);
    }
}

#[tokio::test]
async fn elements_are_those_of_the_function_for_one() {
    for cache in caches() {
        let (source, loads) = (Source::default(), AtomicUsize::new(0));
        user(&cache, &loads, 1).await;
        users(&cache, &source, &[1, 2]).await.unwrap();
        assert_eq!(source.asked(), [vec![2]]);
        assert_eq!(user(&cache, &loads, 2).await, Some("user 2".to_owned()));
        assert_eq!(loads.into_inner(), 1);
    }
}

#[tokio::test]
async fn a_failure_is_the_callers_and_leaves_nothing_behind() {
    for cache in caches() {
        let source = Source::default();
        users(&cache, &source, &[1]).await.unwrap();
        *source.failing.lock().unwrap() = true;
        assert_eq!(users(&cache, &source, &[1, 2]).await, Err("no database"));
        assert_eq!(users(&cache, &source, &[1]).await, Ok(named(&[1])), "a hit");
        *source.failing.lock().unwrap() = false;
        source.asked();
        assert_eq!(users(&cache, &source, &[1, 2]).await, Ok(named(&[1, 2])));
        assert_eq!(source.asked(), [vec![2]]);
    }
}

#[tokio::test]
async fn two_batches_in_opposite_order_share_their_loads_and_never_wait_for_each_other() {
    for cache in caches() {
        let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let gated = || Source {
            gate: Some((Arc::clone(&arrived), Arc::clone(&go))),
            ..Source::default()
        };
        let (first, second) = (gated(), gated());
        let both = async {
            tokio::join!(
                biased;
                users(&cache, &first, &[1, 2, 3]),
                async {
                    arrived.notified().await;
                    // It leads 5 and 4, and waits for 3 and 2.
                    users(&cache, &second, &[5, 3, 4, 2]).await
                },
                async {
                    arrived.notified().await;
                    go.notify_waiters();
                    go.notify_one();
                }
            )
        };
        let (one, other, ()) = timeout(Duration::from_secs(10), both)
            .await
            .expect("no deadlock");
        assert_eq!(one, Ok(named(&[1, 2, 3])));
        assert_eq!(other, Ok(named(&[2, 3, 4, 5])));
        assert_eq!(first.asked(), [vec![1, 2, 3]]);
        assert_eq!(second.asked(), [vec![5, 4]]);
    }
}

#[tokio::test]
async fn an_element_invalidated_during_its_load_is_not_stored() {
    for cache in caches() {
        let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let source = Source {
            gate: Some((Arc::clone(&arrived), Arc::clone(&go))),
            ..Source::default()
        };
        let (loaded, ()) = tokio::join!(users(&cache, &source, &[1, 2]), async {
            arrived.notified().await;
            cache.invalidate_tags([Tag::new("user:1").unwrap()]).await;
            go.notify_one();
        });
        assert_eq!(loaded, Ok(named(&[1, 2])));
        source.asked();
        go.notify_one();
        users(&cache, &source, &[1, 2]).await.unwrap();
        assert_eq!(source.asked(), [vec![1]]);
    }
}

/// A node whose store's answers to a fill can be held back.
fn held_back() -> (Cache, Gates) {
    let (store, gates) = gated(MemoryServer::new(Env::system()).store());
    let builder = Cache::builder().shared(store);
    let cache = builder.store_timeout(Duration::from_secs(20)).build();
    (cache, gates)
}

/// The values are there: whether they are stored is the store's to say, and the caller need not hear it.
/// Nobody loads meanwhile what is only still to be acknowledged.
#[tokio::test]
async fn a_batch_does_not_wait_for_what_it_stores_to_be_acknowledged() {
    let (cache, gates) = held_back();
    let source = Source::default();
    gates.hold_replies(Op::Fill);
    let early = timeout(Duration::from_secs(10), users(&cache, &source, &[1, 2]));
    assert_eq!(early.await.expect("nobody answers"), Ok(named(&[1, 2])));
    // All of them were asked for by then.
    assert_eq!(gates.calls(Op::Fill), 2);
    assert_eq!(source.asked(), [vec![1, 2]]);

    let (next, ()) = tokio::join!(biased; users(&cache, &source, &[2, 1]), async {
        gates.held(Op::Fill, 2).await;
        gates.open(Op::Fill);
    });
    assert_eq!(next, Ok(named(&[1, 2])));
    assert!(source.asked().is_empty(), "it was loaded");
    // And kept, here too.
    let reads = gates.calls(Op::Read);
    users(&cache, &source, &[1, 2]).await.unwrap();
    assert_eq!(gates.calls(Op::Read), reads);
}

/// Guards G6 and G7: the caller that has its values is not the last word on them.
#[tokio::test]
async fn what_is_invalidated_before_it_is_acknowledged_is_not_kept() {
    let (cache, gates) = held_back();
    let source = Source::default();
    gates.hold_replies(Op::Fill);
    users(&cache, &source, &[1, 2]).await.unwrap();
    source.asked();
    cache.invalidate_tag("user:1").await.unwrap();
    let (next, ()) = tokio::join!(biased; users(&cache, &source, &[1, 2]), async {
        gates.held(Op::Fill, 2).await;
        gates.open(Op::Fill);
    });
    assert_eq!(next, Ok(named(&[1, 2])));
    assert_eq!(source.asked(), [vec![1]]);
    users(&cache, &source, &[1, 2]).await.unwrap();
    assert!(source.asked().is_empty());
}

/// What nobody waits for is bounded (invariant 5).
#[tokio::test]
async fn a_store_that_is_slow_to_acknowledge_is_not_outrun() {
    #[cached(kind = "many", each = ids)]
    async fn many(ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }

    let (cache, gates) = held_back();
    gates.hold_replies(Op::Fill);
    let most: Vec<u64> = (0..4096).collect();
    let early = timeout(Duration::from_mins(1), cache.scope(many(&most)));
    assert_eq!(early.await.expect("nobody answers").len(), most.len());
    let ended = Cell::new(false);
    tokio::join!(
        biased;
        async {
            cache.scope(many(&[4096])).await;
            ended.set(true);
        },
        async {
            gates.held(Op::Fill, most.len() + 1).await;
            assert!(!ended.get(), "it did not wait");
            gates.open(Op::Fill);
        }
    );
}

/// The plain call holds the only thread that could end the async load: it runs by itself.
#[tokio::test]
async fn a_plain_call_does_not_wait_for_a_batch_on_its_own_thread() {
    #[cached(kind = "plainly")]
    fn one(id: u64) -> u64 {
        id
    }

    #[cached(each = ids, entries_of = one, skip(arrived, go))]
    async fn many(ids: &[u64], arrived: &Notify, go: &Notify) -> HashMap<u64, u64> {
        arrived.notify_one();
        go.notified().await;
        ids.iter().map(|id| (*id, *id)).collect()
    }

    for cache in caches() {
        let (arrived, go) = (Notify::new(), Notify::new());
        let both = cache.scope(async {
            tokio::join!(many(&[1, 2], &arrived, &go), async {
                arrived.notified().await;
                let began = Instant::now();
                assert_eq!(one(1), 1);
                assert!(
                    began.elapsed() < Duration::from_secs(20),
                    "it waited to the bound"
                );
                go.notify_one();
            })
        });
        assert_eq!(both.await.0.len(), 2);
    }
}

/// Its elements would outlive what invalidates those of the function for one.
#[tokio::test]
async fn a_batch_that_forgets_a_tag_shares_nothing() {
    #[cached(kind = "forgotten", tags("one:{id}"))]
    async fn one(id: u64) -> u64 {
        id
    }

    #[cached(each = ids, entries_of = one)]
    async fn forgetful(ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }

    #[cached(tags("one:{ids}"), each = ids, entries_of = one)]
    async fn mindful(ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }

    let cache = Cache::builder().build();
    cache
        .scope(async {
            assert_eq!(forgetful(&[1, 2]).await.len(), 2);
            assert!(one::peek(1).await.is_none());
            mindful(&[1, 2]).await;
            assert_eq!(one::peek(1).await, Some(1));
            cache.invalidate_tag("one:1").await.unwrap();
            assert!(one::peek(1).await.is_none());
        })
        .await;
}

/// A hundred elements cost a round trip where they are stored, and three beside the load where they are
/// not: every piece of an answer, as it comes out of the network, is late by far more than all the rest
/// takes together. The pieces are counted, one after the other as they come: a machine that stands still for
/// a moment says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_elements_take_the_round_trips_of_one() {
    const LATE: Duration = Duration::from_millis(100);

    let redis = RedisServer::start();
    let cache = |url: &str| {
        let store = RedisStore::builder(url)
            .and_then(cache_redis::RedisConfig::build)
            .expect("a good URL");
        let builder = Cache::builder().shared(store);
        builder.store_timeout(Duration::from_secs(5)).build()
    };
    let proxy = Proxy::start(redis.port()).await;
    let (near, far) = (cache(&redis.url()), cache(&proxy.url()));
    let (source, known) = (Source::default(), (0..100).collect::<Vec<_>>());
    far.check_shared().await.expect("it is there");
    // The stamps that all elements share are made first: of a hundred calls that all find them missing, some
    // hear of it after others have made them, know no more what holds (guard G17), and store nothing.
    users(&near, &source, &[99]).await.unwrap();
    users(&near, &source, &known).await.unwrap();
    source.asked();

    proxy.delay(LATE);
    let (began, before) = (Instant::now(), proxy.pieces());
    assert_eq!(users(&far, &source, &known).await.unwrap().len(), 100);
    let (hits, asked) = (proxy.pieces() - before, source.asked());
    let took = began.elapsed();
    assert!(asked.is_empty(), "all were stored, but for {asked:?}");
    let unknown: Vec<u64> = (0..100).map(|id| id + 1_000).collect();
    let before = proxy.pieces();
    users(&far, &source, &unknown).await.unwrap();
    let misses = proxy.pieces() - before;
    assert_eq!(source.asked().len(), 1);
    println!("100 hits in {hits} pieces and {took:?}, 100 misses in {misses}, {LATE:?} a piece");
    // One after the other they would be a hundred, and three hundred. The answers to a hundred come in a
    // few pieces.
    assert!((1..10).contains(&hits), "{hits} pieces, {took:?}");
    assert!((2..15).contains(&misses), "{misses} pieces");
}
