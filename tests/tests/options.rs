//! The options as the README lists them: a row each, an example each.

// Functions are written as users write them.
#![allow(clippy::unused_async)]

use std::collections::HashMap;
use std::io::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::test::{Fault, TestCache};
use cache_core::{Cache, assert_hits, assert_loads, assert_misses, cached, invalidates, updates};

/// The rows of the table whose head has this in its first cell: the option's name.
fn rows(head: &str) -> Vec<String> {
    let readme = include_str!("../../README.md");
    let table = readme
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| `{head}")));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cell = row.trim_start_matches(['|', ' ', '`']);
        let end = cell.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        cell[..end.unwrap_or(cell.len())].to_owned()
    })
    .collect()
}

#[test]
fn every_row_has_an_example() {
    let here = include_str!("options.rs");
    for (head, prefix) in [("#[cached", ""), ("#[invalidates", "invalidates_")] {
        let rows = rows(head);
        assert!(rows.len() >= 8, "{head}: {rows:?}");
        for row in rows {
            let name = format!("fn {prefix}{}_option()", row.trim_start_matches("r#"));
            assert!(here.contains(&name), "{head}: `{row}` has no `{name}`");
        }
    }
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn kind_option() {
    #[cached(kind = "user_profile")]
    async fn profile(id: u64) -> String {
        format!("user {id}")
    }

    let cache = TestCache::new();
    cache.scope(profile(7)).await;
    cache.scope(profile(7)).await;
    assert_hits!(cache, "user_profile", 1);
    cache.invalidate_kind("user_profile").await.unwrap();
    cache.scope(profile(7)).await;
    assert_misses!(cache, "user_profile", 2);
}

#[tokio::test]
async fn ttl_option() {
    const HALF_AN_HOUR: Duration = Duration::from_mins(30);

    #[cached(kind = "ttl", ttl = 1800)]
    async fn in_seconds(id: u64) -> u64 {
        id
    }

    #[cached(kind = "ttl", ttl = "30m")]
    async fn in_words(id: u64) -> u64 {
        id
    }

    #[cached(kind = "ttl", ttl = HALF_AN_HOUR)]
    async fn as_a_duration(id: u64) -> u64 {
        id
    }

    let cache = TestCache::new();
    let all = async || {
        cache
            .scope(async {
                (
                    in_seconds(1).await,
                    in_words(1).await,
                    as_a_duration(1).await,
                )
            })
            .await
    };
    all().await;
    cache
        .clock()
        .advance(HALF_AN_HOUR.saturating_sub(Duration::from_secs(1)));
    all().await;
    assert_hits!(cache, "ttl", 3);
    cache.clock().advance(Duration::from_secs(1));
    all().await;
    assert_misses!(cache, "ttl", 6);
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Token {
    expires_in: Duration,
}

#[tokio::test]
async fn ttl_with_option() {
    #[cached(kind = "token", ttl = "1d", ttl_with = |token| token.expires_in)]
    async fn token(minutes: u32) -> Result<Token, Error> {
        Ok(Token {
            expires_in: MINUTE * minutes,
        })
    }

    let cache = TestCache::new();
    cache.scope(token(10)).await.unwrap();
    cache.clock().advance(MINUTE * 9);
    cache.scope(token(10)).await.unwrap();
    assert_hits!(cache, "token", 1);
    cache.clock().advance(MINUTE);
    cache.scope(token(10)).await.unwrap();
    assert_misses!(cache, "token", 2);
}

#[tokio::test]
async fn tags_option() {
    struct User {
        id: u64,
        org: String,
    }

    #[cached(kind = "tagged", key(user.id), tags("user:{user.id}", "org:{user.org.to_lowercase()}"))]
    async fn tagged(user: &User) -> usize {
        user.org.len()
    }

    let cache = TestCache::new();
    let user = User {
        id: 7,
        org: "ACME".to_owned(),
    };
    for tag in ["user:7", "org:acme"] {
        cache.scope(tagged(&user)).await;
        cache.invalidate_tag(tag).await.unwrap();
    }
    cache.scope(tagged(&user)).await;
    assert_misses!(cache, "tagged", 3);
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Order {
    customer: u64,
}

#[tokio::test]
async fn tags_with_option() {
    #[cached(kind = "order", tags_with = |order| ["customer:{order.customer}"])]
    async fn order(id: u64) -> Result<Order, Error> {
        Ok(Order { customer: id % 10 })
    }

    let cache = Cache::builder().build();
    cache.scope(order(17)).await.unwrap();
    cache.scope(order(17)).await.unwrap();
    assert_hits!(cache, "order", 1);
    cache.invalidate_tag("customer:7").await.unwrap();
    cache.scope(order(17)).await.unwrap();
    assert_misses!(cache, "order", 2);
}

#[tokio::test]
async fn key_option() {
    #[cached(kind = "keyed", key(text.trim()))]
    async fn keyed(text: &str) -> usize {
        text.trim().len()
    }

    let cache = TestCache::new();
    cache
        .scope(async { (keyed("a").await, keyed(" a ").await) })
        .await;
    assert_loads!(cache, "keyed", 1);
}

#[tokio::test]
async fn skip_option() {
    struct Db;

    #[cached(kind = "skipping", skip(db))]
    async fn skipping(db: &Db, id: u64) -> u64 {
        let Db = db;
        id
    }

    let cache = TestCache::new();
    cache
        .scope(async { (skipping(&Db, 1).await, skipping(&Db, 1).await) })
        .await;
    assert_loads!(cache, "skipping", 1);
}

#[tokio::test]
async fn cache_option() {
    struct State {
        cache: Cache,
    }

    #[cached(kind = "elsewhere", cache = state.cache, skip(state))]
    async fn elsewhere(state: &State, id: u64) -> u64 {
        id
    }

    let state = State {
        cache: Cache::builder().build(),
    };
    elsewhere(&state, 1).await;
    assert_misses!(state.cache, "elsewhere", 1);
}

#[tokio::test]
async fn cache_none_option() {
    #[cached(kind = "found", ttl = "1h", cache_none = "10s")]
    async fn found(id: u64) -> Result<Option<u64>, Error> {
        Ok((id > 0).then_some(id))
    }

    #[cached(kind = "found", cache_none)]
    async fn as_long_as_a_value(id: u64) -> Option<u64> {
        (id > 0).then_some(id)
    }

    let cache = TestCache::new();
    let both = async || {
        cache
            .scope(async { (found(0).await.unwrap(), as_long_as_a_value(0).await) })
            .await
    };
    assert_eq!((both().await, both().await), ((None, None), (None, None)));
    assert_loads!(cache, "found", 2);
    cache.clock().advance(Duration::from_secs(10));
    both().await;
    assert_loads!(cache, "found", 3);
}

#[tokio::test]
async fn cache_err_option() {
    #[cached(kind = "denied", ttl = "1h", cache_err = "10s")]
    async fn denied(id: u64) -> Result<u64, String> {
        Err(format!("{id} is denied"))
    }

    let cache = TestCache::new();
    for _ in 0..2 {
        cache.scope(denied(1)).await.unwrap_err();
    }
    assert_loads!(cache, "denied", 1);
    cache.clock().advance(Duration::from_secs(10));
    cache.scope(denied(1)).await.unwrap_err();
    assert_loads!(cache, "denied", 2);
}

#[tokio::test]
async fn cache_if_option() {
    #[cached(kind = "page", cache_if = |page| page.ends_with("</html>"))]
    async fn page(complete: bool) -> String {
        if complete { "<html></html>" } else { "<html>" }.to_owned()
    }

    let cache = TestCache::new();
    for complete in [true, true, false, false] {
        cache.scope(page(complete)).await;
    }
    assert_loads!(cache, "page", 3);
}

#[tokio::test]
async fn local_only_option() {
    /// Neither `Serialize` nor `Deserialize`.
    #[derive(Clone)]
    struct Compiled(fn(u64) -> u64);

    #[cached(kind = "compiled", local_only)]
    async fn compiled(source: &str) -> Result<Compiled, String> {
        match source {
            "double" => Ok(Compiled(|number| number * 2)),
            other => Err(format!("{other} can't be compiled")),
        }
    }

    let cache = TestCache::new();
    for _ in 0..2 {
        let run = cache.scope(compiled("double")).await.unwrap();
        assert_eq!((run.0)(2), 4);
    }
    assert_hits!(cache, "compiled", 1);
}

#[tokio::test]
async fn stale_while_revalidate_option() {
    static VERSION: AtomicU64 = AtomicU64::new(1);

    #[cached(
        kind = "aging",
        ttl = "1m",
        early = false,
        stale_while_revalidate = "5m"
    )]
    async fn aging() -> u64 {
        let version = VERSION.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        version
    }

    let cache = TestCache::new();
    assert_eq!(cache.scope(aging()).await, 1);
    cache.clock().advance(MINUTE * 2);
    // One loads, the other need not wait.
    let (loads, served) = cache
        .scope(async { tokio::join!(biased; aging(), aging()) })
        .await;
    assert_eq!((loads, served), (2, 1));
}

#[tokio::test]
async fn stale_if_error_option() {
    static DOWN: AtomicU64 = AtomicU64::new(0);

    #[cached(kind = "rates", ttl = "1m", stale_if_error = "1h")]
    async fn rates() -> Result<u64, String> {
        match DOWN.load(Ordering::Relaxed) {
            0 => Ok(7),
            _ => Err("the source is down".to_owned()),
        }
    }

    let cache = TestCache::new();
    assert_eq!(cache.scope(rates()).await, Ok(7));
    DOWN.store(1, Ordering::Relaxed);
    cache.clock().advance(MINUTE * 30);
    assert_eq!(cache.scope(rates()).await, Ok(7));
    cache.clock().advance(MINUTE * 60);
    cache.scope(rates()).await.unwrap_err();
}

#[tokio::test]
async fn outage_ttl_option() {
    #[cached(kind = "settings", ttl = "1h", outage_ttl = "1m")]
    async fn settings(id: u64) -> u64 {
        id
    }

    let cache = TestCache::new();
    cache.scope(settings(1)).await;
    cache.faults().set_all(Fault::Fail);
    // Calls notice that the store is away, and are answered all the same.
    for id in 2..20 {
        cache.scope(settings(id)).await;
    }
    let loads = cache.snapshot().kinds["settings"].loads;
    for id in 2..20 {
        cache.scope(settings(id)).await;
    }
    let again = cache.snapshot().kinds["settings"].loads - loads;
    assert!(again < 18, "{again} of 18 ran again");
}

#[tokio::test]
async fn jitter_option() {
    #[cached(kind = "spread", ttl = "100m", jitter = 0.5, early = false)]
    async fn spread(id: u64) -> u64 {
        id
    }

    let cache = TestCache::new();
    for id in 0..100 {
        cache.scope(spread(id)).await;
    }
    cache.clock().advance(MINUTE * 75);
    for id in 0..100 {
        cache.scope(spread(id)).await;
    }
    // About half of them have ended by now; that all or none has is as likely as a hundred heads.
    let hits = cache.snapshot().kinds["spread"].hits();
    assert!((1..100).contains(&hits), "{hits} of 100");
}

#[tokio::test]
async fn early_option() {
    #[cached(kind = "punctual", ttl = "1m", early = false)]
    async fn punctual(id: u64) -> u64 {
        id
    }

    let cache = TestCache::new();
    cache.scope(punctual(1)).await;
    cache
        .clock()
        .advance(MINUTE.saturating_sub(Duration::from_nanos(1)));
    for _ in 0..100 {
        cache.scope(punctual(1)).await;
    }
    assert_loads!(cache, "punctual", 1);
}

#[tokio::test]
async fn timeout_option() {
    static SLOW: AtomicU64 = AtomicU64::new(0);

    #[cached(
        kind = "slow",
        ttl = "1m",
        stale_if_error = "1h",
        timeout(soft = "200ms", hard = "2s")
    )]
    async fn slow() -> u64 {
        if SLOW.load(Ordering::Relaxed) > 0 {
            std::future::pending::<()>().await;
        }
        7
    }

    let cache = TestCache::new();
    assert_eq!(cache.scope(slow()).await, 7);
    SLOW.store(1, Ordering::Relaxed);
    cache.clock().advance(MINUTE * 2);
    let (stale, ()) = tokio::join!(cache.scope(slow()), async {
        while cache.clock().sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        cache.clock().advance(Duration::from_secs(2));
    });
    assert_eq!(stale, 7);
}

#[tokio::test]
async fn consistency_option() {
    #[cached(kind = "strict", consistency = "strict")]
    async fn strict(id: u64) -> u64 {
        id
    }

    let cache = TestCache::new();
    for _ in 0..3 {
        cache.scope(strict(1)).await;
    }
    assert_eq!(
        cache.faults().calls(cache_core::test::Op::Read),
        3,
        "each call asks"
    );
}

#[tokio::test]
async fn capacity_option() {
    #[cached(kind = "few", capacity = 10)]
    async fn few(id: u64) -> u64 {
        id
    }

    let cache = TestCache::new();
    for id in 0..100 {
        cache.scope(few(id)).await;
    }
    assert_eq!(cache.snapshot().kinds["few"].local_entries, 10);
}

#[tokio::test]
async fn enabled_option() {
    #[cached(kind = "preview", enabled = !preview)]
    async fn rendered(id: u64, preview: bool) -> u64 {
        let _ = preview;
        id
    }

    let cache = TestCache::new();
    for preview in [false, false, true, true] {
        cache.scope(rendered(1, preview)).await;
    }
    assert_hits!(cache, "preview", 1);
    assert_eq!(cache.snapshot().kinds["preview"].bypassed, 2);
}

#[cached(kind = "user", tags("user:{id}"))]
async fn user(id: u64) -> Result<String, Error> {
    Ok(format!("user {id}"))
}

#[cached(tags("user:{ids}"), each = ids, entries_of = user)]
async fn users(ids: &[u64]) -> Result<HashMap<u64, String>, Error> {
    Ok(ids.iter().map(|id| (*id, format!("user {id}"))).collect())
}

#[tokio::test]
async fn each_option() {
    #[cached(kind = "lengths", each = words)]
    async fn lengths(words: &[String]) -> HashMap<String, usize> {
        words
            .iter()
            .map(|word| (word.clone(), word.len()))
            .collect()
    }

    let cache = TestCache::new();
    let words = ["a", "bc", "def"].map(str::to_owned);
    assert_eq!(cache.scope(lengths(&words[..2])).await.len(), 2);
    assert_eq!(cache.scope(lengths(&words)).await["def"], 3);
    assert_loads!(cache, "lengths", 3);
}

#[tokio::test]
async fn entries_of_option() {
    let cache = TestCache::new();
    cache.scope(user(1)).await.unwrap();
    assert_eq!(cache.scope(users(&[1, 2])).await.unwrap().len(), 2);
    cache.scope(user(2)).await.unwrap();
    assert_loads!(cache, "user", 2);
}

#[tokio::test]
async fn schema_option() {
    /// Asks for whatever comes, so that its form can't be found out.
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    enum Any {
        Number(u64),
        Text(String),
    }

    #[cached(kind = "any", schema = 1)]
    async fn any(id: u64) -> Any {
        if id > 5 {
            Any::Number(id)
        } else {
            Any::Text(id.to_string())
        }
    }

    let cache = TestCache::new();
    cache.scope(any(7)).await;
    let other = cache.other_node();
    let found = other.scope(any(7)).await;
    assert!(matches!(found, Any::Number(7)));
    assert_hits!(other, "any", 1);
}

#[tokio::test]
async fn version_option() {
    // Two versions of a program are two programs: tests/tests/versions.rs has what one makes of the
    // other's entries. Here it is enough that they are cached.
    #[cached(kind = "versioned", version = 2)]
    async fn versioned(id: u64) -> u64 {
        id
    }

    let cache = TestCache::new();
    cache.scope(versioned(1)).await;
    let other = cache.other_node();
    other.scope(versioned(1)).await;
    assert_hits!(other, "versioned", 1);
}

#[tokio::test]
async fn returns_option() {
    #[cached(kind = "bare", returns = value)]
    async fn bare<T>(value: T) -> T
    where
        T: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static,
    {
        value
    }

    let cache = TestCache::new();
    cache.scope(bare(1_u8)).await;
    cache.scope(bare("one".to_owned())).await;
    cache.scope(bare(1_u8)).await;
    assert_loads!(cache, "bare", 2);
}

struct Users {
    tenant: String,
}

impl Users {
    #[cached(kind = "companionable", key(self.tenant), companions)]
    async fn count(&self) -> usize {
        self.tenant.len()
    }

    #[cached(kind = "methodical", method)]
    pub(crate) async fn total(from: u64) -> u64 {
        from * 2
    }
}

#[tokio::test]
async fn companions_option() {
    let cache = TestCache::new();
    let users = Users {
        tenant: "acme".to_owned(),
    };
    let counted = async {
        users.count().await;
        users.count_peek().await
    };
    assert_eq!(cache.scope(counted).await, Some(4));
}

#[tokio::test]
async fn method_option() {
    let cache = TestCache::new();
    let total = async {
        Users::total(2).await;
        Users::total_peek(2).await
    };
    assert_eq!(cache.scope(total).await, Some(4));
}

/// A crate that exports this one under another name.
mod exporting {
    pub(crate) use cache_core as caching;
}

#[tokio::test]
async fn crate_option() {
    #[cached(kind = "exported", crate = crate::exporting::caching)]
    async fn exported(id: u64) -> u64 {
        id
    }

    let cache = TestCache::new();
    cache
        .scope(async { (exported(1).await, exported(1).await) })
        .await;
    assert_hits!(cache, "exported", 1);
}

/// Whether a write has ended what `user(7)` had cached.
async fn ends<F: Future>(write: impl FnOnce() -> F) -> bool {
    let cache = TestCache::new();
    cache
        .scope(async {
            user(7).await.unwrap();
            write().await;
            user::peek(7).await.is_none()
        })
        .await
}

#[tokio::test]
async fn invalidates_tags_option() {
    #[invalidates(tags("user:{id}"))]
    async fn save(id: u64) -> Result<(), Error> {
        let _ = id;
        Ok(())
    }

    assert!(ends(|| save(7)).await);
    assert!(!ends(|| save(8)).await);
}

#[tokio::test]
async fn invalidates_tags_with_option() {
    #[invalidates(tags_with = |saved| ["user:{saved}"])]
    async fn create() -> Result<u64, Error> {
        Ok(7)
    }

    assert!(ends(create).await);
}

#[tokio::test]
async fn invalidates_of_option() {
    #[invalidates(of(user(id)))]
    async fn save(id: u64) -> Result<(), Error> {
        let _ = id;
        Ok(())
    }

    assert!(ends(|| save(7)).await);
}

#[tokio::test]
async fn invalidates_kind_option() {
    #[invalidates(kind = "user", kind = "user_profile")]
    async fn import() -> Result<(), Error> {
        Ok(())
    }

    assert!(ends(import).await);
}

#[tokio::test]
async fn invalidates_before_option() {
    #[invalidates(tags("user:7"), before)]
    async fn reload() -> bool {
        user::peek(7).await.is_none()
    }

    #[invalidates(tags("user:7"), after)]
    async fn save() -> bool {
        user::peek(7).await.is_none()
    }

    assert!(ends(async || assert!(reload().await, "it was ended before")).await);
    assert!(ends(async || assert!(!save().await, "it is ended after")).await);
}

#[tokio::test]
async fn invalidates_always_option() {
    #[invalidates(tags("user:7"))]
    async fn on_success() -> Result<(), String> {
        Err("no".to_owned())
    }

    #[invalidates(tags("user:7"), always)]
    async fn in_any_case() -> Result<(), String> {
        Err("perhaps".to_owned())
    }

    assert!(!ends(on_success).await);
    assert!(ends(in_any_case).await);
}

#[tokio::test]
async fn invalidates_cache_option() {
    #[invalidates(tags("user:7"), cache = cache)]
    async fn save(cache: &Cache) -> Result<(), Error> {
        Ok(())
    }

    let cache = TestCache::new();
    cache.scope(user(7)).await.unwrap();
    save(&cache).await.unwrap();
    assert!(cache.scope(user::peek(7)).await.is_none());
}

#[tokio::test]
async fn invalidates_crate_option() {
    #[invalidates(tags("user:7"), crate = crate::exporting::caching)]
    async fn save() -> Result<(), Error> {
        Ok(())
    }

    assert!(ends(save).await);
}

#[tokio::test]
async fn a_write_s_value_is_cached() {
    #[updates(user(id))]
    async fn rename(id: u64, name: &str) -> Result<String, Error> {
        let _ = id;
        Ok(name.to_owned())
    }

    let cache = TestCache::new();
    let renamed = async {
        user(7).await.unwrap();
        rename(7, "Ann").await.unwrap();
        user(7).await.unwrap()
    };
    assert_eq!(cache.scope(renamed).await, "Ann");
    assert_loads!(cache, "user", 1);
    let other = cache.other_node();
    assert_eq!(other.scope(user(7)).await.unwrap(), "Ann");
    assert_hits!(other, "user", 1);
}
