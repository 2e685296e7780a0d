//! What a node has counted arrives at the fleet's figures once, whatever becomes of its reports.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::metrics::Fleet;
use cache_core::test::{Fault, Faults, Op};
use cache_core::{Cache, Env, KindSnapshot, ManualClock, Policy, Snapshot, cached};
use cache_tests::server::until;

#[cached(kind = "reported", ttl = "1h")]
async fn reported(id: u64) -> u64 {
    id
}

#[cached(kind = "reported_too", ttl = "1h")]
async fn reported_too(id: u64) -> u64 {
    id
}

const QUARTER: Duration = Duration::from_secs(15);

/// Everything there is.
async fn fleet(cache: &Cache) -> Fleet {
    let now = cache.minute();
    cache
        .fleet(now.saturating_sub(60)..=now + 60)
        .await
        .expect("the store keeps figures")
}

/// What adds up of one node's figures.
fn figures(snapshot: &Snapshot) -> Vec<(String, Vec<(String, u64)>)> {
    let kind = |(name, kind): (&String, &KindSnapshot)| (name.clone(), kind.fields().collect());
    let whole = (String::new(), snapshot.fields().collect());
    snapshot.kinds.iter().map(kind).chain([whole]).collect()
}

/// Numbers that look random, and are the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        // Knuth's multiplier for 64 bits; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[tokio::test]
async fn each_increment_counts_once_whatever_becomes_of_the_reports() {
    for seed in 0..20 {
        let mut chance = Chance(seed);
        let env = Env::system();
        let server = MemoryServer::new(env.clone()).report_every(Duration::from_hours(1));
        let faults = Faults::new(env.clone());
        // A report that takes longer is given up, and may have arrived: which is what this is about, so
        // a slow machine does no harm.
        let node = || {
            Cache::builder()
                .store_timeout(Duration::from_millis(5))
                .shared(faults.around(server.store()))
                .build()
        };
        let nodes = [node(), node()];
        for _ in 0..60 {
            let node = &nodes[usize::from(chance.below(2) == 1)];
            match chance.below(6) {
                0 => faults.heal(Op::Report),
                1 => faults.set(Op::Report, Fault::Fail),
                2 => faults.set(Op::Report, Fault::LoseAnswer),
                3 => {
                    // Given up wherever it is by then.
                    let report = node.report();
                    tokio::select! {
                        biased;
                        _ = report => {}
                        () = tokio::task::yield_now() => {}
                    }
                }
                4 => drop(node.report().await),
                _ => {
                    for _ in 0..chance.below(20) {
                        node.scope(reported(chance.below(8))).await;
                        node.scope(reported_too(chance.below(8))).await;
                    }
                }
            }
        }
        faults.heal(Op::Report);
        let mut sum = Snapshot::default();
        for node in &nodes {
            until("it has reported", async || node.report().await.is_ok()).await;
            sum.add(&node.snapshot());
        }
        let fleet = fleet(&nodes[0]).await;
        assert_eq!(figures(&fleet.sum()), figures(&sum), "seed {seed}");
        assert!(sum.kinds["reported"].hits() > 0, "seed {seed}");
        assert_eq!(fleet.nodes.len(), 2, "seed {seed}");
    }
}

/// A node whose clock is moved by hand, and that reports every quarter of a minute.
fn ticking() -> (ManualClock, Faults, Cache) {
    let clock = ManualClock::new();
    let env = Env::system().with_clock(clock.clone());
    let server = MemoryServer::new(env.clone()).report_every(QUARTER);
    let faults = Faults::new(env.clone());
    let store = faults.around(server.store());
    let cache = Cache::builder().env(env).shared(store).build();
    (clock, faults, cache)
}

#[tokio::test]
async fn a_node_reports_by_itself() {
    let (clock, faults, cache) = ticking();
    cache.scope(reported(1)).await;
    // The first time within the interval, and once in each after it.
    for reports in 1..=3 {
        clock.sleeping(1).await;
        clock.advance(QUARTER);
        until("it has reported", async || {
            faults.calls(Op::Report) >= reports
        })
        .await;
    }
    until("it has arrived", async || {
        !fleet(&cache).await.minutes.is_empty()
    })
    .await;
    let fleet = fleet(&cache).await;
    assert_eq!(fleet.sum().kinds["reported"].misses, 1);
    let [node] = &fleet.nodes[..] else {
        panic!("one node: {:?}", fleet.nodes);
    };
    assert_eq!((node.process, node.every_ms), (std::process::id(), 15_000));
    assert_eq!(node.local_entries, 1);
}

/// Misses and hits by minute, the minutes counted from `begun` on, where there were any.
async fn by_minute(cache: &Cache, begun: u64) -> Vec<(u64, u64, u64)> {
    let fleet = fleet(cache).await;
    let minutes = fleet.minutes.iter();
    minutes
        .filter_map(|(minute, snapshot)| Some((minute - begun, snapshot.kinds.get("reported")?)))
        .map(|(minute, kind)| (minute, kind.misses, kind.hits()))
        .collect()
}

#[tokio::test]
async fn counts_belong_to_the_minute_in_which_they_were_made() {
    let (clock, faults, cache) = ticking();
    let begun = cache.minute();
    // What is sent and does not arrive is kept, a report for each minute.
    faults.set(Op::Report, Fault::Fail);
    for _ in 0..3 {
        for _ in 0..2 {
            cache.scope(reported(1)).await;
            cache.report().await.expect_err("it fails");
        }
        clock.advance(Duration::from_mins(1));
    }
    faults.heal(Op::Report);
    until("all are in", async || cache.report().await.is_ok()).await;
    assert_eq!(
        by_minute(&cache, begun).await,
        [(0, 1, 1), (1, 0, 2), (2, 0, 2)]
    );
}

#[tokio::test]
async fn an_outage_is_told_minute_by_minute_by_whoever_reports_by_itself() {
    let (clock, faults, cache) = ticking();
    let begun = cache.minute();
    faults.set_all(Fault::Fail);
    for _ in 0..8 {
        // With the breaker open.
        cache.scope(reported(1)).await;
        let before = faults.calls(Op::Report);
        // Probes sleep too, but not for as long.
        until("it has tried", async || {
            clock.advance(Duration::from_secs(1));
            faults.calls(Op::Report) > before
        })
        .await;
    }
    assert!(cache.snapshot().breaker_open);
    faults.heal_all();
    until("all are in", async || cache.report().await.is_ok()).await;
    let minutes = by_minute(&cache, begun).await;
    assert!(minutes.len() >= 2, "{minutes:?}");
    assert!(
        minutes.iter().all(|(_, misses, _)| *misses <= 4),
        "{minutes:?}"
    );
    let misses: u64 = minutes.iter().map(|(_, misses, _)| misses).sum();
    assert_eq!(misses, 8, "{minutes:?}");
}

#[tokio::test]
async fn an_outage_of_many_hours_is_kept_in_sixty_reports() {
    let (clock, faults, cache) = ticking();
    let begun = cache.minute();
    faults.set(Op::Report, Fault::Fail);
    for _ in 0..200 {
        cache.scope(reported(1)).await;
        cache.report().await.expect_err("it fails");
        clock.advance(Duration::from_mins(1));
    }
    faults.heal(Op::Report);
    let before = faults.calls(Op::Report);
    until("all are in", async || cache.report().await.is_ok()).await;
    // The first may have arrived, the second has the hours, and one is new.
    let sent = faults.calls(Op::Report) - before;
    assert!((60..=63).contains(&sent), "{sent}");
    let now = cache.minute();
    let fleet = cache.fleet(begun..=now).await.expect("it keeps figures");
    let sum = &fleet.sum().kinds["reported"];
    // It lives for an hour.
    assert_eq!((sum.misses, sum.hits()), (4, 196));
    assert_eq!(fleet.minutes[&(now - 30)].kinds["reported"].hits(), 1);
}

#[tokio::test]
async fn a_node_with_an_open_breaker_says_so() {
    let (_, faults, cache) = ticking();
    for op in [Op::Read, Op::Begin, Op::Probe] {
        faults.set(op, Fault::Fail);
    }
    until("the breaker is open", async || {
        cache.scope(reported(1)).await;
        cache.snapshot().breaker_open
    })
    .await;
    until("it has reported", async || cache.report().await.is_ok()).await;
    assert!(fleet(&cache).await.nodes[0].breaker_open);
}

#[tokio::test]
async fn who_shuts_down_is_off_the_list_and_who_does_not_is_missing() {
    let (clock, faults, cache) = ticking();
    cache.scope(reported(1)).await;
    cache.report().await.expect("it is taken");
    // From here on nothing arrives, as from a process that was killed.
    faults.set(Op::Report, Fault::Hang);
    clock.advance(QUARTER * 4);
    let left = fleet(&cache).await;
    assert_eq!(left.missing().count(), 1, "{left:?}");
    faults.heal(Op::Report);
    until("it says that it ends", async || {
        cache.shutdown().await.is_ok()
    })
    .await;
    let left = fleet(&cache).await;
    assert_eq!(left.nodes, []);
    assert_eq!(left.sum().kinds["reported"].misses, 1);
}

#[tokio::test]
async fn who_has_shut_down_and_goes_on_is_not_listed_again_by_itself() {
    let (clock, faults, cache) = ticking();
    cache.report().await.expect("it is taken");
    cache.shutdown().await.expect("it is taken");
    let reports = faults.calls(Op::Report);
    for _ in 0..4 {
        clock.sleeping(1).await;
        clock.advance(QUARTER);
    }
    // It has come round again, and has said nothing.
    clock.sleeping(1).await;
    assert_eq!(faults.calls(Op::Report), reports);
    assert_eq!(fleet(&cache).await.nodes, []);
    // Unless it is told to.
    cache.scope(reported(1)).await;
    cache.report().await.expect("it is taken");
    let fleet = fleet(&cache).await;
    assert_eq!(
        (fleet.nodes.len(), fleet.sum().kinds["reported"].misses),
        (1, 1)
    );
}

#[tokio::test]
async fn without_a_store_that_keeps_figures_there_is_no_fleet() {
    let alone = Cache::builder().build();
    alone.report().await.expect("there is nobody to tell");
    let error = alone.fleet(0..=1).await.expect_err("no store").to_string();
    assert!(error.contains("Cache::builder().shared("), "{error}");
    let plain = MemoryServer::new(Env::system());
    let cache = Cache::builder().shared(plain.store()).build();
    cache.report().await.expect("it need not be told");
    cache.shutdown().await.expect("it need not be told");
}

#[tokio::test]
async fn a_policy_that_nobody_claims_is_listed() {
    let cache = Cache::builder()
        .policy("reported", Policy::new())
        .policy("repotred", Policy::new())
        .build();
    assert_eq!(
        cache.snapshot().unclaimed_policies,
        ["reported", "repotred"]
    );
    cache.scope(reported(1)).await;
    assert_eq!(cache.snapshot().unclaimed_policies, ["repotred"]);
    // A name that is only asked about claims nothing.
    cache
        .set_kind_enabled("repotred", true)
        .expect("a good name");
    assert_eq!(cache.snapshot().unclaimed_policies, ["repotred"]);
}

#[tokio::test]
async fn the_last_minutes_are_told_from_the_whole_life() {
    let clock = ManualClock::new();
    let env = Env::system().with_clock(clock.clone());
    let cache = Cache::builder().env(env).build();
    let figures = || cache.snapshot().kinds["reported"].clone();
    // An hour in which everything misses, and then only hits.
    for second in 0..3_600 {
        cache.scope(reported(second)).await;
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(figures().hit_ratio(), Some(0.0));
    for _ in 0..40 {
        for _ in 0..90 {
            cache.scope(reported(3_599)).await;
        }
        clock.advance(QUARTER);
        // Somebody looks, as dashboards do.
        figures();
    }
    let figures = figures();
    assert_eq!(figures.hit_ratio(), Some(0.5));
    let recent = figures.recent.expect("something was counted");
    assert_eq!(recent.hit_ratio(), Some(1.0));
    assert!(
        (300_000..=320_000).contains(&recent.span_ms),
        "{}",
        recent.span_ms
    );
}
