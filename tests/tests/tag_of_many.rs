//! Invalidating a tag takes the same whether one entry carries it or very many do: in the process,
//! counted and timed, and in Redis, counted.

use std::time::{Duration, Instant};

use cache_core::{Cache, Invalidation, cached};
use cache_redis::RedisStore;
use cache_tests::server::RedisServer;
use futures_util::{StreamExt as _, stream};

#[cached(kind = "of_many", ttl = "10m", tags("group:{group}"))]
fn number(group: &str, id: u64) -> u64 {
    id + group.len() as u64
}

#[cached(kind = "of_many_shared", ttl = "10m", tags("group:{group}"))]
async fn shared_number(group: &str, id: u64) -> u64 {
    std::future::ready(id + group.len() as u64).await
}

/// How many are very many: `tests/run` asks for a million of the optimized code.
fn many() -> u64 {
    std::env::var("ENTRIES").map_or(50_000, |many| many.parse().expect("ENTRIES is a number"))
}

/// What one invalidation took.
#[derive(Debug)]
struct Took {
    time: Duration,
    allocations: u64,
    bytes: u64,
}

fn invalidate(cache: &Cache, group: &str) -> Took {
    let tag = format!("group:{group}");
    let mut time = Duration::ZERO;
    let counted = allocation_counter::measure(|| {
        let began = Instant::now();
        let outcome = cache.invalidate_tag_blocking(&tag).unwrap();
        time = began.elapsed();
        assert_eq!(outcome, Invalidation::Applied);
    });
    Took {
        time,
        allocations: counted.count_total,
        bytes: counted.bytes_total,
    }
}

/// Only the first invalidation finds entries to end, so the very many are filled anew for each.
#[test]
fn many_entries_end_as_fast_as_one() {
    const ROUNDS: u64 = 3;
    const SINGLES: u64 = 100;
    let many = many();
    let cache = Cache::builder().capacity(2 << 30).build();
    let loads = |cache: &Cache| cache.snapshot().kinds["of_many"].loads;
    let (mut of_many, mut of_one) = (Vec::new(), Vec::new());
    cache.scope_blocking(|| {
        for _ in 0..ROUNDS {
            for single in 0..SINGLES {
                // As long as the other name, so that its text takes the same.
                number(&format!("{single:04}"), 0);
            }
            for id in 0..many {
                number("many", id);
            }
            let filled = loads(&cache);
            for id in (0..many).step_by(1_000) {
                number("many", id);
            }
            assert_eq!(loads(&cache), filled, "all of them are there");
            for single in 0..SINGLES {
                if single == SINGLES / 2 {
                    of_many.push(invalidate(&cache, "many"));
                }
                of_one.push(invalidate(&cache, &format!("{single:04}")));
            }
            for id in (0..many).step_by(1_000) {
                number("many", id);
            }
            assert_eq!(loads(&cache), filled + many / 1_000, "all of them ended");
        }
    });
    of_one.sort_by_key(|took| took.time);
    let one = &of_one[of_one.len() / 2];
    println!("a tag of one entry: {one:?}, of {many}: {of_many:?}");
    for took in &of_many {
        assert_eq!(took.allocations, one.allocations);
        assert_eq!(took.bytes, one.bytes);
    }
    // The machine may do something else during one of them.
    let best = of_many.iter().map(|took| took.time).min().unwrap();
    assert!(best < 3 * one.time, "{best:?} and {:?}", one.time);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_does_the_same_for_many_entries_as_for_one() {
    const MANY: u64 = 20_000;
    let server = RedisServer::start();
    // Reports would be among the commands that are counted.
    let store = RedisStore::builder(&server.url())
        .unwrap()
        .tracking(true)
        .report_every(Duration::ZERO);
    let cache = Cache::builder()
        .namespace("test")
        .shared(store.build().unwrap())
        // Every entry is to be stored, however slow the machine.
        .store_timeout(Duration::from_secs(20))
        .try_build()
        .unwrap();
    let ids = stream::iter(0..MANY);
    ids.for_each_concurrent(100, |id| {
        cache.scope(async move {
            shared_number("many", id).await;
        })
    })
    .await;
    cache.scope(shared_number("one", 0)).await;
    let size = || server.command::<u64>(&["DBSIZE"]);
    assert!(size() > MANY, "{} keys: not all of them are there", size());

    let mut took = Vec::new();
    for group in ["one", "many"] {
        let (commands, keys) = (server.commands(), size());
        let tag = format!("group:{group}");
        let outcome = cache.invalidate_tag(&tag).await.unwrap();
        assert_eq!(outcome, Invalidation::Applied);
        // DBSIZE is a command too.
        took.push((server.commands() - commands - 1, keys - size()));
    }
    assert_eq!(took[0], took[1], "commands and keys");
    assert_eq!(took[0], (1, 1), "a stamp is removed");
    let loads = cache.snapshot().kinds["of_many_shared"].loads;
    cache.scope(shared_number("many", 7)).await;
    assert_eq!(cache.snapshot().kinds["of_many_shared"].loads, loads + 1);
}
