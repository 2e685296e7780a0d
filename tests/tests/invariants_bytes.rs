//! Invariants 5 and 6: bytes that can't be trusted are a miss, counted and overwritten; what is kept
//! is bounded, and expires.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::{Cache, Codec, Env, Policy, cached};
use cache_redis::RedisStore;
use cache_tests::server::RedisServer;
use cache_tests::source::Source;
use serde::{Deserialize, Serialize};

#[cached(kind = "bytes", ttl = "1h", skip(source))]
async fn get(source: &Source, id: u64) -> String {
    format!("{} {id} {}", source.load().await, "x".repeat(200))
}

#[cached(kind = "bytes", ttl = "1h", skip(source))]
async fn number(source: &Source, id: u64) -> u64 {
    source.load().await + id
}

const KEY: &str = "cache:bytes:get:1";
const LONG: Duration = Duration::from_hours(1);

async fn call(cache: &Cache, source: &Source) -> String {
    cache.scope(get(source, 1)).await
}

/// What can be wrong with an entry's bytes, made from a good one.
fn spoiled(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let changed = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0x55;
        bytes
    };
    let mut spoiled = vec![
        ("one byte", vec![0]),
        ("text", b"hello".to_vec()),
        ("long text", b"not an entry at all. ".repeat(20)),
        ("zeros", vec![0; 4096]),
        ("another magic", changed(0)),
        ("another format", changed(4)),
        ("another codec", changed(5)),
        ("another id", changed(9)),
        ("another checksum", changed(24)),
        ("another origin", changed(70)),
        ("another schema", changed(82)),
        ("a changed payload", changed(good.len() - 1)),
        ("more behind it", [good, b"more"].concat()),
        ("too large", [good, &vec![0; 9 << 20]].concat()),
    ];
    for at in [10, 23, 24, 93, 94, good.len() / 2, good.len() - 1] {
        spoiled.push(("cut short", good[..at].to_vec()));
    }
    spoiled
}

#[tokio::test]
async fn bytes_that_cannot_be_trusted_are_a_miss_counted_and_overwritten() {
    let server = MemoryServer::new(Env::system());
    let cache = || Cache::builder().shared(server.checked_store()).build();
    let source = Source::new(1);
    let value = call(&cache(), &source).await;
    let good = server.dig(KEY).expect("it was stored");
    for (what, bytes) in spoiled(&good) {
        let loads = source.loads();
        server.plant(KEY, &bytes, LONG);
        let cache = cache();
        assert_eq!(call(&cache, &source).await, value, "{what}");
        assert_eq!(source.loads(), loads + 1, "{what}: a miss");
        let figures = &cache.snapshot().kinds["bytes"];
        assert!(figures.undecodable > 0, "{what}: counted");
        assert_eq!(call(&cache, &source).await, value, "{what}");
        assert_eq!(source.loads(), loads + 1, "{what}: overwritten");
    }
    // A good entry is one still, wherever it is from.
    server.plant(KEY, &good, LONG);
    let loads = source.loads();
    assert_eq!(call(&cache(), &source).await, value);
    assert_eq!(source.loads(), loads);
    // But not at another function's or another call's key.
    for key in ["cache:bytes:number:1", "cache:bytes:number:2"] {
        server.plant(key, &good, LONG);
    }
    assert_eq!(cache().scope(number(&source, 1)).await, 2);
}

#[tokio::test]
async fn spoiled_entries_on_redis_are_overwritten_and_always_expire() {
    let server = RedisServer::start();
    let cache = || {
        let store = RedisStore::new(&server.url()).expect("a good URL");
        let timeout = Duration::from_secs(5);
        Cache::builder()
            .shared(store)
            .store_timeout(timeout)
            .build()
    };
    let source = Source::new(1);
    let key = "cache:e:{bytes:get:1}";
    let value = call(&cache(), &source).await;
    for (number, planted) in ["", "x", "not an entry, but long enough to have an id"]
        .into_iter()
        .enumerate()
    {
        let loads = source.loads();
        server.command::<()>(&["SET", key, planted]);
        let cache = cache();
        assert_eq!(call(&cache, &source).await, value, "{number}");
        assert_eq!(call(&cache, &source).await, value, "{number}");
        assert_eq!(source.loads(), loads + 1, "{number}");
    }
    // A key of another type is garbage like any other.
    server.command::<()>(&["DEL", key]);
    server.command::<()>(&["LPUSH", key, "a"]);
    let loads = source.loads();
    let cache = cache();
    assert_eq!(call(&cache, &source).await, value);
    assert_eq!(call(&cache, &source).await, value);
    assert_eq!(source.loads(), loads + 1);

    let keys: Vec<String> = server.command(&["KEYS", "*"]);
    assert!(!keys.is_empty());
    for key in keys {
        let left: i64 = server.command(&["PTTL", &key]);
        assert!(left > 0, "{key} stays for ever");
    }
}

#[tokio::test]
async fn entries_in_any_codec_are_read_while_changing_over() {
    let server = MemoryServer::new(Env::system());
    let source = Source::new(1);
    let cache = |codec| {
        Cache::builder()
            .policy("bytes", Policy::new().codec(codec))
            .shared(server.checked_store())
            .build()
    };
    let codecs = [Codec::Bincode, Codec::MessagePack, Codec::Postcard];
    let mut sizes = Vec::new();
    for written in codecs {
        server.flush();
        let loads = source.loads();
        for read in [written].into_iter().chain(codecs) {
            call(&cache(read), &source).await;
        }
        assert_eq!(source.loads(), loads + 1, "{written:?} is read by all");
        sizes.push(server.dig(KEY).expect("stored")[5]);
    }
    sizes.dedup();
    assert_eq!(sizes.len(), 3, "each was written in its own: {sizes:?}");
}

#[cached(kind = "sized", ttl = "1h", skip(source))]
async fn sized(source: &Source, size: usize) -> Vec<u8> {
    vec![7; size + usize::try_from(source.load().await).unwrap_or(0)]
}

/// The limit is the same for writing and for reading, whatever the header adds.
#[tokio::test]
async fn values_around_the_size_limit_are_stored_and_read_or_neither() {
    let server = MemoryServer::new(Env::system());
    let cache = || {
        Cache::builder()
            .policy("sized", Policy::new().max_bytes(2_000))
            .shared(server.checked_store())
            .build()
    };
    let (mut stored, mut refused) = (0, 0);
    for size in (1_700..2_200).step_by(20) {
        let source = Source::new(0);
        for _ in 0..2 {
            assert_eq!(cache().scope(sized(&source, size)).await.len(), size);
        }
        let there = server.dig(&format!("cache:sized:sized:{size}")).is_some();
        assert_eq!(source.loads(), if there { 1 } else { 2 }, "{size} bytes");
        stored += u32::from(there);
        refused += u32::from(!there);
    }
    assert!(
        stored > 5 && refused > 5,
        "{stored} stored, {refused} refused"
    );
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    id: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
}

#[cached(kind = "skipping", ttl = "1h", skip(source))]
async fn skipping(source: &Source, id: u64) -> Skipping {
    source.load().await;
    Skipping { note: None, id }
}

#[cached(kind = "untagged", ttl = "1h", skip(source))]
async fn untagged(source: &Source, id: u64) -> Vec<Untagged> {
    source.load().await;
    vec![Untagged::Number(id), Untagged::Text("text".to_owned())]
}

#[cached(kind = "json", ttl = "1h", skip(source))]
async fn json(source: &Source, id: u64) -> serde_json::Value {
    source.load().await;
    serde_json::json!({ "id": id, "list": [1, "two", null, 2.5] })
}

#[cached(kind = "untagged_said", ttl = "1h", schema = 1, skip(source))]
async fn untagged_said(source: &Source, id: u64) -> Vec<Untagged> {
    untagged::uncached(source, id).await
}

#[cached(kind = "json_said", ttl = "1h", schema = 1, skip(source))]
async fn json_said(source: &Source, id: u64) -> serde_json::Value {
    json::uncached(source, id).await
}

/// Whatever serde makes of a type, a second node gets the very value, from the first or by loading.
#[tokio::test]
async fn values_of_every_shape_come_back_as_they_were() {
    for codec in [
        None,
        Some(Codec::Bincode),
        Some(Codec::Postcard),
        Some(Codec::MessagePack),
    ] {
        let server = MemoryServer::new(Env::system());
        let cache = || {
            let kinds = ["skipping", "untagged", "json", "untagged_said", "json_said"];
            kinds
                .into_iter()
                .fold(Cache::builder(), |builder, kind| match codec {
                    Some(codec) => builder.policy(kind, Policy::new().codec(codec)),
                    None => builder,
                })
                .shared(server.checked_store())
                .build()
        };
        let source = Source::new(1);
        let list = vec![Untagged::Number(3), Untagged::Text("text".to_owned())];
        let value = serde_json::json!({ "id": 3, "list": [1, "two", null, 2.5] });
        for round in 0..3 {
            let loads = source.loads();
            let cache = cache();
            cache
                .scope(async {
                    assert_eq!(skipping(&source, 3).await, Skipping { note: None, id: 3 });
                    assert_eq!(untagged(&source, 3).await, list);
                    assert_eq!(json(&source, 3).await, value);
                })
                .await;
            let loads = (source.loads() - loads, source.loads());
            cache
                .scope(async {
                    assert_eq!(untagged_said(&source, 3).await, list);
                    assert_eq!(json_said(&source, 3).await, value);
                })
                .await;
            if round > 0 {
                assert!(loads.0 <= 3);
                assert_eq!(
                    source.loads(),
                    loads.1,
                    "{codec:?}: what has a schema is shared"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_local_entry_weighs_what_its_value_does() {
    let cache = Cache::builder().build();
    let bytes = || -> u64 {
        cache
            .snapshot()
            .kinds
            .values()
            .map(|kind| kind.local_bytes)
            .sum()
    };
    let source = Source::new(0);
    cache.scope(sized(&source, 100_000)).await;
    assert!((100_000..101_000).contains(&bytes()), "{}", bytes());
}

#[tokio::test]
async fn the_local_tier_is_bounded_by_its_capacity() {
    let capacity = 256 << 10;
    let cache = Cache::builder().capacity(capacity).build();
    let source = Source::new(0);
    for at in 0..2_000 {
        cache.scope(sized(&source, 500 + at % 700)).await;
        cache.scope(number(&source, at as u64)).await;
    }
    let figures = cache.snapshot();
    let bytes: u64 = figures.kinds.values().map(|kind| kind.local_bytes).sum();
    assert!(bytes > capacity as u64 / 4, "{bytes}: something is kept");
    assert!(bytes <= capacity as u64, "{bytes} of {capacity}");
    assert!(
        figures
            .kinds
            .values()
            .map(|kind| kind.evictions)
            .sum::<u64>()
            > 100
    );
    // One that is larger than the tier is returned, and not kept.
    assert_eq!(
        cache.scope(sized(&source, capacity * 2)).await.len(),
        capacity * 2
    );
    let bytes: u64 = cache
        .snapshot()
        .kinds
        .values()
        .map(|kind| kind.local_bytes)
        .sum();
    assert!(bytes <= capacity as u64);
}
