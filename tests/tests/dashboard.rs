//! The page's router: where it can be mounted, that what it says is so, also of the fleet (`fleet`), and who
//! gets through (`guards`).

// Functions are written as users write them.
#![allow(clippy::unused_async)]

#[path = "dashboard/client.rs"]
mod client;
#[path = "dashboard/fleet.rs"]
mod fleet;
#[path = "dashboard/guards.rs"]
mod guards;

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use cache_core::dashboard::Dashboard;
use cache_core::memory::{MemoryServer, Trouble};
use cache_core::{Cache, Env, ManualClock, Policy};
use cache_tests::server::until;
use client::{data, get, invalidate, looked, post, salary};
use serde_json::json;
use url::Url;

/// Loads the page as a browser does, and everything that it names.
async fn load_all(app: Router, page: &str) {
    let base = Url::parse("http://ops.internal").expect("a URL");
    let page = base.join(page).expect("a path");
    let html = get(&app, page.path()).await;
    assert_eq!(html.status, StatusCode::OK, "{page}: {}", html.body);
    assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
    assert!(!html.body.contains("{here}"), "{}", html.body);
    let named = |text: &str, before: &str| -> Vec<String> {
        let parts = text.split(before).skip(1);
        let names = parts.filter_map(|rest| rest.split('"').next());
        names.map(str::to_owned).collect()
    };
    let mut wanted: Vec<(Url, String)> = Vec::new();
    for name in named(&html.body, "src=\"")
        .iter()
        .chain(&named(&html.body, "<link rel=\"stylesheet\" href=\""))
    {
        wanted.push((page.clone(), name.clone()));
    }
    for name in named(&html.body, "<link rel=\"icon\" href=\"") {
        wanted.push((page.clone(), name));
    }
    assert_eq!(wanted.len(), 4, "{wanted:?}");
    let mut seen = Vec::new();
    while let Some((from, name)) = wanted.pop() {
        let url = from.join(&name).expect("a reference");
        if seen.contains(&url) {
            continue;
        }
        let answer = get(&app, url.path()).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}");
        let script = url.path().rsplit('.').next() == Some("js");
        let media = match url.path().rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("svg") => "image/svg+xml",
            _ => "text/css",
        };
        assert_eq!(
            answer.header("content-type"),
            format!("{media}; charset=utf-8")
        );
        if script {
            for import in named(&answer.body, "from \"") {
                wanted.push((url.clone(), import));
            }
        }
        if url.path().ends_with("/page.js") {
            // What the script asks for is beside it.
            let data = url.join("data.json").expect("a reference");
            assert_eq!(
                get(&app, data.path()).await.status,
                StatusCode::OK,
                "{data}"
            );
        }
        seen.push(url);
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[tokio::test]
async fn it_can_be_nested_merged_and_served_as_it_is() {
    let router = || Dashboard::new(Cache::builder().build()).router();
    load_all(Router::new().nest("/cache", router()), "/cache").await;
    load_all(Router::new().nest("/cache/", router()), "/cache/").await;
    load_all(Router::new().nest("/a/b", router()), "/a/b").await;
    load_all(Router::new().merge(router()), "/").await;
    load_all(router(), "/").await;
    // As a service of tower's, which axum takes at both.
    let service = || Router::new().nest_service("/cache", router());
    load_all(service(), "/cache").await;
    load_all(service(), "/cache/").await;
}

#[tokio::test]
async fn an_invalidation_that_waits_says_so() {
    let server = MemoryServer::new(Env::system());
    let cache = Cache::builder().shared(server.store()).build();
    cache.scope(salary(7)).await;
    server.trouble(Trouble::Down);
    let router = Dashboard::new(cache.clone()).invalidation(true).router();
    let answer = invalidate(&router, post(), &json!({ "kind": "paid" })).await;
    assert_eq!(answer.json(), json!({ "outcome": "queued" }));
    let health = &data(&router, "").await["health"];
    assert_eq!(health["queued"], json!(1));
    assert_eq!(
        (&health["usable"], &health["trusted"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test]
async fn the_figures_are_those_of_the_cache() {
    let cache = Cache::builder()
        .policy("loked", Policy::new().ttl(Duration::from_mins(1)))
        .build();
    // What was counted before the page was there is in the whole, and in no chart.
    cache.scope(looked(0)).await;
    let router = Dashboard::new(cache.clone()).router();
    for id in [1, 1, 1, 2] {
        cache.scope(looked(id)).await;
    }
    cache.invalidate_kind("looked").await.expect("a kind");
    for range in ["5m", "1h", "24h"] {
        let data = data(&router, &format!("?range={range}")).await;
        let kind = &data["kinds"]["looked"];
        assert_eq!(
            (&kind["hits"], &kind["counters"]["misses"]),
            (&json!(2), &json!(2)),
            "{data}"
        );
        assert_eq!(kind["counters"]["hits_local"], json!(2));
        assert!(kind["load_p99_micros"].as_u64() >= kind["load_p50_micros"].as_u64());
        assert_eq!(data["totals"]["invalidations_applied"], json!(1));
        let points = data["points"].as_array().expect("a list");
        let counted = |at: usize| -> u64 {
            let pairs = points
                .iter()
                .filter_map(|point| point["kinds"]["looked"][at].as_u64());
            pairs.sum()
        };
        assert_eq!((counted(0), counted(1)), (2, 2), "{data}");
        assert_eq!(
            (&data["here"]["hits"], &data["here"]["misses"]),
            (&json!(2), &json!(3))
        );
        assert_eq!(data["unclaimed_policies"], json!(["loked"]));
        assert_eq!(data["of"], json!("node"));
    }
}

#[tokio::test]
async fn figures_are_noted_while_nobody_looks() {
    let clock = ManualClock::new();
    let cache = Cache::builder()
        .env(Env::system().with_clock(clock.clone()))
        .build();
    let router = Dashboard::new(cache.clone()).router();
    for minute in 0..3 {
        for id in 0..10 {
            cache.scope(looked(100 * minute + id)).await;
        }
        for _ in 0..12 {
            clock.sleeping(1).await;
            clock.advance(Duration::from_secs(5));
        }
        // The task runs on another thread: it sleeps again once it has noted.
        clock.sleeping(1).await;
    }
    let data = data(&router, "?range=1h").await;
    let points = data["points"].as_array().expect("a list");
    let misses: Vec<u64> = points
        .iter()
        .filter_map(|point| point["kinds"]["looked"][1].as_u64())
        .collect();
    assert_eq!(misses, [10, 10, 10], "{data}");
}

#[tokio::test]
async fn the_noting_ends_with_the_router() {
    let clock = ManualClock::new();
    let cache = Cache::builder()
        .env(Env::system().with_clock(clock.clone()))
        .build();
    let router = Dashboard::new(cache.clone()).router();
    clock.sleeping(1).await;
    drop(router);
    clock.advance(Duration::from_secs(5));
    until("nothing sleeps", async || clock.sleepers() == 0).await;
}
