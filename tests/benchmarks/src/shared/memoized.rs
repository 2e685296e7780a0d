//! The crate `cached` with its asynchronous Redis store: one connection of redis-rs, and MessagePack.

// The attribute wants a closure; and a cached function that has nothing to wait for is awaited all the same.
#![allow(clippy::redundant_closure, clippy::unused_async)]

use std::error::Error;
use std::sync::{Arc, OnceLock};

use cached::AsyncRedisCache;
use cached::macros::concurrent_cached;

use super::names::CACHED;
use super::{Asked, Contestant, TTL, Value};
use crate::Result;

/// Where the store is found that the attribute creates.
static URL: OnceLock<String> = OnceLock::new();

#[concurrent_cached(
    map_error = |error| failed(error),
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

fn failed(error: impl Error + Send + Sync + 'static) -> Box<dyn Error + Send + Sync> {
    error.into()
}

pub(super) async fn plain(url: &str) -> Result<Contestant> {
    URL.get_or_init(|| url.to_owned());
    cached_plain(0, 36).await?;
    Ok(Contestant::new(CACHED, |asked: Asked| {
        cached_plain(asked.id, asked.size)
    }))
}
