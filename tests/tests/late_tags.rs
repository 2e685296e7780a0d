//! Tags that only a value knows of (guard G8): what carries them is ended by them, and never stored
//! under a stamp from after an invalidation that came during its load.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env, Invalidation, cached};
use cache_tests::gate::{Op, gated};
use cache_tests::source::Source;
use cache_tests::world::World;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Order {
    customer: String,
    revision: u64,
}

#[cached(
    kind = "order",
    tags("order:{id}"),
    tags_with = |order| ["customer:{order.customer}"],
    skip(cache, from),
    cache = cache
)]
async fn order(cache: &Cache, from: &Source, id: u64) -> Result<Order, std::io::Error> {
    let _ = id;
    Ok(Order {
        customer: "ann:b".to_owned(),
        revision: from.load().await,
    })
}

/// The tag, as the values make it: escaped.
const CUSTOMER: &str = "customer:ann%3Ab";

fn worlds() -> Vec<World> {
    vec![
        World::embedded(),
        World::tracked(2),
        World::checked(2),
        World::redis(2),
    ]
}

/// Loads until the value is stored: a shared tier learns the tags of the first load for the next.
async fn settled(cache: &Cache, source: &Source, id: u64) -> u64 {
    for _ in 0..20 {
        let loads = source.loads();
        let found = order(cache, source, id).await.expect("it never fails");
        if source.loads() == loads {
            return found.revision;
        }
        tokio::task::yield_now().await;
    }
    panic!("never stored");
}

#[tokio::test]
async fn a_value_is_ended_by_the_tags_that_it_has_named() {
    for world in worlds() {
        let (source, name) = (Source::new(1), world.name);
        let last = world.caches.last().unwrap();
        assert_eq!(settled(&world.caches[0], &source, 7).await, 1, "{name}");
        assert_eq!(settled(last, &source, 7).await, 1, "{name}");
        source.set(2);
        let outcome = last.invalidate_tag(CUSTOMER).await.unwrap();
        assert_eq!(outcome, Invalidation::Applied, "{name}");
        let found = order(last, &source, 7).await.unwrap();
        assert_eq!(found.revision, 2, "{name}");
        let found = order(&world.caches[0], &source, 7).await.unwrap();
        assert_eq!(found.revision, 2, "{name}");
    }
}

#[tokio::test]
async fn in_one_process_the_first_value_is_stored() {
    let (world, source) = (World::embedded(), Source::new(1));
    let cache = &world.caches[0];
    order(cache, &source, 7).await.unwrap();
    order(cache, &source, 7).await.unwrap();
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn once_its_tags_are_known_a_value_is_stored_at_once() {
    for world in worlds() {
        let (cache, source) = (&world.caches[0], Source::new(1));
        settled(cache, &source, 7).await;
        // Another key with the same tags.
        let loads = source.loads();
        order(cache, &source, 8).await.unwrap();
        order(cache, &source, 8).await.unwrap();
        assert_eq!(source.loads(), loads + 1, "{}", world.name);
        // The same key, after its tags have ended.
        cache.invalidate_tag(CUSTOMER).await.unwrap();
        order(cache, &source, 7).await.unwrap();
        order(cache, &source, 7).await.unwrap();
        assert_eq!(source.loads(), loads + 2, "{}", world.name);
    }
}

/// The race of guard G8: nobody knew before the load that it would carry the tag.
#[tokio::test]
async fn what_was_invalidated_during_its_load_is_not_stored() {
    for world in worlds() {
        let (cache, source) = (&world.caches[0], Source::new(1));
        let name = world.name;
        source.hold();
        let (loaded, ()) = tokio::join!(order(cache, &source, 7), async {
            source.loading(1).await;
            source.set(2);
            cache.invalidate_tag(CUSTOMER).await.unwrap();
            // Others learn the new stamp before the load has ended.
            source.let_go();
        });
        assert_eq!(
            loaded.unwrap().revision,
            1,
            "{name}: its own caller may have it"
        );
        assert_eq!(settled(cache, &source, 7).await, 2, "{name}");
    }
}

/// The same, with a stamp that somebody else has made and learnt meanwhile.
#[tokio::test]
async fn a_stamp_learnt_during_the_load_hides_nothing() {
    for world in worlds() {
        let (cache, source, other) = (&world.caches[0], Source::new(1), Source::new(5));
        let name = world.name;
        source.hold();
        let (loaded, ()) = tokio::join!(order(cache, &source, 7), async {
            source.loading(1).await;
            source.set(2);
            cache.invalidate_tag(CUSTOMER).await.unwrap();
            settled(cache, &other, 8).await;
            source.let_go();
        });
        assert_eq!(loaded.unwrap().revision, 1, "{name}");
        assert_eq!(settled(cache, &source, 7).await, 2, "{name}");
    }
}

/// Guard G6 with tags of the value: who calls after an invalidation gets nothing from before it.
#[tokio::test]
async fn a_later_call_does_not_share_what_was_invalidated_by_a_tag_of_the_value() {
    for world in worlds() {
        let (cache, source) = (&world.caches[0], Source::new(1));
        let name = world.name;
        source.hold();
        let (first, second) = tokio::join!(order(cache, &source, 7), async {
            source.loading(1).await;
            source.set(2);
            cache.invalidate_tag(CUSTOMER).await.unwrap();
            let second = order(cache, &source, 7);
            let go = async {
                tokio::task::yield_now().await;
                source.let_go();
            };
            tokio::join!(second, go).0
        });
        assert_eq!(first.unwrap().revision, 1, "{name}");
        assert_eq!(second.unwrap().revision, 2, "{name}");
    }
}

/// The same, between the check of the tags and the end of the flight.
#[tokio::test]
async fn a_later_call_does_not_share_what_was_invalidated_while_it_was_stored() {
    let (store, gates) = gated(MemoryServer::new(Env::system()).store());
    let (cache, source) = (Cache::builder().shared(store).build(), Source::new(1));
    settled(&cache, &source, 8).await;
    gates.hold_replies(Op::Fill);
    let held = gates.held_so_far(Op::Fill);
    let (first, second) = tokio::join!(order(&cache, &source, 7), async {
        gates.held(Op::Fill, held + 1).await;
        source.set(2);
        cache.invalidate_tag(CUSTOMER).await.unwrap();
        let go = async {
            tokio::task::yield_now().await;
            gates.open(Op::Fill);
        };
        tokio::join!(order(&cache, &source, 7), go).0
    });
    assert_eq!(first.unwrap().revision, 1);
    assert_eq!(second.unwrap().revision, 2);
}

#[tokio::test]
async fn what_can_be_no_tag_leaves_the_value_uncached() {
    #[cached(kind = "untaggable", tags_with = |_value| vec!["not a tag".to_owned()], skip(cache, from), cache = cache)]
    async fn untaggable(cache: &Cache, from: &Source) -> u64 {
        from.load().await
    }

    let (world, source) = (World::embedded(), Source::new(1));
    untaggable(&world.caches[0], &source).await;
    untaggable(&world.caches[0], &source).await;
    assert_eq!(source.loads(), 2);
}
