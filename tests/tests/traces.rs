//! What `tracing` shows of calls: a span for each that the local tier can't answer, an event for each
//! hit, and nothing of what is in keys and values.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env, ManualClock, cached};
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

#[cached(kind = "traced", ttl = "1m", stale_while_revalidate = "1m")]
async fn price(of: &str) -> Result<String, String> {
    if of == "nothing" {
        return Err("no such thing".to_owned());
    }
    tracing::info!("looking it up");
    // Whoever calls at the same time comes to know that this one is under way.
    tokio::task::yield_now().await;
    Ok(format!("{of} costs {}", currency("EUR").await))
}

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
    /// Shows this thread what is at this level and above.
    fn listen(level: LevelFilter) -> (Self, DefaultGuard) {
        let seen = Self::default();
        let guard = tracing_subscriber::registry().with(seen.clone().with_filter(level));
        (seen, guard.set_default())
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn a_miss_is_a_span_with_its_load_in_it_and_a_hit_is_an_event() {
    let cache = Cache::builder().build();
    let (seen, _guard) = Seen::listen(LevelFilter::TRACE);
    cache.scope(price(SECRET)).await.expect("a price");
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
    cache.scope(price(SECRET)).await.expect("a price");
    assert_eq!(
        seen.take(),
        ["event{function=price kind=traced message=cached outcome=hit tier=local}"]
    );
    cache.scope(price("nothing")).await.expect_err("no price");
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
    let (one, two) = (build(), build());
    one.scope(price("bread")).await.expect("a price");

    let (seen, _guard) = Seen::listen(LevelFilter::DEBUG);
    two.scope(price("bread")).await.expect("a price");
    assert_eq!(
        seen.take(),
        ["cached{function=price kind=traced outcome=hit tier=shared}"]
    );
    // While one call refreshes what is stale, another gets it as it is.
    clock.advance(Duration::from_secs(61));
    let (first, second) = tokio::join!(one.scope(price("bread")), one.scope(price("bread")));
    assert_eq!(first, second);
    let lines = seen.take();
    assert!(
        lines.contains(&"cached{function=price kind=traced outcome=stale}".to_owned()),
        "{lines:#?}"
    );
    // Of two that miss at one time, one joins the other.
    let (first, second) = tokio::join!(one.scope(price("milk")), one.scope(price("milk")));
    assert_eq!(first, second);
    let lines = seen.take();
    for outcome in ["outcome=coalesced tier=local}", "outcome=miss}"] {
        let line = format!("cached{{function=price kind=traced {outcome}");
        assert!(lines.contains(&line), "{line} is not in {lines:#?}");
    }
    one.invalidate_kind("traced").await.expect("a good name");
}

#[tokio::test]
async fn nothing_of_arguments_tags_or_values_is_shown() {
    let cache = Cache::builder()
        .shared(MemoryServer::new(Env::system()).store())
        .build();
    let (seen, _guard) = Seen::listen(LevelFilter::TRACE);
    cache
        .scope(async {
            price(SECRET).await.expect("a price");
            price(SECRET).await.expect("a price");
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
    let cache = Cache::builder().build();
    let (seen, _guard) = Seen::listen(LevelFilter::INFO);
    cache.scope(price("bread")).await.expect("a price");
    cache.scope(price("bread")).await.expect("a price");
    assert_eq!(seen.take(), ["event{message=looking it up}"]);
}
