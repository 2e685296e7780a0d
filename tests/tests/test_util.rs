//! What `cache_core::test` offers to the tests of programs: it must be right about what happened, and
//! make happen what was told.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::store::{Read, Store as _};
use cache_core::test::{self, Fault, Faults, Op, TestCache};
use cache_core::{
    Cache, Clock as _, Env, Invalidation, ManualClock, Policy, assert_hits, assert_loads,
    assert_misses, cached, invalidates,
};
use cache_tests::fixture::attach_in;

static LOADS: AtomicU32 = AtomicU32::new(0);

#[cached(kind = "double", ttl = "1m", tags("number:{number}"))]
async fn double(number: u64) -> u64 {
    number * 2
}

#[invalidates(tags("number:{number}"))]
async fn write(number: u64) {
    let _ = number;
}

#[cached(kind = "half", ttl = "1m")]
fn half(number: u64) -> Result<u64, String> {
    if number.is_multiple_of(2) {
        Ok(number / 2)
    } else {
        Err(format!("{number} is odd"))
    }
}

#[cached(kind = "counted", ttl = "1h")]
async fn counted(number: u64) -> u32 {
    let _ = number;
    LOADS.fetch_add(1, Ordering::SeqCst)
}

#[tokio::test]
async fn a_value_ends_when_the_clock_is_moved_past_its_ttl() {
    test::isolated(async |cache| {
        assert_eq!(double(2).await, 4);
        cache.clock().advance(Duration::from_secs(40));
        assert_eq!(double(2).await, 4);
        assert_hits!(cache, "double", 1);
        cache.clock().advance(Duration::from_secs(21));
        assert_eq!(double(2).await, 4);
        assert_misses!(cache, "double", 2);
        assert_loads!(cache, "double", 2);
    })
    .await;
}

#[tokio::test]
async fn no_fault_changes_a_result_or_is_missed_by_its_count() {
    for op in Op::ALL {
        test::isolated(async |cache| {
            cache.faults().set(op, Fault::Fail);
            for number in 0..3 {
                assert_eq!(double(number).await, number * 2, "{op:?} fails");
                write(number).await;
            }
            cache.faults().heal_all();
        })
        .await;
    }
    test::isolated(async |cache| {
        cache.faults().set(Op::Fill, Fault::Fail);
        assert_eq!(double(1).await, 2);
        assert_eq!(double(1).await, 2);
        assert_loads!(cache, "double", 2);
        assert_eq!(cache.snapshot().kinds["double"].store_errors, 2);
        assert_eq!(cache.faults().calls(Op::Fill), 2);
        cache.faults().heal(Op::Fill);
        assert_eq!(double(1).await, 2);
        assert_eq!(double(1).await, 2);
        assert_hits!(cache, "double", 1);
    })
    .await;
}

#[tokio::test]
async fn a_store_that_hangs_costs_its_timeout_of_the_tests_time_and_none_of_ours() {
    test::isolated(async |cache| {
        cache.faults().set_all(Fault::Hang);
        let moved = async {
            cache.faults().called(Op::Read, 1).await;
            cache.clock().sleeping(1).await;
            cache.clock().advance(Duration::from_secs(1));
        };
        let (doubled, ()) = tokio::join!(double(3), moved);
        assert_eq!(doubled, 6);
        assert_eq!(cache.snapshot().kinds["double"].store_errors, 1);
    })
    .await;
}

#[tokio::test]
async fn what_hangs_is_carried_out_once_it_is_healed() {
    test::isolated(async |cache| {
        cache.faults().set(Op::Invalidate, Fault::Hang);
        assert_eq!(double(3).await, 6);
        let healed = async {
            cache.faults().called(Op::Invalidate, 1).await;
            cache.faults().heal(Op::Invalidate);
        };
        let (invalidated, ()) = tokio::join!(cache.invalidate_tag("number:3"), healed);
        assert_eq!(invalidated.unwrap(), Invalidation::Applied);
        assert_eq!(double(3).await, 6);
        assert_loads!(cache, "double", 2);
    })
    .await;
}

#[tokio::test]
async fn a_delay_is_waited_for_by_the_tests_clock() {
    let (clock, key) = (ManualClock::new(), "test:double:x".to_owned());
    let env = Env::system().with_clock(clock.clone());
    let faults = Faults::new(env.clone());
    let store = faults.around(MemoryServer::new(env.clone()).store());
    let _events = attach_in(&store, env);
    faults.set(Op::Read, Fault::Delay(Duration::from_millis(200)));
    let read = store.read(Read::new(&key, &[]));
    let moved = async {
        clock.sleeping(1).await;
        clock.advance(Duration::from_millis(200));
    };
    let (answer, ()) = tokio::join!(read, moved);
    assert!(answer.is_ok());
    assert_eq!(clock.now(), Duration::from_millis(200));
}

#[tokio::test]
async fn a_lost_answer_is_that_of_something_carried_out() {
    let cache = TestCache::new();
    cache.faults().set(Op::Fill, Fault::LoseAnswer);
    let moved = async {
        cache.faults().called(Op::Fill, 1).await;
        cache.clock().sleeping(1).await;
        cache.clock().advance(Duration::from_secs(1));
    };
    let (first, ()) = tokio::join!(cache.scope(counted(1)), moved);
    // This node has not heard that it is stored; another one finds it there.
    let other = cache.other_node();
    assert_eq!(other.scope(counted(1)).await, first);
    assert_hits!(other, "counted", 1);
    assert_misses!(cache, "counted", 1);
}

#[tokio::test]
async fn another_node_shares_values_and_invalidations() {
    let cache = TestCache::new();
    let other = cache.other_node();
    assert_eq!(cache.scope(double(5)).await, 10);
    assert_eq!(other.scope(double(5)).await, 10);
    assert_hits!(&other, "double", 1);
    cache.scope(write(5)).await;
    other.scope(double(5)).await;
    assert_loads!(other, "double", 1);
}

#[tokio::test]
async fn a_breaker_closes_once_the_clock_is_moved() {
    test::isolated(async |cache| {
        cache.faults().set_all(Fault::Fail);
        for number in 0..100 {
            double(number).await;
        }
        assert!(!cache.health().usable, "the breaker is open");
        cache.faults().heal_all();
        while !cache.health().usable {
            if cache.clock().sleepers() > 0 {
                cache.clock().advance(Duration::from_millis(100));
            }
            tokio::task::yield_now().await;
        }
        double(7).await;
        double(7).await;
        assert_hits!(cache, "double", 1);
    })
    .await;
}

#[test]
fn tests_at_one_time_see_nothing_of_each_other() {
    std::thread::scope(|scope| {
        for count in 1..5 {
            scope.spawn(move || {
                test::isolated_blocking(|cache| {
                    for _ in 0..=count {
                        assert_eq!(half(4), Ok(2));
                        assert_eq!(half(3), Err("3 is odd".to_owned()));
                    }
                    assert_hits!(cache, "half", count);
                    assert_loads!(cache, "half", count + 2);
                });
            });
        }
    });
}

#[test]
fn a_figure_that_differs_is_shown_with_the_others() {
    let message = |check: &dyn Fn()| {
        let panicked = catch_unwind(AssertUnwindSafe(check)).expect_err("it is wrong");
        panicked.downcast_ref::<String>().unwrap().clone()
    };
    let cache = TestCache::new();
    assert_hits!(cache, "half", 0);
    assert_eq!(
        message(&|| assert_hits!(cache, "half", 1)),
        "expected 1 hits of kind \"half\", but nothing of it was called in this cache; nothing was called"
    );
    cache.scope_blocking(|| {
        let _ = [half(2), half(2), half(3)];
    });
    assert_eq!(
        message(&|| assert_hits!(cache, "half", 2)),
        "expected 2 hits of kind \"half\", found 1: 1 hits (1 local, 0 shared, 0 stale, 0 in an outage, \
         0 of other calls), 2 misses, 2 loads (1 failed)"
    );
    assert!(message(&|| assert_loads!(cache, "halves", 2)).ends_with("what was called is half"));
}

#[test]
#[should_panic(expected = "capacity = 0")]
fn settings_that_are_wrong_are_told() {
    let _ = TestCache::with(|builder| builder.policy("half", Policy::new().capacity(0)));
}

/// What makes room here is still in the shared tier.
#[tokio::test]
async fn a_capacity_holds_for_each_function() {
    let policy = || Policy::new().capacity(2);
    let cache = TestCache::with(|builder| builder.policy("double", policy()));
    cache
        .scope(async {
            for number in 0..10 {
                double(number).await;
                double(0).await;
            }
            for number in 0..10 {
                assert_eq!(half(number * 2), Ok(number));
            }
        })
        .await;
    let kinds = cache.snapshot().kinds;
    assert_eq!(kinds["double"].local_entries, 2);
    assert_eq!(kinds["double"].evictions, 8);
    assert_eq!(kinds["double"].hits_local, 10, "what is asked for stays");
    assert_eq!(kinds["half"].local_entries, 10);
    cache.scope(double(5)).await;
    assert_eq!(cache.snapshot().kinds["double"].hits_shared, 1);
    assert_loads!(cache, "double", 10);
}

#[cached(kind = "elsewhere", cache = cache, skip(cache))]
async fn elsewhere(cache: &TestCache, number: u64) -> u64 {
    number
}

#[tokio::test]
async fn a_test_s_cache_stands_where_an_option_takes_one() {
    let cache = TestCache::default();
    assert_eq!(elsewhere(&cache, 1).await, 1);
    assert_eq!(elsewhere(&cache, 1).await, 1);
    assert_hits!(cache, "elsewhere", 1);
    assert_hits!(Cache::current(), "elsewhere", 0);
}
