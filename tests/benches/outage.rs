//! What a call costs with Redis gone and the breaker open, beside the function alone and a local
//! lookup: `cargo bench -p cache-tests --bench outage`, or with `-- PART` those named so.
//!
//! The cases take turns, a few milliseconds each, so that whatever else the machine does meets them
//! all alike.

use std::cell::Cell;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use cache_tests::server::free_port;

/// How long a case runs before the next one has its turn.
const TURN: Duration = Duration::from_millis(4);
const TURNS: usize = 250;

/// What hashing takes about twenty microseconds.
static INPUT: [u8; 136 << 10] = [7; 136 << 10];

fn nothing(id: u64) -> u64 {
    black_box(id)
}

fn work(id: u64) -> u64 {
    let hash = blake3::hash(&INPUT[..black_box(INPUT.len())]);
    id + u64::from(hash.as_bytes()[0])
}

/// The functions: each by itself, and cached by a cache whose Redis is gone, or by one without Redis.
macro_rules! functions {
    ($($body:ident: $alone:ident, $cached:ident, $plain:ident;)*) => {$(
        async fn $alone(id: u64) -> u64 {
            std::future::ready($body(id)).await
        }

        #[cached(kind = "outage", ttl = "10m", tags("user:{id}"), skip(cache), cache = cache)]
        async fn $cached(cache: &Cache, id: u64) -> u64 {
            std::future::ready($body(id)).await
        }

        #[cached(kind = "outage", ttl = "10m", tags("user:{id}"), skip(cache), cache = cache)]
        fn $plain(cache: &Cache, id: u64) -> u64 {
            $body(id)
        }
    )*};
}

functions! {
    nothing: nothing_alone, nothing_cached, nothing_plain;
    work: work_alone, work_cached, work_plain;
}

/// Polls what never has to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// A cache whose calls have found Redis gone.
fn without_redis() -> Cache {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let store = RedisStore::new(&url).expect("the URL is right");
    let cache = Cache::builder().shared(store).build();
    while cache.health().usable {
        nothing_plain(&cache, 0);
    }
    cache
}

struct Case<'a> {
    name: &'static str,
    call: Box<dyn FnMut() -> u64 + 'a>,
    /// How many calls fill a turn.
    calls: u32,
    /// Nanoseconds for one call, by turn.
    took: Vec<f64>,
}

impl<'a> Case<'a> {
    fn new(name: &'static str, call: impl FnMut() -> u64 + 'a) -> Self {
        let mut case = Self {
            name,
            call: Box::new(call),
            calls: 1,
            took: Vec::new(),
        };
        while case.turn() < TURN / 2 {
            case.calls *= 2;
        }
        case
    }

    fn turn(&mut self) -> Duration {
        let began = Instant::now();
        for _ in 0..self.calls {
            black_box((self.call)());
        }
        began.elapsed()
    }

    /// The part of the turns that took less than this is `part`.
    fn quantile(&self, part: usize) -> f64 {
        self.took[self.took.len() * part / 100]
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` only asks whether it runs.
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let turns = if is_bench { TURNS } else { 1 };
    let part = arguments.iter().find(|argument| !argument.starts_with('-'));
    let (gone, embedded) = (&without_redis(), &Cache::builder().build());
    let next = &Cell::new(8);
    let mut cases = Vec::new();
    macro_rules! cases {
        ($($what:literal: $alone:ident, $cached:ident, $plain:ident;)*) => {$(
            cases.extend([
                Case::new(concat!($what, ", the function alone"), || now($alone(7))),
                Case::new(concat!($what, ", a local hit"), || now($cached(embedded, 7))),
                Case::new(concat!($what, ", breaker open"), || now($cached(gone, 7))),
                Case::new(concat!($what, ", breaker open, plain fn"), || $plain(gone, 7)),
                Case::new(concat!($what, ", a miss without Redis"), || {
                    next.set(next.get() + 1);
                    now($cached(embedded, next.get()))
                }),
            ]);
        )*};
    }
    cases! {
        "nothing": nothing_alone, nothing_cached, nothing_plain;
        "20 us of work": work_alone, work_cached, work_plain;
    }
    if let Some(part) = part {
        cases.retain(|case| case.name.contains(part));
    }
    for _ in 0..turns {
        for case in &mut cases {
            let nanos = case.turn().as_secs_f64() * 1e9;
            case.took.push(nanos / f64::from(case.calls));
        }
    }
    assert!(!gone.health().usable, "nobody listens there");
    if !is_bench {
        return;
    }
    println!(
        "{:<40}{:>10}{:>10}{:>10}",
        "ns a call", "10 %", "median", "90 %"
    );
    for case in &mut cases {
        case.took.sort_by(f64::total_cmp);
        let [low, median, high] = [10, 50, 90].map(|part| case.quantile(part));
        println!("{:<40}{low:>10.0}{median:>10.0}{high:>10.0}", case.name);
    }
    let median = |name: String| {
        let case = cases.iter().find(|case| case.name == name)?;
        Some(case.quantile(50))
    };
    for what in ["nothing", "20 us of work"] {
        let of = |case: &str| median(format!("{what}, {case}"));
        if let (Some(alone), Some(hit), Some(open)) = (
            of("the function alone"),
            of("a local hit"),
            of("breaker open"),
        ) {
            let expected = alone + hit;
            let beyond = open - expected;
            println!("{what}: {beyond:.0} ns beyond function and lookup ({expected:.0} ns)");
        }
    }
}
