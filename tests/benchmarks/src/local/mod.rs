//! Who is compared at local hits: `fn(u64) -> u64`, `async fn(u64) -> Arc<String>` and
//! `fn(u64, &str) -> Arc<String>`, each a thousand keys, all of them cached.

mod accelerated;
mod boxed;
mod memoized;
mod ours;
mod stores;

use std::sync::Arc;
use std::time::Duration;

use crate::measure::{Contestant, KEYS, Worth};
use crate::{Result, loaded};

/// How many entries there may be, for all that have a bound: far more than there are.
const BOUND: u64 = 10_000;
/// How long they last, for all that have a ttl.
const TTL: Duration = Duration::from_hours(1);

/// The second argument of calls with two.
const NAME: &str = "bread";

/// The names of those that a target speaks of.
pub mod names {
    pub const OURS: &str = "**`#[cached]`**: bound, ttl, tag, metrics";
    pub const CACHED: &str = "cached `#[cached]`: bound, ttl";
    pub const CONCURRENT: &str = "cached `#[concurrent_cached]`: bound, ttl";
    pub const PAPAYA: &str = "papaya `get`, foldhash: a bare map";
    pub const PAPAYA_TIMED: &str = "papaya `get`, foldhash, of entries that expire";
    pub const PAPAYA_DEFAULT: &str = "papaya `get`, its default hasher: a bare map";
    pub const QUICK: &str = "quick_cache `get`: bound";
    pub const MOKA: &str = "moka `get`: bound, ttl";
    pub const FOYER: &str = "foyer-memory `get`: bound";
    pub const ACCELERATOR: &str = "accelerator `#[cacheable]`: bound, ttl";
    pub const HITBOX: &str = "hitbox-fn `#[cached]`: bound, ttl; a `String`";
}

fn number_of(id: u64) -> u64 {
    loaded(id * 2)
}

fn text_of(id: u64) -> Arc<String> {
    loaded(Arc::new(id.to_string()))
}

fn named_of(id: u64, name: &str) -> Arc<String> {
    loaded(Arc::new(format!("{id} {name}")))
}

/// `fn(u64) -> u64`; ours first.
pub fn numbers() -> Result<Vec<Contestant>> {
    let contestants = vec![
        ours::number(),
        memoized::concurrent_number(),
        memoized::number(),
        stores::moka(number_of),
        stores::foyer(number_of),
        stores::quick_cache(number_of),
        stores::papaya(number_of),
        stores::papaya_timed(number_of),
        stores::papaya_default(number_of),
    ];
    warmed(contestants, (0..KEYS).map(|id| id * 2).sum())
}

/// `async fn(u64) -> Arc<String>`; ours first.
pub fn awaited() -> Result<Vec<Contestant>> {
    let contestants = vec![
        ours::awaited(),
        memoized::concurrent_awaited(),
        memoized::awaited(),
        stores::moka_awaited(text_of),
        accelerated::awaited()?,
        boxed::awaited(),
        stores::foyer(text_of),
        stores::quick_cache(text_of),
        stores::papaya(text_of),
        stores::papaya_timed(text_of),
        stores::papaya_default(text_of),
    ];
    warmed(
        contestants,
        (0..KEYS).map(|id| id.to_string().worth()).sum(),
    )
}

/// `fn(u64, &str) -> Arc<String>`; ours first.
pub fn named() -> Result<Vec<Contestant>> {
    let contestants = vec![
        ours::named(),
        memoized::concurrent_named(),
        memoized::named(),
        stores::moka_named(),
        stores::foyer_named(),
        stores::quick_cache_named(),
        stores::papaya_named(),
    ];
    let worth = |id: u64| format!("{id} {NAME}").worth();
    warmed(contestants, (0..KEYS).map(worth).sum())
}

/// `fn(u64) -> Arc<String>`; ours first. Those that are awaited would need a runtime for each thread.
pub fn texts() -> Result<Vec<Contestant>> {
    let contestants = vec![
        ours::text(),
        memoized::concurrent_text(),
        stores::moka(text_of),
        stores::foyer(text_of),
        stores::quick_cache(text_of),
        stores::papaya(text_of),
        stores::papaya_timed(text_of),
    ];
    warmed(
        contestants,
        (0..KEYS).map(|id| id.to_string().worth()).sum(),
    )
}

fn warmed(contestants: Vec<Contestant>, expected: u64) -> Result<Vec<Contestant>> {
    for contestant in &contestants {
        contestant.warm(expected)?;
    }
    Ok(contestants)
}
