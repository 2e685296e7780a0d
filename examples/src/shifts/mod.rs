//! A service that plans shifts: axum over SQLite, its reads cached and its writes invalidating.
//!
//! ```text
//! args       what was asked for on the command line
//! dashboard  the page with the cache's live figures
//! failure    what can go wrong, and which answer that gives
//! model      what is read and written
//! db/        SQLite: the connections, the tables, the generated rows
//! reads      the cached functions
//! writes     the invalidating functions
//! warm       the cache before the first request
//! routes/    HTTP
//! signals    what asks it to end
//! traces     logs, and traces for OpenTelemetry
//! ```
//!
//! The caching is all in `reads` and `writes`; the lines that set it up are in this file.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cache_core::Cache;
use cache_redis::RedisConfig;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use args::{Args, Asked, Page};
use db::Db;
use routes::App;
use signals::Signals;
use traces::Traces;

mod args;
mod dashboard;
mod db;
mod failure;
mod model;
mod reads;
mod routes;
mod signals;
mod traces;
mod warm;
mod writes;

/// How long requests under way have to finish once the service was asked to end.
const GRACE: Duration = Duration::from_secs(5);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The service, from its arguments to its end.
pub fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(Asked::Serve(args)) => args,
        Ok(Asked::Help) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("shifts: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    let ended = Traces::begin(args.otlp.as_deref()).and_then(|traces| {
        let ended = start(&args);
        traces.end();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shifts: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn start(args: &Args) -> Outcome<()> {
    let cache = build_cache(args)?;
    cache.clone().install()?;

    let db = Db::open(&args.db).await?;
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| format!("--listen {}: {error}", args.listen))?;
    let signals = Signals::catch()?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    out.flush()?;

    // Nobody waits for the warming: a request that comes first loads for itself, or joins it.
    if args.warm > 0 && !args.no_cache {
        tokio::spawn(warm::busiest(db.clone(), args.warm));
    }
    let app = App::new(db, cache.clone());
    let mut router = routes::router(app.clone());
    if let Some(page) = args.dashboard {
        let page = dashboard::router(cache.clone(), page == Page::Writes);
        // With a slash at its end, too, which `nest` would not know.
        router = router.nest_service(dashboard::PATH, page);
    }
    serve(listener, router, &app, signals).await?;
    // What was counted since the last report, and that this node is none any more.
    if let Err(error) = cache.shutdown().await {
        tracing::warn!(%error, "the last figures could not be reported");
    }
    tracing::info!("ended as asked");
    Ok(())
}

/// Shared through Redis where the environment names one, and in this process where it doesn't.
fn build_cache(args: &Args) -> Outcome<Cache> {
    let mut builder = Cache::builder().namespace("shifts").enabled(!args.no_cache);
    if let Some(file) = &args.policies {
        builder = builder.policies_file(file)?;
    }
    let mut redis = RedisConfig::from_env()?;
    if let Some(every) = args.report_every {
        redis = redis.report_every(every);
    }
    if !args.embedded && redis.source() != "default" {
        tracing::info!(
            redis = redis.describe(),
            from = redis.source(),
            "shared cache"
        );
        builder = builder.shared(redis.build()?);
    }
    Ok(builder.try_build()?)
}

/// Serves until a signal, and until what was under way by then is done.
async fn serve(listener: TcpListener, router: Router, app: &App, signals: Signals) -> Outcome<()> {
    // The page wants to know where a request comes from.
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let asked = Arc::new(Notify::new());
    let told = Arc::clone(&asked);
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        signals.one().await;
        told.notify_one();
    });
    let too_long = async {
        asked.notified().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = serving => ended?,
        () = too_long => tracing::warn!("some requests were not done within {GRACE:?}"),
    }
    // Writes outlive callers that hang up; none is left half done.
    app.finish_writes().await;
    Ok(())
}
