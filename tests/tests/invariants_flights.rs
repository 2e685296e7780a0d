//! Invariant 4: one load per key at a time, handed over when its caller goes, and nobody hangs.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use cache_core::{Cache, Env, ManualClock, cached};
use cache_tests::source::Source;
use cache_tests::world::{Here, World, polled, settle};

/// Far less than a lease lasts.
const PROMPT: Duration = Duration::from_secs(4);

#[cached(kind = "joined", ttl = "1m", skip(source))]
async fn joined(source: &Source, id: usize) -> u64 {
    let _ = id;
    source.load().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_misses_on_any_node_run_the_body_once() {
    for world in World::all(3) {
        let source = Source::new(7);
        source.hold();
        let calls: Vec<_> = (0..30)
            .map(|at| {
                let source = source.clone();
                let cache = &world.caches[at % world.caches.len()];
                tokio::spawn(cache.scope(async move { joined(&source, 1).await }))
            })
            .collect();
        source.loading(1).await;
        settle().await;
        source.let_go();
        for call in calls {
            let value = tokio::time::timeout(PROMPT, call).await;
            assert_eq!(value.expect("nobody hangs").expect("no panic"), 7);
        }
        assert_eq!(source.loads(), 1, "{}", world.name);
    }
}

/// Wherever a caller goes away, the next one is served promptly, and so are those that waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_cancelled_at_any_point_hands_over() {
    for world in World::all(2) {
        for polls in 0..50 {
            let source = Source::new(7);
            let cache = &world.caches[0];
            let slow = async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            };
            let leading = cache.scope(async {
                slow.await;
                joined(&source, polls).await
            });
            let (first, second, third) = tokio::join!(
                tokio::time::timeout(PROMPT, polled(polls, leading)),
                tokio::time::timeout(PROMPT, cache.scope(joined(&source, polls))),
                tokio::time::timeout(
                    PROMPT,
                    world.caches[world.caches.len() - 1].scope(joined(&source, polls))
                ),
            );
            let what = format!("{} after {polls} polls", world.name);
            assert!(first.is_ok(), "{what}");
            assert_eq!((second, third), (Ok(7), Ok(7)), "{what}");
            let again = tokio::time::timeout(PROMPT, cache.scope(joined(&source, polls))).await;
            assert_eq!(again, Ok(7), "{what}");
        }
    }
}

/// The same with nobody else there: what a cancelled call leaves behind is in nobody's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_cancelled_caller_leaves_nothing_in_the_way() {
    for world in World::all(2) {
        for polls in 1..20 {
            let source = Source::new(7);
            let key = 1000 + polls;
            source.hold();
            let leading = world.caches[0].scope(joined(&source, key));
            drop(tokio::time::timeout(Duration::from_millis(3), polled(polls, leading)).await);
            source.let_go();
            for cache in &world.caches {
                let value = tokio::time::timeout(PROMPT, cache.scope(joined(&source, key))).await;
                assert_eq!(value, Ok(7), "{} after {polls} polls", world.name);
            }
        }
    }
}

#[cached(kind = "panics", ttl = "1m", skip(fuse))]
async fn panics(fuse: &AtomicU32, id: u64) -> u64 {
    tokio::task::yield_now().await;
    assert!(fuse.fetch_sub(1, Ordering::SeqCst) == 1, "the fuse burns");
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_body_hands_over_to_the_next_caller() {
    for world in World::all(2) {
        let fuse = Arc::new(AtomicU32::new(3));
        let calls: Vec<_> = (0..8)
            .map(|at| {
                let fuse = fuse.clone();
                let cache = &world.caches[at % world.caches.len()];
                tokio::spawn(cache.scope(async move { panics(&fuse, 9).await }))
            })
            .collect();
        let mut panicked = 0;
        for call in calls {
            match tokio::time::timeout(PROMPT, call)
                .await
                .expect("nobody hangs")
            {
                Ok(value) => assert_eq!(value, 9),
                Err(error) => panicked += usize::from(error.is_panic()),
            }
        }
        assert_eq!(
            panicked, 2,
            "{}: each panic goes to its own caller",
            world.name
        );
    }
}

#[cached(kind = "plain_load", ttl = "1m", skip(loads))]
fn plain_load(loads: &AtomicU64, id: u64) -> u64 {
    loads.fetch_add(1, Ordering::SeqCst);
    std::thread::yield_now();
    id * 2
}

#[test]
fn plain_functions_share_a_load_between_threads() {
    for world in World::all(2) {
        for id in 0..20 {
            let loads = AtomicU64::new(0);
            let barrier = Barrier::new(6);
            std::thread::scope(|threads| {
                for at in 0..6 {
                    let (loads, barrier) = (&loads, &barrier);
                    let cache = &world.caches[at % world.caches.len()];
                    threads.spawn(move || {
                        barrier.wait();
                        let value = cache.scope_blocking(|| plain_load(loads, id));
                        assert_eq!(value, id * 2);
                    });
                }
            });
            assert_eq!(loads.load(Ordering::SeqCst), 1, "{}", world.name);
        }
    }
}

#[tokio::test]
async fn plain_functions_work_inside_a_current_thread_runtime() {
    for world in World::all(1) {
        let loads = AtomicU64::new(0);
        for _ in 0..3 {
            assert_eq!(
                world.caches[0]
                    .scope(async { plain_load(&loads, 100) })
                    .await,
                200
            );
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1, "{}", world.name);
    }
}

#[cached(kind = "fib", ttl = "1m", skip(loads))]
async fn fib(loads: &AtomicU64, n: u64) -> u64 {
    loads.fetch_add(1, Ordering::SeqCst);
    match n {
        0 | 1 => n,
        _ => fib(loads, n - 1).await + fib(loads, n - 2).await,
    }
}

#[cached(kind = "fib_plain", ttl = "1m", skip(loads))]
fn fib_plain(loads: &AtomicU64, n: u64) -> u64 {
    loads.fetch_add(1, Ordering::SeqCst);
    match n {
        0 | 1 => n,
        _ => fib_plain(loads, n - 1) + fib_plain(loads, n - 2),
    }
}

#[tokio::test]
async fn recursive_functions_compute_each_step_once() {
    for world in World::all(1) {
        let cache = &world.caches[0];
        let loads = AtomicU64::new(0);
        assert_eq!(cache.scope(fib(&loads, 20)).await, 6765);
        assert_eq!(loads.swap(0, Ordering::SeqCst), 21, "{}", world.name);
        assert_eq!(cache.scope_blocking(|| fib_plain(&loads, 20)), 6765);
        assert_eq!(loads.load(Ordering::SeqCst), 21, "{}", world.name);
    }
}

#[cached(kind = "same_key", ttl = "1m", skip(depth))]
fn same_key(depth: &AtomicU32, id: u32) -> u32 {
    match depth.fetch_add(1, Ordering::SeqCst) {
        0..3 => same_key(depth, id) + 1,
        _ => id,
    }
}

#[test]
fn a_plain_function_that_calls_itself_with_its_own_key_does_not_hang() {
    for world in World::all(1) {
        let depth = AtomicU32::new(0);
        let value = world.caches[0].scope_blocking(|| same_key(&depth, 10));
        assert_eq!(value, 13, "{}", world.name);
    }
}

#[derive(Debug, PartialEq)]
struct Failure(u64);

#[cached(kind = "failing", ttl = "1m", skip(loads, clock))]
async fn failing(loads: &AtomicU64, clock: &Env, id: u64) -> Result<u64, Failure> {
    let load = loads.fetch_add(1, Ordering::SeqCst);
    clock.sleep(Duration::from_secs(1)).await;
    let _ = id;
    Err(Failure(load))
}

/// Each caller waits for two failed loads of others at most, and then gets its own error.
#[tokio::test]
async fn followers_of_a_failing_leader_do_not_queue_up() {
    let clock = ManualClock::new();
    let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
    let cache = Cache::builder().env(env.clone()).build();
    let loads = Arc::new(AtomicU64::new(0));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (loads, env) = (loads.clone(), env.clone());
            tokio::spawn(cache.scope(async move { failing(&loads, &env, 1).await }))
        })
        .collect();
    let mut rounds = 0;
    while calls.iter().any(|call| !call.is_finished()) {
        settle().await;
        clock.advance(Duration::from_secs(1));
        settle().await;
        rounds += 1;
        assert!(rounds < 10, "callers wait for one another");
    }
    assert!(rounds <= 4, "{rounds} rounds");
    let mut errors = Vec::new();
    for call in calls {
        errors.push(call.await.expect("no panic").expect_err("it fails").0);
    }
    errors.sort_unstable();
    errors.dedup();
    assert_eq!(
        errors.len(),
        20,
        "each caller got the error of its own load"
    );
}

/// Nobody waits for a load without an end for longer than 30 s, which is what `wait` is where nothing is said.
#[tokio::test]
async fn a_call_waits_for_another_s_load_for_so_long_and_then_loads_for_itself() {
    let clock = ManualClock::new();
    let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
    let cache = Cache::builder().env(env).build();
    let source = Source::new(7);
    source.hold();
    let call = || {
        let source = source.clone();
        tokio::spawn(cache.scope(async move { joined(&source, 1).await }))
    };
    let leading = call();
    source.loading(1).await;
    let following = call();
    settle().await;
    for _ in 0..29 {
        clock.advance(Duration::from_secs(1));
        settle().await;
    }
    assert_eq!(source.loads(), 1, "it still waits");
    clock.advance(Duration::from_secs(2));
    settle().await;
    assert_eq!(source.loads(), 2, "it has waited for long enough");
    source.let_go();
    for call in [leading, following] {
        assert_eq!(call.await.expect("no panic"), 7);
    }
}

#[cached(kind = "fails_at_first", ttl = "1m", skip(loads))]
async fn fails_at_first(loads: &AtomicU64, id: u64) -> Result<u64, Failure> {
    match loads.fetch_add(1, Ordering::SeqCst) {
        load @ 0..2 => Err(Failure(load)),
        load => Ok(load + id),
    }
}

#[cached(kind = "none_at_first", ttl = "1m", skip(loads))]
async fn none_at_first(loads: &AtomicU64, id: u64) -> Option<u64> {
    match loads.fetch_add(1, Ordering::SeqCst) {
        0..2 => None,
        load => Some(load + id),
    }
}

#[tokio::test]
async fn errors_and_nones_are_returned_as_they_are_and_not_cached() {
    for world in World::all(2) {
        let cache = &world.caches[0];
        let loads = AtomicU64::new(0);
        for wanted in [Err(Failure(0)), Err(Failure(1)), Ok(12), Ok(12)] {
            assert_eq!(
                cache.scope(fails_at_first(&loads, 10)).await,
                wanted,
                "{}",
                world.name
            );
        }
        let loads = AtomicU64::new(0);
        for wanted in [None, None, Some(12), Some(12)] {
            assert_eq!(
                cache.scope(none_at_first(&loads, 10)).await,
                wanted,
                "{}",
                world.name
            );
        }
    }
}
