//! Stores without an attribute: what a function around them costs is their `get`. Those that can look
//! for a borrowed key do so.

use std::hash::{BuildHasher, Hash};
use std::hint::black_box;
use std::sync::Arc;

use equivalent::Equivalent;
use foldhash::fast::RandomState;
use rustix::time::{ClockId, clock_gettime};

use super::names::{FOYER, MOKA, PAPAYA, PAPAYA_DEFAULT, PAPAYA_TIMED, QUICK};
use super::{BOUND, NAME, TTL, named_of};
use crate::measure::{Contestant, KEYS, Worth};

/// A key of two, and what is asked with for it.
type Named = (u64, String);

#[derive(Hash)]
struct Asked<'a>(u64, &'a str);

impl Equivalent<Named> for Asked<'_> {
    fn equivalent(&self, key: &Named) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

fn all_named() -> impl Iterator<Item = (Named, Arc<String>)> {
    (0..KEYS).map(|id| ((id, NAME.to_owned()), named_of(id, NAME)))
}

/// What is there is there: a bare store has nobody to ask.
fn there<T>(value: Option<T>) -> T {
    value.expect("every key was inserted")
}

pub(super) fn moka<V>(load: fn(u64) -> V) -> Contestant
where
    V: Worth + Clone + Send + Sync + 'static,
{
    let cache = moka::sync::Cache::builder()
        .max_capacity(BOUND)
        .time_to_live(TTL)
        .build_with_hasher(RandomState::default());
    for id in 0..KEYS {
        cache.insert(id, load(id));
    }
    Contestant::plain(MOKA, move |id| there(cache.get(&id)))
}

pub(super) fn moka_awaited<V>(load: fn(u64) -> V) -> Contestant
where
    V: Worth + Clone + Send + Sync + 'static,
{
    let cache = moka::future::Cache::builder()
        .max_capacity(BOUND)
        .time_to_live(TTL)
        .build_with_hasher(RandomState::default());
    crate::measure::RUNTIME.block_on(async {
        for id in 0..KEYS {
            cache.insert(id, load(id)).await;
        }
    });
    Contestant::awaited(MOKA, async move |id| there(cache.get(&id).await))
}

pub(super) fn moka_named() -> Contestant {
    let cache = moka::sync::Cache::builder()
        .max_capacity(BOUND)
        .time_to_live(TTL)
        .build_with_hasher(RandomState::default());
    for (key, value) in all_named() {
        cache.insert(key, value);
    }
    Contestant::plain(MOKA, move |id| {
        there(cache.get(&Asked(id, black_box(NAME))))
    })
}

pub(super) fn foyer<V>(load: fn(u64) -> V) -> Contestant
where
    V: Worth + Clone + Send + Sync + 'static,
{
    let cache = foyer_memory::CacheBuilder::new(capacity())
        .with_hash_builder(RandomState::default())
        .build::<foyer_memory::CacheProperties>();
    for id in 0..KEYS {
        cache.insert(id, load(id));
    }
    Contestant::plain(FOYER, move |id| there(cache.get(&id)).value().clone())
}

pub(super) fn foyer_named() -> Contestant {
    let cache = foyer_memory::CacheBuilder::new(capacity())
        .with_hash_builder(RandomState::default())
        .build::<foyer_memory::CacheProperties>();
    for (key, value) in all_named() {
        cache.insert(key, value);
    }
    Contestant::plain(FOYER, move |id| {
        there(cache.get(&Asked(id, black_box(NAME))))
            .value()
            .clone()
    })
}

pub(super) fn quick_cache<V>(load: fn(u64) -> V) -> Contestant
where
    V: Worth + Clone + Send + Sync + 'static,
{
    // Its default hasher is foldhash.
    let cache = quick_cache::sync::Cache::new(capacity());
    for id in 0..KEYS {
        cache.insert(id, load(id));
    }
    Contestant::plain(QUICK, move |id| there(cache.get(&id)))
}

pub(super) fn quick_cache_named() -> Contestant {
    let cache = quick_cache::sync::Cache::new(capacity());
    for (key, value) in all_named() {
        cache.insert(key, value);
    }
    Contestant::plain(QUICK, move |id| {
        there(cache.get(&Asked(id, black_box(NAME))))
    })
}

pub(super) fn papaya<V>(load: fn(u64) -> V) -> Contestant
where
    V: Worth + Clone + Send + Sync + 'static,
{
    papaya_with(PAPAYA, RandomState::default(), load)
}

pub(super) fn papaya_default<V>(load: fn(u64) -> V) -> Contestant
where
    V: Worth + Clone + Send + Sync + 'static,
{
    papaya_with(
        PAPAYA_DEFAULT,
        std::collections::hash_map::RandomState::new(),
        load,
    )
}

fn papaya_with<V, S>(name: &'static str, hasher: S, load: fn(u64) -> V) -> Contestant
where
    V: Worth + Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    let map = papaya::HashMap::with_hasher(hasher);
    for id in 0..KEYS {
        map.pin().insert(id, load(id));
    }
    Contestant::plain(name, move |id| there(map.pin().get(&id).cloned()))
}

/// The least that an expiry adds: the cheapest clock there is, and a comparison.
pub(super) fn papaya_timed<V>(load: fn(u64) -> V) -> Contestant
where
    V: Worth + Clone + Send + Sync + 'static,
{
    let now = || {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        now.tv_sec * 1_000_000_000 + now.tv_nsec
    };
    let map = papaya::HashMap::with_hasher(RandomState::default());
    let lasts = i64::try_from(TTL.as_nanos()).expect("it is an hour");
    for id in 0..KEYS {
        map.pin().insert(id, (now() + lasts, load(id)));
    }
    Contestant::plain(PAPAYA_TIMED, move |id| {
        let map = map.pin();
        let (_, value) = there(map.get(&id).filter(|(end, _)| now() < *end));
        value.clone()
    })
}

pub(super) fn papaya_named() -> Contestant {
    let map = papaya::HashMap::with_hasher(RandomState::default());
    for (key, value) in all_named() {
        map.pin().insert(key, value);
    }
    Contestant::plain(PAPAYA, move |id| {
        there(map.pin().get(&Asked(id, black_box(NAME))).cloned())
    })
}

fn capacity() -> usize {
    usize::try_from(BOUND).expect("it is small")
}
