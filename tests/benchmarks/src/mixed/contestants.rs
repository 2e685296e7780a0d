//! Who takes part: whoever has a cache that several processes share, and a way to invalidate.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::redis::cmd;
use accelerator::ReadOptions;
use accelerator::builder::LevelCacheBuilder;
use accelerator::config::CacheMode;
use cache_core::{Cache, Invalidation, Tag, cached};
use cached::{AsyncRedisCache, ConcurrentCachedAsync as _};

use super::Truth;
use crate::shared::Bare;
use crate::{Result, loaded, shared};

/// How long the function takes: a fast query.
const TAKES: Duration = Duration::from_millis(1);
const TTL: Duration = Duration::from_hours(1);

/// Everybody who takes part; ours first.
pub const NAMES: [&str; 6] = [
    "**`#[cached]`**",
    "**`#[cached]`**, `consistency = \"strict\"`",
    "cached, its AsyncRedisCache",
    "cached, its AsyncRedisCache with `client_side_caching`",
    "accelerator, both levels, with `broadcast_invalidation`",
    "redis-rs `GET`, `SET` and `DEL`, one connection",
];

type Calling<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// One that takes part, connected.
pub struct Contestant {
    /// Calls the function: the version that it returns.
    pub read: Box<dyn Fn(u64) -> Calling<u64> + Send + Sync>,
    /// Invalidates what is cached of an item; whether that was acknowledged.
    pub invalidate: Box<dyn Fn(u64) -> Calling<bool> + Send + Sync>,
}

static TRUTH: OnceLock<Truth> = OnceLock::new();

/// What this process sees as true.
pub(super) fn truth() -> &'static Truth {
    TRUTH.get().expect("it is opened first")
}

/// The function: it sees what is true when it begins, and returns a while later.
async fn load(id: u64) -> Result<u64> {
    let version = truth().version(id)?;
    tokio::time::sleep(TAKES).await;
    Ok(loaded(version))
}

#[cached(kind = "item", ttl = "1h", tags("item:{id}"))]
async fn item(id: u64) -> Result<u64> {
    load(id).await
}

#[cached(kind = "strict", ttl = "1h", consistency = "strict", tags("item:{id}"))]
async fn strict_item(id: u64) -> Result<u64> {
    load(id).await
}

impl Contestant {
    fn new<R, I>(
        read: impl Fn(u64) -> R + Send + Sync + 'static,
        invalidate: impl Fn(u64) -> I + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = Result<u64>> + Send + 'static,
        I: Future<Output = Result<bool>> + Send + 'static,
    {
        Self {
            read: Box::new(move |id| Box::pin(read(id))),
            invalidate: Box::new(move |id| Box::pin(invalidate(id))),
        }
    }

    /// The one at this place of [`NAMES`].
    ///
    /// # Errors
    ///
    /// When Redis can't be reached.
    pub async fn connected(at: usize, url: &str, truth: Truth) -> Result<Self> {
        if TRUTH.set(truth).is_err() {
            return Err("one process is one contestant".into());
        }
        match at {
            0 | 1 => ours(at == 1, url),
            2 | 3 => memoized(at == 3, url).await,
            4 => accelerated(url),
            5 => bare(url).await,
            _ => Err(format!("nobody is at {at}").into()),
        }
    }
}

fn ours(strict: bool, url: &str) -> Result<Contestant> {
    shared::install(url)?;
    let invalidate = |id: u64| async move {
        let tag = Tag::escaped("item:", id)?;
        Ok(Cache::current().invalidate_tags([tag]).await == Invalidation::Applied)
    };
    Ok(if strict {
        Contestant::new(strict_item, invalidate)
    } else {
        Contestant::new(item, invalidate)
    })
}

/// As its attribute does: looks, runs the function, stores.
async fn memoized(aware: bool, url: &str) -> Result<Contestant> {
    let cache: AsyncRedisCache<u64, u64> = AsyncRedisCache::builder("items")
        .ttl(TTL)
        .connection_string(url)
        .client_side_caching(aware)
        .build()
        .await?;
    let cache = Arc::new(cache);
    let remover = cache.clone();
    Ok(Contestant::new(
        move |id| {
            let cache = cache.clone();
            async move {
                if let Some(version) = cache.async_cache_get(&id).await? {
                    return Ok(version);
                }
                let version = load(id).await?;
                cache.async_cache_set(id, version).await?;
                Ok(version)
            }
        },
        move |id| {
            let cache = remover.clone();
            async move {
                cache.async_cache_delete(&id).await?;
                Ok(true)
            }
        },
    ))
}

/// With a loader, since only then callers of one process share a load.
fn accelerated(url: &str) -> Result<Contestant> {
    let local = accelerator::local::moka::<u64>()
        .max_capacity(1_000_000)
        .build()?;
    let remote = accelerator::remote::redis::<u64>()
        .url(url)
        .key_prefix("items")
        .build()?;
    let cache = LevelCacheBuilder::<u64, u64>::new()
        .area("items")
        .mode(CacheMode::Both)
        .local(local)
        .remote(remote)
        .local_ttl(TTL)
        .remote_ttl(TTL)
        .broadcast_invalidation(true)
        .loader_fn(|id| async move { Ok(load(id).await.ok()) })
        .build()?;
    let cache = Arc::new(cache);
    let remover = cache.clone();
    Ok(Contestant::new(
        move |id| {
            let cache = cache.clone();
            async move {
                let found = cache.get(&id, &ReadOptions::default()).await?;
                Ok(found.ok_or("every item has a version")?)
            }
        },
        move |id| {
            let cache = remover.clone();
            async move {
                cache.del(&id).await?;
                Ok(true)
            }
        },
    ))
}

async fn bare(url: &str) -> Result<Contestant> {
    let reader = Bare::connected(url).await?;
    let remover = reader.clone();
    Ok(Contestant::new(
        move |id| {
            let mut connection = reader.connection();
            async move {
                let key = format!("items:{id}");
                let found: Option<u64> = cmd("GET").arg(&key).query_async(&mut connection).await?;
                if let Some(version) = found {
                    return Ok(version);
                }
                let version = load(id).await?;
                cmd("SET")
                    .arg(key)
                    .arg(version)
                    .arg("EX")
                    .arg(TTL.as_secs())
                    .query_async::<()>(&mut connection)
                    .await?;
                Ok(version)
            }
        },
        move |id| {
            let mut connection = remover.connection();
            async move {
                let key = format!("items:{id}");
                cmd("DEL")
                    .arg(key)
                    .query_async::<()>(&mut connection)
                    .await?;
                Ok(true)
            }
        },
    ))
}
