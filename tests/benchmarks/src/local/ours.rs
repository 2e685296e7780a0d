//! Ours, as users write it: a bound, a ttl and a tag; metrics are always on.

// A cached function that has nothing to wait for is awaited all the same.
#![allow(clippy::unused_async)]

use std::hint::black_box;
use std::sync::Arc;

use cache_core::cached;

use super::names::OURS;
use super::{NAME, named_of, number_of, text_of};
use crate::measure::Contestant;

#[cached(kind = "number", ttl = "1h", capacity = 10_000, tags("number:{id}"))]
fn cached_number(id: u64) -> u64 {
    number_of(id)
}

#[cached(kind = "awaited", ttl = "1h", capacity = 10_000, tags("awaited:{id}"))]
async fn cached_awaited(id: u64) -> Arc<String> {
    text_of(id)
}

#[cached(kind = "text", ttl = "1h", capacity = 10_000, tags("text:{id}"))]
fn cached_text(id: u64) -> Arc<String> {
    text_of(id)
}

#[cached(kind = "named", ttl = "1h", capacity = 10_000, tags("named:{id}"))]
fn cached_named(id: u64, name: &str) -> Arc<String> {
    named_of(id, name)
}

pub(super) fn number() -> Contestant {
    Contestant::plain(OURS, cached_number)
}

pub(super) fn awaited() -> Contestant {
    Contestant::awaited(OURS, async |id| cached_awaited(id).await)
}

pub(super) fn text() -> Contestant {
    Contestant::plain(OURS, cached_text)
}

pub(super) fn named() -> Contestant {
    Contestant::plain(OURS, |id| cached_named(id, black_box(NAME)))
}
