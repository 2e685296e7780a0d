//! What must hold where other caches are known to fail, each against a real Redis where it is about
//! Redis; and what people ask others for in vain.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::time::{Duration, Instant};

use cache_core::{Cache, Invalidation, cached, invalidates};
use cache_redis::RedisStore;
use cache_tests::server::{RedisServer, free_port, until};
use cache_tests::source::Source;

#[cached(kind = "peer", ttl = "1h", skip(source), tags("peer:{id}"))]
async fn get(source: &Source, id: u64) -> Result<u64, String> {
    Ok(source.load().await + id)
}

fn cache_at(url: &str) -> Cache {
    let store = RedisStore::new(url).expect("a good URL");
    Cache::builder()
        .shared(store)
        .store_timeout(Duration::from_secs(2))
        .build()
}

async fn call(cache: &Cache, source: &Source, id: u64) -> u64 {
    cache.scope(get(source, id)).await.expect("it never fails")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_work_again_after_redis_restarted() {
    let mut server = RedisServer::start();
    let (one, two) = (cache_at(&server.url()), cache_at(&server.url()));
    let source = Source::new(1);
    assert_eq!(call(&one, &source, 1).await, 2);
    server.kill();
    for id in 1..10 {
        assert_eq!(call(&one, &source, id).await, 1 + id, "while it is down");
    }
    server.restart();
    until("both nodes share values again", async || {
        for cache in [&one, &two] {
            assert_eq!(call(cache, &source, 50).await, 51);
        }
        let loads = source.loads();
        for cache in [&one, &two] {
            assert_eq!(call(cache, &source, 50).await, 51);
        }
        source.loads() == loads && one.health().usable && two.health().usable
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_call_while_redis_is_down_is_answered_at_once() {
    let cache = cache_at(&format!("redis://127.0.0.1:{}", free_port()));
    let source = Source::new(1);
    let begun = Instant::now();
    for id in 0..10 {
        assert_eq!(call(&cache, &source, id).await, 1 + id);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert!(cache.snapshot().kinds["peer"].store_errors > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_delays_no_call_beyond_the_store_timeout() {
    let server = RedisServer::start();
    let store = RedisStore::new(&server.url()).expect("a good URL");
    let timeout = Duration::from_millis(200);
    let cache = Cache::builder()
        .shared(store)
        .store_timeout(timeout)
        .build();
    let source = Source::new(1);
    call(&cache, &source, 1).await;
    server.pause();
    for id in 0..8 {
        let begun = Instant::now();
        assert_eq!(call(&cache, &source, id).await, 1 + id);
        // What is beyond is the machine's, which other tests keep busy.
        assert!(begun.elapsed() < timeout * 4, "{:?}", begun.elapsed());
    }
    assert!(!cache.health().usable, "the breaker is open");
    server.resume();
    until("it is used again", async || cache.health().usable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_changes_no_result() {
    let server = RedisServer::options()
        .arguments(["--maxmemory", "1", "--maxmemory-policy", "noeviction"])
        .start();
    let cache = cache_at(&server.url());
    let source = Source::new(1);
    for id in 0..5 {
        assert_eq!(call(&cache, &source, id).await, 1 + id);
    }
    let figures = &cache.snapshot().kinds["peer"];
    assert!(figures.store_errors >= 5, "{figures:?}");
    let outcome = cache.invalidate_tag("peer:1").await.expect("a tag");
    assert_eq!(outcome, Invalidation::Applied, "removing needs no memory");
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    let loads = source.loads();
    call(&cache, &source, 1).await;
    call(&cache, &source, 1).await;
    assert_eq!(
        source.loads(),
        loads + 1,
        "and it is used once there is room"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_redis_changes_no_result_and_keeps_invalidations() {
    let server = RedisServer::start();
    let cache = cache_at(&server.url());
    let source = Source::new(1);
    assert_eq!(call(&cache, &source, 1).await, 2);
    // A replica of nobody.
    let port = free_port().to_string();
    server.command::<()>(&["REPLICAOF", "127.0.0.1", &port]);
    assert_eq!(call(&cache, &source, 2).await, 3);
    source.set(10);
    let outcome = cache.invalidate_tag("peer:1").await.expect("a tag");
    assert_eq!(outcome, Invalidation::Queued);
    assert_eq!(call(&cache, &source, 1).await, 11, "it holds here");
    server.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    until("the queue is applied", async || {
        cache.health().usable && cache.health().queued == 0
    })
    .await;
    assert_eq!(
        call(&cache_at(&server.url()), &source, 1).await,
        11,
        "and everywhere"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_concurrent_misses_on_the_shared_tier_run_the_body_once() {
    let server = RedisServer::start();
    let source = Source::new(1);
    source.hold();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let (cache, source) = (cache_at(&server.url()), source.clone());
            tokio::spawn(async move { call(&cache, &source, 1).await })
        })
        .collect();
    source.loading(1).await;
    source.let_go();
    for call in calls {
        assert_eq!(call.await.expect("no panic"), 2);
    }
    assert_eq!(source.loads(), 1);
}

mod one {
    #[cache_core::cached(kind = "same_name", ttl = "1h")]
    pub(super) async fn find(id: u64) -> String {
        format!("one {id}")
    }
}

mod two {
    #[cache_core::cached(kind = "same_name", ttl = "1h")]
    pub(super) async fn find(id: u64) -> String {
        format!("two {id}")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_functions_of_one_name_in_two_modules_do_not_share() {
    let server = RedisServer::start();
    for _ in 0..2 {
        let cache = cache_at(&server.url());
        assert_eq!(cache.scope(one::find(1)).await, "one 1");
        assert_eq!(cache.scope(two::find(1)).await, "two 1");
    }
    let cache = cache_at(&server.url());
    cache.scope(one::find::invalidate(1)).await.expect("a key");
    assert_eq!(cache.scope(one::find::peek(1)).await, None);
    let kept = cache.scope(two::find::peek(1)).await;
    // The name without a suffix is whose function came first; its removal takes both names.
    assert!(kept.is_none_or(|kept| kept == "two 1"));
}

struct Scaled(u64);

impl Scaled {
    #[cached(kind = "scaled", ttl = "1h", key(self.0, id))]
    fn get(&self, id: u64) -> u64 {
        self.0 * id
    }

    #[cached(kind = "pairs", ttl = "1h", skip(self))]
    fn joined(&self, a: &str, b: &str) -> String {
        format!("{a}-{b}")
    }
}

#[test]
fn methods_of_two_values_and_pairs_of_arguments_do_not_share() {
    let server = RedisServer::start();
    for _ in 0..2 {
        cache_at(&server.url()).scope_blocking(|| {
            assert_eq!(Scaled(1).get(10), 10);
            assert_eq!(Scaled(100).get(10), 1000);
            assert_eq!(Scaled(1).joined("ab", "c"), "ab-c");
            assert_eq!(Scaled(1).joined("a", "bc"), "a-bc");
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_leader_hands_over() {
    let server = RedisServer::start();
    let (one, two) = (cache_at(&server.url()), cache_at(&server.url()));
    let source = Source::new(1);
    source.hold();
    let spawn = |cache: &Cache| {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { call(&cache, &source, 1).await })
    };
    let leader = spawn(&one);
    source.loading(1).await;
    let followers = [spawn(&one), spawn(&two), spawn(&two)];
    leader.abort();
    let loading = tokio::time::timeout(Duration::from_secs(5), source.loading(2)).await;
    loading.expect("another takes over, long before the lease runs out");
    source.let_go();
    for follower in followers {
        assert_eq!(follower.await.expect("no panic"), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_in_redis_expires_and_is_written_with_its_expiry() {
    let server = RedisServer::start();
    let cache = cache_at(&server.url());
    let source = Source::new(1);
    source.hold();
    let loading = {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { call(&cache, &source, 1).await })
    };
    source.loading(1).await;
    // Lease and stamps are there, then the entry too.
    for entries in 0..2 {
        let keys: Vec<String> = server.command(&["KEYS", "*"]);
        assert!(keys.len() > 2, "{keys:?}");
        let found = keys.iter().filter(|key| key.contains(":e:")).count();
        assert_eq!(found, entries, "{keys:?}");
        for key in keys {
            let left: i64 = server.command(&["PTTL", &key]);
            assert!(left > 0, "{key} stays for ever");
        }
        if entries == 0 {
            source.let_go();
        }
        until("it is stored", async || {
            loading.is_finished() || entries == 1
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_loader_does_not_refill_what_was_invalidated() {
    let server = RedisServer::start();
    let (one, two) = (cache_at(&server.url()), cache_at(&server.url()));
    for by_key in [true, false] {
        let source = Source::new(1);
        source.hold();
        let late = {
            let (cache, source) = (one.clone(), source.clone());
            tokio::spawn(async move { call(&cache, &source, 1).await })
        };
        source.loading(1).await;
        source.set(10);
        let outcome = match by_key {
            true => two.scope(get::invalidate(1)).await,
            false => two.invalidate_tag("peer:1").await,
        };
        assert_eq!(outcome.expect("a good name"), Invalidation::Applied);
        source.let_go();
        assert_eq!(
            late.await.expect("no panic"),
            2,
            "its own caller may have it"
        );
        for cache in [&one, &two, &cache_at(&server.url())] {
            assert_eq!(call(cache, &source, 1).await, 11, "by key: {by_key}");
        }
        two.clear().await;
    }
}

#[cached(kind = "maybe", ttl = "1h", skip(source))]
async fn maybe(source: &Source, id: u64) -> Option<u64> {
    let value = source.load().await;
    (value > 1).then_some(value + id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_none_is_not_cached_and_a_some_is_read_back() {
    let server = RedisServer::start();
    let source = Source::new(1);
    let call = async || cache_at(&server.url()).scope(maybe(&source, 1)).await;
    assert_eq!((call().await, call().await), (None, None));
    source.set(2);
    assert_eq!((call().await, call().await), (Some(3), Some(3)));
    assert_eq!(source.loads(), 3);
}

#[cached(kind = "early", ttl = "1h", skip(source))]
async fn early(source: &Source, id: u64) -> Result<u64, String> {
    let value = source.load().await;
    if id == 0 {
        return Ok(value);
    }
    let parsed: u64 = "x"
        .parse()
        .or_else(|_| if id == 1 { Ok(7) } else { Err("no".to_owned()) })?;
    Ok(parsed + value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_return_does_not_skip_the_cache() {
    let server = RedisServer::start();
    let source = Source::new(1);
    for _ in 0..2 {
        let cache = cache_at(&server.url());
        assert_eq!(cache.scope(early(&source, 0)).await, Ok(1));
        assert_eq!(cache.scope(early(&source, 1)).await, Ok(8));
    }
    assert_eq!(source.loads(), 2);
    for _ in 0..2 {
        assert!(
            cache_at(&server.url())
                .scope(early(&source, 2))
                .await
                .is_err()
        );
    }
    assert_eq!(source.loads(), 4, "`?` with an Err is no result to keep");
}

struct Users {
    tenant: String,
    source: Source,
}

impl Users {
    /// Borrowed arguments, a skipped one, a method, a tag from the arguments.
    #[cached(kind = "users", ttl = "1h", key(self.tenant, name), tags("user:{name}"))]
    async fn find(&self, name: &str, trace: &mut Vec<String>) -> Result<String, String> {
        trace.push(name.to_owned());
        Ok(format!(
            "{}/{name} {}",
            self.tenant,
            self.source.load().await
        ))
    }
}

#[invalidates(tags("user:{name}"))]
async fn rename(source: &Source, name: &str) -> Result<(), String> {
    source.set(2);
    std::future::ready(Ok(())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_ask_for_works_together() {
    let server = RedisServer::start();
    let (one, two) = (cache_at(&server.url()), cache_at(&server.url()));
    let users = Users {
        tenant: "a".to_owned(),
        source: Source::new(1),
    };
    let mut trace = Vec::new();
    for cache in [&one, &two, &one] {
        let found = cache.scope(users.find("ann", &mut trace)).await;
        assert_eq!(found.as_deref(), Ok("a/ann 1"));
    }
    assert_eq!(
        trace,
        ["ann"],
        "skipped arguments are passed on, and not in the key"
    );
    one.scope(rename(&users.source, "ann"))
        .await
        .expect("it is renamed");
    for cache in [&two, &one] {
        let found = cache.scope(users.find("ann", &mut trace)).await;
        assert_eq!(
            found.as_deref(),
            Ok("a/ann 2"),
            "invalidated from another function"
        );
    }
    let figures = &two.snapshot().kinds["users"];
    assert_eq!((figures.hits(), figures.loads), (1, 1), "{figures:?}");
    assert_eq!(one.snapshot().kinds["users"].hits(), 2);
}

#[tokio::test]
async fn caching_is_disabled_in_tests_by_a_scope() {
    let off = Cache::builder().enabled(false).build();
    let source = Source::new(1);
    for _ in 0..3 {
        call(&off, &source, 1).await;
    }
    assert_eq!(source.loads(), 3);
    assert_eq!(off.snapshot().kinds["peer"].bypassed, 3);
}
