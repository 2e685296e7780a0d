//! What a local hit costs, beside a bare map's: `cargo bench -p cache-tests --bench hits`, or with
//! `-- PART` those named so. The cases take turns, a few milliseconds each, so that whatever else the
//! machine does meets them all alike; the figure is the median of the turns.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::{Cache, cached};
use papaya::HashMap;

/// How long a case runs before the next one has its turn.
const TURN: Duration = Duration::from_millis(4);
const TURNS: usize = 150;
/// How many calls are made between two looks at the clock.
const BATCH: u64 = 1_000;
/// How many keys there are.
const KEYS: u64 = 1_000;

#[cached(kind = "number", ttl = "1h", tags("number:{id}"))]
fn number(id: u64) -> u64 {
    id * 2
}

#[cached(kind = "named", ttl = "1h", tags("named:{id}"))]
fn named(id: u64, name: &str) -> Arc<String> {
    Arc::new(format!("{id} {name}"))
}

#[cached(kind = "awaited", ttl = "1h", tags("awaited:{id}"))]
async fn awaited(id: u64) -> Arc<String> {
    Arc::new(id.to_string())
}

struct Case {
    name: &'static str,
    run: Box<dyn Fn(u64)>,
    turns: Vec<f64>,
}

fn case(name: &'static str, run: impl Fn(u64) + 'static) -> Case {
    Case {
        name,
        run: Box::new(move |turn| {
            for call in 0..BATCH {
                run(black_box((turn + call * 7) % KEYS));
            }
        }),
        turns: Vec::new(),
    }
}

#[allow(clippy::cast_precision_loss)]
fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    Cache::builder().build().install().expect("the first");
    let numbers: HashMap<u64, u64> = HashMap::new();
    let names: HashMap<(u64, String), Arc<String>> = HashMap::new();
    for key in 0..KEYS {
        numbers.pin().insert(key, key * 2);
        names
            .pin()
            .insert((key, "bread".to_owned()), Arc::new(key.to_string()));
    }
    let mut cases = vec![
        case("papaya u64", move |key| {
            black_box(numbers.pin().get(&key).copied());
        }),
        case("fn(u64) -> u64", |key| {
            black_box(number(key));
        }),
        case("fn(u64, &str) -> Arc<T>", |key| {
            black_box(named(key, black_box("bread")));
        }),
        case("async fn(u64) -> Arc<T>", |key| {
            let mut call = std::pin::pin!(awaited(key));
            let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
            while call.as_mut().poll(context).is_pending() {
                std::thread::yield_now();
            }
        }),
    ];
    cases.retain(|case| wanted.is_empty() || wanted.iter().any(|part| case.name.contains(&**part)));
    for turn in 0..TURNS {
        for case in &mut cases {
            let (began, mut calls) = (Instant::now(), 0);
            while began.elapsed() < TURN {
                (case.run)(turn as u64);
                calls += BATCH;
            }
            let nanos = began.elapsed().as_nanos() as f64;
            case.turns.push(nanos / calls as f64);
        }
    }
    for case in &mut cases {
        case.turns.sort_by(f64::total_cmp);
        println!("{:<26} {:>7.1} ns", case.name, case.turns[TURNS / 2]);
    }
}
