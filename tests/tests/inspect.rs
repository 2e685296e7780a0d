//! A look at what is stored at a key: what it tells, and that it changes nothing.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::{Cache, Env, Key, ManualClock, cached};
use cache_redis::RedisStore;
use cache_tests::server::RedisServer;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    born: Option<u16>,
}

#[cached(
    kind = "looked_at",
    ttl = "10m",
    stale_if_error = "5m",
    tags("person:{id}")
)]
async fn person(id: u64) -> Person {
    Person {
        name: format!("<b>{id}</b>"),
        born: None,
    }
}

#[derive(Clone)]
struct Handle;

#[cached(kind = "looked_at", ttl = "10m", local_only)]
async fn handle(id: u64) -> Handle {
    let _ = id;
    Handle
}

fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

const MINUTE: u64 = 60_000;

#[tokio::test]
async fn both_tiers_tell_age_life_size_and_tags() {
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
    one.scope(person(7)).await;
    clock.advance(Duration::from_mins(1));

    let key = key("looked_at:person:7");
    let found = one.inspect(&key).await;
    assert_eq!(found.key, key.to_string());
    assert!(found.is_valid());
    assert_eq!((found.value, found.shared_error), (None, None));
    let local = found.local.expect("it was loaded here");
    assert!(local.holds);
    assert_eq!((local.fresh_ms, local.left_ms), (9 * MINUTE, 14 * MINUTE));
    assert!(local.bytes > 100, "{}", local.bytes);
    let shared = found.shared.expect("it was stored");
    assert_eq!((shared.problem, &*shared.codec), (None, "bincode"));
    assert_eq!((shared.age_ms, shared.ttl_ms), (MINUTE, 10 * MINUTE));
    assert_eq!(shared.left_ms, Some(14 * MINUTE));
    assert!(shared.bytes > 100, "{}", shared.bytes);
    let names = |tags: &[cache_core::InspectedTag]| {
        let mut names: Vec<String> = tags.iter().map(|tag| tag.tag.clone()).collect();
        names.sort();
        names
    };
    let wanted = ["person:7", "~", "~looked_at"];
    assert_eq!(names(&shared.tags), wanted);
    assert_eq!(names(&local.tags), wanted);
    assert!(shared.tags.iter().chain(&local.tags).all(|tag| tag.current));

    // The other node has not called the function: it knows no local entry of it, and no type.
    let elsewhere = two.inspect_with_value(&key).await;
    assert_eq!((elsewhere.local, elsewhere.value), (None, None));
    assert!(elsewhere.shared.is_some_and(|entry| entry.is_valid()));
    // Nothing was learnt, and nothing counted.
    assert_eq!(two.snapshot().kinds.get("looked_at"), None);

    two.invalidate_tag("person:7").await.expect("a good tag");
    let found = one.inspect(&key).await;
    assert!(!found.is_valid());
    let shared = found.shared.expect("it is there until it expires");
    let ended: Vec<&str> = shared
        .tags
        .iter()
        .filter(|tag| !tag.current)
        .map(|tag| &*tag.tag)
        .collect();
    assert_eq!(ended, ["person:7"]);
    assert_eq!(one.snapshot().kinds["looked_at"].hits(), 0);
}

#[tokio::test]
async fn a_value_is_shown_only_where_it_is_asked_for_and_can_be() {
    let cache = Cache::builder().build();
    cache
        .scope(async {
            person(1).await;
            handle(1).await;
        })
        .await;
    let key = |text: &str| text.parse::<Key>().expect("a key");
    let shown = cache.inspect_with_value(&key("looked_at:person:1")).await;
    assert_eq!(
        shown.value.as_deref(),
        Some(r#"{"name": "<b>1</b>", "born": null}"#)
    );
    let hidden = cache.inspect(&key("looked_at:person:1")).await;
    assert_eq!(hidden.value, None);
    // It stays in this process, and its type is not known to be anything that can be written.
    let local = cache.inspect_with_value(&key("looked_at:handle:1")).await;
    assert!(local.local.is_some());
    assert_eq!(local.value, None);
    let nothing = cache.inspect_with_value(&key("looked_at:person:2")).await;
    assert!(nothing.local.is_none() && nothing.shared.is_none() && !nothing.is_valid());
}

#[tokio::test]
async fn garbage_is_told_to_be_garbage() {
    let redis = RedisServer::start();
    let cache = Cache::builder()
        .namespace("looks")
        .shared(RedisStore::new(&redis.url()).expect("a good URL"))
        .build();
    let key = key("looked_at:person:7");
    redis.command::<()>(&["SET", "looks:e:{looked_at:person:7}", "no entry"]);
    let found = cache.inspect_with_value(&key).await;
    let shared = found.shared.expect("something is there");
    assert!(!shared.is_valid());
    assert_eq!(
        shared.problem.as_deref(),
        Some("it is not an entry of this cache")
    );
    redis.command::<()>(&["DEL", "looks:e:{looked_at:person:7}"]);
    redis.command::<()>(&["LPUSH", "looks:e:{looked_at:person:7}", "a list"]);
    let found = cache.inspect(&key).await;
    assert!(found.shared.is_none_or(|entry| !entry.is_valid()));
    // And the function works all the same.
    assert_eq!(cache.scope(person(7)).await.name, "<b>7</b>");
    assert!(cache.inspect(&key).await.is_valid());
}

#[test]
fn texts_that_are_no_keys_say_what_one_is() {
    for text in [
        "",
        "user",
        "user:profile",
        "User:profile:1",
        "user::1",
        "user:pro file:1",
        "user:profile:1 2",
        "user:profile:\u{7}",
        &format!("user:profile:{}", "x".repeat(97)),
    ] {
        let error = text.parse::<Key>().expect_err(text).to_string();
        assert!(error.contains("write kind:function:arguments"), "{error}");
    }
    for text in [
        "user:profile:",
        "user:profile:1:'a%20b'",
        "user:f~01234567:7",
    ] {
        assert_eq!(text.parse::<Key>().expect(text).to_string(), text);
    }
}

/// Two of one name and kind: one of them is stored under a name with a suffix.
mod twins {
    pub(super) mod one {
        #[cache_core::cached(kind = "twins", ttl = "10m")]
        pub(in super::super) async fn twin(id: u64) -> u64 {
            id
        }
    }
    pub(super) mod two {
        #[cache_core::cached(kind = "twins", ttl = "10m")]
        pub(in super::super) async fn twin(id: u64) -> u64 {
            id
        }
    }
}

#[tokio::test]
async fn a_key_from_a_text_is_invalidated_under_both_names_of_its_function() {
    let server = MemoryServer::new(Env::system());
    let cache = Cache::builder().shared(server.store()).build();
    cache
        .scope(async {
            twins::one::twin(3).await;
            twins::two::twin(3).await;
        })
        .await;
    let keys = [twins::one::twin::key(3), twins::two::twin::key(3)];
    let texts = keys.map(|key| key.expect("a key").to_string());
    assert_ne!(texts[0], texts[1]);
    for text in &texts {
        assert!(cache.inspect(&key(text)).await.is_valid(), "{text}");
    }
    // The one with the suffix may be stored without it by another process.
    assert!(texts[1].starts_with("twins:twin~"), "{texts:?}");
    cache.invalidate_key(key(&texts[1])).await;
    for text in &texts {
        assert!(!cache.inspect(&key(text)).await.is_valid(), "{text}");
    }
}
