//! Ours, with next to nothing kept in the process (a capacity of none is refused, since nobody means
//! that): each call goes round more keys than one, so Redis answers it.

// A cached function that has nothing to wait for is awaited all the same.
#![allow(clippy::unused_async)]

use std::sync::Arc;

use cache_core::cached;

use super::names::{OURS, OURS_TAGGED};
use super::{Asked, Contestant, Value};

#[cached(kind = "plain", ttl = "1h", capacity = 1)]
async fn cached_plain(id: u64, size: usize) -> Arc<Value> {
    Asked { id, size }.load()
}

#[cached(
    kind = "tagged",
    ttl = "1h",
    capacity = 1,
    tags("row:{id}", "size:{size}")
)]
async fn cached_tagged(id: u64, size: usize) -> Arc<Value> {
    Asked { id, size }.load()
}

#[cached(
    kind = "strict",
    ttl = "1h",
    capacity = 1,
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
