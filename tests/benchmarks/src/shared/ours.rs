//! Ours, of kinds whose policy keeps nothing in the process: Redis answers each call.

// A cached function that has nothing to wait for is awaited all the same.
#![allow(clippy::unused_async)]

use std::sync::Arc;

use cache_core::cached;

use super::names::{OURS, OURS_TAGGED};
use super::{Asked, Contestant, Value};

#[cached(kind = "plain", ttl = "1h")]
async fn cached_plain(id: u64, size: usize) -> Arc<Value> {
    Asked { id, size }.load()
}

#[cached(kind = "tagged", ttl = "1h", tags("row:{id}", "size:{size}"))]
async fn cached_tagged(id: u64, size: usize) -> Arc<Value> {
    Asked { id, size }.load()
}

#[cached(
    kind = "strict",
    ttl = "1h",
    consistency = "strict",
    tags("row:{id}", "size:{size}")
)]
async fn cached_strict(id: u64, size: usize) -> Arc<Value> {
    Asked { id, size }.load()
}

pub(super) fn plain() -> Contestant {
    Contestant::new(OURS, |asked: Asked| async move {
        Ok(cached_plain(asked.id, asked.size).await)
    })
}

pub(super) fn tagged() -> Contestant {
    Contestant::new(OURS_TAGGED, |asked: Asked| async move {
        Ok(cached_tagged(asked.id, asked.size).await)
    })
}

pub(super) fn strict() -> Contestant {
    Contestant::new(
        "**`#[cached]`**, `consistency = \"strict\"`",
        |asked: Asked| async move { Ok(cached_strict(asked.id, asked.size).await) },
    )
}
