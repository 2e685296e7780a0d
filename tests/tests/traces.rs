//! What `tracing` shows of calls: a span for each that the local tier can't answer, an event for each
//! hit, and nothing of what is in keys and values.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env, ManualClock, cached};
use cache_tests::source::Source;
use tokio::sync::MutexGuard;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

const SECRET: &str = "hunter2";

#[cached(
    kind = "traced",
    ttl = "1m",
    stale_while_revalidate = "1m",
    skip(source)
)]
async fn price(source: &Source, of: &str) -> Result<String, String> {
    if of == "nothing" {
        return Err("no such thing".to_owned());
    }
    tracing::info!("looking it up");
    source.load().await;
    Ok(format!("{of} costs {}", currency("EUR").await))
}

#[allow(clippy::unused_async)]
#[cached(kind = "traced_inner", ttl = "1m")]
async fn currency(name: &str) -> String {
    name.to_owned()
}

/// Spans and events, one line each, as `name{fields} in parent` and `event{fields} in parent`. A span
/// is there once it has ended.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0
            .insert(field.name(), format!("{value:?}").replace('"', ""));
    }
}

impl Fields {
    fn line(&self, name: &str, parent: Option<&str>) -> String {
        let fields: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let parent = parent
            .map(|parent| format!(" in {parent}"))
            .unwrap_or_default();
        format!("{name}{{{}}}{parent}", fields.join(" "))
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = context.span(id).expect("it is new");
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("it is there");
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let parent = context.event_span(event).map(|span| span.name());
        self.0.lock().unwrap().push(fields.line("event", parent));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is ending");
        let parent = span.parent().map(|span| span.name());
        if let Some(fields) = span.extensions().get::<Fields>() {
            self.0
                .lock()
                .unwrap()
                .push(fields.line(span.name(), parent));
        }
    }
}

impl Seen {
    /// Shows this thread what is at this level and above. One test at a time, and no call outside of
    /// it: what is worth showing is settled for the process as a whole, by whoever comes first.
    async fn listen(level: LevelFilter) -> (Self, (DefaultGuard, MutexGuard<'static, ()>)) {
        static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let one = ONE.lock().await;
        let seen = Self::default();
        let guard = tracing_subscriber::registry()
            .with(level)
            .with(seen.clone());
        (seen, (guard.set_default(), one))
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn a_miss_is_a_span_with_its_load_in_it_and_a_hit_is_an_event() {
    let (cache, source) = (Cache::builder().build(), Source::default());
    let (seen, _guard) = Seen::listen(LevelFilter::TRACE).await;
    cache.scope(price(&source, SECRET)).await.expect("a price");
    assert_eq!(
        seen.take(),
        [
            "event{message=looking it up} in load",
            "load{kind=traced_inner outcome=ok} in cached",
            "cached{function=currency kind=traced_inner outcome=miss} in load",
            "load{kind=traced outcome=ok} in cached",
            "cached{function=price kind=traced outcome=miss}",
        ]
    );
    cache.scope(price(&source, SECRET)).await.expect("a price");
    assert_eq!(
        seen.take(),
        ["event{function=price kind=traced message=cached outcome=hit tier=local}"]
    );
    cache
        .scope(price(&source, "nothing"))
        .await
        .expect_err("no price");
    assert_eq!(
        seen.take(),
        [
            "load{kind=traced outcome=error} in cached",
            "cached{function=price kind=traced outcome=miss}",
        ]
    );
}

#[tokio::test]
async fn each_outcome_is_recorded_with_its_tier() {
    let clock = ManualClock::new();
    let env = Env::system().with_clock(clock.clone());
    let server = MemoryServer::new(env.clone());
    let build = || {
        Cache::builder()
            .env(env.clone())
            .shared(server.store())
            .build()
    };
    let (one, two, source) = (build(), build(), Source::default());
    let (seen, _guard) = Seen::listen(LevelFilter::DEBUG).await;
    one.scope(price(&source, "bread")).await.expect("a price");
    seen.take();
    two.scope(price(&source, "bread")).await.expect("a price");
    assert_eq!(
        seen.take(),
        ["cached{function=price kind=traced outcome=hit tier=shared}"]
    );
    // While one call refreshes what is stale, another gets it as it is.
    clock.advance(Duration::from_secs(61));
    source.hold();
    let during = async {
        source.loading(2).await;
        let served = one.scope(price(&source, "bread")).await;
        source.let_go();
        served
    };
    let (first, second) = tokio::join!(one.scope(price(&source, "bread")), during);
    assert_eq!(first, second);
    let lines = seen.take();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("cached{function=price kind=traced outcome=stale")),
        "{lines:#?}"
    );
    // Of two that miss at one time, one joins the other.
    source.hold();
    let during = async {
        source.loading(3).await;
        let joining = one.scope(price(&source, "milk"));
        let (joined, ()) = tokio::join!(joining, async { source.let_go() });
        joined
    };
    let (first, second) = tokio::join!(one.scope(price(&source, "milk")), during);
    assert_eq!(first, second);
    let lines = seen.take();
    for outcome in ["outcome=coalesced tier=local}", "outcome=miss}"] {
        let line = format!("cached{{function=price kind=traced {outcome}");
        assert!(lines.contains(&line), "{line} is not in {lines:#?}");
    }
}

#[tokio::test]
async fn nothing_of_arguments_tags_or_values_is_shown() {
    let cache = Cache::builder()
        .shared(MemoryServer::new(Env::system()).store())
        .build();
    let source = Source::default();
    let (seen, _guard) = Seen::listen(LevelFilter::TRACE).await;
    cache
        .scope(async {
            price(&source, SECRET).await.expect("a price");
            price(&source, SECRET).await.expect("a price");
            price::invalidate(SECRET).await.expect("it has a key");
            cache.invalidate_tag(SECRET).await.expect("a good tag");
        })
        .await;
    let lines = seen.take();
    assert!(lines.len() >= 5, "{lines:#?}");
    assert!(
        !lines.iter().any(|line| line.contains(SECRET)),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn who_listens_to_info_alone_is_shown_nothing() {
    let (cache, source) = (Cache::builder().build(), Source::default());
    let (seen, _guard) = Seen::listen(LevelFilter::INFO).await;
    cache.scope(price(&source, "bread")).await.expect("a price");
    cache.scope(price(&source, "bread")).await.expect("a price");
    assert_eq!(seen.take(), ["event{message=looking it up}"]);
}
