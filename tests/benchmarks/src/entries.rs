//! Caches that are filled with a million entries from `u64` to `u64`, to be weighed in a process each.

use std::fs;
use std::hint::black_box;

use cache_core::{Cache, cached};
use foldhash::fast::RandomState;

use crate::{Result, loaded, loads};

/// How many entries there are.
pub const ENTRIES: u64 = 1_000_000;
const BOUND: usize = 2_000_000;
const TTL: std::time::Duration = std::time::Duration::from_hours(1);

/// Sees how many entries are still there, and lets them go.
pub type Filled = Box<dyn FnOnce() -> u64>;

/// A cache that can be filled.
pub struct Filler {
    pub name: &'static str,
    pub fill: fn() -> Filled,
}

/// The one of this name.
///
/// # Errors
///
/// When there is none.
pub fn filler(name: &str) -> Result<&'static Filler> {
    let found = FILLERS.iter().find(|filler| filler.name == name);
    found.ok_or_else(|| format!("nobody is called {name}").into())
}

/// The bytes that this process has in memory.
///
/// # Errors
///
/// When the system does not say.
pub fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes
        .ok_or("no VmRSS in /proc/self/status")?
        .parse::<u64>()?
        << 10)
}

/// All of them; ours first.
pub const FILLERS: &[Filler] = &[
    Filler {
        name: "**`#[cached]`**, one tag, that all share",
        fill: || ours(shared),
    },
    Filler {
        name: "**`#[cached]`**, one tag, each its own",
        fill: || ours(own),
    },
    Filler {
        name: "**`#[cached]`**, no tag",
        fill: || ours(untagged),
    },
    Filler {
        name: "**`#[cached]`**, one tag, that all share, with `capacity`",
        fill: || ours(bounded),
    },
    Filler {
        name: "cached `#[concurrent_cached]`: bound, ttl",
        fill: || functions(concurrent),
    },
    Filler {
        name: "cached `#[cached]`: bound, ttl",
        fill: || functions(locked),
    },
    Filler {
        name: "moka: bound, ttl",
        fill: moka,
    },
    Filler {
        name: "foyer-memory: bound",
        fill: foyer,
    },
    Filler {
        name: "quick_cache: bound",
        fill: quick_cache,
    },
    Filler {
        name: "papaya: a bare map",
        fill: papaya,
    },
];

#[cached(kind = "shared", ttl = "1h", tags("all"))]
fn shared(id: u64) -> u64 {
    loaded(id)
}

#[cached(kind = "own", ttl = "1h", tags("own:{id}"))]
fn own(id: u64) -> u64 {
    loaded(id)
}

#[cached(kind = "untagged", ttl = "1h")]
fn untagged(id: u64) -> u64 {
    loaded(id)
}

#[cached(kind = "bounded", ttl = "1h", capacity = 2_000_000, tags("all"))]
fn bounded(id: u64) -> u64 {
    loaded(id)
}

#[cached::macros::concurrent_cached(max_size = 2_000_000, ttl_secs = 3600)]
fn concurrent(id: u64) -> u64 {
    loaded(id)
}

#[cached::macros::cached(max_size = 2_000_000, ttl_secs = 3600)]
fn locked(id: u64) -> u64 {
    loaded(id)
}

fn ours(call: fn(u64) -> u64) -> Filled {
    let cache = Cache::builder().capacity(4 << 30).build();
    cache.install().expect("the first of its process");
    functions(call)
}

fn functions(call: fn(u64) -> u64) -> Filled {
    for id in 0..ENTRIES {
        black_box(call(id));
    }
    let before = loads();
    Box::new(move || {
        for id in 0..ENTRIES {
            black_box(call(id));
        }
        ENTRIES - (loads() - before)
    })
}

fn moka() -> Filled {
    let cache = moka::sync::Cache::builder()
        .max_capacity(2 * ENTRIES)
        .time_to_live(TTL)
        .build();
    (0..ENTRIES).for_each(|id| cache.insert(id, id));
    cache.run_pending_tasks();
    Box::new(move || count(|id| cache.contains_key(&id)))
}

fn foyer() -> Filled {
    let cache = foyer_memory::CacheBuilder::new(BOUND).build::<foyer_memory::CacheProperties>();
    (0..ENTRIES).for_each(|id| _ = cache.insert(id, id));
    Box::new(move || count(|id| cache.contains(&id)))
}

fn quick_cache() -> Filled {
    let cache = quick_cache::sync::Cache::new(BOUND);
    (0..ENTRIES).for_each(|id| cache.insert(id, id));
    Box::new(move || count(|id| cache.contains_key(&id)))
}

fn papaya() -> Filled {
    let map = papaya::HashMap::with_hasher(RandomState::default());
    (0..ENTRIES).for_each(|id| _ = map.pin().insert(id, id));
    Box::new(move || count(|id| map.pin().contains_key(&id)))
}

fn count(there: impl Fn(u64) -> bool) -> u64 {
    (0..ENTRIES).filter(|id| there(*id)).count() as u64
}
