//! The journal, in one process: what it holds is applied before the shared tier is used, and what
//! it can't be is refused when the cache is built.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::fs;
use std::path::{Path, PathBuf};

use cache_core::memory::{MemoryServer, Trouble};
use cache_core::store::Store;
use cache_core::{Cache, CacheBuilder, Env, ErrorKind, Invalidation, cached};
use cache_tests::gate::{Op, gated};
use cache_tests::server::until;
use cache_tests::source::Source;
use tempfile::TempDir;
use tokio::task::JoinSet;

const EMPTY: &str = "cache-journal 1 shifts\n";

#[cached(kind = "kept", ttl = "1h", skip(source), tags("kept:{id}"))]
async fn get(source: &Source, id: u64) -> u64 {
    let _ = id;
    source.load().await
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let path = directory.path().join("journal");
    (directory, path)
}

fn builder(store: impl Store, journal: &Path) -> CacheBuilder {
    Cache::builder()
        .namespace("shifts")
        .shared(store)
        .journal(journal)
}

async fn value(cache: &Cache, source: &Source, id: u64) -> u64 {
    cache.scope(get(source, id)).await
}

async fn emptied(journal: &Path) {
    until("the journal is empty", async || {
        fs::read_to_string(journal).is_ok_and(|text| text == EMPTY)
    })
    .await;
}

#[tokio::test]
async fn what_is_in_it_is_applied_before_the_shared_tier_is_used() {
    let (_directory, journal) = place();
    let server = MemoryServer::new(Env::system());
    let other = Cache::builder()
        .namespace("shifts")
        .shared(server.checked_store())
        .build();
    let source = Source::new(1);
    let cache = builder(server.checked_store(), &journal).build();
    for id in 1..4 {
        assert_eq!(value(&cache, &source, id).await, 1);
        assert_eq!(value(&other, &source, id).await, 1);
    }
    server.trouble(Trouble::Down);
    source.set(2);
    let outcome = cache.invalidate_tag("kept:1").await;
    assert_eq!(outcome.expect("a tag"), Invalidation::Queued);
    let outcome = cache.scope(get::invalidate(2)).await;
    assert_eq!(outcome.expect("a key"), Invalidation::Queued);
    let queued = cache.health().queued;
    drop(cache);
    server.trouble(Trouble::None);
    assert_eq!(value(&other, &source, 1).await, 1, "nobody has told");

    let (store, gates) = gated(server.checked_store());
    gates.hold_requests(Op::Probe);
    let cache = builder(store, &journal).build();
    let health = cache.health();
    assert_eq!((health.usable, health.queued), (false, queued));
    for id in 1..4 {
        assert_eq!(value(&cache, &source, id).await, 2);
    }
    assert_eq!(gates.calls(Op::Read), 0, "guard G10");
    gates.open(Op::Probe);
    until("it is replayed", async || cache.health().usable).await;
    for cache in [&cache, &other] {
        assert_eq!(value(cache, &source, 1).await, 2);
        assert_eq!(value(cache, &source, 2).await, 2);
        assert_eq!(value(cache, &source, 3).await, 1, "the rest is there");
    }
    let figures = cache.snapshot();
    assert_eq!(figures.invalidations_replayed, queued as u64);
    assert_eq!(figures.journal_errors, 0);
    emptied(&journal).await;
}

#[tokio::test]
async fn what_is_queued_while_the_rest_is_replayed_stays_in_it() {
    let (_directory, journal) = place();
    let server = MemoryServer::new(Env::system());
    let (store, gates) = gated(server.checked_store());
    let cache = builder(store, &journal).build();
    gates.fail(Op::Invalidate, ErrorKind::Unavailable);
    gates.hold_requests(Op::Probe);
    let outcome = cache.invalidate_tag("first").await;
    assert_eq!(outcome.expect("a tag"), Invalidation::Queued);
    gates.hold_requests(Op::Invalidate);
    let held = gates.held_so_far(Op::Invalidate);
    gates.open(Op::Probe);
    gates.held(Op::Invalidate, held + 1).await;
    // The first is being replayed, and no longer in the queue.
    let outcome = cache.invalidate_tag("second").await;
    assert_eq!(outcome.expect("a tag"), Invalidation::Queued);
    let text = fs::read_to_string(&journal).expect("it is there");
    assert!(
        text.contains(" t first\n") && text.contains(" t second\n"),
        "{text}"
    );
    gates.open(Op::Invalidate);
    until("all is replayed", async || cache.health().usable).await;
    emptied(&journal).await;
}

#[tokio::test]
async fn it_widens_as_the_queue_does() {
    let (_directory, journal) = place();
    let server = MemoryServer::new(Env::system());
    let source = Source::new(1);
    let cache = builder(server.checked_store(), &journal).build();
    assert_eq!(value(&cache, &source, 7).await, 1);
    server.trouble(Trouble::Down);
    let mut calls = JoinSet::new();
    for id in 0..10_050_u64 {
        calls.spawn(cache.scope(get::invalidate(id)));
    }
    while let Some(outcome) = calls.join_next().await {
        let outcome = outcome.expect("no panic").expect("a key");
        assert_eq!(outcome, Invalidation::Queued);
    }
    assert!(cache.snapshot().queue_widened > 0);
    until("the disk has it", async || {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        assert!(text.len() < 1_000_000, "{} bytes", text.len());
        text.contains(" t ~kept\n")
    })
    .await;
    drop(cache);
    source.set(2);
    server.trouble(Trouble::None);
    let cache = builder(server.checked_store(), &journal).build();
    assert_eq!(value(&cache, &source, 7).await, 2);
    until("it is replayed", async || cache.health().usable).await;
    assert_eq!(value(&cache, &source, 7).await, 2);
}

#[tokio::test]
async fn what_it_can_t_be_is_a_fault_of_the_builder() {
    let (directory, journal) = place();
    let server = MemoryServer::new(Env::system());
    let fault = |path: &Path| {
        let built = builder(server.checked_store(), path).try_build();
        built.expect_err("it is refused")
    };
    fs::write(&journal, "dear diary\n").expect("the directory can be written");
    let error = fault(&journal);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("something else"), "{error}");
    let text = fs::read_to_string(&journal).expect("it is there");
    assert_eq!(text, "dear diary\n");
    assert_eq!(fault(directory.path()).kind(), ErrorKind::Config);
    assert_eq!(fault(&journal.join("in a file")).kind(), ErrorKind::Config);

    let own = directory.path().join("own");
    let cache = builder(server.checked_store(), &own).build();
    assert!(cache.fault().is_none());
    assert_eq!(fault(&own).kind(), ErrorKind::Conflict);
    let second = builder(server.checked_store(), &own).build();
    let said = second.fault().expect("it is switched off").to_string();
    assert!(said.contains("another cache's"), "{said}");
    assert!(second.install().is_err());

    let other = Cache::builder()
        .namespace("other")
        .shared(server.checked_store());
    drop(cache);
    let error = other.journal(&own).try_build().expect_err("a namespace");
    assert!(error.to_string().contains("\"shifts\""), "{error}");
}

#[test]
fn without_a_shared_tier_nothing_is_touched() {
    let (directory, journal) = place();
    let cache = Cache::builder().journal(&journal).try_build();
    assert!(cache.is_ok());
    let mut left = fs::read_dir(directory.path()).expect("it is there");
    assert!(left.next().is_none());
}
