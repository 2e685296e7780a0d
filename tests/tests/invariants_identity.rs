//! Invariant 3: a value is only ever returned for the call it was computed for.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(
    clippy::match_bool,
    clippy::unused_async,
    clippy::unused_self,
    clippy::needless_pass_by_value
)]

use std::time::{Duration, Instant};

use cache_core::{Cache, cached};
use cache_tests::world::World;

mod one {
    #[cache_core::cached(kind = "twins", ttl = "1m")]
    pub(super) async fn get(id: u64) -> String {
        format!("one {id}")
    }
}

mod two {
    #[cache_core::cached(kind = "twins", ttl = "1m")]
    pub(super) async fn get(id: u64) -> String {
        format!("two {id}")
    }
}

/// A kind that `one::get` and this function do not share.
#[cached(kind = "other_kind", ttl = "1m")]
async fn get(id: u64) -> String {
    format!("other kind {id}")
}

struct A;
struct B(u64);

impl A {
    #[cached(kind = "methods", ttl = "1m", skip(self))]
    fn get(&self, id: u64) -> String {
        format!("A {id}")
    }
}

impl B {
    #[cached(kind = "methods", ttl = "1m", key(self.0, id))]
    fn get(&self, id: u64) -> String {
        format!("B {} {id}", self.0)
    }
}

#[cached(kind = "generic", ttl = "1m")]
fn name_of<T: 'static>(id: u64) -> String {
    format!("{} {id}", std::any::type_name::<T>())
}

#[cached(kind = "consts", ttl = "1m")]
fn size<const N: usize>(id: u64) -> String {
    format!("{N} {id}")
}

fn nested(second: bool) -> String {
    if second {
        #[cached(kind = "nested", ttl = "1m")]
        fn inner(id: u64) -> String {
            format!("second {id}")
        }
        inner(1)
    } else {
        #[cached(kind = "nested", ttl = "1m")]
        fn inner(id: u64) -> String {
            format!("first {id}")
        }
        inner(1)
    }
}

#[cached(kind = "pairs", ttl = "1m")]
fn pair(a: &str, b: &str) -> String {
    format!("({a}|{b})")
}

#[cached(kind = "options", ttl = "1m")]
fn option(a: Option<&str>, b: Vec<u8>) -> String {
    format!("{a:?} {b:?}")
}

fn all(cache: &Cache) -> Vec<(String, String)> {
    let hostile = [
        ("ab", "c"),
        ("a", "bc"),
        ("", "abc"),
        ("abc", ""),
        ("a:b", "c"),
        ("a", "b:c"),
        ("a'", "'c"),
        ("a','", "c"),
        ("%27", "c"),
        ("'", "c"),
        ("{a}", "\n"),
        ("{a}\n", ""),
    ];
    cache.scope_blocking(|| {
        let mut got = vec![
            (A.get(1), "A 1".to_owned()),
            (B(1).get(10), "B 1 10".to_owned()),
            (B(100).get(10), "B 100 10".to_owned()),
            (B(1).get(1), "B 1 1".to_owned()),
            (name_of::<u8>(1), "u8 1".to_owned()),
            (name_of::<u16>(1), "u16 1".to_owned()),
            (size::<1>(1), "1 1".to_owned()),
            (size::<2>(1), "2 1".to_owned()),
            (nested(false), "first 1".to_owned()),
            (nested(true), "second 1".to_owned()),
        ];
        for (a, b) in hostile {
            got.push((pair(a, b), format!("({a}|{b})")));
        }
        for a in [None, Some(""), Some("None"), Some("null")] {
            for b in [vec![], vec![0], vec![0, 0]] {
                got.push((option(a, b.clone()), format!("{a:?} {b:?}")));
            }
        }
        got
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_functions_types_instances_or_argument_lists_meet() {
    for world in World::all(2) {
        // The second round, and the second node, find what the first has stored.
        for round in 0..2 {
            for cache in &world.caches {
                for (got, wanted) in all(cache) {
                    assert_eq!(got, wanted, "{} round {round}", world.name);
                }
                cache
                    .scope(async {
                        assert_eq!(one::get(1).await, "one 1");
                        assert_eq!(two::get(1).await, "two 1");
                        assert_eq!(get(1).await, "other kind 1");
                    })
                    .await;
            }
        }
        let loads: u64 = world
            .caches
            .iter()
            .flat_map(|cache| cache.snapshot().kinds.into_values())
            .map(|kind| kind.loads)
            .sum();
        assert_eq!(
            loads,
            10 + 12 + 12 + 3,
            "{}: each was computed once",
            world.name
        );
    }
}

#[cached(kind = "scoped", ttl = "1m", skip(value))]
fn scoped(value: u64, id: u64) -> u64 {
    value + id
}

#[test]
fn two_caches_do_not_mix() {
    let (one, two) = (Cache::builder().build(), Cache::builder().build());
    assert_eq!(one.scope_blocking(|| scoped(100, 1)), 101);
    assert_eq!(two.scope_blocking(|| scoped(200, 1)), 201);
    assert_eq!(one.scope_blocking(|| scoped(300, 1)), 101);
    assert_eq!(
        one.scope_blocking(|| two.scope_blocking(|| scoped(400, 1))),
        201
    );
    assert_eq!(one.snapshot().kinds["scoped"].loads, 1);
}

#[test]
fn namespaces_on_one_redis_do_not_meet() {
    use cache_redis::RedisStore;
    use cache_tests::server::RedisServer;

    let server = RedisServer::start();
    let cache = |namespace: &str| {
        let store = RedisStore::new(&server.url()).expect("a good URL");
        Cache::builder().namespace(namespace).shared(store).build()
    };
    let (one, two, again) = (cache("one"), cache("two"), cache("one"));
    assert_eq!(one.scope_blocking(|| scoped(100, 1)), 101);
    assert_eq!(two.scope_blocking(|| scoped(200, 1)), 201);
    assert_eq!(again.scope_blocking(|| scoped(300, 1)), 101);
    again.invalidate_kind_blocking("scoped").expect("a kind");
    assert_eq!(two.scope_blocking(|| scoped(400, 1)), 201);
    // Another node sees it once Redis's word has come, and after two seconds at the latest.
    let since = Instant::now();
    while one.scope_blocking(|| scoped(500, 1)) != 501 {
        assert!(since.elapsed() < Duration::from_secs(2), "it is not seen");
    }
}

mod here {
    #[cache_core::cached(kind = "moved", ttl = "1h")]
    pub(super) async fn get(id: u64) -> u64 {
        std::future::ready(id + 100).await
    }
}

mod there {
    #[cache_core::cached(kind = "moved", ttl = "1h")]
    pub(super) async fn get(id: u64) -> u64 {
        std::future::ready(id + 200).await
    }
}

/// Which of two functions of one name has the plain name in its keys, depends on which of them a
/// process called first: another process may have stored the other one's value at this one's key.
#[tokio::test]
async fn an_entry_of_another_function_at_this_ones_key_is_a_miss() {
    let server = cache_core::memory::MemoryServer::new(cache_core::Env::system());
    let cache = || Cache::builder().shared(server.checked_store()).build();
    assert_eq!(cache().scope(here::get(7)).await, 107);
    let stored = |key: &cache_core::Key| format!("cache:{key}");
    let (here, there) = (
        here::get::key(7).expect("a key"),
        there::get::key(7).expect("a key"),
    );
    let bytes = server.dig(&stored(&here)).expect("it was stored");
    server.plant(&stored(&there), &bytes, Duration::from_hours(1));
    // A node that has nothing of its own finds the other function's value, and its stamps good.
    assert_eq!(cache().scope(there::get(7)).await, 207);
}
