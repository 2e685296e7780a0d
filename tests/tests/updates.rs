//! `#[updates]`: the value that a write returns becomes the cached one, wherever it is read next, and
//! never in the way of a newer one (guard G9).

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::time::{Duration, Instant};

use cache_core::__private::{
    Instance, Outcome, Part, Ticket, Updating, argument, block_on, checked, outcome, shape,
    updating,
};
use cache_core::memory::{MemoryServer, Trouble};
use cache_core::{Cache, Env, ErrorKind, cached, updates};
use cache_redis::RedisStore;
use cache_tests::gate::{Gates, Op, gated};
use cache_tests::server::{RedisServer, until};
use cache_tests::source::Source;
use cache_tests::world::{World, polled};

type Read = Result<u64, String>;

#[cached(kind = "profile", ttl = "1h", skip(source), tags("user:{id}"))]
async fn profile(source: &Source, id: u64) -> Read {
    Ok(source.load().await + id)
}

#[cached(kind = "badge", ttl = "1h", skip(source), tags("user:{id}"))]
async fn badge(source: &Source, id: u64) -> Read {
    Ok(source.load().await + 100 * id)
}

/// Nothing but its key can end it.
#[cached(kind = "plain", ttl = "1h", skip(source))]
async fn plain(source: &Source, id: u64) -> Read {
    Ok(source.load().await + id)
}

/// Of a type that is never read back: its values stay in their process.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u64", into = "u64")]
struct Loose(u64);

impl TryFrom<u64> for Loose {
    type Error = &'static str;

    fn try_from(_: u64) -> Result<Self, Self::Error> {
        Err("a loose value is never read back")
    }
}

impl From<Loose> for u64 {
    fn from(loose: Loose) -> Self {
        loose.0
    }
}

#[cached(kind = "loose", ttl = "1h", skip(source), tags("user:{id}"))]
async fn loose(source: &Source, id: u64) -> Result<Loose, String> {
    Ok(Loose(source.load().await + id))
}

/// What `#[updates(function(id))]` makes of a write.
macro_rules! write {
    ($name:ident, $begun:ident, $function:ident: $read:ty, [$($tag:expr),*]) => {
        fn $begun(id: u64) -> Updating<$read> {
            updating::<$read, _, _>(
                $function::__site(),
                Instance::SOLE,
                checked::<$read, _, _, _, _>(shape!($read)),
                None,
                &(argument(&id),),
                |_tags| { $(_tags.tag(&[Part::Text($tag), Part::Value(&id)]);)* },
                |ticket| ticket,
            )
        }

        /// Writes what `body` comes to.
        async fn $name<W, T>(
            cache: &Cache,
            id: u64,
            body: impl Future<Output = Result<W, String>>,
            told: impl FnOnce(Result<W, String>) -> (T, Outcome<$read>),
        ) -> T {
            cache
                .scope(async {
                    let updating = $begun(id).begin().await;
                    let (returned, outcome) = told(body.await);
                    updating.end(outcome).await;
                    returned
                })
                .await
        }
    };
}

write!(write_profile, profile_begun, profile: Read, ["user:"]);
write!(write_plain, plain_begun, plain: Read, []);
write!(write_loose, loose_begun, loose: Result<Loose, String>, ["user:"]);

fn badge_begun(id: u64) -> Updating<Read> {
    let shape = checked::<Read, _, _, _, _>(shape!(Read));
    let args = (argument(&id),);
    updating::<Read, _, _>(
        badge::__site(),
        Instance::SOLE,
        shape,
        None,
        &args,
        |tags| {
            tags.tag(&[Part::Text("user:"), Part::Value(&id)]);
        },
        |ticket| ticket,
    )
}

/// A write that sets the source, and returns what `profile` would load then.
async fn save(cache: &Cache, source: &Source, id: u64, value: u64) -> Read {
    let body = async {
        source.set(value);
        Ok(value + id)
    };
    write_profile(cache, id, body, |returned: Read| {
        outcome(shape!(Read), returned)
    })
    .await
}

async fn read(cache: &Cache, source: &Source, id: u64) -> u64 {
    cache
        .scope(profile(source, id))
        .await
        .expect("it never fails")
}

async fn read_badge(cache: &Cache, source: &Source, id: u64) -> u64 {
    cache
        .scope(badge(source, id))
        .await
        .expect("it never fails")
}

/// A Redis of the test's own, and caches that are told of each other's changes.
fn on_redis(nodes: usize) -> World {
    let server = RedisServer::start();
    let cache = |_| {
        Cache::builder()
            .shared(RedisStore::new(&server.url()).expect("a good URL"))
            .store_timeout(Duration::from_secs(5))
            .build()
    };
    World {
        name: "tracked redis",
        caches: (0..nodes).map(cache).collect(),
        told: true,
        redis: Some(server),
    }
}

fn worlds() -> Vec<World> {
    let mut worlds = World::all(2);
    worlds.push(on_redis(2));
    worlds
}

/// Reads until the nodes serve this: another node is told within a moment.
async fn reads(world: &World, source: &Source, id: u64, wanted: u64) {
    for (node, cache) in world.caches.iter().enumerate() {
        until(
            &format!("{} {node} serves {wanted}", world.name),
            async || read(cache, source, id).await == wanted,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_read_anywhere_is_a_hit_with_the_new_value() {
    for world in worlds() {
        let (source, first) = (Source::new(1), &world.caches[0]);
        for cache in &world.caches {
            assert_eq!(read(cache, &source, 7).await, 8, "{}", world.name);
            assert_eq!(read_badge(cache, &source, 7).await, 701, "{}", world.name);
        }
        let loads = source.loads();
        assert_eq!(
            save(first, &source, 7, 20).await,
            Ok(27),
            "its result is its own"
        );
        assert_eq!(
            read(first, &source, 7).await,
            27,
            "{}: at once here",
            world.name
        );
        reads(&world, &source, 7, 27).await;
        assert_eq!(source.loads(), loads, "{}: nothing was loaded", world.name);
        // What shares the tag has ended with it.
        for cache in &world.caches {
            until("the other function is loaded anew", async || {
                read_badge(cache, &source, 7).await == 720
            })
            .await;
        }
        let figures = &first.snapshot().kinds["profile"];
        assert_eq!(
            (figures.updates, figures.updates_refused),
            (1, 0),
            "{}",
            world.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_nobody_had_read_is_there_after_the_write() {
    for world in worlds() {
        let source = Source::new(1);
        save(&world.caches[0], &source, 3, 30)
            .await
            .expect("a write");
        reads(&world, &source, 3, 33).await;
        assert_eq!(source.loads(), 0, "{}", world.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writes_that_cross_neither_leaves_an_older_value() {
    for world in worlds() {
        let source = Source::new(1);
        let (one, two) = (&world.caches[0], world.caches.last().expect("one at least"));
        for (id, first_ends_first) in [(1, true), (2, false)] {
            let one_begun = one.scope(async { profile_begun(id).begin().await }).await;
            let two_begun = two.scope(async { profile_begun(id).begin().await }).await;
            // In this order in the database.
            let (older, newer) = (50 + id, 60 + id);
            source.set(60);
            let end_one = one_begun.end(Outcome::Value(Ok(older)));
            let end_two = two_begun.end(Outcome::Value(Ok(newer)));
            if first_ends_first {
                end_one.await;
                end_two.await;
            } else {
                end_two.await;
                end_one.await;
            }
            reads(&world, &source, id, newer).await;
            for cache in &world.caches {
                assert_eq!(read(cache, &source, id).await, newer, "{}", world.name);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_an_invalidation_overtakes_stores_nothing() {
    for world in worlds() {
        let (source, one) = (Source::new(1), &world.caches[0]);
        let two = world.caches.last().expect("one at least");
        let tag = async |cache: &Cache| cache.invalidate_tag("user:4").await.map(drop);
        let kind = async |cache: &Cache| cache.invalidate_kind("profile").await.map(drop);
        let key = async |cache: &Cache| {
            let key = profile::key(4).expect("a number makes a key");
            cache.invalidate_key(key).await;
            Ok(())
        };
        for what in ["tag", "kind", "key"] {
            source.set(1);
            let begun = one.scope(async { profile_begun(4).begin().await }).await;
            // Another write, after this one's, and its invalidation.
            source.set(90);
            match what {
                "tag" => tag(two).await,
                "kind" => kind(two).await,
                _ => key(two).await,
            }
            .expect("a good name");
            begun.end(Outcome::Value(Ok(5))).await;
            for cache in &world.caches {
                assert_eq!(read(cache, &source, 4).await, 94, "{}, {what}", world.name);
            }
        }
        let figures = &one.snapshot().kinds["profile"];
        assert_eq!(
            (figures.updates, figures.updates_refused),
            (0, 3),
            "{}",
            world.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_write_updates_two_functions_under_one_tag() {
    for world in worlds() {
        let (source, first) = (Source::new(1), &world.caches[0]);
        for cache in &world.caches {
            read(cache, &source, 7).await;
            read_badge(cache, &source, 7).await;
        }
        let (loads, both) = (source.loads(), async || {
            let profile = profile_begun(7).begin().await;
            let badge = badge_begun(7).beside(&profile).begin().await;
            (profile, badge)
        });
        let (profile, badge) = first.scope(both()).await;
        source.set(20);
        profile.end(Outcome::Value(Ok(27))).await;
        badge.end(Outcome::Value(Ok(720))).await;
        reads(&world, &source, 7, 27).await;
        for cache in &world.caches {
            until("the other one is there too", async || {
                read_badge(cache, &source, 7).await == 720
            })
            .await;
        }
        assert_eq!(source.loads(), loads, "{}: nothing was loaded", world.name);

        // Another write that comes in between refuses both, or whichever has not ended.
        let last = world.caches.last().expect("one at least");
        for ended in [0, 1] {
            let (profile, badge) = first.scope(both()).await;
            source.set(30 + ended);
            if ended == 1 {
                profile.end(Outcome::Value(Ok(27))).await;
                last.invalidate_tag("user:7").await.expect("a tag");
            } else {
                last.invalidate_tag("user:7").await.expect("a tag");
                profile.end(Outcome::Value(Ok(27))).await;
            }
            badge.end(Outcome::Value(Ok(720))).await;
            reads(&world, &source, 7, 37 + ended).await;
            for cache in &world.caches {
                assert_eq!(
                    read_badge(cache, &source, 7).await,
                    730 + ended,
                    "{}",
                    world.name
                );
            }
        }
    }
}

/// Both carry `user:{id}`.
#[updates(profile(id), badge(id))]
async fn save_both(source: &Source, id: u64, value: u64) -> Read {
    source.set(value);
    Ok(value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_attribute_tells_two_updates_of_each_other() {
    for world in worlds() {
        let (source, first) = (Source::new(1), &world.caches[0]);
        assert_eq!(first.scope(save_both(&source, 4, 50)).await, Ok(50));
        assert_eq!(read(first, &source, 4).await, 50, "{}", world.name);
        assert_eq!(read_badge(first, &source, 4).await, 50, "{}", world.name);
        assert_eq!(source.loads(), 0, "{}: both were stored", world.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_is_under_way_stores_nothing_over_the_write() {
    for world in worlds() {
        let (source, one) = (Source::new(1), world.caches[0].clone());
        source.hold();
        let load = tokio::spawn({
            let (cache, source) = (one.clone(), source.clone());
            async move { read(&cache, &source, 5).await }
        });
        source.loading(1).await;
        save(&one, &source, 5, 40).await.expect("a write");
        source.let_go();
        assert_eq!(load.await.expect("no panic"), 6, "its caller's alone");
        reads(&world, &source, 5, 45).await;
        assert_eq!(source.loads(), 1, "{}", world.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_changes_nothing() {
    for world in worlds() {
        let source = Source::new(1);
        for cache in &world.caches {
            read(cache, &source, 6).await;
            read_badge(cache, &source, 6).await;
        }
        let (loads, first) = (source.loads(), &world.caches[0]);
        let failing = async { Err("no connection".to_owned()) };
        let told = |returned: Read| outcome(shape!(Read), returned);
        let returned = write_profile(first, 6, failing, told).await;
        assert_eq!(returned, Err("no connection".to_owned()));
        for cache in &world.caches {
            assert_eq!(read(cache, &source, 6).await, 7);
            assert_eq!(read_badge(cache, &source, 6).await, 601);
        }
        assert_eq!(source.loads(), loads, "{}", world.name);
        // Its lease is given up: a load may store again.
        first.invalidate_tag("user:6").await.expect("a tag");
        read(first, &source, 6).await;
        until("it is stored", async || {
            let before = source.loads();
            read(first, &source, 6).await;
            source.loads() == before
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_given_up_half_way_invalidates() {
    for world in worlds() {
        let (source, first) = (Source::new(1), &world.caches[0]);
        for cache in &world.caches {
            read(cache, &source, 8).await;
            read_badge(cache, &source, 8).await;
        }
        let begun = first.scope(async { profile_begun(8).begin().await }).await;
        source.set(70);
        drop(begun);
        reads(&world, &source, 8, 78).await;
        for cache in &world.caches {
            until("what shares the tag ends too", async || {
                read_badge(cache, &source, 8).await == 870
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_returns_nothing_to_be_cached_invalidates() {
    for world in worlds() {
        let source = Source::new(1);
        for cache in &world.caches {
            read(cache, &source, 9).await;
        }
        let body = async {
            source.set(2);
            Ok(None::<u64>)
        };
        let told = |returned| outcome(shape!(Result<Option<u64>, String>), returned);
        let returned = write_profile(&world.caches[0], 9, body, told).await;
        assert_eq!(returned, Ok(None));
        assert_eq!(
            read(&world.caches[0], &source, 9).await,
            11,
            "{}",
            world.name
        );
        reads(&world, &source, 9, 11).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_without_tags_is_updated_by_its_key() {
    for world in worlds() {
        let source = Source::new(1);
        let read = async |cache: &Cache| cache.scope(plain(&source, 1)).await;
        for cache in &world.caches {
            assert_eq!(read(cache).await, Ok(2));
        }
        let loads = source.loads();
        let body = async {
            source.set(10);
            Ok(11)
        };
        let told = |returned: Read| outcome(shape!(Read), returned);
        let written = write_plain(&world.caches[0], 1, body, told).await;
        assert_eq!(written, Ok(11));
        for cache in &world.caches {
            until("it is the new one", async || read(cache).await == Ok(11)).await;
        }
        assert_eq!(source.loads(), loads, "{}", world.name);

        // Two that cross: its lease is all that tells.
        let first = &world.caches[0];
        let last = world.caches.last().expect("one at least");
        let older = first.scope(async { plain_begun(1).begin().await }).await;
        let newer = last.scope(async { plain_begun(1).begin().await }).await;
        source.set(20);
        newer.end(Outcome::Value(Ok(21))).await;
        older.end(Outcome::Value(Ok(16))).await;
        for cache in &world.caches {
            until("it is the newest", async || read(cache).await == Ok(21)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_stays_in_its_process_is_updated_there_and_loaded_elsewhere() {
    for world in worlds() {
        let source = Source::new(1);
        let read = async |cache: &Cache| cache.scope(loose(&source, 1)).await;
        for cache in &world.caches {
            assert_eq!(read(cache).await, Ok(Loose(2)));
        }
        let loads = source.loads();
        let body = async {
            source.set(10);
            Ok(Loose(11))
        };
        let told = |returned| outcome(shape!(Result<Loose, String>), returned);
        let written = write_loose(&world.caches[0], 1, body, told).await;
        assert_eq!(written, Ok(Loose(11)));
        assert_eq!(read(&world.caches[0]).await, Ok(Loose(11)));
        assert_eq!(source.loads(), loads, "{}", world.name);
        for cache in &world.caches[1..] {
            until("it is loaded anew", async || {
                read(cache).await == Ok(Loose(11))
            })
            .await;
            assert_eq!(source.loads(), loads + 1, "{}", world.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_reads_what_it_writes_does_not_wait_for_itself() {
    for world in worlds() {
        let (source, first) = (Source::new(1), &world.caches[0]);
        let begun = Instant::now();
        let body = async {
            let before = read(first, &source, 2).await;
            source.set(before + 10);
            Ok(before + 12)
        };
        let told = |returned: Read| outcome(shape!(Read), returned);
        let written = write_profile(first, 2, body, told).await;
        assert_eq!(written, Ok(15), "{}", world.name);
        assert!(begun.elapsed() < Duration::from_secs(2), "{}", world.name);
        reads(&world, &source, 2, 15).await;
        assert_eq!(source.loads(), 1, "{}: only the write's own", world.name);
    }
}

#[test]
fn a_plain_write_waits_for_its_update() {
    let server = MemoryServer::new(Env::system());
    let cache = Cache::builder().shared(server.store()).build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let source = Source::new(1);
    runtime.block_on(cache.scope(async {
        let updating = profile_begun(1).begin_blocking();
        source.set(4);
        block_on(updating.end(Outcome::Value(Ok(5))));
        assert_eq!(profile(&source, 1).await, Ok(5));
        assert_eq!(source.loads(), 0);
    }));
}

/// A cache whose store can be held back, and a writer and a reader of it.
fn held_back(timeout: Duration) -> (MemoryServer, Cache, Gates) {
    let server = MemoryServer::new(Env::system());
    let (store, gates) = gated(server.store());
    let cache = Cache::builder()
        .shared(store)
        .store_timeout(timeout)
        .build();
    (server, cache, gates)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_delays_a_write_by_its_timeout_at_most() {
    for op in [Op::Begin, Op::Update, Op::Fill] {
        let timeout = Duration::from_millis(400);
        let (server, cache, gates) = held_back(timeout);
        let other = Cache::builder().shared(server.store()).build();
        let source = Source::new(1);
        for cache in [&cache, &other] {
            read(cache, &source, 1).await;
        }
        gates.hold_requests(op);
        if op == Op::Begin {
            // Then the invalidation hangs as well.
            gates.hold_requests(Op::Invalidate);
        }
        let begun = Instant::now();
        assert_eq!(save(&cache, &source, 1, 50).await, Ok(51), "{op:?}");
        // What is beyond is the machine's, which other tests keep busy.
        assert!(
            begun.elapsed() < timeout * 2,
            "{op:?}: {:?}",
            begun.elapsed()
        );
        assert_eq!(read(&cache, &source, 1).await, 51, "{op:?}: it holds here");
        gates.open(op);
        gates.open(Op::Invalidate);
        until("it holds there", async || {
            read(&other, &source, 1).await == 51
        })
        .await;
        assert_eq!(cache.snapshot().kinds["profile"].updates, 0, "{op:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_write_has_ended_goes_at_once_whatever_else_is_still_asked() {
    let (_server, cache, gates) = held_back(Duration::from_mins(1));
    let source = Source::new(1);
    read(&cache, &source, 1).await;
    gates.hold_requests(Op::Update);
    gates.hold_requests(Op::Invalidate);
    let saved = tokio::spawn({
        let (cache, source) = (cache.clone(), source.clone());
        async move { save(&cache, &source, 1, 50).await }
    });
    gates.held(Op::Update, 1).await;
    gates.held(Op::Invalidate, 1).await;
    assert_eq!(read(&cache, &source, 1).await, 2, "it is learnt once more");
    gates.open(Op::Update);
    // Its own write tells this node nothing, and what others end now would not either.
    until("the value from before is gone", async || {
        cache.scope(profile::peek(1)).await.is_none()
    })
    .await;
    gates.open(Op::Invalidate);
    assert_eq!(saved.await.expect("no panic"), Ok(51));
    assert_eq!(read(&cache, &source, 1).await, 51);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_caller_is_gone_is_stored_all_the_same() {
    let (server, cache, gates) = held_back(Duration::from_secs(5));
    let other = Cache::builder().shared(server.store()).build();
    let source = Source::new(1);
    gates.hold_replies(Op::Update);
    let saved = save(&cache, &source, 1, 50);
    // Until the update is under way, and no further.
    let left = tokio::select! {
        _ = saved => None,
        () = gates.held(Op::Update, 1) => Some(()),
    };
    assert_eq!(left, Some(()), "its answer is withheld");
    gates.open(Op::Update);
    until("it is stored", async || {
        cache.snapshot().kinds["profile"].updates == 1
    })
    .await;
    assert_eq!(read(&other, &source, 1).await, 51);
    assert_eq!(source.loads(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_before_the_write_leaves_everything_as_it_was() {
    let (server, cache, gates) = held_back(Duration::from_secs(5));
    let source = Source::new(1);
    read(&cache, &source, 1).await;
    gates.hold_replies(Op::Begin);
    let begun = polled(1, save(&cache, &source, 1, 50)).await;
    assert!(begun.is_none());
    gates.held(Op::Begin, 1).await;
    gates.open(Op::Begin);
    assert_eq!(read(&cache, &source, 1).await, 2);
    assert_eq!(source.loads(), 1, "it was not invalidated");
    let other = Cache::builder().shared(server.store()).build();
    other.invalidate_tag("user:1").await.expect("a tag");
    read(&other, &source, 1).await;
    assert_eq!(source.loads(), 2);
    let again = read(&other, &source, 1).await;
    assert_eq!(
        (again, source.loads()),
        (2, 2),
        "its lease is in nobody's way"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_a_write_is_queued_as_an_invalidation() {
    let server = MemoryServer::new(Env::system());
    let (one, two) = (server.store(), server.checked_store());
    let (one, two) = (
        Cache::builder().shared(one).build(),
        Cache::builder().shared(two).build(),
    );
    let source = Source::new(1);
    for cache in [&one, &two] {
        assert_eq!(read(cache, &source, 1).await, 2);
        assert_eq!(read_badge(cache, &source, 1).await, 101);
    }
    server.trouble(Trouble::Down);
    assert_eq!(save(&one, &source, 1, 60).await, Ok(61));
    assert!(one.health().queued > 0);
    assert_eq!(read(&one, &source, 1).await, 61);
    server.trouble(Trouble::None);
    until("the queue is applied", async || one.health().usable).await;
    assert_eq!(read(&two, &source, 1).await, 61);
    assert_eq!(read_badge(&two, &source, 1).await, 160);
    let figures = &one.snapshot().kinds["profile"];
    assert_eq!((figures.updates, figures.updates_refused), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_down_a_write_is_queued_as_an_invalidation() {
    let mut world = on_redis(2);
    let source = Source::new(1);
    let (one, two) = (world.caches[0].clone(), world.caches[1].clone());
    for cache in [&one, &two] {
        assert_eq!(read(cache, &source, 1).await, 2);
    }
    let begun = one.scope(async { profile_begun(1).begin().await }).await;
    source.set(60);
    let redis = world.redis.as_mut().expect("it is on Redis");
    redis.pause();
    let ended = tokio::spawn(one.scope(begun.end(Outcome::Value(Ok(61)))));
    ended.await.expect("no panic");
    assert!(one.health().queued > 0);
    assert_eq!(read(&one, &source, 1).await, 61, "it holds here");
    world.redis.as_ref().expect("it is on Redis").resume();
    until("the queue is applied", async || {
        one.health().usable && one.health().queued == 0
    })
    .await;
    until("it holds there", async || {
        read(&two, &source, 1).await == 61
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_no_writes_still_ends_what_was_there() {
    let (server, cache, gates) = held_back(Duration::from_secs(5));
    let other = Cache::builder().shared(server.store()).build();
    let source = Source::new(1);
    for op in [Op::Begin, Op::Update] {
        for cache in [&cache, &other] {
            read(cache, &source, 1).await;
        }
        gates.fail(op, ErrorKind::Rejected);
        let value = source.value() + 10;
        assert_eq!(save(&cache, &source, 1, value).await, Ok(value + 1));
        gates.open(op);
        assert_eq!(cache.health().queued, 0, "{op:?}: removing needs no room");
        assert!(cache.health().usable, "{op:?}");
        for cache in [&cache, &other] {
            assert_eq!(read(cache, &source, 1).await, value + 1, "{op:?}");
        }
    }
}

/// What is written, with what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Order {
    customer: u64,
    total: u64,
    millis: u64,
}

#[cached(
    kind = "order",
    skip(source),
    tags("order:{id}"),
    cache_if = |order| order.total > 0,
    ttl_with = |order| Duration::from_millis(order.millis),
    tags_with = |order| ["customer:{order.customer}"]
)]
async fn order(source: &Source, id: u64) -> Order {
    let total = source.load().await;
    Order {
        customer: id,
        total,
        millis: 60_000,
    }
}

/// A write of an order with these terms.
async fn save_order(cache: &Cache, id: u64, written: Order) {
    let shape = checked::<Order, _, _, _, _>(shape!(Order));
    let args = (argument(&id),);
    let tags = |tags: &mut cache_core::__private::Tags| {
        tags.tag(&[Part::Text("order:"), Part::Value(&id)]);
    };
    cache
        .scope(async {
            let site = order::__site();
            let terms = |ticket: Ticket<Order, _>| {
                ticket
                    .cache_if(|order: &Order| order.total > 0)
                    .ttl_with(|order: &Order| Duration::from_millis(order.millis))
                    .tags_with(|order: &Order| [format!("customer:{}", order.customer)])
            };
            let noted = updating(site, Instance::SOLE, shape, None, &args, tags, terms);
            // As it is where one write updates two functions.
            let noted = noted.beside(&plain::__updating(id)).begin().await;
            let (_, outcome) = outcome(shape!(Order), written);
            noted.end(outcome).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_functions_terms_hold_for_what_is_written() {
    for world in worlds() {
        let (source, first) = (Source::new(1), &world.caches[0]);
        let last = world.caches.last().expect("one at least");
        let read = async |cache: &Cache| cache.scope(order(&source, 1)).await.total;
        let order = |customer, total, millis| Order {
            customer,
            total,
            millis,
        };
        // Twice: at first nobody has known the customer's tag before the load.
        for cache in [first, last, first] {
            assert_eq!(read(cache).await, 1);
        }
        until("it is stored", async || {
            let loads = source.loads();
            read(first).await;
            source.loads() == loads
        })
        .await;

        // A value that is not cached.
        source.set(0);
        save_order(first, 1, order(1, 0, 60_000)).await;
        let loads = source.loads();
        assert_eq!(read(first).await, 0, "{}", world.name);
        assert_eq!(
            source.loads(),
            loads + 1,
            "{}: it was invalidated",
            world.name
        );

        // One that is, with a tag that was known before the write; and the tag ends it.
        source.set(5);
        save_order(first, 1, order(1, 5, 60_000)).await;
        let loads = source.loads();
        assert_eq!(read(first).await, 5, "{}", world.name);
        assert_eq!(source.loads(), loads, "{}: it was stored", world.name);
        source.set(6);
        last.invalidate_tag("customer:1").await.expect("a tag");
        until("its own tag has ended it", async || read(first).await == 6).await;

        // One that is over at once.
        save_order(first, 1, order(1, 6, 0)).await;
        let loads = source.loads();
        assert_eq!(read(first).await, 6);
        assert_eq!(source.loads(), loads + 1, "{}", world.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_only_the_written_value_knows_is_never_missed() {
    for world in worlds() {
        let (source, first) = (Source::new(3), &world.caches[0]);
        let last = world.caches.last().expect("one at least");
        let tags = |tags: &mut cache_core::__private::Tags| tags.tag(&[Part::Text("order:2")]);
        let shape = checked::<Order, _, _, _, _>(shape!(Order));
        let noted = first
            .scope(async {
                let (site, args) = (order::__site(), (argument(&2_u64),));
                let terms = |ticket: Ticket<Order, _>| {
                    ticket.tags_with(|order: &Order| [format!("customer:{}", order.customer)])
                };
                updating(site, Instance::SOLE, shape, None, &args, tags, terms)
                    .begin()
                    .await
            })
            .await;
        // During the write, by whoever else writes to that customer.
        last.invalidate_tag("customer:77").await.expect("a tag");
        let written = Order {
            customer: 77,
            total: 2,
            millis: 60_000,
        };
        noted.end(Outcome::Value(written)).await;
        for cache in &world.caches {
            assert_eq!(
                cache.scope(order(&source, 2)).await.total,
                3,
                "{}",
                world.name
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_transaction_a_write_comes_to_an_invalidation() {
    for world in worlds() {
        let (source, first) = (Source::new(1), &world.caches[0]);
        for cache in &world.caches {
            read(cache, &source, 1).await;
        }
        let aborted = first.transaction(async {
            save(first, &source, 1, 9).await.expect("a write");
            Err::<(), ()>(())
        });
        assert!(aborted.await.is_err());
        source.set(1);
        let loads = source.loads();
        for cache in &world.caches {
            assert_eq!(read(cache, &source, 1).await, 2, "{}", world.name);
        }
        assert_eq!(source.loads(), loads, "{}: nothing has changed", world.name);
        let committed = first.transaction(async {
            let saved = save(first, &source, 1, 9).await;
            // Nobody else is to see it yet.
            for cache in &world.caches[1..] {
                assert_eq!(read(cache, &source, 1).await, 2, "{}", world.name);
            }
            saved
        });
        assert_eq!(committed.await, Ok(10));
        reads(&world, &source, 1, 10).await;
        assert_eq!(
            first.snapshot().kinds["profile"].updates,
            0,
            "{}",
            world.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_server_may_have_forgotten_is_ended_once_more() {
    let server = MemoryServer::new(Env::system());
    let cache = Cache::builder().shared(server.store()).build();
    let source = Source::new(1);
    save(&cache, &source, 1, 5).await.expect("a write");
    assert_eq!(cache.health().queued, 0);
    server.trouble(Trouble::Down);
    assert!(
        cache.health().queued > 0,
        "the write is among what was sent lately"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_is_switched_off_here_is_invalidated_for_the_others() {
    let server = MemoryServer::new(Env::system());
    let off = cache_core::Policy::new().enabled(false);
    let one = Cache::builder()
        .shared(server.store())
        .policy("profile", off)
        .build();
    let two = Cache::builder().shared(server.store()).build();
    let source = Source::new(1);
    assert_eq!(read(&two, &source, 1).await, 2);
    save(&one, &source, 1, 5).await.expect("a write");
    assert_eq!(read(&two, &source, 1).await, 6);
    assert_eq!(
        source.loads(),
        2,
        "nothing was stored for a kind that is off"
    );
}
