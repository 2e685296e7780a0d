//! What stands between the page and those who should not use it, each guard with what it stops.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Method, Request, StatusCode};
use cache_core::dashboard::Dashboard;
use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env};
use cache_redis::RedisStore;
use serde_json::{Value, json};

use super::client::{
    GETS, KEY, SECRET, data, filled, get, invalidate, is_cached, post, salary, send,
};

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
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
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

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics").write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_was_invalidated_is_logged_once_it_is_and_no_argument_is() {
    let cache = filled().await;
    let router = Dashboard::new(cache).invalidation(true).router();
    let log = Log::default();
    let lines = log.clone();
    // For the whole process: an event that another thread comes to first is worth nothing to a listener of this
    // thread alone, from then on. Of what is logged only this thread's is kept.
    let here = thread::current().id();
    let writer = move || -> Box<dyn io::Write> {
        if thread::current().id() == here {
            Box::new(lines.clone())
        } else {
            Box::new(io::sink())
        }
    };
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(writer)
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("nobody else listens");
    let logged = || {
        let log = std::mem::take(&mut *log.0.lock().expect("nobody panics"));
        let log = String::from_utf8(log).expect("a text");
        let hand = log.lines().filter(|line| line.contains("by hand"));
        hand.map(|line| {
            line.split("dashboard ")
                .last()
                .unwrap_or_default()
                .to_owned()
        })
        .collect::<Vec<_>>()
    };
    for target in [
        json!({ "key": "no key" }),
        json!({ "tag": "" }),
        json!({ "kind": "no kind" }),
        json!({ "all": true }),
    ] {
        let answer = invalidate(&router, post(), &target).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{target}");
        assert_eq!(logged(), [""; 0], "{target}");
    }
    for (target, wanted) in [
        (
            json!({ "key": KEY }),
            r#"what="key" kind="paid" outcome="applied""#,
        ),
        (
            json!({ "tag": "user:7" }),
            r#"what="tag" outcome="applied""#,
        ),
        (
            json!({ "kind": "paid" }),
            r#"what="kind" kind="paid" outcome="applied""#,
        ),
    ] {
        let answer = invalidate(&router, post(), &target).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(logged(), [wanted], "{target}");
    }
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
