//! The page's router: where it can be mounted, who gets through, and that what it says is so.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use cache_core::dashboard::Dashboard;
use cache_core::memory::{MemoryServer, Trouble};
use cache_core::{Cache, Env, ManualClock, Policy, cached};
use cache_redis::RedisStore;
use cache_tests::server::until;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use url::Url;

/// What is cached, and shown only where that is wanted.
const SECRET: &str = "the salary is 4200";
/// How often nodes report that are not to do so of themselves.
const SELDOM: Duration = Duration::from_hours(24 * 365);
const KEY: &str = "paid:salary:7";
const GETS: [&str; 10] = [
    "/",
    "/icon.svg",
    "/page.css",
    "/theme.js",
    "/page.js",
    "/dom.js",
    "/charts.js",
    "/lookup.js",
    "/data.json",
    "/entry.json?key=paid:salary:7",
];

#[cached(kind = "paid", ttl = "1h", tags("user:{id}"))]
async fn salary(id: u64) -> String {
    format!("{SECRET}, {id}")
}

#[cached(kind = "looked", ttl = "1h")]
async fn looked(id: u64) -> u64 {
    id
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.and_then(Result::ok).unwrap_or_default()
    }

    /// Refused with this status and a JSON error.
    fn refused(&self, status: StatusCode, why: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let json = self.json();
        let error = json["error"].as_str().unwrap_or_default();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(1));
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await;
    let response = response.unwrap_or_else(|never| match never {});
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("it is in memory");
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).expect("all of it is text"),
    }
}

async fn get(router: &Router, path: &str) -> Answer {
    let request = Request::get(path).header("host", "ops.internal");
    send(router, request.body(Body::empty()).expect("a request")).await
}

async fn data(router: &Router, query: &str) -> Value {
    let answer = get(router, &format!("/data.json{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

/// What the page itself sends.
fn post() -> Builder {
    Request::post("/invalidate")
        .header("host", "ops.internal:8443")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json")
        .header("x-cache-dashboard", "1")
}

async fn invalidate(router: &Router, request: Builder, target: &Value) -> Answer {
    let body = Body::from(target.to_string());
    send(router, request.body(body).expect("a request")).await
}

/// Whether the entry is still cached.
async fn is_cached(cache: &Cache) -> bool {
    let key = KEY.parse().expect("a key");
    let found = cache.inspect(&key).await;
    found.is_valid()
}

async fn filled() -> Cache {
    let cache = Cache::builder().namespace("shifts").build();
    cache.scope(salary(7)).await;
    assert!(is_cached(&cache).await);
    cache
}

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
async fn every_answer_binds_the_browser() {
    let cache = filled().await;
    let router = Dashboard::new(cache.clone()).router();
    let denied = Dashboard::new(cache).access(|_| false).router();
    let mut answers = Vec::new();
    for path in GETS {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        answers.push(answer);
    }
    answers.push(get(&router, "/data.json?range=2y").await);
    answers.push(get(&router, "/invalidate").await);
    answers.push(invalidate(&router, post(), &json!({ "kind": "paid" })).await);
    answers.push(get(&denied, "/").await);
    for answer in &answers {
        let policy = answer.header("content-security-policy");
        let rules: Vec<&str> = policy.split(';').map(str::trim).collect();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(rules.contains(&rule), "{rule} is not in {policy:?}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{name} of {}", answer.body);
        }
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn reading_changes_nothing() {
    let cache = filled().await;
    let router = Dashboard::new(cache.clone()).invalidation(true).router();
    for path in GETS {
        get(&router, path).await;
    }
    for query in ["", "?kind=paid", "?tag=user:7", "?key=paid:salary:7"] {
        let answer = get(&router, &format!("/invalidate{query}")).await;
        answer.refused(StatusCode::METHOD_NOT_ALLOWED, "not allowed");
        assert_eq!(answer.header("allow"), "POST");
    }
    for path in ["/", "/data.json", "/entry.json?key=paid:salary:7"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let request = post().method(method).uri(path);
            let answer = invalidate(&router, request, &json!({ "kind": "paid" })).await;
            answer.refused(StatusCode::METHOD_NOT_ALLOWED, "not allowed");
            assert_eq!(answer.header("allow"), "GET, HEAD");
        }
    }
    assert!(is_cached(&cache).await);
    let invalidations = cache.snapshot().invalidations_applied;
    assert_eq!(invalidations, 0);
}

#[tokio::test]
async fn it_is_read_only_unless_asked_otherwise() {
    let cache = filled().await;
    let router = Dashboard::new(cache.clone()).router();
    for target in [
        json!({ "key": KEY }),
        json!({ "tag": "user:7" }),
        json!({ "kind": "paid" }),
    ] {
        let answer = invalidate(&router, post(), &target).await;
        answer.refused(StatusCode::FORBIDDEN, "read-only");
    }
    assert!(is_cached(&cache).await);
    assert_eq!(data(&router, "").await["invalidation"], json!(false));

    let router = Dashboard::new(cache.clone()).invalidation(true).router();
    assert_eq!(data(&router, "").await["invalidation"], json!(true));
    for target in [
        json!({ "key": KEY }),
        json!({ "tag": "user:7" }),
        json!({ "kind": "paid" }),
    ] {
        cache.scope(salary(7)).await;
        assert!(is_cached(&cache).await);
        let answer = invalidate(&router, post(), &target).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.json(), json!({ "outcome": "applied" }));
        assert!(!is_cached(&cache).await, "{target}");
    }
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
async fn what_another_site_sends_is_refused() {
    let cache = filled().await;
    let router = Dashboard::new(cache.clone()).invalidation(true).router();
    let bare = || Request::post("/invalidate").header("host", "ops.internal:8443");
    let ours = |request: Builder| {
        request
            .header("content-type", "application/json")
            .header("x-cache-dashboard", "1")
    };
    let target = json!({ "kind": "paid" });
    for (request, status, why) in [
        // The browser says that it is another site's, whatever else is right.
        (
            ours(bare().header("sec-fetch-site", "cross-site")),
            403,
            "another site",
        ),
        (
            ours(bare().header("sec-fetch-site", "same-site")),
            403,
            "another site",
        ),
        (
            ours(bare().header("sec-fetch-site", "none")),
            403,
            "another site",
        ),
        (
            ours(
                bare()
                    .header("sec-fetch-site", "cross-site")
                    .header("origin", "https://ops.internal:8443"),
            ),
            403,
            "another site",
        ),
        // One that does not say so names another origin, or none.
        (
            ours(bare().header("origin", "https://evil.example")),
            403,
            "another site",
        ),
        (
            ours(bare().header("origin", "https://ops.internal")),
            403,
            "another site",
        ),
        (
            ours(bare().header("origin", "https://ops.internal:8443.evil.example")),
            403,
            "another site",
        ),
        (ours(bare().header("origin", "null")), 403, "another site"),
        (ours(bare()), 403, "another site"),
        // A form: no header and no media type of the page's.
        (
            bare()
                .header("sec-fetch-site", "same-origin")
                .header("content-type", "text/plain")
                .header("x-cache-dashboard", "1"),
            415,
            "application/json",
        ),
        (
            bare()
                .header("sec-fetch-site", "same-origin")
                .header("x-cache-dashboard", "1"),
            415,
            "application/json",
        ),
        (
            bare()
                .header("sec-fetch-site", "same-origin")
                .header("content-type", "application/json"),
            403,
            "x-cache-dashboard",
        ),
    ] {
        let told = format!("{request:?}");
        let answer = invalidate(&router, request, &target).await;
        assert_eq!(answer.status.as_u16(), status, "{told}: {}", answer.body);
        answer.refused(answer.status, why);
        assert!(is_cached(&cache).await, "{told}");
    }
    // A browser that does not say, on the page itself.
    let request = ours(bare().header("origin", "https://OPS.internal:8443"));
    let answer = invalidate(&router, request, &target).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(!is_cached(&cache).await);
}

#[tokio::test]
async fn figures_and_entries_are_not_read_by_other_sites() {
    let router = Dashboard::new(filled().await).router();
    for path in ["/data.json", "/entry.json?key=paid:salary:7"] {
        for (site, status) in [
            ("cross-site", 403),
            ("same-site", 403),
            ("same-origin", 200),
            ("none", 200),
        ] {
            let request = Request::get(path).header("sec-fetch-site", site);
            let answer = send(&router, request.body(Body::empty()).expect("a request")).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {site}");
        }
    }
    // A link to the page may be anywhere.
    let request = Request::get("/").header("sec-fetch-site", "cross-site");
    let answer = send(&router, request.body(Body::empty()).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn who_is_refused_learns_nothing() {
    let cache = filled().await;
    let router = Dashboard::new(cache.clone())
        .title("Shifts")
        .invalidation(true)
        .values(true)
        .access(|request| request.headers.contains_key("x-known"))
        .router();
    let mut bodies = Vec::new();
    for path in GETS
        .into_iter()
        .chain(["/invalidate", "/data.json?range=2y"])
    {
        let answer = get(&router, path).await;
        answer.refused(StatusCode::FORBIDDEN, "forbidden");
        bodies.push(answer.body);
    }
    for target in [json!({ "kind": "paid" }), json!("nonsense")] {
        let answer = invalidate(&router, post(), &target).await;
        answer.refused(StatusCode::FORBIDDEN, "forbidden");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(is_cached(&cache).await);
    let known = Request::get("/data.json").header("x-known", "yes");
    let answer = send(&router, known.body(Body::empty()).expect("a request")).await;
    assert_eq!(answer.json()["title"], json!("Shifts"));
    let answer = invalidate(
        &router,
        post().header("x-known", "yes"),
        &json!({ "kind": "paid" }),
    )
    .await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn what_comes_in_is_bounded_and_checked() {
    let cache = filled().await;
    let router = Dashboard::new(cache.clone()).invalidation(true).router();
    for (path, status, why) in [
        (format!("/entry.json?key={}", "x".repeat(5000)), 414, "4096"),
        ("/entry.json".to_owned(), 400, "key"),
        ("/entry.json?key=".to_owned(), 400, "is no key"),
        ("/entry.json?key=paid".to_owned(), 400, "is no key"),
        (
            "/entry.json?key=paid:salary:7&more=1".to_owned(),
            400,
            "more",
        ),
        ("/data.json?range=2y".to_owned(), 400, "24h"),
        ("/data.json?of=you".to_owned(), 400, "fleet"),
        ("/data.json?verbose=1".to_owned(), 400, "verbose"),
    ] {
        let answer = get(&router, &path).await;
        answer.refused(StatusCode::from_u16(status).expect("a status"), why);
    }
    for (body, status, why) in [
        (json!({ "tag": "x".repeat(5000) }).to_string(), 413, "4096"),
        (String::new(), 400, "the body"),
        ("{}".to_owned(), 400, "the body"),
        (json!({ "everything": true }).to_string(), 400, "the body"),
        (
            json!({ "kind": "paid", "tag": "user:7" }).to_string(),
            400,
            "the body",
        ),
        (json!({ "kind": "No kind" }).to_string(), 400, "kind"),
        (json!({ "tag": "~paid" }).to_string(), 400, "tag"),
        (json!({ "key": "paid" }).to_string(), 400, "is no key"),
    ] {
        let request = post().body(Body::from(body)).expect("a request");
        let answer = send(&router, request).await;
        answer.refused(StatusCode::from_u16(status).expect("a status"), why);
    }
    assert!(is_cached(&cache).await);
}

#[tokio::test]
async fn values_are_shown_only_where_that_is_wanted() {
    let server = MemoryServer::new(Env::system());
    let cache = Cache::builder().shared(server.store()).build();
    cache.scope(salary(7)).await;
    let path = "/entry.json?key=paid:salary:7";
    let answer = get(&Dashboard::new(cache.clone()).router(), path).await;
    assert!(!answer.body.contains("4200"), "{}", answer.body);
    let found = answer.json();
    assert_eq!(found["value"], Value::Null);
    assert!(
        found["local"]["fresh_ms"].as_u64() > Some(3_500_000),
        "{found}"
    );
    assert_eq!(found["shared"]["codec"], json!("bincode"));
    let tags = |found: &Value| found["shared"]["tags"].to_string();
    assert!(
        tags(&found).contains(r#"{"current":true,"tag":"user:7"}"#),
        "{found}"
    );

    let answer = get(&Dashboard::new(cache.clone()).values(true).router(), path).await;
    let value = answer.json()["value"].clone();
    assert_eq!(value, json!(format!("\"{SECRET}, 7\"")));

    cache.invalidate_tag("user:7").await.expect("a tag");
    let found = get(&Dashboard::new(cache).router(), path).await.json();
    assert_eq!(found["local"]["holds"], json!(false));
    assert!(
        tags(&found).contains(r#"{"current":false,"tag":"user:7"}"#),
        "{found}"
    );
}

#[tokio::test]
async fn a_password_is_nowhere() {
    let store = RedisStore::new("redis://cacher:hunter2@127.0.0.1:1/0").expect("a URL");
    let cache = Cache::builder().shared(store).build();
    let router = Dashboard::new(cache).values(true).router();
    for path in GETS.into_iter().chain(["/data.json?of=fleet&range=24h"]) {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(!answer.body.contains("hunter2"), "{path}: {}", answer.body);
    }
    let shared = data(&router, "").await["health"]["shared"].clone();
    assert!(shared.to_string().contains("127.0.0.1:1"), "{shared}");
}

#[tokio::test]
async fn the_page_makes_no_markup_of_text_and_holds_nothing_inline() {
    let router = Dashboard::new(Cache::builder().build()).router();
    for path in [
        "/theme.js",
        "/page.js",
        "/dom.js",
        "/charts.js",
        "/lookup.js",
    ] {
        let script = get(&router, path).await.body;
        assert!(script.len() > 200, "{path} is empty");
        for makes_markup in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "createContextualFragment",
            "DOMParser",
            "setHTML",
            "srcdoc",
            "eval(",
            "Function(",
            "setTimeout(\"",
            "javascript:",
            "cssText",
            "http://",
            "https://",
        ] {
            // The name of SVG's elements is an address that nothing asks for.
            let script = script.replace("http://www.w3.org/2000/svg", "");
            assert!(!script.contains(makes_markup), "{path} has {makes_markup}");
        }
    }
    let html = get(&router, "/").await.body;
    for inline in [
        " style=",
        "<style",
        " onclick=",
        " onload=",
        " onerror=",
        "javascript:",
        "://",
    ] {
        assert!(!html.contains(inline), "the page has {inline}");
    }
    for script in html.split("<script").skip(1) {
        let inside = script.split('>').nth(1).unwrap_or_default();
        assert!(inside.starts_with("</script"), "inline: {inside}");
    }
    let css = get(&router, "/page.css").await.body;
    assert!(
        !css.contains("@import") && !css.contains("url("),
        "it loads something"
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
