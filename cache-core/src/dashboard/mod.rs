//! A page with a cache's live figures, as a router to mount in a service: self-contained, read-only
//! unless asked otherwise, and nothing is fetched from anywhere else. Feature `dashboard`.
//!
//! ```
//! use axum::Router;
//! use cache_core::Cache;
//! use cache_core::dashboard::Dashboard;
//!
//! let cache = Cache::builder().namespace("shifts").build();
//! let app: Router = Router::new().nest("/cache", Dashboard::new(cache).router());
//! ```
//!
//! The router is a [`tower::Service`](https://docs.rs/tower-service), so it can be mounted in anything
//! that takes one. Nested under `/cache` or `/cache/` it answers at that path; with axum's `nest_service`
//! at both; at the root it is merged, or served as it is. Every address in the page is relative: a proxy
//! in front may put any path before it, as long as the last part of the path stays. A service whose own
//! router has a state nests it once that is given (`with_state`), or as a service.
//!
//! **Mount it behind the authentication of your own service.** It has none: whoever gets through to it
//! sees the kinds' names, the figures, the nodes' host names, the tags of any key that is asked for; the
//! values too with [`values`](Dashboard::values), and may invalidate with
//! [`invalidation`](Dashboard::invalidation).
//!
//! What it shows of this node over time it notes itself, every five seconds for as long as the router is
//! there: five minutes in slices of five seconds, an hour in minutes, a day in quarters of an hour. What it
//! shows of the fleet are the minutes that the store keeps ([`Cache::fleet`]), asked for at most every
//! few seconds however many people look.

mod answer;
mod assets;
mod fleet;
mod guard;
mod routes;
mod series;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;

use crate::Cache;

type Access = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;

/// The page of a cache, to be mounted.
///
/// ```
/// use axum::http::header::{HOST, HeaderValue};
/// use cache_core::Cache;
/// use cache_core::dashboard::Dashboard;
///
/// let router = Dashboard::new(Cache::current())
///     .title("Shifts, Berlin")
///     .invalidation(true)
///     .access(|request| request.headers.get(HOST) == Some(&HeaderValue::from_static("ops.internal")))
///     .router();
/// # drop(router);
/// ```
#[derive(Clone)]
#[must_use = "it serves nothing until its router is mounted"]
pub struct Dashboard {
    cache: Cache,
    title: String,
    invalidation: bool,
    values: bool,
    access: Option<Access>,
}

impl Dashboard {
    /// The page of this cache.
    pub fn new(cache: Cache) -> Self {
        let title = match &*cache.engine.namespace {
            "" => "Cache".to_owned(),
            namespace => format!("Cache of {namespace}"),
        };
        Self {
            cache,
            title,
            invalidation: false,
            values: false,
            access: None,
        }
    }

    /// What is written at the top. Default: `Cache of` and the namespace.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Lets people invalidate a key, a tag, a kind. Requests that another site makes a browser send are
    /// refused. Default: `false`, the page is read-only.
    pub fn invalidation(mut self, invalidation: bool) -> Self {
        self.invalidation = invalidation;
        self
    }

    /// Shows what is cached at a key that is looked up, to everybody who gets through to the page.
    /// Default: `false`, only what is around it: age, size, tags.
    pub fn values(mut self, values: bool) -> Self {
        self.values = values;
        self
    }

    /// Asks for each request, whatever for, whether it is let through; one that is not is answered with
    /// 403 and nothing else. Default: everybody is let through whom the service around it lets through.
    ///
    /// The check sees the request as the layers around the router have left it, so it can read what an
    /// authentication layer has put into its extensions. One that has to wait for something belongs into
    /// such a layer. A page without authentication, on a port of this machine alone, should check the
    /// `Host` header, as in the [example](Dashboard): otherwise any web site can have its own name point
    /// here, and read along in the browser of whoever visits it (DNS rebinding).
    pub fn access(mut self, access: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.access = Some(Arc::new(access));
        self
    }

    /// The page, to be nested under any path, or merged at the root. From here on it notes the figures.
    pub fn router(self) -> Router {
        routes::router(self)
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard")
            .field("cache", &self.cache)
            .field("invalidation", &self.invalidation)
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}
