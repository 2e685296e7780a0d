//! A batch of a hundred: ours with `each`, and bare, which is one `MGET` and one load of what is missing.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::{cmd, pipe};
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

    /// What ours asks Redis for before it loads, in a pipeline for each of the two round trips: whoever
    /// looks after the answers comes on top, and so does whatever is stored.
    async fn asked(&self, ids: &[u64]) -> Result<Found> {
        let mut connection = self.connection();
        let [entry, lease, stamp] =
            ["e", "l", "s"].map(|what| move |id: &u64| format!("bare:{what}:{{rows:rows:{id}}}"));
        let mut looks = pipe();
        for id in ids {
            // No more than an entry may have.
            looks.cmd("GETRANGE").arg(entry(id)).arg(0).arg(8 << 20);
            looks.cmd("MGET").arg(stamp(id)).ignore();
        }
        let looked: Vec<Vec<u8>> = looks.query_async(&mut connection).await?;
        let (mut found, mut missing) = (Found::new(), Vec::new());
        for (id, bytes) in ids.iter().zip(looked) {
            if bytes.is_empty() {
                missing.push(*id);
            } else {
                found.insert(*id, decoded(&bytes)?);
            }
        }
        let mut begins = pipe();
        for id in &missing {
            let token = format!("{id:032x}");
            for (name, value, lasts) in [
                (lease(id), &token[..], 30_000),
                (stamp(id), &token[16..], 7_200_000),
            ] {
                begins
                    .cmd("SET")
                    .arg(name)
                    .arg(value)
                    .arg("PX")
                    .arg(lasts)
                    .arg("NX");
            }
            begins.cmd("GETRANGE").arg(entry(id)).arg(0).arg(15);
            begins.cmd("MGET").arg(lease(id)).arg(stamp(id));
        }
        let _: Vec<::redis::Value> = begins.query_async(&mut connection).await?;
        found.extend(load(&missing).await);
        Ok(found)
    }

    /// Has entries and their stamps be there for [`asked`](Self::asked).
    async fn prepared(&self, ids: &[u64]) -> Result<Found> {
        let values = load(ids).await;
        let mut connection = self.connection();
        for (id, value) in &values {
            self.write(&format!("bare:e:{{rows:rows:{id}}}"), value)
                .await?;
            cmd("SET")
                .arg(format!("bare:s:{{rows:rows:{id}}}"))
                .arg("0123456789abcdef")
                .query_async::<()>(&mut connection)
                .await?;
        }
        Ok(values)
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
    let (asker, preparer) = (Bare::connected(url).await?, Bare::connected(url).await?);
    Ok(vec![
        Batch {
            name: names::OURS,
            find: Box::new(|ids| Box::pin(async { Ok(cached_rows(ids).await) })),
            keep: Box::new(|ids| Box::pin(async { Ok(cached_rows(ids).await) })),
        },
        Batch {
            name: names::MGET_ALL,
            find: Box::new(move |ids| {
                let bare = finder.clone();
                Box::pin(async move { bare.found(ids).await })
            }),
            keep: Box::new(move |ids| {
                let bare = keeper.clone();
                Box::pin(async move { bare.kept(ids).await })
            }),
        },
        Batch {
            name: names::ASKED,
            find: Box::new(move |ids| {
                let bare = asker.clone();
                Box::pin(async move { bare.asked(ids).await })
            }),
            keep: Box::new(move |ids| {
                let bare = preparer.clone();
                Box::pin(async move { bare.prepared(ids).await })
            }),
        },
    ])
}
