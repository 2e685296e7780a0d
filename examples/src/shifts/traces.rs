//! What is told of each request: log lines, and, where a collector of OpenTelemetry was named, traces: the
//! request, the cached calls below it, and the loads below those.

use std::io::{IsTerminal as _, stderr};

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument as _, debug_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::Outcome;

/// The variable by which OpenTelemetry's own tools are told where the collector is.
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Where traces go, if anywhere.
pub(super) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Begins to log, and to trace if a collector is named.
    pub(super) fn begin(collector: Option<&str>) -> Outcome<Self> {
        let provider = match collector_url(collector)? {
            Some(url) => {
                // What calls us may have begun the trace.
                global::set_text_map_propagator(TraceContextPropagator::new());
                let exporter = SpanExporter::builder()
                    .with_http()
                    .with_endpoint(url)
                    .build()?;
                let name = Resource::builder().with_service_name("shifts").build();
                let provider = SdkTracerProvider::builder().with_resource(name);
                Some(provider.with_batch_exporter(exporter).build())
            }
            None => None,
        };
        let tracing = provider.as_ref().map(|provider| {
            // A trace is of requests and of what the cache does, its local hits included, which are
            // events at level TRACE.
            let shown = Targets::new()
                .with_target("cache_core", LevelFilter::TRACE)
                .with_target(env!("CARGO_CRATE_NAME"), LevelFilter::DEBUG);
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("shifts"))
                .with_filter(shown)
        });
        let logging = fmt::layer()
            .with_writer(stderr)
            .with_ansi(stderr().is_terminal())
            .with_filter(LevelFilter::INFO);
        tracing_subscriber::registry()
            .with(logging)
            .with(tracing)
            .init();
        Ok(Self(provider))
    }

    /// Sends what was not sent yet.
    pub(super) fn end(self) {
        if let Some(Err(error)) = self.0.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// A span for a request, under the name of its route: paths have numbers in them, and there is no end to
/// those.
pub(super) async fn traced(request: Request, next: Next) -> Response {
    let route = request.extensions().get().map(MatchedPath::as_str);
    let method = request.method().as_str();
    let span = debug_span!(
        "request",
        otel.name = format_args!("{method} {}", route.unwrap_or("?")),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    if !span.is_disabled() {
        let headers = HeaderExtractor(request.headers());
        let caller = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
        // It can only fail where no trace is made of the span.
        let _ = span.set_parent(caller);
    }
    let answer = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", answer.status().as_u16());
    answer
}

/// The full URL for traces, of the collector that is named by the option, or by the environment.
fn collector_url(option: Option<&str>) -> Outcome<Option<String>> {
    let environment = std::env::var(COLLECTOR).ok();
    let (name, url) = match (option, &environment) {
        (Some(url), _) => ("--otlp", url),
        (None, Some(url)) if !url.is_empty() => (COLLECTOR, &**url),
        _ => return Ok(None),
    };
    // The URL itself is not shown: it may have a password in it.
    if !url.starts_with("http://") {
        let why = "traces are sent without TLS here; write http:// and where a collector nearby \
                   listens, as in http://127.0.0.1:4318";
        return Err(format!("{name}: {why}").into());
    }
    Ok(Some(format!("{}/v1/traces", url.trim_end_matches('/'))))
}
