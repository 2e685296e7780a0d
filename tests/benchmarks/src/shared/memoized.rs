//! The crate `cached` with its asynchronous Redis store: one connection of redis-rs, and MessagePack.

use std::sync::Arc;
use std::sync::OnceLock;

use cached::AsyncRedisCache;
use cached::macros::concurrent_cached;

use super::names::CACHED;
use super::{Asked, Contestant, TTL, Value};
use crate::Result;

/// Where the store is found that the attribute creates.
static URL: OnceLock<String> = OnceLock::new();

#[concurrent_cached(
    map_error = |error| Box::<dyn std::error::Error + Send + Sync>::from(error),
    key = "String",
    convert = { format!("{id}:{size}") },
    ty = "AsyncRedisCache<String, Arc<Value>>",
    create = {
        AsyncRedisCache::builder("plain")
            .ttl(TTL)
            .connection_string(URL.get().expect("it is set before the first call"))
            .build()
            .await
            .expect("Redis answers")
    }
)]
async fn cached_plain(id: u64, size: usize) -> Result<Arc<Value>> {
    Ok(Asked { id, size }.load())
}

pub(super) async fn plain(url: &str) -> Result<Contestant> {
    URL.get_or_init(|| url.to_owned());
    cached_plain(0, 36).await?;
    Ok(Contestant::new(CACHED, |asked: Asked| {
        cached_plain(asked.id, asked.size)
    }))
}
