//! Invariant 1: no stale value after an acknowledged invalidation, whoever loads, whoever
//! invalidates, and by whatever name.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::time::Duration;

use cache_core::{Cache, Invalidation, cached, invalidates};
use cache_tests::source::Source;
use cache_tests::world::{Here, World};
use tokio::task::JoinHandle;

#[cached(
    kind = "slow",
    ttl = "1m",
    schema = 1,
    skip(source),
    tags("user:{id}", "users")
)]
async fn slow(source: &Source, id: u64) -> u64 {
    let _ = id;
    source.load().await
}

#[derive(Clone, Copy, Debug)]
enum How {
    Tag,
    SharedTag,
    Key,
    Kind,
    Clear,
}

const ALL: [How; 5] = [How::Tag, How::SharedTag, How::Key, How::Kind, How::Clear];

async fn invalidate(cache: &Cache, how: How, id: u64) {
    let outcome = match how {
        How::Tag => cache.invalidate_tag(&format!("user:{id}")).await,
        How::SharedTag => cache.invalidate_tag("users").await,
        How::Key => cache.scope(slow::invalidate(id)).await,
        How::Kind => cache.invalidate_kind("slow").await,
        How::Clear => Ok(cache.clear().await),
    };
    assert_eq!(outcome.expect("good names"), Invalidation::Applied);
}

fn call(cache: &Cache, source: &Source, id: u64) -> JoinHandle<u64> {
    let source = source.clone();
    tokio::spawn(cache.scope(async move { slow(&source, id).await }))
}

async fn read(cache: &Cache, source: &Source, id: u64) -> u64 {
    call(cache, source, id).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_invalidated_is_loaded_again_on_every_node() {
    for world in World::all(3) {
        for (number, how) in (0..).zip(ALL) {
            for invalidator in &world.caches {
                let source = Source::new(1);
                for cache in &world.caches {
                    assert_eq!(
                        read(cache, &source, number).await,
                        1,
                        "{} {how:?}",
                        world.name
                    );
                }
                assert_eq!(source.loads(), 1, "{} {how:?}: it is shared", world.name);
                source.set(2);
                invalidate(invalidator, how, number).await;
                for cache in &world.caches {
                    assert_eq!(
                        read(cache, &source, number).await,
                        2,
                        "{} {how:?}",
                        world.name
                    );
                }
                assert_eq!(source.loads(), 2, "{} {how:?}", world.name);
                invalidate(invalidator, how, number).await;
            }
        }
    }
}

/// A load that saw the old value goes on after the invalidation: its own caller may have that value,
/// nobody who called later, and no tier.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_load_is_neither_stored_nor_shared() {
    for world in World::all(2) {
        for (number, how) in (0..).zip(ALL) {
            for invalidator in &world.caches {
                let what = format!("{} {how:?}", world.name);
                let source = Source::new(1);
                let loader = &world.caches[0];
                source.hold();
                let early = call(loader, &source, number);
                source.loading(1).await;
                source.set(2);
                invalidate(invalidator, how, number).await;

                let late = call(loader, &source, number);
                if world.told || std::ptr::eq(loader, invalidator) {
                    // It does not even wait for the load that is in vain.
                    source.loading(2).await;
                }
                source.let_go();
                assert_eq!(late.await.expect("no panic"), 2, "{what}");
                assert_eq!(early.await.expect("no panic"), 1, "{what}");
                for cache in &world.caches {
                    assert_eq!(read(cache, &source, number).await, 2, "{what}");
                }
                assert_eq!(source.loads(), 2, "{what}");
                invalidate(invalidator, How::Clear, number).await;
            }
        }
    }
}

/// The same without a later call: the late load itself must not put back what was removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_load_does_not_refill_what_was_invalidated() {
    for world in World::all(2) {
        for (number, how) in (0..).zip(ALL) {
            for invalidator in &world.caches {
                let what = format!("{} {how:?}", world.name);
                let source = Source::new(1);
                source.hold();
                let early = call(&world.caches[0], &source, number);
                source.loading(1).await;
                source.set(2);
                invalidate(invalidator, how, number).await;
                source.let_go();
                assert_eq!(early.await.expect("no panic"), 1, "{what}");
                for cache in &world.caches {
                    let peeked = cache.scope(slow::peek(number)).await;
                    assert_eq!(peeked, None, "{what}");
                }
                for cache in &world.caches {
                    assert_eq!(read(cache, &source, number).await, 2, "{what}");
                }
                invalidate(invalidator, How::Clear, number).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalidating_one_tag_leaves_the_others_alone() {
    for world in World::all(2) {
        let source = Source::new(1);
        for id in 0..3 {
            read(&world.caches[0], &source, id).await;
        }
        world.caches[0]
            .invalidate_tag("user:1")
            .await
            .expect("a tag");
        source.set(2);
        for cache in &world.caches {
            let mut values = Vec::new();
            for id in 0..3 {
                values.push(read(cache, &source, id).await);
            }
            assert_eq!(values, [1, 2, 1], "{}", world.name);
        }
        assert_eq!(source.loads(), 4, "{}", world.name);
    }
}

#[invalidates(tags("user:{id}"))]
async fn save(source: &Source, id: u64, value: u64) -> Result<(), String> {
    source.set(value);
    if value == 0 {
        return Err("zero".to_owned());
    }
    std::future::ready(Ok(())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_writes_invalidates_what_it_names_when_it_succeeds() {
    for world in World::all(2) {
        let source = Source::new(1);
        for cache in &world.caches {
            assert_eq!(read(cache, &source, 5).await, 1);
        }
        let saved = world.caches[0].scope(save(&source, 5, 7)).await;
        assert_eq!(saved, Ok(()));
        for cache in &world.caches {
            assert_eq!(read(cache, &source, 5).await, 7, "{}", world.name);
        }
        let saved = world.caches[0].scope(save(&source, 5, 0)).await;
        assert!(saved.is_err());
        for cache in &world.caches {
            assert_eq!(
                read(cache, &source, 5).await,
                7,
                "an Err has written nothing"
            );
        }
    }
}

#[invalidates(tags("user:{id}"))]
async fn save_and_hang(source: &Source, id: u64) -> Result<(), String> {
    source.set(9);
    std::future::pending().await
}

#[invalidates(tags("user:{id}"))]
async fn save_and_panic(source: &Source, id: u64) {
    source.set(11);
    std::future::ready(()).await;
    panic!("after the write");
}

/// The write may have happened: the local effect is there at once, the rest soon.
#[tokio::test]
async fn a_write_that_is_cancelled_or_panics_invalidates_all_the_same() {
    for world in World::all(1) {
        let cache = &world.caches[0];
        let source = Source::new(1);
        assert_eq!(read(cache, &source, 6).await, 1);
        let saving = cache.scope(save_and_hang(&source, 6));
        assert_eq!(cache_tests::world::polled(1, saving).await, None);
        cache_tests::server::until("the write is seen", async || {
            read(cache, &source, 6).await == 9
        })
        .await;

        let (inner, writer) = (cache.clone(), source.clone());
        let saving = tokio::spawn(async move { inner.scope(save_and_panic(&writer, 6)).await });
        assert!(saving.await.is_err_and(|error| error.is_panic()));
        cache_tests::server::until("the write is seen", async || {
            read(cache, &source, 6).await == 11
        })
        .await;
    }
}

/// Whoever is still waiting for the invalidation may go: it takes place.
#[tokio::test]
async fn a_cancelled_invalidation_takes_place() {
    for world in World::all(2) {
        let source = Source::new(1);
        for cache in &world.caches {
            assert_eq!(read(cache, &source, 8).await, 1);
        }
        source.set(2);
        let invalidating = world.caches[0].invalidate_tag("user:8");
        drop(cache_tests::world::polled(1, invalidating).await);
        cache_tests::server::until("every node has the new value", async || {
            let mut values = Vec::new();
            for cache in &world.caches {
                values.push(read(cache, &source, 8).await);
            }
            values.iter().all(|value| *value == 2)
        })
        .await;
    }
}

/// Nobody can tell what this is made of: it stays in the process.
#[derive(Clone, Debug, PartialEq)]
struct Odd(u64);

impl serde::Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("odd {}", self.0))
    }
}

impl<'de> serde::Deserialize<'de> for Odd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text
            .strip_prefix("odd ")
            .and_then(|number| number.parse().ok());
        number
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("no odd number"))
    }
}

#[cached(kind = "kept_here", ttl = "10s", skip(source), tags("here:{id}"))]
async fn kept_here(source: &Source, id: u64) -> Odd {
    let _ = id;
    Odd(source.load().await)
}

/// What is put counts as a load that began at the call: a slow load that saw an older value does not
/// take its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_is_not_overwritten_by_an_older_load() {
    for world in World::all(2) {
        let source = Source::new(1);
        let cache = &world.caches[0];
        source.hold();
        let early = call(cache, &source, 9);
        source.loading(1).await;
        source.set(2);
        for putter in &world.caches {
            assert!(putter.scope(slow::put(9, 2)).await, "{}", world.name);
        }
        source.let_go();
        early.await.expect("no panic");
        for cache in &world.caches {
            assert_eq!(read(cache, &source, 9).await, 2, "{}", world.name);
        }
        assert_eq!(source.loads(), 1, "{}", world.name);
    }
}

/// Whatever lives only in the process is still invalidated from everywhere, and expires.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_stay_in_the_process_are_invalidated_from_other_nodes() {
    for world in World::all(2) {
        let source = Source::new(1);
        let here = |cache: &Cache| {
            let source = source.clone();
            cache.scope(async move { kept_here(&source, 1).await })
        };
        for by_key in [true, false] {
            source.set(1);
            for cache in &world.caches {
                here(cache).await;
            }
            source.set(2);
            let last = world.caches.last().expect("one at least");
            let outcome = match by_key {
                true => last.scope(kept_here::invalidate(1)).await,
                false => last.invalidate_tag("here:1").await,
            };
            assert_eq!(outcome.expect("a good name"), Invalidation::Applied);
            for cache in &world.caches {
                assert_eq!(here(cache).await, Odd(2), "{} {by_key}", world.name);
            }
            // One load for each node: nothing of it is shared.
            let nodes = u64::try_from(world.caches.len()).expect("few");
            assert_eq!(source.loads() % nodes, 0, "{}", world.name);
        }
    }
}

/// Hundreds of callers arrive around an invalidation: those that came after it get what came after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_hundreds_of_late_callers_gets_the_old_value() {
    for world in World::all(2) {
        for (number, how) in (20..).zip(ALL) {
            let source = Source::new(1);
            source.hold();
            let early: Vec<_> = (0..100)
                .map(|at| call(&world.caches[at % world.caches.len()], &source, number))
                .collect();
            source.loading(1).await;
            source.set(2);
            invalidate(&world.caches[0], how, number).await;
            let late: Vec<_> = (0..300)
                .map(|at| call(&world.caches[at % world.caches.len()], &source, number))
                .collect();
            source.let_go();
            for task in late {
                assert_eq!(task.await.expect("no panic"), 2, "{} {how:?}", world.name);
            }
            for task in early {
                assert!(matches!(task.await.expect("no panic"), 1 | 2));
            }
            assert!(
                source.loads() < 20,
                "{} loads in {}",
                source.loads(),
                world.name
            );
        }
    }
}

#[tokio::test]
async fn a_value_ends_with_its_ttl_wherever_it_is_kept() {
    use cache_core::memory::MemoryServer;
    use cache_core::{Env, ManualClock};

    for shared in [None, Some(true), Some(false)] {
        let clock = ManualClock::new();
        let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
        let server = MemoryServer::new(env.clone());
        let builder = Cache::builder().env(env);
        let cache = match shared {
            None => builder.build(),
            Some(true) => builder.shared(server.store()).build(),
            Some(false) => builder.shared(server.checked_store()).build(),
        };
        let source = Source::new(1);
        for _ in 0..3 {
            let loads = source.loads();
            cache.scope(kept_here(&source, 1)).await;
            cache.scope(slow(&source, 1)).await;
            assert_eq!(source.loads(), loads + 2, "{shared:?}: both are new");
            clock.advance(Duration::from_secs(9));
            cache.scope(kept_here(&source, 1)).await;
            cache.scope(slow(&source, 1)).await;
            assert_eq!(source.loads(), loads + 2, "{shared:?}: both are fresh");
            clock.advance(Duration::from_secs(2));
            cache.scope(kept_here(&source, 1)).await;
            assert_eq!(
                source.loads(),
                loads + 3,
                "{shared:?}: ten seconds are over"
            );
            clock.advance(Duration::from_mins(2));
        }
    }
}
