//! The calls that are counted: local hits in three forms, and a miss with a shared tier.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env, cached};

use crate::counted::Counted;

/// A call that is counted.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// How many are made; one run makes twice as many.
    pub(crate) times: u64,
    run: fn(u64) -> Result<(), String>,
}

pub(crate) const CALLS: &[Call] = &[
    Call {
        name: "hit-u64",
        times: 10_000,
        run: hit_u64,
    },
    Call {
        name: "hit-async-arc",
        times: 10_000,
        run: hit_async_arc,
    },
    Call {
        name: "hit-str-arc",
        times: 10_000,
        run: hit_str_arc,
    },
    Call {
        name: "miss",
        times: 700,
        run: miss,
    },
];

/// How many keys the hits go round: so few that no seed of a map's hasher has it grow a step further than
/// another does, which would change what is looked through.
const KEYS: u64 = 100;

static LOADS: AtomicU64 = AtomicU64::new(0);

fn loaded<T>(value: T) -> T {
    LOADS.fetch_add(1, Ordering::Relaxed);
    value
}

#[cached(kind = "number", ttl = "1h", capacity = 100_000, tags("number:{id}"))]
fn number(id: u64) -> u64 {
    loaded(id * 2)
}

#[cached(kind = "awaited", ttl = "1h", capacity = 100_000, tags("awaited:{id}"))]
async fn awaited(id: u64) -> Arc<String> {
    std::future::ready(()).await;
    loaded(Arc::new(id.to_string()))
}

#[cached(kind = "named", ttl = "1h", capacity = 100_000, tags("named:{id}"))]
fn named(id: u64, name: &str) -> Arc<String> {
    loaded(Arc::new(format!("{id} {name}")))
}

#[cached(kind = "missed", ttl = "1h", tags("missed:{id}"))]
async fn missed(id: u64) -> Arc<String> {
    std::future::ready(()).await;
    loaded(Arc::new(id.to_string()))
}

/// Makes one call so many times.
pub(crate) fn run(name: &str, times: &str) -> Result<(), String> {
    let call = CALLS
        .iter()
        .find(|call| call.name == name)
        .ok_or_else(|| format!("there is no call {name}"))?;
    let times = times
        .parse()
        .map_err(|error| format!("{times} is not how many times: {error}"))?;
    (call.run)(times)
}

/// How many requests to the store one miss makes: each is a round trip of its own.
pub(crate) fn round_trips() -> Result<f64, String> {
    let store = Counted::new(MemoryServer::new(Env::system()).store());
    let requests = store.requests();
    let cache = built(Cache::builder().shared(store))?;
    cache.scope_blocking(|| block_on(missed(0)));
    let before = requests.load(Ordering::Relaxed);
    cache.scope_blocking(|| block_on(missed(1)));
    let more = requests.load(Ordering::Relaxed) - before;
    loads_were(2)?;
    u32::try_from(more)
        .map(f64::from)
        .map_err(|error| error.to_string())
}

fn hit_u64(times: u64) -> Result<(), String> {
    hits(times, |key| {
        black_box(number(key));
    })
}

fn hit_async_arc(times: u64) -> Result<(), String> {
    hits(times, |key| {
        black_box(block_on(awaited(key)));
    })
}

fn hit_str_arc(times: u64) -> Result<(), String> {
    hits(times, |key| {
        black_box(named(key, black_box("bread")));
    })
}

/// Loads each key once, and then only hits.
fn hits(times: u64, call: impl Fn(u64)) -> Result<(), String> {
    install(Cache::builder())?;
    for key in 0..KEYS {
        call(key);
    }
    for at in 0..times {
        call(black_box(at * 7 % KEYS));
    }
    loads_were(KEYS)
}

fn miss(times: u64) -> Result<(), String> {
    let server = MemoryServer::new(Env::system());
    install(Cache::builder().shared(server.store()))?;
    for key in 0..times {
        black_box(block_on(missed(black_box(key))));
    }
    loads_were(times)
}

fn install(builder: cache_core::CacheBuilder) -> Result<(), String> {
    built(builder)?.install().map_err(|error| error.to_string())
}

fn built(builder: cache_core::CacheBuilder) -> Result<Cache, String> {
    builder.try_build().map_err(|error| error.to_string())
}

/// A hit that loaded, or a miss that did not, would be the count of something else.
fn loads_were(expected: u64) -> Result<(), String> {
    let loads = LOADS.load(Ordering::Relaxed);
    if loads == expected {
        Ok(())
    } else {
        Err(format!("{loads} loads where {expected} were to be"))
    }
}

/// Polls without a runtime, whose instructions would be counted.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let context = &mut Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return output;
        }
        std::thread::yield_now();
    }
}
