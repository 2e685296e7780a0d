//! What is cached in a soak: two functions on one database, each with tags of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_core::cached;
use serde::{Deserialize, Serialize};

use super::database::Database;
use super::wire::{SHELVES, nanos};

static LONGEST_LOAD: AtomicU64 = AtomicU64::new(0);

/// The longest that a load took since this was asked last, in nanoseconds.
pub(super) fn longest_load() -> u64 {
    LONGEST_LOAD.swap(0, Ordering::Relaxed)
}

/// A value as large as its id wants it, that tells what it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    id: u64,
    pub(super) version: u64,
    text: String,
}

impl Row {
    pub(super) fn new(id: u64, version: u64) -> Self {
        let times = usize::try_from(8 + id * id).unwrap_or(8);
        Self {
            id,
            version,
            text: format!("{id}:{version},").repeat(times),
        }
    }
}

#[cached(kind = "row", ttl = "20s", tags("item:{id}"), skip(database))]
pub(super) async fn row(database: &Database, id: u64) -> Result<Row, std::io::Error> {
    load(database, id).await
}

#[cached(
    kind = "brief",
    ttl = "3s",
    tags("item:{id}", "shelf:{shelf}"),
    skip(database)
)]
pub(super) async fn brief(database: &Database, id: u64, shelf: u64) -> Result<Row, std::io::Error> {
    assert_eq!(shelf, id % SHELVES, "each id stands on one shelf");
    load(database, id).await
}

/// What the functions do: now and then they take their time, once they have seen the version.
async fn load(database: &Database, id: u64) -> Result<Row, std::io::Error> {
    let began = Instant::now();
    let versions = database.versions().await?;
    let version = usize::try_from(id).ok().and_then(|id| versions.get(id));
    let version = *version.ok_or_else(|| std::io::Error::other("no such id"))?;
    match began.elapsed().subsec_nanos() % 64 {
        0 => tokio::time::sleep(Duration::from_millis(30)).await,
        1..4 => tokio::time::sleep(Duration::from_millis(5)).await,
        _ => {}
    }
    LONGEST_LOAD.fetch_max(nanos(began.elapsed()), Ordering::Relaxed);
    Ok(Row::new(id, version))
}
