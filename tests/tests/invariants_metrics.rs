//! The figures add up: a walk whose every step is counted by hand.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use cache_core::memory::{MemoryServer, Trouble};
use cache_core::{
    Cache, Env, Invalidation, KindSnapshot, Policy, Snapshot, Tag, cached, invalidates,
};
use cache_tests::server::until;
use cache_tests::source::Source;
use cache_tests::world::settle;

#[cached(kind = "walk", ttl = "1h", skip(source), tags("walk:{id}"))]
async fn walk(source: &Source, id: u64) -> Result<u64, String> {
    match source.load().await {
        0 => Err("zero".to_owned()),
        value => Ok(value + id),
    }
}

#[cached(kind = "off", ttl = "1h")]
async fn off(id: u64) -> u64 {
    id
}

#[invalidates(tags("walk:{id}"), kind = "off")]
async fn save(id: u64) -> u64 {
    id
}

/// hits local, hits shared, coalesced, misses, loads, load errors, bypassed.
fn figures(cache: &Cache, kind: &str) -> [u64; 7] {
    let kind: KindSnapshot = cache
        .snapshot()
        .kinds
        .get(kind)
        .cloned()
        .unwrap_or_default();
    assert_eq!(kind.load_time.count, kind.loads);
    [
        kind.hits_local,
        kind.hits_shared,
        kind.coalesced,
        kind.misses,
        kind.loads,
        kind.load_errors,
        kind.bypassed,
    ]
}

#[tokio::test]
async fn every_call_is_counted_once_and_as_what_it_was() {
    let server = MemoryServer::new(Env::system());
    let cache = || {
        Cache::builder()
            .policy("off", Policy::new().enabled(false))
            .shared(server.store())
            .build()
    };
    let (one, two) = (cache(), cache());
    let source = Source::new(5);
    let call = async |cache: &Cache, id| cache.scope(walk(&source, id)).await;

    assert_eq!(call(&one, 1).await, Ok(6));
    assert_eq!(figures(&one, "walk"), [0, 0, 0, 1, 1, 0, 0]);
    for _ in 0..3 {
        assert_eq!(call(&one, 1).await, Ok(6));
    }
    assert_eq!(figures(&one, "walk"), [3, 0, 0, 1, 1, 0, 0]);
    assert_eq!(call(&two, 1).await, Ok(6));
    assert_eq!(call(&two, 1).await, Ok(6));
    assert_eq!(figures(&two, "walk"), [1, 1, 0, 0, 0, 0, 0]);

    source.set(0);
    assert!(call(&one, 2).await.is_err());
    assert!(call(&one, 2).await.is_err());
    assert_eq!(figures(&one, "walk"), [3, 0, 0, 3, 3, 2, 0]);

    source.set(5);
    source.hold();
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(one.scope(async move { walk(&source, 3).await }))
        })
        .collect();
    settle().await;
    source.let_go();
    for call in calls {
        assert_eq!(call.await.expect("no panic"), Ok(8));
    }
    assert_eq!(figures(&one, "walk"), [3, 0, 9, 4, 4, 2, 0]);

    for id in 0..4 {
        assert_eq!(one.scope(off(id)).await, id);
    }
    assert_eq!(figures(&one, "off"), [0, 0, 0, 0, 0, 0, 4]);

    assert_eq!(one.scope(save(1)).await, 1);
    one.scope(walk::invalidate(3)).await.expect("a key");
    one.invalidate_kind("walk").await.expect("a kind");
    let snapshot = one.snapshot();
    assert_eq!(snapshot.invalidations_applied, 3);
    assert_eq!(snapshot.invalidations_queued, 0);
    assert_eq!(
        snapshot.kinds["walk"].invalidations_applied, 2,
        "by key and by kind"
    );
    assert_eq!(snapshot.kinds["off"].invalidations_applied, 1);
    assert_eq!(call(&one, 1).await, Ok(6));
    assert_eq!(figures(&one, "walk"), [3, 0, 9, 5, 5, 2, 0]);

    let walked = &one.snapshot().kinds["walk"];
    assert_eq!(walked.hits(), 12);
    assert_eq!(walked.hit_ratio(), Some(12.0 / 17.0));
    assert_eq!(
        (
            walked.store_errors,
            walked.undecodable,
            walked.fills_refused
        ),
        (0, 0, 0)
    );
    assert_eq!(walked.local_entries, 1, "{walked:?}");
}

#[tokio::test]
async fn an_outage_and_its_end_are_counted() {
    let server = MemoryServer::new(Env::system());
    let cache = Cache::builder().shared(server.store()).build();
    let source = Source::new(5);
    assert_eq!(cache.scope(walk(&source, 1)).await, Ok(6));
    let quiet = cache.snapshot();
    assert_eq!(
        (quiet.breaker_opened, quiet.trust_lost, quiet.epoch_steps),
        (0, 0, 0)
    );

    server.trouble(Trouble::Down);
    let lost = cache.snapshot();
    assert_eq!((lost.trust_lost, lost.epoch_steps), (1, 1));
    for tag in ["a", "a", "b"] {
        let outcome = cache.invalidate_tag(tag).await.expect("a tag");
        assert_eq!(outcome, Invalidation::Queued);
    }
    let open = cache.snapshot();
    assert_eq!((open.breaker_open, open.breaker_opened), (true, 1));
    assert_eq!(open.invalidations_queued, 3);
    assert_eq!(open.invalidations_pending, 2, "they are coalesced");
    assert_eq!((open.invalidations_replayed, open.queue_widened), (0, 0));
    let many = (0..10_001).map(|id| Tag::escaped("many:", id).expect("a tag"));
    assert_eq!(cache.invalidate_tags(many).await, Invalidation::Queued);
    let widened = cache.snapshot();
    assert_eq!(widened.queue_widened, 1);
    assert_eq!(widened.invalidations_pending, 3, "the namespace, too");

    server.trouble(Trouble::None);
    until("it is back", async || cache.health().usable).await;
    let healed = cache.snapshot();
    assert_eq!((healed.breaker_open, healed.breaker_opened), (false, 1));
    assert_eq!(healed.invalidations_pending, 0);
    assert_eq!(healed.invalidations_replayed, 3);
    assert_eq!(healed.invalidations_queued, 4);
    assert!(healed.epoch_steps > lost.epoch_steps, "{healed:?}");
    assert_eq!((healed.trust_lost, healed.journal_errors), (1, 0));
}

#[test]
fn a_snapshot_of_a_version_that_counted_less_can_be_read() {
    let read: Snapshot = serde_json::from_str(r#"{"kinds":{},"invalidations_applied":3}"#)
        .expect("what is missing is zero");
    assert_eq!((read.invalidations_applied, read.breaker_opened), (3, 0));
    let written = serde_json::to_string(&read).expect("plain data");
    assert_eq!(
        serde_json::from_str::<Snapshot>(&written).expect("the same"),
        read
    );
}
