//! What a function says of its values: which of them are cached, for how long, and where. Time stands
//! still unless a test moves it.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env, ManualClock, Policy, cached};
use cache_tests::world::Here;

const SECOND: Duration = Duration::from_secs(1);

/// How often a function ran.
#[derive(Default)]
struct Runs(AtomicUsize);

impl Runs {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Caches on one clock: of this process, and two nodes of a store that tells.
fn caches(policy: &Policy) -> (ManualClock, [Vec<Cache>; 2]) {
    let clock = ManualClock::new();
    let env = || Env::system().with_clock(clock.clone()).with_spawn(Here);
    let server = MemoryServer::new(env());
    let builder = || {
        let builder = Cache::builder().env(env());
        builder.policy("said", policy.clone())
    };
    let shared = || builder().shared(server.store()).build();
    let all = [vec![builder().build()], vec![shared(), shared()]];
    (clock, all)
}

#[cached(kind = "said", ttl = "1m", early = false, cache_none = "10s", cache_err = "2s", skip(cache, runs), cache = cache)]
async fn said(cache: &Cache, runs: &Runs, id: i64) -> Result<Option<i64>, String> {
    runs.count();
    match id {
        0 => Ok(None),
        ..0 => Err(format!("{id} is negative")),
        _ => Ok(Some(id)),
    }
}

#[tokio::test]
async fn a_none_and_an_err_last_as_long_as_is_said() {
    let (clock, worlds) = caches(&Policy::new());
    for caches in worlds {
        let (one, other, runs) = (&caches[0], caches.last().unwrap(), Runs::default());
        for (id, lasts) in [(1, 60), (0, 10), (-1, 2)] {
            let first = said(one, &runs, id).await;
            assert_eq!(said(other, &runs, id).await, first);
            assert_eq!(said(one, &runs, id).await, first);
            assert_eq!(runs.take(), 1, "{id}: one run for both");
            clock.advance((SECOND * lasts).saturating_sub(Duration::from_millis(1)));
            assert_eq!(said(one, &runs, id).await, first);
            assert_eq!(said(other, &runs, id).await, first);
            assert_eq!(runs.take(), 0, "{id}: it lasts");
            clock.advance(Duration::from_millis(1));
            said(other, &runs, id).await.ok();
            assert_eq!(runs.take(), 1, "{id}: and ends");
        }
    }
}

#[tokio::test]
async fn operators_say_how_long_a_none_and_an_err_last() {
    let policy = Policy::new().none_ttl(SECOND * 90).err_ttl(SECOND * 5);
    let (clock, worlds) = caches(&policy);
    for caches in worlds {
        let (one, other, runs) = (&caches[0], caches.last().unwrap(), Runs::default());
        said(one, &runs, 0).await.ok();
        said(one, &runs, -1).await.ok();
        clock.advance(SECOND * 4);
        said(other, &runs, -1).await.ok();
        assert_eq!(runs.take(), 2);
        clock.advance(SECOND);
        said(other, &runs, -1).await.ok();
        assert_eq!(runs.take(), 1);
        // Longer than a value.
        clock.advance(SECOND * 80);
        said(one, &runs, 0).await.ok();
        said(other, &runs, 0).await.ok();
        assert_eq!(runs.take(), 0);
        clock.advance(SECOND * 5);
        said(other, &runs, 0).await.ok();
        assert_eq!(runs.take(), 1);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Token {
    expires_in: u64,
    usable: bool,
}

#[cached(
    kind = "said",
    ttl = "1h",
    early = false,
    ttl_with = |token| Duration::from_secs(token.expires_in),
    cache_if = |token| token.usable,
    skip(cache, runs),
    cache = cache
)]
async fn token(cache: &Cache, runs: &Runs, expires_in: u64, usable: bool) -> Token {
    runs.count();
    Token { expires_in, usable }
}

#[tokio::test]
async fn a_value_says_itself_how_long_it_lasts_and_whether_at_all() {
    let (clock, worlds) = caches(&Policy::new());
    for caches in worlds {
        let (one, other, runs) = (&caches[0], caches.last().unwrap(), Runs::default());
        // No longer than the ttl allows.
        for (expires_in, lasts) in [(30, 30), (120, 120), (9_999_999, 3_600)] {
            token(one, &runs, expires_in, true).await;
            clock.advance((SECOND * lasts).saturating_sub(Duration::from_millis(1)));
            token(one, &runs, expires_in, true).await;
            token(other, &runs, expires_in, true).await;
            assert_eq!(runs.take(), 1, "{expires_in}");
            clock.advance(Duration::from_millis(1));
            token(other, &runs, expires_in, true).await;
            assert_eq!(runs.take(), 1, "{expires_in}");
        }
        // One that has ended already is not cached, nor is one that is of no use.
        for (expires_in, usable) in [(0, true), (30, false)] {
            for _ in 0..2 {
                token(one, &runs, expires_in, usable).await;
                token(other, &runs, expires_in, usable).await;
            }
            assert_eq!(runs.take(), 4, "{expires_in} {usable}");
        }
    }
}

#[tokio::test]
async fn what_is_not_worth_caching_ends_what_was() {
    #[cached(kind = "said", cache_if = |value| *value < 10, skip(cache, value), cache = cache)]
    async fn small(cache: &Cache, value: u64) -> u64 {
        value
    }

    for caches in caches(&Policy::new()).1 {
        let (one, other) = (&caches[0], caches.last().unwrap());
        assert_eq!(small(one, 1).await, 1);
        assert_eq!(small(other, 2).await, 1);
        assert_eq!(small::refresh(other, 20).await, 20);
        assert!(small::peek(one).await.is_none());
        assert_eq!(small(one, 3).await, 3);
        assert!(!small::put(one, 30).await);
        assert!(small::peek(other).await.is_none());
    }
}

/// Needs nothing but `Clone`.
#[derive(Clone)]
struct Parsed(Arc<dyn Fn(u64) -> u64 + Send + Sync>);

#[cached(kind = "said", local_only, tags("parsed"), skip(cache, runs), cache = cache)]
async fn parsed(cache: &Cache, runs: &Runs, factor: u64) -> Result<Parsed, String> {
    runs.count();
    Ok(Parsed(Arc::new(move |value| value * factor)))
}

#[tokio::test]
async fn what_stays_here_is_ended_from_elsewhere_all_the_same() {
    for caches in caches(&Policy::new()).1 {
        let (one, other, runs) = (&caches[0], caches.last().unwrap(), Runs::default());
        for _ in 0..2 {
            assert_eq!((parsed(one, &runs, 3).await.unwrap().0)(2), 6);
            assert_eq!((parsed(other, &runs, 3).await.unwrap().0)(2), 6);
        }
        assert_eq!(runs.take(), caches.len(), "each has its own");
        other.invalidate_tag("parsed").await.unwrap();
        parsed(one, &runs, 3).await.unwrap();
        assert_eq!(runs.take(), 1);
        parsed::invalidate(other, 3).await.unwrap();
        parsed(one, &runs, 3).await.unwrap();
        assert_eq!(runs.take(), 1);
    }
}

/// Counts its clones.
#[derive(serde::Serialize, serde::Deserialize)]
struct Large(Vec<u8>);

static CLONES: AtomicUsize = AtomicUsize::new(0);

impl Clone for Large {
    fn clone(&self) -> Self {
        CLONES.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

#[tokio::test]
async fn what_is_large_is_shared_and_not_copied() {
    #[cached(kind = "said", skip(cache), cache = cache)]
    async fn large(cache: &Cache, size: usize) -> Arc<Large> {
        Arc::new(Large(vec![7; size]))
    }

    for caches in caches(&Policy::new()).1 {
        for cache in &caches {
            let (first, second) = (large(cache, 99).await, large(cache, 99).await);
            assert_eq!(first.0, [7; 99]);
            assert!(Arc::ptr_eq(&first, &second));
        }
    }
    assert_eq!(CLONES.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_kind_is_switched_off_and_on_at_run_time() {
    for caches in caches(&Policy::new()).1 {
        let (one, other, runs) = (&caches[0], caches.last().unwrap(), Runs::default());
        said(one, &runs, 1).await.unwrap();
        said(one, &runs, 2).await.unwrap();
        one.set_kind_enabled("said", false).unwrap();
        said(one, &runs, 1).await.unwrap();
        said(one, &runs, 1).await.unwrap();
        assert_eq!(runs.take(), 4);
        assert!(said::peek(one, 1).await.is_none());
        assert!(!said::put(one, 1, Ok(Some(5))).await);
        // What is invalidated meanwhile does not come back.
        said::invalidate(other, 1).await.unwrap();
        one.set_kind_enabled("said", true).unwrap();
        said(one, &runs, 2).await.unwrap();
        assert_eq!(runs.take(), 0);
        said(one, &runs, 1).await.unwrap();
        assert_eq!(runs.take(), 1);
    }
    assert!(
        Cache::builder()
            .build()
            .set_kind_enabled("no kind", true)
            .is_err()
    );
}

#[tokio::test]
async fn a_function_may_call_itself() {
    /// The same key at every depth: it must not wait for its own end.
    #[cached(kind = "said", skip(cache, depth), cache = cache)]
    async fn same(cache: &Cache, id: u64, depth: u32) -> u64 {
        if depth == 0 {
            return id;
        }
        same(cache, id, depth - 1).await + 1
    }

    #[cached(kind = "said", skip(cache), cache = cache)]
    async fn fib(cache: &Cache, n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (one, other) = tokio::join!(fib(cache, n - 1), fib(cache, n - 2));
        one + other
    }

    #[cached(kind = "said", skip(cache), cache = cache)]
    fn plain(cache: &Cache, n: u64) -> u64 {
        if n < 2 {
            n
        } else {
            plain(cache, n - 1) + plain(cache, n - 2)
        }
    }

    let server = MemoryServer::new(Env::system());
    let shared = Cache::builder().shared(server.store()).build();
    for cache in [&Cache::builder().build(), &shared] {
        let all = async {
            assert_eq!(same(cache, 7, 5).await, 12);
            assert_eq!(fib(cache, 50).await, 12_586_269_025);
            assert_eq!(plain(cache, 50), 12_586_269_025);
        };
        tokio::time::timeout(SECOND * 20, all)
            .await
            .expect("no deadlock");
    }
}
