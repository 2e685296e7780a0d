//! Users' own code that the cache runs at odd moments, and that calls cached functions there: the `Drop`
//! of a value, the expression of a `ttl`, a task on the cache's own thread.

use std::mem::forget;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::test::{Op, TestCache};
use cache_core::{Cache, Env, Error, Invalidation, Policy, cached, invalidates, updates};
use cache_redis::RedisStore;
use cache_tests::server::RedisServer;
use serde::{Deserialize, Deserializer, Serialize};

/// Runs `run` on a thread of its own, which must come to an end.
fn ends<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(run()));
    told.recv_timeout(Duration::from_mins(1))
        .expect("a cached function waits for a lock of the cache's own")
}

static SMALL: LazyLock<Cache> = LazyLock::new(|| Cache::builder().capacity(64 << 10).build());

/// Calls a cached function when it is dropped.
#[derive(Clone, Serialize, Deserialize)]
struct Parting(Vec<u8>);

impl Drop for Parting {
    fn drop(&mut self) {
        static DROPS: AtomicU64 = AtomicU64::new(0);
        let drops = DROPS.fetch_add(1, Ordering::Relaxed);
        assert_eq!(remembered(drops % 300), drops % 300);
    }
}

#[cached(kind = "parting", cache = SMALL)]
fn parting(id: u64) -> Parting {
    Parting(vec![id.to_le_bytes()[0]; 2_000])
}

#[cached(kind = "remembered", cache = SMALL)]
fn remembered(id: u64) -> u64 {
    id
}

#[test]
fn a_value_may_call_cached_functions_when_it_is_dropped() {
    ends(|| -> Result<(), Error> {
        for id in 0..400 {
            assert_eq!(parting(id).0.len(), 2_000);
            parting::refresh(id);
            if id % 3 == 0 {
                parting::invalidate(id)?;
            }
        }
        Ok(())
    })
    .expect("numbers make keys");
    let kinds = SMALL.snapshot().kinds;
    assert!(kinds["parting"].evictions > 0, "some made room");
    assert!(kinds["remembered"].misses > 0, "some were dropped");
}

/// Calls a cached function for each of the cache's locks, once it is armed, whenever one is dropped.
#[derive(Clone, Serialize, Deserialize)]
struct Nosy<const WHERE: usize>(Vec<u8>);

static ARMED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];
static ASKED: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

impl<const WHERE: usize> Drop for Nosy<WHERE> {
    fn drop(&mut self) {
        // Not while it asks: what it is told is no reason to ask again.
        if ARMED[WHERE].swap(false, Ordering::SeqCst) {
            let asked = ASKED[WHERE].fetch_add(1, Ordering::SeqCst);
            // The store in memory has one lock, flights have many.
            for id in 0..[400, 400, 4][WHERE] {
                let id = asked * 400 + id;
                let told = [told_of_retired, told_of_large, told_of_shared][WHERE](id);
                assert_eq!(told, id);
            }
            ARMED[WHERE].store(true, Ordering::SeqCst);
        }
    }
}

static RETIRED: LazyLock<TestCache> = LazyLock::new(|| {
    TestCache::with(|builder| builder.policy("retired", Policy::new().local(false)))
});

#[cached(kind = "retired", ttl = "1m", stale_while_revalidate = "1h", cache = **RETIRED)]
async fn retired(id: u8) -> Nosy<0> {
    tokio::task::yield_now().await;
    Nosy(vec![id])
}

#[cached(kind = "told_of_retired", ttl = "1h", cache = **RETIRED)]
fn told_of_retired(id: u64) -> u64 {
    id
}

#[test]
fn a_stale_value_may_call_cached_functions_when_it_is_served_no_longer() {
    ends(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            assert_eq!(retired(7).await.0, [7]);
            RETIRED.clock().advance(Duration::from_mins(2));
            ARMED[0].store(true, Ordering::SeqCst);
            assert_eq!(retired(7).await.0, [7]);
        });
    });
    assert!(ASKED[0].load(Ordering::SeqCst) > 0, "some were dropped");
}

static LARGE: LazyLock<Cache> = LazyLock::new(|| Cache::builder().capacity(64 << 10).build());

#[cached(kind = "large", ttl = "1h", cache = LARGE)]
fn large(id: u8) -> Nosy<1> {
    Nosy(vec![id; 9_000])
}

#[updates(large(id))]
fn write_large(id: u8) -> Nosy<1> {
    Nosy(vec![id; 9_000])
}

#[cached(kind = "told_of_large", ttl = "1h", cache = LARGE)]
fn told_of_large(id: u64) -> u64 {
    id
}

#[test]
fn a_value_that_is_not_kept_may_call_cached_functions_when_it_is_dropped() {
    ends(|| {
        assert_eq!(large(7).0.len(), 9_000);
        ARMED[1].store(true, Ordering::SeqCst);
        assert_eq!(write_large(7).0.len(), 9_000);
    });
    assert!(ASKED[1].load(Ordering::SeqCst) > 0, "some were dropped");
}

static SERVER: LazyLock<MemoryServer> = LazyLock::new(|| MemoryServer::new(Env::system()));
static NODES: LazyLock<[Cache; 2]> =
    LazyLock::new(|| [0, 1].map(|_| Cache::builder().shared(SERVER.store()).build()));

#[cached(kind = "shared", ttl = "1h")]
fn shared(id: u8) -> Nosy<2> {
    Nosy(vec![id])
}

#[cached(kind = "told_of_shared", ttl = "1h", cache = NODES[0])]
fn told_of_shared(id: u64) -> u64 {
    id
}

#[test]
fn a_value_may_ask_the_shared_tier_that_tells_of_its_end() {
    ends(|| {
        NODES[0].scope_blocking(|| (0..200).for_each(|id| drop(shared(id))));
        ARMED[2].store(true, Ordering::SeqCst);
        // What the second node stores ends what the first one has, on this thread. Nothing else is dropped: what would be
        // asked then has the first node drop all it has to, while nobody tells it anything.
        NODES[1].scope_blocking(|| (0..200).for_each(|id| forget(shared::refresh(id))));
    });
    assert!(ASKED[2].load(Ordering::SeqCst) > 0, "some were dropped");
}

static TREE: LazyLock<Cache> = LazyLock::new(|| Cache::builder().build());

/// Knows its parent, which it asks for when it is read, and when it is dropped.
#[derive(Clone, Serialize)]
struct Category {
    id: u64,
    #[serde(skip)]
    parent: Option<u64>,
}

impl Category {
    fn of(id: u64) -> Self {
        let parent = (id > 0).then(|| category(id / 2).id);
        Self { id, parent }
    }
}

impl<'de> Deserialize<'de> for Category {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::of(u64::deserialize(from)?))
    }
}

impl Drop for Category {
    fn drop(&mut self) {
        if let Some(parent) = self.parent {
            assert_eq!(
                category::peek(parent).map_or(parent, |found| found.id),
                parent
            );
        }
    }
}

#[cached(kind = "category", ttl = "1h", cache = TREE)]
fn category(id: u64) -> Category {
    Category::of(id)
}

#[test]
fn a_value_may_call_its_own_function_when_it_is_read_and_dropped() {
    assert_eq!(ends(|| (category(8).id, category(8).parent)), (8, Some(4)));
    assert_eq!(TREE.snapshot().kinds["category"].loads, 5, "8, 4, 2, 1, 0");
}

#[cached(kind = "listed", ttl = "1h", each = ids)]
async fn listed(ids: &[u64]) -> Vec<(u64, u64)> {
    // All that the task may do in one go.
    while tokio::task::coop::has_budget_remaining() {
        tokio::task::consume_budget().await;
    }
    ids.iter().map(|id| (*id, *id)).collect()
}

#[tokio::test]
async fn a_batch_has_asked_for_all_to_be_stored_however_busy_its_task_is() {
    let cache = TestCache::new();
    let ids: Vec<u64> = (0..30).collect();
    assert_eq!(cache.scope(listed(&ids)).await.len(), 30);
    assert_eq!(cache.faults().calls(Op::Fill), 30);
}

#[derive(Clone, Serialize, Deserialize)]
struct List {
    name: Option<String>,
    rest: Option<Box<List>>,
}

#[cached(kind = "long", ttl = "1h")]
fn long(length: usize) -> List {
    (0..length).fold(
        List {
            name: None,
            rest: None,
        },
        |list, _| List {
            name: None,
            rest: Some(Box::new(list)),
        },
    )
}

#[test]
fn weighing_a_value_goes_no_deeper_than_storing_it() {
    let cache = Cache::builder().build();
    // Deep enough to be too much for the stack, and not too much for dropping and cloning it.
    let thread = thread::Builder::new().stack_size(1 << 20).spawn(move || {
        cache.scope_blocking(|| assert!(long(1_200).rest.is_some()));
    });
    thread.expect("a thread").join().expect("it ends well");
}

#[cached(kind = "lifetime", ttl = "1h")]
fn lifetime() -> Duration {
    Duration::from_mins(1)
}

#[cached(kind = "configured", ttl = lifetime())]
fn configured(id: u64) -> u64 {
    id
}

#[test]
fn a_ttl_may_come_from_a_cached_function() {
    let cache = Cache::builder().build();
    let of = cache.clone();
    ends(move || of.scope_blocking(|| assert_eq!((configured(7), configured(7)), (7, 7))));
    assert_eq!(cache.snapshot().kinds["configured"].hits(), 1);
}

#[cached(kind = "plain", ttl = "1h", cache = cache, key(id))]
fn plain(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[invalidates(kind = "plain", cache = cache)]
fn change(cache: &Cache) {
    let _ = cache;
}

#[test]
fn the_cache_s_own_thread_never_waits_for_itself() -> Result<(), Error> {
    let server = RedisServer::start();
    let cache = Cache::builder()
        .shared(RedisStore::new(&server.url())?)
        .try_build()?;
    assert_eq!(plain(&cache, 7), 7);
    ends(move || {
        let (tell, told) = mpsc::channel();
        let of = cache.clone();
        Env::system().spawn(async move {
            let seen = (plain(&of, 8), plain::peek(&of, 7));
            change(&of);
            let started = [
                of.invalidate_tag_blocking("x").ok(),
                of.invalidate_kind_blocking("plain").ok(),
                Some(of.invalidate_tags_blocking([])),
                plain::key(7)
                    .ok()
                    .map(|key| of.invalidate_key_blocking(key)),
                plain::invalidate(&of, 7).ok(),
                Some(of.clear_blocking()),
            ];
            let collected = of.transaction_blocking(|| of.invalidate_tag_blocking("x"));
            let _ = tell.send((seen, started, collected.ok()));
        });
        let (seen, started, collected) = told
            .recv_timeout(Duration::from_secs(30))
            .expect("nothing is waited for");
        assert_eq!(seen, (8, None), "it runs past the cache");
        let (begun, nothing) = (Some(Invalidation::Started), Some(Invalidation::Applied));
        assert_eq!(started, [begun, begun, nothing, begun, begun, begun]);
        assert_eq!(collected, Some(Invalidation::Collected));
        // It still drives what others wait for.
        let invalidated = cache.invalidate_kind_blocking("plain");
        assert_eq!(invalidated.ok(), Some(Invalidation::Applied));
    });
    Ok(())
}

/// What a static holds is not dropped when the process ends, and a server would go on.
static HEARING: Mutex<Option<RedisServer>> = Mutex::new(None);
static HEARS: LazyLock<Cache> = LazyLock::new(node);

fn node() -> Cache {
    let mut server = HEARING.lock().unwrap_or_else(PoisonError::into_inner);
    let url = server.get_or_insert_with(RedisServer::start).url();
    let store = RedisStore::new(&url).expect("a server");
    Cache::builder().shared(store).build()
}

/// Stops that server.
struct Stopping;

impl Drop for Stopping {
    fn drop(&mut self) {
        HEARING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// Panics, once, where it is dropped by the cache's own thread.
#[derive(Clone, Serialize, Deserialize)]
struct Rude(u64);

static PANICKED: AtomicBool = AtomicBool::new(false);

impl Drop for Rude {
    fn drop(&mut self) {
        let on_own = thread::current().name() == Some("cache-driver");
        assert!(
            !on_own || PANICKED.swap(true, Ordering::SeqCst),
            "this panic is meant"
        );
    }
}

#[cached(kind = "rude", ttl = "1h", cache = HEARS)]
fn rude(id: u64) -> Rude {
    Rude(id)
}

#[test]
fn a_value_that_panics_when_it_is_dropped_ends_no_connection() {
    let _stopping = Stopping;
    ends(|| {
        let other = node();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        // What has left the table is dropped by whoever takes the next thing out: many at a time, all of them told of
        // on the cache's own thread.
        while !PANICKED.load(Ordering::SeqCst) {
            for id in 0..200 {
                assert_eq!(rude(id).0, id);
            }
            for id in 0..200 {
                let key = rude::key(id).expect("a number makes a key");
                assert_eq!(other.invalidate_key_blocking(key), Invalidation::Applied);
            }
            while HEARS.snapshot().kinds["rude"].local_entries > 0 {
                thread::yield_now();
            }
        }
        runtime
            .block_on(HEARS.check_shared())
            .expect("it is still connected");
        assert_eq!(HEARS.snapshot().trust_lost, 0, "and was all the time");
    });
}
