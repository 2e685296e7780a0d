//! Asks the page's router, as a browser would.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use cache_core::{Cache, cached};
use serde_json::Value;
use tower::ServiceExt as _;

/// What is cached, and shown only where that is wanted.
pub(crate) const SECRET: &str = "the salary is 4200";
/// How often nodes report that are not to do so of themselves.
pub(crate) const SELDOM: Duration = Duration::from_hours(24 * 365);
pub(crate) const KEY: &str = "paid:salary:7";
pub(crate) const GETS: [&str; 10] = [
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
pub(crate) async fn salary(id: u64) -> String {
    format!("{SECRET}, {id}")
}

#[cached(kind = "looked", ttl = "1h")]
pub(crate) async fn looked(id: u64) -> u64 {
    id
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.and_then(Result::ok).unwrap_or_default()
    }

    /// Refused with this status and a JSON error.
    pub(crate) fn refused(&self, status: StatusCode, why: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let json = self.json();
        let error = json["error"].as_str().unwrap_or_default();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(1));
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
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

pub(crate) async fn get(router: &Router, path: &str) -> Answer {
    let request = Request::get(path).header("host", "ops.internal");
    send(router, request.body(Body::empty()).expect("a request")).await
}

pub(crate) async fn data(router: &Router, query: &str) -> Value {
    let answer = get(router, &format!("/data.json{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

/// What the page itself sends.
pub(crate) fn post() -> Builder {
    Request::post("/invalidate")
        .header("host", "ops.internal:8443")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json")
        .header("x-cache-dashboard", "1")
}

pub(crate) async fn invalidate(router: &Router, request: Builder, target: &Value) -> Answer {
    let body = Body::from(target.to_string());
    send(router, request.body(body).expect("a request")).await
}

/// Whether the entry is still cached.
pub(crate) async fn is_cached(cache: &Cache) -> bool {
    let key = KEY.parse().expect("a key");
    let found = cache.inspect(&key).await;
    found.is_valid()
}

pub(crate) async fn filled() -> Cache {
    let cache = Cache::builder().namespace("shifts").build();
    cache.scope(salary(7)).await;
    assert!(is_cached(&cache).await);
    cache
}
