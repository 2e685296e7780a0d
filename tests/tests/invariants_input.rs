//! Bad input: each is refused in words that name it, and nothing panics.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::time::Duration;

use cache_core::Env;
use cache_core::memory::MemoryServer;
use cache_core::{Cache, ErrorKind, Policy, Tag, cached};

fn refused(what: cache_core::CacheBuilder, kind: ErrorKind, words: &[&str]) {
    let built = what.try_build().expect_err("it makes no sense");
    assert_eq!(built.kind(), kind, "{built}");
    let text = built.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!text.ends_with('.'), "{text}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let builder = Cache::builder;
    let long = "n".repeat(65);
    for namespace in ["", "a b", "a:b", "{a}", "ключ", "a\n", &long] {
        refused(builder().namespace(namespace), ErrorKind::Name, &[]);
    }
    refused(builder().namespace("a:b"), ErrorKind::Name, &["a:b"]);
    refused(
        builder().capacity(0),
        ErrorKind::Config,
        &["capacity(0)", "65536"],
    );
    refused(builder().capacity(65_535), ErrorKind::Config, &["65535"]);
    refused(
        builder().store_timeout(Duration::ZERO),
        ErrorKind::Config,
        &["store_timeout", "1 ms"],
    );
    refused(
        builder().policy("No Kind", Policy::new()),
        ErrorKind::Name,
        &["No Kind"],
    );
    refused(
        builder().policy("kind", Policy::new().ttl(Duration::ZERO)),
        ErrorKind::Ttl,
        &["kind"],
    );
    refused(
        builder().policy("kind", Policy::new().max_bytes(0)),
        ErrorKind::Config,
        &["kind", "max_bytes"],
    );
    assert!(builder().capacity(64 << 10).try_build().is_ok());
}

#[test]
fn a_policy_file_is_refused_with_its_name_and_line() {
    let missing = Cache::builder().policies_file("/nowhere/cache.toml");
    let error = missing.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("/nowhere/cache.toml"), "{error}");

    let path = std::env::temp_dir().join(format!("cache-policies-{}.toml", std::process::id()));
    std::fs::write(&path, "[kinds.a]\nttl = \"1m\"\nttl_ = 4\n").expect("it can be written");
    let error = Cache::builder()
        .policies_file(&path)
        .expect_err("no such option");
    let text = error.to_string();
    assert!(text.contains("ttl_") && text.contains('3'), "{text}");
    assert!(text.contains(&path.display().to_string()), "{text}");
    let _ = std::fs::remove_file(&path);
}

#[tokio::test]
async fn tags_and_kinds_that_cannot_be_are_refused_and_invalidate_nothing() {
    let cache = Cache::builder().build();
    let long = "t".repeat(201);
    for tag in ["", " ", "a b", "a\nb", "{a}", "~", "~kind", "#hash", &long] {
        let error = cache.invalidate_tag(tag).await.expect_err(tag);
        assert_eq!(error.kind(), ErrorKind::Name, "{error}");
        assert!(Tag::new(tag).is_err());
    }
    for kind in ["", "Kind", "a b", "~", "a:b"] {
        let error = cache.invalidate_kind(kind).await.expect_err(kind);
        assert_eq!(error.kind(), ErrorKind::Name, "{error}");
    }
    assert_eq!(cache.snapshot().invalidations_applied, 0);
}

fn no_time() -> Duration {
    Duration::ZERO
}

#[cached(kind = "no_time", ttl = no_time())]
fn kept_for_no_time(id: u64) -> u64 {
    id
}

#[test]
fn a_ttl_that_turns_out_to_be_zero_leaves_the_function_uncached() {
    let cache = Cache::builder().build();
    for _ in 0..3 {
        assert_eq!(cache.scope_blocking(|| kept_for_no_time(1)), 1);
    }
    let figures = &cache.snapshot().kinds["no_time"];
    assert_eq!(
        (figures.bypassed, figures.hits(), figures.local_entries),
        (3, 0, 0)
    );
}

#[cached(kind = "faulty", ttl = "1m")]
fn faulty(id: u64) -> u64 {
    id
}

#[test]
fn a_cache_built_from_nonsense_is_switched_off_and_says_why() {
    let cache = Cache::builder().capacity(1).build();
    assert!(
        cache
            .fault()
            .is_some_and(|fault| fault.to_string().contains("capacity(1)"))
    );
    assert_eq!(cache.scope_blocking(|| faulty(1)), 1);
    assert_eq!(cache.snapshot().kinds["faulty"].bypassed, 1);
    let error = cache.install().expect_err("it is not installed");
    assert!(error.to_string().contains("capacity(1)"));
}

#[test]
fn one_store_serves_one_cache() {
    use std::sync::Arc;
    let server = MemoryServer::new(Env::system());
    let store = Arc::new(server.store());
    let attached = |namespace: &str| {
        let observer: Arc<dyn cache_core::store::Observer> = Arc::new(Deaf);
        let observer = Arc::downgrade(&observer);
        let attachment = cache_core::store::Attachment::new(namespace, Env::system(), observer);
        cache_core::store::Store::attach(&*store, attachment)
    };
    assert!(attached("one").is_ok());
    let error = attached("two").expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

struct Deaf;

impl cache_core::store::Observer for Deaf {
    fn observe(&self, _: cache_core::store::Event) {}
}
