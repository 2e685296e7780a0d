//! What is served where. One function answers everything, so that nothing can be forgotten by a route: the
//! access check, the headers, the refusal of other sites.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{OriginalUri, Query, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::any;
use serde::{Deserialize, Serialize};

use super::answer::{Data, Shown};
use super::assets::{ASSETS, page};
use super::fleet::Readings;
use super::series::{History, Range, STEP};
use super::{Dashboard, guard};
use crate::metrics::millis;
use crate::{Invalidation, Key};

/// The longest query, in bytes: a key has about seven hundred, each escaped in three.
const QUERY: usize = 4096;
/// The longest body, in bytes.
const BODY: usize = 4096;

const JSON: &str = "application/json";
const DATA: &str = "/data.json";
const ENTRY: &str = "/entry.json";
const INVALIDATE: &str = "/invalidate";

/// What a router serves.
pub(super) struct Served {
    pub(super) dashboard: Dashboard,
    pub(super) history: History,
    fleet: Readings,
}

/// Why a request is refused, as `{"error": ".."}`.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        let error = error.into();
        Self { status, error }
    }
}

type Answer = Result<Response<Body>, Refusal>;

pub(super) fn router(dashboard: Dashboard) -> Router {
    let engine = &dashboard.cache.engine;
    let env = engine.env.clone();
    let history = History::new(env.now(), env.wall(), engine.snapshot());
    let served = Arc::new(Served {
        fleet: Readings::of(dashboard.cache.clone()),
        dashboard,
        history,
    });
    let noted = Arc::downgrade(&served);
    env.clone().spawn(async move {
        loop {
            env.sleep(STEP).await;
            // Not held in between: it ends with the router.
            let Some(served) = noted.upgrade() else {
                return;
            };
            served.note();
        }
    });
    let paths = ASSETS.iter().map(|(path, ..)| *path);
    paths
        .chain(["/", DATA, ENTRY, INVALIDATE])
        .fold(Router::new(), |router, path| router.route(path, any(serve)))
        .with_state(served)
}

async fn serve(
    State(served): State<Arc<Served>>,
    OriginalUri(asked): OriginalUri,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let answer = served.answer(&parts, asked.path(), body).await;
    let mut response = answer.unwrap_or_else(|refusal| {
        let error = serde_json::json!({ "error": refusal.error });
        let mut response = text(JSON, error.to_string());
        *response.status_mut() = refusal.status;
        if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = match parts.uri.path() {
                INVALIDATE => "POST",
                _ => "GET, HEAD",
            };
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(allowed));
        }
        response
    });
    guard::bind(response.headers_mut());
    response
}

impl Served {
    /// Notes the figures for the charts, and returns them.
    pub(super) fn note(&self) -> crate::Snapshot {
        let engine = &self.dashboard.cache.engine;
        self.history
            .note(engine.env.now(), engine.env.wall(), || engine.snapshot())
    }

    async fn answer(&self, parts: &Parts, asked: &str, body: Body) -> Answer {
        // Before anything else, so that one who is refused learns nothing, not even what there is.
        if let Some(access) = &self.dashboard.access
            && !access(parts)
        {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden"));
        }
        let path = parts.uri.path();
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        if reads == (path == INVALIDATE) || (!reads && parts.method != Method::POST) {
            let error = "this method is not allowed here";
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error));
        }
        if parts.uri.query().is_some_and(|query| query.len() > QUERY) {
            let error = format!("the query has more than {QUERY} bytes");
            return Err(Refusal::new(StatusCode::URI_TOO_LONG, error));
        }
        match path {
            DATA => self.data(parts).await,
            ENTRY => self.entry(parts).await,
            INVALIDATE => self.invalidate(parts, body).await,
            _ => Ok(match ASSETS.iter().find(|(name, ..)| *name == path) {
                Some((_, media, content)) => text(media, *content),
                None => text("text/html", page(asked)),
            }),
        }
    }

    async fn data(&self, parts: &Parts) -> Answer {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Asked {
            range: Option<String>,
            of: Option<String>,
        }
        guard::same_site(parts)?;
        let asked: Asked = query(parts)?;
        let name = asked.range.as_deref().unwrap_or("5m");
        let range = Range::ALL.into_iter().find(|range| range.name() == name);
        let Some(range) = range else {
            return Err(wrong("range is none of 5m, 1h and 24h"));
        };
        let of_fleet = match asked.of.as_deref() {
            None | Some("node") => false,
            Some("fleet") => true,
            Some(_) => return Err(wrong("of is neither node nor fleet")),
        };
        let figures = self.note();
        // Who is there is told with the last minutes, which are cheap to ask for.
        let nodes = self.fleet.last(Range::Minutes).await;
        let fleet = if of_fleet {
            Some(self.fleet.last(range).await)
        } else {
            None
        };
        let here;
        let shown = if let Some(Ok(reading)) = &fleet {
            &reading.shown
        } else {
            here = self.shown(range);
            &here
        };
        json(&Data::new(
            self,
            range,
            shown,
            &figures,
            &nodes,
            fleet.as_ref(),
        ))
    }

    /// This node's figures of a range.
    fn shown(&self, range: Range) -> Shown {
        let now_ms = millis(self.dashboard.cache.engine.env.wall());
        let shown = [now_ms.saturating_sub(range.span_ms()), now_ms];
        Shown::of_node(&self.history.series(range), shown, self.history.since_ms)
    }

    async fn entry(&self, parts: &Parts) -> Answer {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Asked {
            key: String,
        }
        guard::same_site(parts)?;
        let asked: Asked = query(parts)?;
        let key: Key = asked.key.parse().map_err(|error| wrong(&error))?;
        let cache = &self.dashboard.cache;
        json(&if self.dashboard.values {
            cache.inspect_with_value(&key).await
        } else {
            cache.inspect(&key).await
        })
    }

    async fn invalidate(&self, parts: &Parts, body: Body) -> Answer {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Target {
            Tag(String),
            Key(String),
            Kind(String),
        }
        if !self.dashboard.invalidation {
            let error = "this page is read-only: Dashboard::invalidation(true) changes that";
            return Err(Refusal::new(StatusCode::FORBIDDEN, error));
        }
        guard::same_site(parts)?;
        let body = to_bytes(body, BODY).await.map_err(|_| {
            let error = format!("the body has more than {BODY} bytes, or did not arrive");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error)
        })?;
        let target: Target = serde_json::from_slice(&body).map_err(|error| {
            wrong(&format!(
                "the body is not one of {{\"key\": ..}}, {{\"tag\": ..}} and {{\"kind\": ..}}: {error}"
            ))
        })?;
        let cache = &self.dashboard.cache;
        let (what, kind, outcome) = match target {
            Target::Tag(tag) => {
                let outcome = cache.invalidate_tag(&tag).await;
                ("tag", None, outcome.map_err(|error| wrong(&error))?)
            }
            Target::Key(key) => {
                let key: Key = key.parse().map_err(|error| wrong(&error))?;
                let kind = key.kind().to_owned();
                ("key", Some(kind), cache.invalidate_key(key).await)
            }
            Target::Kind(kind) => {
                let outcome = cache.invalidate_kind(&kind).await;
                ("kind", Some(kind), outcome.map_err(|error| wrong(&error))?)
            }
        };
        let outcome = match outcome {
            Invalidation::Applied => "applied",
            Invalidation::Queued => "queued",
            Invalidation::Collected => "collected",
            Invalidation::Started => "started",
        };
        // Whoever asks why everything is loaded again finds it here. What is in keys and tags, arguments of
        // calls, is not for the log.
        tracing::info!(
            what,
            kind,
            outcome,
            "invalidated by hand, through the dashboard"
        );
        json(&serde_json::json!({ "outcome": outcome }))
    }
}

fn wrong(error: &(impl ToString + ?Sized)) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error.to_string())
}

fn query<T: serde::de::DeserializeOwned>(parts: &Parts) -> Result<T, Refusal> {
    let query = Query::try_from_uri(&parts.uri).map_err(|error| wrong(&error.body_text()))?;
    Ok(query.0)
}

fn json(answer: &impl Serialize) -> Answer {
    serde_json::to_string(answer)
        .map(|json| text(JSON, json))
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn text(media: &'static str, content: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(content.into());
    let media = match media {
        JSON => HeaderValue::from_static(JSON),
        media => HeaderValue::from_str(&format!("{media}; charset=utf-8"))
            .unwrap_or(HeaderValue::from_static("application/octet-stream")),
    };
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}
