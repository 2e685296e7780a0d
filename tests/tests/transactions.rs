//! What is invalidated in a transaction: unseen by others until it has succeeded, read past the cache
//! inside, and never forgotten where it may have been committed.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::future::pending;

use cache_core::{Cache, Invalidation, Tag, cached, invalidates, updates};
use cache_tests::source::Source;
use cache_tests::world::{World, settle};

#[cached(kind = "balance", tags("balance:{id}"), skip(cache, from), cache = cache)]
async fn balance(cache: &Cache, from: &Source, id: u64) -> u64 {
    let _ = id;
    from.load().await
}

#[invalidates(tags("balance:{id}"), cache = cache)]
async fn deposit(cache: &Cache, to: &Source, id: u64, amount: u64) -> Result<(), String> {
    let _ = id;
    to.set(to.value() + amount);
    Ok(())
}

fn worlds() -> Vec<World> {
    vec![
        World::embedded(),
        World::tracked(2),
        World::checked(2),
        World::redis(2),
    ]
}

#[tokio::test]
async fn it_is_delivered_once_the_block_has_succeeded() {
    for world in worlds() {
        let (cache, name) = (&world.caches[0], world.name);
        let other = world.caches.last().unwrap();
        let source = Source::new(1);
        let get = |cache| balance(cache, &source, 7);
        assert_eq!((get(cache).await, get(other).await), (1, 1), "{name}");
        let done = cache
            .transaction(async {
                deposit(cache, &source, 7, 5).await?;
                if world.caches.len() > 1 {
                    assert_eq!(get(other).await, 1, "{name}: nobody else sees it yet");
                }
                assert_eq!(get(cache).await, 6, "{name}: its own write");
                Ok::<_, String>("committed")
            })
            .await;
        assert_eq!(done, Ok("committed"), "{name}");
        assert_eq!((get(cache).await, get(other).await), (6, 6), "{name}");
    }
}

#[tokio::test]
async fn it_is_forgotten_if_the_block_fails() {
    for world in worlds() {
        let (cache, source) = (&world.caches[0], Source::new(1));
        balance(cache, &source, 7).await;
        let done: Result<(), _> = cache
            .transaction(async {
                deposit(cache, &source, 7, 5).await?;
                Err("rolled back".to_owned())
            })
            .await;
        assert_eq!(done, Err("rolled back".to_owned()));
        source.set(1);
        balance(cache, &source, 7).await;
        assert_eq!(source.loads(), 1, "{}: still a hit", world.name);
    }
}

#[tokio::test]
async fn what_is_loaded_inside_is_not_stored() {
    for world in worlds() {
        let (cache, source) = (&world.caches[0], Source::new(1));
        let name = world.name;
        cache
            .transaction(async {
                balance(cache, &source, 1).await;
                balance(cache, &source, 1).await;
                Ok::<_, String>(())
            })
            .await
            .unwrap();
        assert_eq!(
            source.loads(),
            2,
            "{name}: it may be what only the block sees"
        );
        balance(cache, &source, 1).await;
        assert_eq!(source.loads(), 3, "{name}");
        // What others have stored is found.
        cache
            .transaction(async {
                assert_eq!(balance(cache, &source, 1).await, 1);
                Ok::<_, String>(())
            })
            .await
            .unwrap();
        assert_eq!(source.loads(), 3, "{name}");
    }
}

#[tokio::test]
async fn each_way_to_invalidate_is_collected_and_obeyed_inside() {
    type Way = fn(Cache) -> std::pin::Pin<Box<dyn Future<Output = Invalidation>>>;
    let ways: [(&str, Way); 5] = [
        ("tag", |cache| {
            Box::pin(async move { cache.invalidate_tag("balance:7").await.unwrap() })
        }),
        ("tags", |cache| {
            Box::pin(async move {
                let tag = Tag::escaped("balance:", 7).unwrap();
                cache.invalidate_tags([tag]).await
            })
        }),
        ("key", |cache| {
            Box::pin(async move { cache.invalidate_key(balance::key(7).unwrap()).await })
        }),
        ("kind", |cache| {
            Box::pin(async move { cache.invalidate_kind("balance").await.unwrap() })
        }),
        ("companion", |cache| {
            Box::pin(async move { balance::invalidate(&cache, 7).await.unwrap() })
        }),
    ];
    for (name, way) in ways {
        let (cache, source) = (Cache::builder().build(), Source::new(1));
        balance(&cache, &source, 7).await;
        balance(&cache, &source, 8).await;
        let inside = async {
            assert_eq!(way(cache.clone()).await, Invalidation::Collected, "{name}");
            balance(&cache, &source, 7).await;
            assert_eq!(source.loads(), 3, "{name}: past the cache");
            if name != "kind" {
                balance(&cache, &source, 8).await;
                assert_eq!(source.loads(), 3, "{name}: nothing was said of this one");
            }
            assert_eq!(cache.snapshot().invalidations_applied, 0, "{name}");
            Ok::<_, String>(())
        };
        cache.transaction(inside).await.unwrap();
        assert_eq!(cache.snapshot().invalidations_applied, 1, "{name}");
        assert!(balance::peek(&cache, 7).await.is_none(), "{name}");
    }
}

/// Which tags its value carries, nobody knows before it is there.
#[tokio::test]
async fn a_value_with_tags_of_its_own_is_read_past_the_cache_once_any_was_touched() {
    #[cached(kind = "statement", tags_with = |value| ["owner:{value}"], skip(cache, from), cache = cache)]
    async fn statement(cache: &Cache, from: &Source) -> u64 {
        from.load().await
    }

    let (cache, source) = (Cache::builder().build(), Source::new(1));
    statement(&cache, &source).await;
    let inside = async {
        statement(&cache, &source).await;
        assert_eq!(source.loads(), 1, "nothing was touched yet");
        cache.invalidate_tag("owner:1").await?;
        source.set(2);
        assert_eq!(statement(&cache, &source).await, 2);
        Ok::<_, cache_core::Error>(())
    };
    cache.transaction(inside).await.unwrap();
    assert_eq!(statement(&cache, &source).await, 2);
}

#[tokio::test]
async fn what_is_put_or_refreshed_inside_goes_when_it_succeeds() {
    for world in worlds() {
        let (cache, source) = (&world.caches[0], Source::new(1));
        let name = world.name;
        balance(cache, &source, 7).await;
        let inside = async {
            assert!(
                !balance::put(cache, 7, 99).await,
                "{name}: nothing is stored"
            );
            balance::refresh(cache, &source, 7).await;
            assert_eq!(balance(cache, &source, 7).await, 1, "{name}");
            Ok::<_, String>(())
        };
        cache.transaction(inside).await.unwrap();
        assert!(balance::peek(cache, 7).await.is_none(), "{name}");
    }
}

#[tokio::test]
async fn what_a_write_returns_inside_is_not_cached() {
    #[updates(balance(cache, id))]
    async fn withdraw(cache: &Cache, from: &Source, id: u64, amount: u64) -> Result<u64, String> {
        let _ = id;
        from.set(from.value() - amount);
        Ok(from.value())
    }

    for world in worlds() {
        let (cache, source) = (&world.caches[0], Source::new(9));
        let other = world.caches.last().unwrap();
        let name = world.name;
        balance(cache, &source, 7).await;
        let inside = async {
            withdraw(cache, &source, 7, 5).await?;
            assert_eq!(balance(cache, &source, 7).await, 4, "{name}: its own write");
            if world.caches.len() > 1 {
                assert_eq!(balance(other, &source, 7).await, 9, "{name}: nobody else");
            }
            Ok::<_, String>(())
        };
        cache.transaction(inside).await.unwrap();
        assert!(balance::peek(cache, 7).await.is_none(), "{name}");
        assert_eq!(balance(other, &source, 7).await, 4, "{name}");
        // After a block that failed, everything is as it was.
        let inside = async {
            withdraw(cache, &source, 7, 4).await?;
            Err::<(), _>("rolled back".to_owned())
        };
        cache.transaction(inside).await.unwrap_err();
        assert_eq!(balance(other, &source, 7).await, 4, "{name}");
    }
}

#[tokio::test]
async fn a_block_that_is_dropped_may_have_committed() {
    for world in worlds() {
        let (cache, source) = (&world.caches[0], Source::new(1));
        let name = world.name;
        balance(cache, &source, 7).await;
        let block = cache.transaction(async {
            deposit(cache, &source, 7, 5).await?;
            pending::<()>().await;
            Ok::<_, String>(())
        });
        tokio::select! {
            biased;
            _ = block => panic!("{name}: it goes on for ever"),
            () = settle() => {}
        }
        // Nobody was told that it holds: the shared tier learns of it in the background.
        while cache.snapshot().invalidations_applied == 0 {
            tokio::task::yield_now().await;
        }
        let seen = balance(cache, &source, 7).await;
        assert_eq!(seen, 6, "{name}");
    }
}

#[tokio::test]
async fn the_inner_of_two_delivers_to_the_outer() {
    let (cache, source) = (Cache::builder().build(), Source::new(1));
    balance(&cache, &source, 7).await;
    let outer = cache.transaction(async {
        cache.transaction(deposit(&cache, &source, 7, 5)).await?;
        assert_eq!(cache.snapshot().invalidations_applied, 0);
        assert_eq!(balance(&cache, &source, 7).await, 6);
        Err::<(), _>("no".to_owned())
    });
    outer.await.unwrap_err();
    assert_eq!(balance(&cache, &source, 7).await, 1, "as it was");
}

#[tokio::test]
async fn another_cache_is_not_part_of_it() {
    let (cache, other) = (Cache::builder().build(), Cache::builder().build());
    let done = cache.transaction(async {
        let outcome = other.invalidate_tag("a").await?;
        assert_eq!(outcome, Invalidation::Applied);
        assert_eq!(
            Cache::current().invalidate_tag("a").await?,
            Invalidation::Collected
        );
        Ok::<_, cache_core::Error>(())
    });
    done.await.unwrap();
    assert_eq!(cache.snapshot().invalidations_applied, 1);
}

#[tokio::test]
async fn it_can_be_a_task_of_its_own() {
    let cache = Cache::builder().build();
    let task = tokio::spawn({
        let cache = cache.clone();
        async move {
            let block = async { Cache::current().invalidate_tag("a").await };
            cache.transaction(block).await
        }
    });
    assert_eq!(task.await.unwrap().unwrap(), Invalidation::Collected);
    assert_eq!(cache.snapshot().invalidations_applied, 1);
}

#[test]
fn a_plain_block_is_one_too() {
    #[cached(kind = "plain_balance", tags("plain:{id}"))]
    fn plain(id: u64) -> u64 {
        id
    }

    let cache = Cache::builder().build();
    cache.scope_blocking(|| plain(7));
    let block = || {
        plain::invalidate(7)?;
        assert!(plain::peek(7).is_some(), "others still have it");
        plain(7);
        Ok::<_, cache_core::Error>(())
    };
    cache.transaction_blocking(block).unwrap();
    assert_eq!(cache.snapshot().kinds["plain_balance"].bypassed, 1);
    cache.scope_blocking(|| assert!(plain::peek(7).is_none()));
}
