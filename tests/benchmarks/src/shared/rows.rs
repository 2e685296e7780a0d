//! A batch of a hundred: ours with `each`, and bare, which is one `MGET` and one load of what is missing.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::cmd;
use cache_core::cached;
use tokio::task::spawn_blocking;

use super::bare::{Bare, decoded};
use super::{Value, names};
use crate::{Result, loaded};

/// What one load takes, where it takes anything.
const TAKES: Duration = Duration::from_millis(1);
const SIZE: usize = 36;

static SLOW: AtomicBool = AtomicBool::new(false);

type Found = HashMap<u64, Value>;
type Finding<'a> = Pin<Box<dyn Future<Output = Result<Found>> + Send + 'a>>;

type Find = Box<dyn Fn(&[u64]) -> Finding<'_> + Send + Sync>;

/// Somebody who can find many at once.
pub struct Batch {
    pub name: &'static str,
    find: Find,
    keep: Find,
}

impl Batch {
    /// Finds all of them, loading those that are missing.
    ///
    /// # Errors
    ///
    /// When Redis fails.
    pub async fn find(&self, ids: &[u64]) -> Result<Found> {
        (self.find)(ids).await
    }

    /// Has these be there.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub async fn keep(&self, ids: &[u64]) -> Result<Found> {
        (self.keep)(ids).await
    }
}

/// Whether a load takes a millisecond from now on, or nothing.
pub fn slow(slow: bool) {
    SLOW.store(slow, Ordering::Relaxed);
}

/// One query for many rows. A timer of tokio's would be late by up to a millisecond.
async fn load(ids: &[u64]) -> Found {
    if SLOW.load(Ordering::Relaxed) {
        let slept = spawn_blocking(|| std::thread::sleep(TAKES)).await;
        slept.expect("it only sleeps");
    }
    loaded(ids.iter().map(|id| (*id, Value::of(*id, SIZE))).collect())
}

#[cached(kind = "rows", ttl = "1h", tags("row:{ids}"), each = ids)]
async fn cached_rows(ids: &[u64]) -> Found {
    load(ids).await
}

impl Bare {
    async fn found(&self, ids: &[u64]) -> Result<Found> {
        let keys: Vec<_> = ids.iter().map(|id| format!("bare:row:{id}")).collect();
        let mut connection = self.connection();
        let entries: Vec<Option<Vec<u8>>> =
            cmd("MGET").arg(&keys).query_async(&mut connection).await?;
        let (mut found, mut missing) = (Found::new(), Vec::new());
        for (id, bytes) in ids.iter().zip(entries) {
            match bytes {
                Some(bytes) => {
                    found.insert(*id, decoded(&bytes)?);
                }
                None => missing.push(*id),
            }
        }
        if !missing.is_empty() {
            found.extend(load(&missing).await);
        }
        Ok(found)
    }

    async fn kept(&self, ids: &[u64]) -> Result<Found> {
        let values = load(ids).await;
        for (id, value) in &values {
            self.write(&format!("bare:row:{id}"), value).await?;
        }
        Ok(values)
    }
}

/// Ours first.
///
/// # Errors
///
/// When Redis can't be reached.
pub async fn batches(url: &str) -> Result<Vec<Batch>> {
    let (finder, keeper) = (Bare::connected(url).await?, Bare::connected(url).await?);
    Ok(vec![
        Batch {
            name: names::OURS,
            find: Box::new(|ids| Box::pin(async { Ok(cached_rows(ids).await) })),
            keep: Box::new(|ids| Box::pin(async { Ok(cached_rows(ids).await) })),
        },
        Batch {
            name: "redis-rs `MGET` of 100, and one load; nothing is stored",
            find: Box::new(move |ids| {
                let bare = finder.clone();
                Box::pin(async move { bare.found(ids).await })
            }),
            keep: Box::new(move |ids| {
                let bare = keeper.clone();
                Box::pin(async move { bare.kept(ids).await })
            }),
        },
    ])
}
