//! HTTP: what is answered where. JSON in, JSON out, errors too.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cache_core::metrics::prometheus::{self, Exporter};
use cache_core::{Cache, Snapshot};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tracing::Instrument as _;

use super::db::{Db, reads_counted};
use super::failure::Failure;
use super::traces::traced;

mod asked;
mod read;
mod write;

/// What every request can reach.
#[derive(Clone)]
pub(super) struct App {
    db: Db,
    cache: Cache,
    exporter: Exporter,
    /// Read-locked by every write under way.
    writing: Arc<RwLock<()>>,
}

impl App {
    pub(super) fn new(db: Db, cache: Cache) -> Self {
        Self {
            db,
            exporter: Exporter::new(cache.clone()),
            cache,
            writing: Arc::default(),
        }
    }

    /// Runs a write to its end, whatever becomes of the request: axum drops the future of a caller
    /// that hangs up, but SQLite's thread goes on and may commit after that. What is invalidated at
    /// the drop would be invalidated too early.
    async fn write<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let writing = Arc::clone(&self.writing).read_owned().await;
        let work = async move {
            let _writing = writing;
            work.await
        };
        let written = tokio::spawn(work.in_current_span());
        written.await.map_err(Failure::internal)?
    }

    /// Ends when no write is under way any more.
    pub(super) async fn finish_writes(&self) {
        drop(self.writing.write().await);
    }
}

pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/workplaces", get(read::workplaces))
        .route("/workplaces/{id}/schedule", get(read::schedule))
        .route("/workplaces/{id}/employees", get(read::employees))
        .route(
            "/employees/{id}",
            get(read::employee).put(write::put_employee),
        )
        .route("/employees/{id}/week", get(read::employee_week))
        .route("/shifts", post(write::post_shift))
        .route(
            "/shifts/{id}",
            get(read::shift)
                .put(write::put_shift)
                .delete(write::delete_shift),
        )
        .route("/jobs", get(read::jobs).post(write::post_job))
        .route("/jobs/{id}", get(read::job).delete(write::delete_job))
        .route(
            "/settings/{key}",
            get(read::setting).put(write::put_setting),
        )
        .fallback(async || {
            Failure::new(
                StatusCode::NOT_FOUND,
                "there is nothing here; GET / lists what there is",
            )
        })
        .method_not_allowed_fallback(async || {
            Failure::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this method does nothing here; GET / lists what there is",
            )
        })
        .layer(middleware::from_fn(tell_reads))
        .layer(middleware::from_fn(traced))
        // Asked again and again by machines: no trace is wanted of that.
        .route("/health", get(health))
        .route("/metrics", get(metrics_text))
        .route("/metrics.json", get(metrics))
        .with_state(app)
}

/// Tells what an answer cost: how often the database was read for it. A cached one costs nothing.
async fn tell_reads(request: Request, next: Next) -> Response {
    let (mut answer, reads) = reads_counted(next.run(request)).await;
    answer
        .headers_mut()
        .insert("x-database-reads", HeaderValue::from(reads));
    answer
}

async fn index() -> Json<Value> {
    Json(json!({
        "GET /workplaces": "all workplaces",
        "GET /workplaces/{id}/schedule?from=2026-03-02&days=7": "its shifts, for 1 to 35 days",
        "GET /workplaces/{id}/employees": "who works there",
        "GET /employees/{id}": "an employee",
        "PUT /employees/{id}": "workplace, name, role, email, hourly_cents",
        "GET /employees/{id}/week?of=2026-03-02": "the employee's shifts in the week of that day",
        "GET /shifts/{id}": "a shift",
        "POST /shifts": "workplace, employee or null, day, starts, ends, role",
        "PUT /shifts/{id}": "the same: moves it",
        "DELETE /shifts/{id}": "removes it",
        "GET /jobs?city=Porto": "the job listings of a city",
        "POST /jobs": "workplace, title, hourly_cents, posted",
        "GET /jobs/{id}": "a job listing",
        "DELETE /jobs/{id}": "removes it",
        "GET /settings/{key}": "a setting",
        "PUT /settings/{key}": "value",
        "GET /health": "whether the shared cache is connected",
        "GET /metrics": "the same as /metrics.json, and the fleet's nodes, for Prometheus",
        "GET /metrics.json": "hits, misses and times, per kind",
        "GET /cache": "a page of them, live; with --dashboard only"
    }))
}

/// The service works as long as it answers at all: without the shared tier it is slower, not ill.
async fn health(State(app): State<App>) -> Json<Value> {
    let health = app.cache.health();
    let shared = match &health.shared {
        None => Value::Null,
        Some(place) => {
            let checked = app.cache.check_shared().await;
            json!({
                "place": place,
                "connected": checked.is_ok(),
                "error": checked.err().map(|error| error.to_string()),
                "in_use": health.usable,
                "queued_invalidations": health.queued,
            })
        }
    };
    Json(json!({ "status": "ok", "shared": shared }))
}

async fn metrics(State(app): State<App>) -> Json<Snapshot> {
    Json(app.cache.snapshot())
}

async fn metrics_text(State(app): State<App>) -> impl IntoResponse {
    let text = app.exporter.text_with_fleet().await;
    ([(header::CONTENT_TYPE, prometheus::CONTENT_TYPE)], text)
}
