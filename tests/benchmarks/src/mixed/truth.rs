//! What is true, in files that all processes share: the version of each item, the last version whose
//! invalidation was acknowledged, and when that was. The files take the place of a database, and of a
//! referee's clock.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::ITEMS;
use crate::Result;

/// What one process sees of it. An item is written by one process only.
pub struct Truth {
    versions: File,
    acknowledged: File,
    times: File,
    /// Writers of one process take turns, by item.
    turns: Vec<Mutex<()>>,
}

impl Truth {
    /// Makes the files, all zero.
    ///
    /// # Errors
    ///
    /// When they can't be made.
    pub fn create(folder: &Path) -> Result<()> {
        for name in ["versions", "acknowledged", "times"] {
            File::create(folder.join(name))?.set_len(u64::from(ITEMS) * 8)?;
        }
        Ok(())
    }

    /// Opens them.
    ///
    /// # Errors
    ///
    /// When they are not there.
    pub fn open(folder: &Path) -> Result<Self> {
        let open = |name| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(folder.join(name))
        };
        Ok(Self {
            versions: open("versions")?,
            acknowledged: open("acknowledged")?,
            times: open("times")?,
            turns: (0..64).map(|_| Mutex::new(())).collect(),
        })
    }

    /// The version of an item now.
    ///
    /// # Errors
    ///
    /// When the file can't be read.
    pub fn version(&self, item: u64) -> Result<u64> {
        number(&self.versions, item)
    }

    /// What no call may be older than that begins now.
    ///
    /// # Errors
    ///
    /// As [`version`](Self::version).
    pub fn acknowledged(&self, item: u64) -> Result<u64> {
        number(&self.acknowledged, item)
    }

    /// How long ago the last invalidation of it was acknowledged.
    ///
    /// # Errors
    ///
    /// As [`version`](Self::version).
    pub fn since(&self, item: u64) -> Result<Duration> {
        Ok(Duration::from_micros(
            now()?.saturating_sub(number(&self.times, item)?),
        ))
    }

    /// Writes the item: its next version.
    ///
    /// # Errors
    ///
    /// When the file can't be written.
    pub fn write(&self, item: u64) -> Result<u64> {
        let _turn = self.turn(item);
        let version = self.version(item)? + 1;
        put(&self.versions, item, version)?;
        Ok(version)
    }

    /// Says that the invalidation after this version was acknowledged.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn acknowledge(&self, item: u64, version: u64) -> Result<()> {
        let _turn = self.turn(item);
        if version > self.acknowledged(item)? {
            // The time first: a reader that sees the version must not see the time before.
            put(&self.times, item, now()?)?;
            put(&self.acknowledged, item, version)?;
        }
        Ok(())
    }

    fn turn(&self, item: u64) -> MutexGuard<'_, ()> {
        let at = usize::try_from(item).unwrap_or_default() % self.turns.len();
        self.turns[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(file: &File, item: u64) -> Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, item * 8)?;
    Ok(u64::from_le_bytes(bytes))
}

fn put(file: &File, item: u64, value: u64) -> Result<()> {
    Ok(file.write_all_at(&value.to_le_bytes(), item * 8)?)
}

/// Microseconds of a clock that all processes of a machine share.
fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_micros())?)
}
