//! Case 11: how much of a stream of requests a bounded cache answers.

use cache_core::{Cache, cached};
use cached::Cached as _;
use cached::prelude::ConcurrentCached as _;

use crate::cases::Case;
use crate::measure::Figure;
use crate::rows::{Bound, Row, Section, percent};
use crate::streams::{Random, Zipf};
use crate::{Effort, Result, loaded, loads};

pub(super) const CASE: Case = Case {
    number: 11,
    title: "Hit ratio",
    about: "The part of a stream of requests that is answered without a load, by a cache that holds 1 %, 5 % \
            or 10 % of 100,000 keys; ours by `capacity` in the attribute. *Zipf*: exponent 0.99. *Scans*: the \
            same, and after every 20,000 requests a scan of 10,000 keys that are never asked for again. \
            *Loop*: all keys in order, again and again; the best that can be had is the capacity's part. One \
            thread, one seed, the same requests for everybody. To be reached: no more than one point below the \
            best of the others. Of foyer every algorithm is there; of `cached`, both stores.",
    limit: None,
    run,
};

const KEYS: u32 = 100_000;

#[cached(kind = "small", ttl = "1h", capacity = 1_000, tags("all"))]
fn small(id: u64) -> u64 {
    loaded(id)
}

#[cached(kind = "medium", ttl = "1h", capacity = 5_000, tags("all"))]
fn medium(id: u64) -> u64 {
    loaded(id)
}

#[cached(kind = "large", ttl = "1h", capacity = 10_000, tags("all"))]
fn large(id: u64) -> u64 {
    loaded(id)
}

/// A number of entries, what part of the keys that is, and ours with that bound.
type Capacity = (usize, &'static str, fn(u64) -> u64);

const CAPACITIES: [Capacity; 3] = [
    (1_000, "1 %", small),
    (5_000, "5 %", medium),
    (10_000, "10 %", large),
];

// Every case can fail; this one happens not to.
#[allow(clippy::unnecessary_wraps)]
fn run(effort: Effort) -> Result<Vec<Row>> {
    let requests = effort.of(200_000, 2_000_000);
    let streams = [
        ("Zipf", zipf(requests)),
        ("scans", scans(requests)),
        ("loop", looping(requests)),
    ];
    let mut rows = Vec::new();
    for (name, stream) in &streams {
        for (capacity, part, ours) in CAPACITIES {
            rows.extend(compare(&format!("{name}, {part}"), stream, capacity, ours));
        }
    }
    Ok(rows)
}

fn compare(what: &str, stream: &[u64], capacity: usize, ours: fn(u64) -> u64) -> Vec<Row> {
    let ours = Figure::counted(hit_ratio(stream, || {
        let cache = Cache::builder().build();
        move |request: &[u64]| {
            cache.scope_blocking(|| request.iter().for_each(|id| _ = ours(*id)));
        }
    }));
    let others = others(stream, capacity);
    let best = others.iter().map(|(_, ratio)| *ratio).fold(0.0, f64::max);
    let mut section = Section::new(what, percent, "**`#[cached]`**", ours)
        .ours(Bound::AtLeast((best - 1.0).max(0.0)));
    for (name, ratio) in others {
        section.beside(name, Figure::counted(ratio), None);
    }
    section.rows()
}

/// The part that was not loaded, in percent. What was made for it is gone afterwards.
#[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
fn hit_ratio<F: Fn(&[u64])>(stream: &[u64], made: impl FnOnce() -> F) -> f64 {
    let before = loads();
    made()(stream);
    let misses = loads() - before;
    100.0 - 100.0 * misses as f64 / stream.len() as f64
}

/// As [`hit_ratio`], of a store without an attribute.
fn of(stream: &[u64], get: impl Fn(u64) -> bool, put: impl Fn(u64)) -> f64 {
    hit_ratio(stream, || {
        move |stream: &[u64]| {
            for id in stream {
                if !get(*id) {
                    put(loaded(*id));
                }
            }
        }
    })
}

fn others(stream: &[u64], capacity: usize) -> Vec<(&'static str, f64)> {
    use foyer_memory::{EvictionConfig, LfuConfig, LruConfig, S3FifoConfig, SieveConfig};
    let most = u64::try_from(capacity).unwrap_or(u64::MAX);
    let moka = moka::sync::Cache::<u64, u64>::new(most);
    let quick = quick_cache::sync::Cache::<u64, u64>::new(capacity);
    let lru = std::cell::RefCell::new(cached::LruCache::<u64, u64>::new(capacity));
    let sharded = cached::ShardedLruCache::<u64, u64>::new(capacity);
    let mut ratios = vec![
        (
            "moka",
            of(
                stream,
                |id| moka.get(&id).is_some(),
                |id| moka.insert(id, id),
            ),
        ),
        (
            "quick_cache",
            of(
                stream,
                |id| quick.get(&id).is_some(),
                |id| quick.insert(id, id),
            ),
        ),
        (
            "cached `#[cached]` (LRU)",
            of(
                stream,
                |id| lru.borrow_mut().cache_get(&id).is_some(),
                |id| _ = lru.borrow_mut().cache_set(id, id),
            ),
        ),
        (
            "cached `#[concurrent_cached]` (LRU, in shards)",
            of(
                stream,
                |id| sharded.cache_get(&id).is_ok_and(|value| value.is_some()),
                |id| _ = sharded.cache_set(id, id),
            ),
        ),
    ];
    let algorithms: [(_, EvictionConfig); 4] = [
        ("foyer-memory, S3-FIFO", S3FifoConfig::default().into()),
        ("foyer-memory, LRU", LruConfig::default().into()),
        ("foyer-memory, w-TinyLFU", LfuConfig::default().into()),
        ("foyer-memory, Sieve", SieveConfig.into()),
    ];
    for (name, algorithm) in algorithms {
        let foyer = foyer_memory::CacheBuilder::new(capacity)
            .with_shards(1)
            .with_eviction_config(algorithm)
            .build::<foyer_memory::CacheProperties>();
        ratios.push((
            name,
            of(
                stream,
                |id| foyer.get(&id).is_some(),
                |id| _ = foyer.insert(id, id),
            ),
        ));
    }
    ratios
}

fn zipf(requests: usize) -> Vec<u64> {
    let (zipf, mut random) = (Zipf::new(KEYS, 0.99), Random::new(1));
    (0..requests).map(|_| zipf.draw(&mut random)).collect()
}

fn scans(requests: usize) -> Vec<u64> {
    let (zipf, mut random) = (Zipf::new(KEYS, 0.99), Random::new(2));
    let mut once = u64::from(KEYS)..;
    let mut stream = Vec::with_capacity(requests + 30_000);
    while stream.len() < requests {
        stream.extend((0..20_000).map(|_| zipf.draw(&mut random)));
        stream.extend(once.by_ref().take(10_000));
    }
    stream
}

fn looping(requests: usize) -> Vec<u64> {
    (0..u64::from(KEYS)).cycle().take(requests).collect()
}
