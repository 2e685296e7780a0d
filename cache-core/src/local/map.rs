//! The map of local entries: found by function and canonical arguments, held as typed values,
//! bounded by bytes.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::eviction::{Bound, Eviction, Newcomer};
use super::hash::KeyHasher;
use super::head::{About, Dependency, Head};
use super::key::{KeyRef, LocalKey};
use super::life::{Life, nanoseconds};
use super::table::{Found, Held, Kept, Lent, Reading, Table};
use crate::entry::EntryId;

/// What leaves the table is freed a few dozen entries at a time. An entry of more than this fraction of the
/// capacity is not left to wait for the others.
const LARGE: usize = 4096;

/// No entry may take more than this fraction of the capacity.
const LARGEST: usize = 8;

/// The local tier.
pub(crate) struct Local {
    /// By the hash of the key, which is in the entry. Of two keys with one hash the later has the place:
    /// that costs a miss, once in more keys than fit into any memory, since nobody outside knows what
    /// the hasher was seeded with.
    table: Table,
    hasher: KeyHasher,
    /// How many bytes all entries may take.
    capacity: usize,
    eviction: Apart<Eviction>,
    /// Whether there is a shared tier, so that entries have ids of their own.
    before_shared: bool,
    /// Entries and bytes per function, by its number, for the metrics.
    sizes: RwLock<HashMap<u32, Arc<Size>>>,
}

/// What a function's local entries take.
#[derive(Debug)]
pub(crate) struct Size {
    pub(crate) entries: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    /// Of a function that has a bound of its own.
    eviction: Eviction,
    /// That of the entry that was made last: the next one's is most likely the same.
    last: Mutex<Option<Arc<About>>>,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            eviction: Eviction::new(Bound::Entries),
            last: Mutex::default(),
        }
    }
}

/// On cache lines of its own: what insertions write must not lie beside what every hit reads.
#[repr(align(128))]
struct Apart<T>(T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Local {
    /// A tier of at most `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            table: Table::new(capacity / LARGE),
            hasher: KeyHasher::new(),
            capacity,
            eviction: Apart(Eviction::new(Bound::Bytes)),
            before_shared: false,
            sizes: RwLock::default(),
        }
    }

    /// The same before a shared tier, where there is one.
    pub(crate) fn before(mut self, shared: bool) -> Self {
        self.before_shared = shared;
        self
    }

    /// The head of an entry to be. What it has in common with the one that was made last for its
    /// function, it shares. `bytes`: what the entry takes in memory, but for what is only known here.
    pub(crate) fn head(
        &self,
        key: LocalKey,
        life: Life,
        epoch: u64,
        id: EntryId,
        deps: &[Dependency],
        bytes: usize,
    ) -> Head {
        let size = self.size_of(key.function);
        let mut last = size.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (about, own) = match &*last {
            Some(last) if !self.before_shared && last.is_of(epoch, deps) => (Arc::clone(last), 0),
            last => {
                let (deps, own) = last.as_ref().and_then(|last| last.same(deps)).map_or_else(
                    || (Arc::from(deps), About::list_bytes(deps)),
                    |same| (same, 0),
                );
                let confirmed = nanoseconds(life.confirmed());
                let about = Arc::new(About::new(epoch, id, confirmed, deps));
                (about, About::BYTES + own)
            }
        };
        if !last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &about)) {
            *last = Some(Arc::clone(&about));
        }
        drop(last);
        let bytes = bytes.saturating_add(key.heap() + own);
        Head::of(key, life, about, bytes)
    }

    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn hash(&self, key: &KeyRef<'_>) -> u64 {
        self.hasher.hash(key)
    }

    /// The entry at a key, for as long as that is held on to: a part of a hit (`engine/hit.rs`).
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn lend(&self, key: &KeyRef<'_>) -> Option<Lent<'_>> {
        let lent = self.table.lend(self.hash(key))?;
        lent.head().key.is(key).then_some(lent)
    }

    /// Whatever is at a key, to be checked with the store before it is used.
    pub(crate) fn find(&self, key: &KeyRef<'_>) -> Option<Arc<dyn Held>> {
        self.look(key).inspect(|held| held.head().note_hit())
    }

    /// The same, of which nobody is to notice that it was looked at.
    pub(crate) fn look(&self, key: &KeyRef<'_>) -> Option<Arc<dyn Held>> {
        let reading = Reading::begin();
        let found = self.table.find(self.hash(key), &reading)?;
        found.head().key.is(key).then(|| found.kept())
    }

    /// Puts an entry in. Who calls this holds the key's flight shard (guard G7). Returns the
    /// functions whose entries had to make room, once for each. `capacity`: how many entries the
    /// entry's own function may have.
    pub(crate) fn insert(
        &self,
        entry: &Kept,
        now: Duration,
        epoch: u64,
        capacity: Option<usize>,
    ) -> Vec<u32> {
        if entry.head().is_too_large(self.capacity / LARGEST) {
            // It would push everything else out.
            self.remove(&entry.head().key.borrowed());
            return Vec::new();
        }
        let hash = self.hash(&entry.head().key.borrowed());
        self.account(entry, true);
        let replaced = self.table.insert(hash, entry);
        let evicted = {
            let reading = Reading::begin();
            let newcomer = Newcomer {
                entry,
                hash,
                replaced: replaced.as_ref(),
            };
            let mut evicted = Vec::new();
            let mut make_room = |eviction: &Eviction, capacity| {
                let find = |hash| self.table.find(hash, &reading);
                for victim in eviction.admit(&newcomer, capacity, now, find) {
                    if self.evict(victim) && victim.head().holds(epoch, now) {
                        evicted.push(victim.head().key.function);
                    }
                }
            };
            if let Some(capacity) = capacity {
                make_room(&self.size_of(entry.head().key.function).eviction, capacity);
            }
            make_room(&self.eviction, self.capacity);
            evicted
        };
        if let Some(old) = replaced {
            // Only now: until here its place was the newcomer's to have.
            self.forget(&old, hash);
        }
        self.table.tidy();
        evicted
    }

    /// Takes an entry out that is to make room. Says whether it was still there.
    fn evict(&self, victim: Found<'_>) -> bool {
        let hash = self.hash(&victim.head().key.borrowed());
        // Only if it is still this very entry: another may have taken its place.
        let removed = self.table.remove_if(hash, |found| found.is(victim));
        if let Some(removed) = &removed {
            self.forget(removed, hash);
        }
        removed.is_some()
    }

    /// Takes an entry out. Who calls this holds the key's flight shard (guard G7).
    pub(crate) fn remove(&self, key: &KeyRef<'_>) {
        let hash = self.hash(key);
        let is_it = |found: Found<'_>| found.head().key.is(key);
        if let Some(old) = self.table.remove_if(hash, is_it) {
            self.forget(&old, hash);
            drop(old);
            self.table.tidy();
        }
    }

    pub(crate) fn size(&self, function: u32) -> (usize, usize) {
        let sizes = self.sizes.read().unwrap_or_else(PoisonError::into_inner);
        sizes.get(&function).map_or((0, 0), |size| {
            (
                size.entries.load(Ordering::Relaxed),
                size.bytes.load(Ordering::Relaxed),
            )
        })
    }

    /// An entry is out of the map.
    fn forget(&self, old: &Kept, hash: u64) {
        let head = old.head();
        self.account(old, false);
        // Even where it is not queued yet: then it must not be any more.
        self.eviction.forget(old, hash);
        if head.marks.is_queued(Bound::Entries) {
            self.size_of(head.key.function).eviction.forget(old, hash);
        }
    }

    fn account(&self, entry: &Arc<dyn Held>, added: bool) {
        let head = entry.head();
        let size = self.size_of(head.key.function);
        if added {
            size.entries.fetch_add(1, Ordering::Relaxed);
            size.bytes.fetch_add(head.bytes(), Ordering::Relaxed);
        } else {
            size.entries.fetch_sub(1, Ordering::Relaxed);
            size.bytes.fetch_sub(head.bytes(), Ordering::Relaxed);
        }
    }

    /// What a function has.
    fn size_of(&self, function: u32) -> Arc<Size> {
        let known = |sizes: &HashMap<u32, Arc<Size>>| sizes.get(&function).map(Arc::clone);
        let known = known(&self.sizes.read().unwrap_or_else(PoisonError::into_inner));
        known.unwrap_or_else(|| {
            let mut sizes = self.sizes.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sizes.entry(function).or_default())
        })
    }
}

#[cfg(test)]
mod tests;
