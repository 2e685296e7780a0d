//! What the page shows of the fleet: whose minutes, how often the store is asked, and that nobody waits long
//! for it.

use std::sync::mpsc;
use std::time::Duration;

use cache_core::dashboard::Dashboard;
use cache_core::memory::{MemoryServer, Trouble};
use cache_core::{Cache, Clock as _, Env, ManualClock};
use cache_tests::server::until;
use serde_json::{Value, json};

use super::client::{SELDOM, data, looked};

#[tokio::test]
async fn the_fleet_is_shown_where_its_figures_are_kept() {
    let alone = Dashboard::new(Cache::builder().build()).router();
    let told = data(&alone, "?of=fleet&range=1h").await;
    assert_eq!(told["of"], json!("node"));
    assert!(
        told["fleet_error"]
            .as_str()
            .is_some_and(|error| error.contains("no shared tier")),
        "{told}"
    );
    assert_eq!(told["nodes"], Value::Null);

    let server = MemoryServer::new(Env::system()).report_every(SELDOM);
    let cache = || Cache::builder().shared(server.store()).build();
    let (one, two) = (cache(), cache());
    one.scope(looked(1)).await;
    two.scope(looked(1)).await;
    two.scope(looked(1)).await;
    one.report().await.expect("it is there");
    two.report().await.expect("it is there");
    let router = Dashboard::new(one).router();
    let told = data(&router, "?of=fleet&range=1h").await;
    assert_eq!(
        (&told["of"], &told["fleet_error"]),
        (&json!("fleet"), &Value::Null)
    );
    let kind = &told["kinds"]["looked"];
    assert_eq!(
        (&kind["hits"], &kind["counters"]["misses"]),
        (&json!(2), &json!(1)),
        "{told}"
    );
    let nodes = told["nodes"]["list"].as_array().expect("a list");
    assert_eq!(nodes.len(), 2, "{told}");
    for node in nodes {
        assert_eq!(
            (&node["missing"], &node["process"]),
            (&json!(false), &json!(std::process::id()))
        );
    }
    // Minutes of which nobody has reported anything are not there, rather than zero.
    let points = told["points"].as_array().map_or(0, Vec::len);
    assert!((1..=2).contains(&points), "{told}");
}

#[tokio::test]
async fn however_many_look_the_store_is_asked_now_and_then() {
    let clock = ManualClock::new();
    let env = Env::system().with_clock(clock.clone());
    let server = MemoryServer::new(env.clone()).report_every(SELDOM);
    let cache = Cache::builder().shared(server.store()).env(env).build();
    let router = Dashboard::new(cache).router();
    let before = server.calls();
    for _ in 0..20 {
        data(&router, "?of=fleet&range=24h").await;
    }
    // Once for the day, and once for the last minutes.
    assert_eq!(server.calls() - before, 2);
    clock.advance(Duration::from_secs(5));
    data(&router, "?of=fleet&range=24h").await;
    assert_eq!(server.calls() - before, 3);
}

#[tokio::test]
async fn a_store_that_hangs_holds_nobody_up_for_long() {
    let clock = ManualClock::new();
    let server = MemoryServer::new(Env::system()).report_every(SELDOM);
    let cache = Cache::builder()
        .shared(server.store())
        .env(Env::system().with_clock(clock.clone()))
        .build();
    let router = Dashboard::new(cache).router();
    server.trouble(Trouble::Hung);
    let asked = tokio::spawn(async move { data(&router, "?of=fleet").await });
    until("it has given up", async || {
        clock.advance(Duration::from_secs(1));
        asked.is_finished()
    })
    .await;
    let told = asked.await.expect("it has ended");
    assert!(told["fleet_error"].is_string(), "{told}");
    assert_eq!(told["of"], json!("node"));
}

#[tokio::test]
async fn a_range_is_so_many_minutes_by_the_clock_of_the_store() {
    // The machine with the page is ten minutes behind. Twenty seconds of a minute are over.
    let (there, here) = (ManualClock::new(), ManualClock::new());
    there.advance(Duration::from_hours(1));
    here.advance(Duration::from_mins(50));
    let server = MemoryServer::new(Env::system().with_clock(there.clone())).report_every(SELDOM);
    let cache = |clock: &ManualClock| {
        let env = Env::system().with_clock(clock.clone());
        Cache::builder().shared(server.store()).env(env).build()
    };
    let node = cache(&there);
    for minute in 0..=5 {
        node.scope(looked(minute)).await;
        node.report().await.expect("it is there");
        if minute < 5 {
            there.advance(Duration::from_mins(1));
            here.advance(Duration::from_mins(1));
        }
    }
    let router = Dashboard::new(cache(&here)).router();
    let told = data(&router, "?of=fleet&range=5m").await;
    assert_eq!(told["fleet_error"], Value::Null);
    let now = there.wall().as_secs();
    assert_eq!(now % 60, 20);
    let shown = [now - 20 - 4 * 60, now].map(|seconds| json!(seconds * 1000));
    assert_eq!(
        [&told["from_ms"], &told["to_ms"]],
        [&shown[0], &shown[1]],
        "five minutes with the one that is running: {told}"
    );
    assert_eq!(told["kinds"]["looked"]["counters"]["misses"], json!(5));
    assert_eq!(told["points"].as_array().map(Vec::len), Some(5), "{told}");
}

#[tokio::test]
async fn what_could_not_be_read_is_asked_for_again_soon() {
    let clock = ManualClock::new();
    let server = MemoryServer::new(Env::system()).report_every(SELDOM);
    let cache = Cache::builder()
        .shared(server.store())
        .env(Env::system().with_clock(clock.clone()))
        .build();
    let router = Dashboard::new(cache).router();
    server.trouble(Trouble::Down);
    let told = data(&router, "?of=fleet&range=24h").await;
    assert_eq!(told["of"], json!("node"), "{told}");
    server.trouble(Trouble::None);
    let calls = server.calls();
    clock.advance(Duration::from_secs(4));
    let told = data(&router, "?of=fleet&range=24h").await;
    assert_eq!(
        (&told["of"], server.calls()),
        (&json!("node"), calls),
        "{told}"
    );
    clock.advance(Duration::from_secs(1));
    let told = data(&router, "?of=fleet&range=24h").await;
    assert_eq!(
        (&told["of"], &told["fleet_error"]),
        (&json!("fleet"), &Value::Null)
    );
}

/// A day of many kinds takes long to add up: other requests of the worker go on meanwhile.
#[test]
fn the_workers_of_the_service_add_nothing_up() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        // The only other thread has something to do until it is told otherwise.
        let (release, released) = mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || released.recv());
        let server = MemoryServer::new(Env::system()).report_every(SELDOM);
        let cache = Cache::builder().shared(server.store()).build();
        let router = Dashboard::new(cache).router();
        let before = server.calls();
        let asked = tokio::spawn(async move { data(&router, "?of=fleet").await });
        until("the store has answered", async || server.calls() > before).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!asked.is_finished(), "it was added up here");
        drop(release);
        let told = asked.await.expect("it has ended");
        assert_eq!(told["of"], json!("fleet"), "{told}");
        drop(busy.await);
    });
}
