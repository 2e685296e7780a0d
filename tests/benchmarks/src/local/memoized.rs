//! The crate `cached`, with a bound and a ttl: `#[cached]`, one lock around a map, and
//! `#[concurrent_cached]`, its sharded store.

// A cached function that has nothing to wait for is awaited all the same.
#![allow(clippy::unused_async)]

use std::hint::black_box;
use std::sync::Arc;

use cached::macros::{cached, concurrent_cached};

use super::names::{CACHED, CONCURRENT};
use super::{NAME, named_of, number_of, text_of};
use crate::measure::Contestant;

#[cached(max_size = 10_000, ttl_secs = 3600)]
fn locked_number(id: u64) -> u64 {
    number_of(id)
}

#[concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
fn sharded_number(id: u64) -> u64 {
    number_of(id)
}

#[cached(max_size = 10_000, ttl_secs = 3600)]
async fn locked_awaited(id: u64) -> Arc<String> {
    text_of(id)
}

#[concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
async fn sharded_awaited(id: u64) -> Arc<String> {
    text_of(id)
}

#[concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
fn sharded_text(id: u64) -> Arc<String> {
    text_of(id)
}

// A borrowed argument needs an owned key: so the crate's documentation has it.
#[cached(
    max_size = 10_000,
    ttl_secs = 3600,
    key = "(u64, String)",
    convert = { (id, name.to_owned()) }
)]
fn locked_named(id: u64, name: &str) -> Arc<String> {
    named_of(id, name)
}

#[concurrent_cached(
    max_size = 10_000,
    ttl_secs = 3600,
    key = "(u64, String)",
    convert = { (id, name.to_owned()) }
)]
fn sharded_named(id: u64, name: &str) -> Arc<String> {
    named_of(id, name)
}

pub(super) fn number() -> Contestant {
    Contestant::plain(CACHED, locked_number)
}

pub(super) fn concurrent_number() -> Contestant {
    Contestant::plain(CONCURRENT, sharded_number)
}

pub(super) fn awaited() -> Contestant {
    Contestant::awaited(CACHED, async |id| locked_awaited(id).await)
}

pub(super) fn concurrent_awaited() -> Contestant {
    Contestant::awaited(CONCURRENT, async |id| sharded_awaited(id).await)
}

pub(super) fn concurrent_text() -> Contestant {
    Contestant::plain(CONCURRENT, sharded_text)
}

pub(super) fn named() -> Contestant {
    Contestant::plain(CACHED, |id| locked_named(id, black_box(NAME)))
}

pub(super) fn concurrent_named() -> Contestant {
    Contestant::plain(CONCURRENT, |id| sharded_named(id, black_box(NAME)))
}
