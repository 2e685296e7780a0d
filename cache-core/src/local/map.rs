//! The map of local entries: found by function and canonical arguments, held as typed values,
//! bounded by bytes.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;
use papaya::{Equivalent, Guard, HashMap};

use super::cells::Cell;
use super::eviction::Eviction;
use super::life::{Age, Life};
use super::limit::{Asked, Limit, address};
use super::parting::Kept;
use crate::entry::EntryId;
use crate::store::Stamp;

/// Which entry: the function, as this process numbers them, and its arguments,
/// packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalKey {
    pub(crate) function: u32,
    pub(crate) args: Arc<[u8]>,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRef<'a> {
    pub(crate) function: u32,
    pub(crate) args: &'a [u8],
}

impl LocalKey {
    pub(crate) fn new(function: u32, args: &[u8]) -> Self {
        Self {
            function,
            args: args.into(),
        }
    }

    pub(crate) fn borrowed(&self) -> KeyRef<'_> {
        KeyRef {
            function: self.function,
            args: &self.args,
        }
    }
}

impl Hash for LocalKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.function);
        state.write(self.args);
    }
}

impl Equivalent<LocalKey> for KeyRef<'_> {
    fn equivalent(&self, key: &LocalKey) -> bool {
        self.function == key.function && *self.args == *key.args
    }
}

/// What is known of a local entry besides its value.
#[derive(Debug)]
pub struct Head {
    pub(crate) key: LocalKey,
    /// When it is fresh, stale, gone.
    pub(crate) life: Life,
    /// The epoch it belongs to: it ends with it.
    pub(crate) epoch: u64,
    /// The id of the entry in the shared tier that it is a copy of.
    pub(crate) id: EntryId,
    /// The tags it depends on, each with the stamp it was loaded under.
    pub(crate) deps: Box<[Dependency]>,
    /// Estimated, of key, value and bookkeeping.
    pub(crate) bytes: usize,
    /// How often it was hit lately, up to three: what eviction goes by.
    pub(super) used: AtomicU8,
    /// No longer in the map.
    pub(super) gone: AtomicBool,
}

/// A tag an entry depends on.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) cell: Arc<Cell>,
    pub(crate) stamp: Stamp,
}

impl Head {
    pub(crate) fn new(
        key: LocalKey,
        life: Life,
        epoch: u64,
        id: EntryId,
        deps: Box<[Dependency]>,
        bytes: usize,
    ) -> Self {
        Self {
            key,
            life,
            epoch,
            id,
            deps,
            bytes,
            used: AtomicU8::new(0),
            gone: AtomicBool::new(false),
        }
    }

    /// Whether nothing this node was told of speaks against it.
    pub(crate) fn holds(&self, epoch: u64, now: Duration) -> bool {
        self.life.lasts(now)
            && self.epoch == epoch
            && self
                .deps
                .iter()
                .all(|dependency| dependency.cell.stamp() == Some(dependency.stamp))
    }

    /// Whether every tag it depends on is as it was when the node last knew, which may be a while ago.
    pub(crate) fn was_left_alone(&self) -> bool {
        self.deps
            .iter()
            .all(|dependency| dependency.cell.was(dependency.stamp))
    }

    /// Whether it may be served again: at once, after the shared tier was asked, or during an outage.
    pub(super) fn may_revive(&self, now: Duration) -> bool {
        self.life.lasts(now) && self.was_left_alone()
    }

    fn mark_used(&self) {
        // A word that is full is not written again: readers of a hot entry share no written line.
        let used = self.used.load(Ordering::Relaxed);
        if used < 3 {
            self.used.store(used + 1, Ordering::Relaxed);
        }
    }
}

/// A value and its head, in one allocation.
#[derive(Debug)]
pub(crate) struct Stored<V> {
    pub(crate) head: Head,
    pub(crate) value: V,
}

/// A [`Stored`] of any type.
pub trait Held: Any + Send + Sync {
    fn head(&self) -> &Head;

    /// The same value with another head.
    fn with_head(&self, head: Head) -> Arc<dyn Held>;
}

impl<V: Clone + Send + Sync + 'static> Held for Stored<V> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn with_head(&self, head: Head) -> Arc<dyn Held> {
        let value = self.value.clone();
        Arc::new(Self { head, value })
    }
}

impl dyn Held {
    pub(crate) fn typed<V: 'static>(&self) -> Option<&Stored<V>> {
        (self as &dyn Any).downcast_ref()
    }

    /// The same with another course of life.
    pub(crate) fn with_life(&self, life: Life) -> Arc<Self> {
        let head = self.head();
        self.with_head(Head::new(
            head.key.clone(),
            life,
            head.epoch,
            head.id,
            head.deps.clone(),
            head.bytes,
        ))
    }
}

/// What leaves the map is freed a few dozen entries at a time, for each thread that takes some out. An
/// entry of more than this fraction of the capacity is not left to wait for the others.
const LARGE: usize = 4096;

/// The local tier.
pub(crate) struct Local {
    map: HashMap<LocalKey, Kept, RandomState>,
    eviction: Eviction,
    /// From how many bytes on an entry that leaves is given up at once.
    large: usize,
    /// Entries and bytes per function, by its number, for the metrics.
    sizes: HashMap<u32, Arc<Size>>,
}

/// What a function's local entries take.
#[derive(Debug, Default)]
pub(crate) struct Size {
    pub(crate) entries: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    limit: Limit,
}

impl Local {
    /// A tier of at most `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            map: HashMap::with_hasher(RandomState::default()),
            eviction: Eviction::new(capacity),
            large: capacity / LARGE,
            sizes: HashMap::new(),
        }
    }

    /// Has `take` take the value at a key, if it holds and `serve` says that its age is right.
    pub(crate) fn hit(
        &self,
        key: KeyRef<'_>,
        epoch: u64,
        now: Duration,
        serve: impl FnOnce(&Life, Age) -> bool,
        take: &mut dyn FnMut(&dyn Held) -> bool,
    ) -> bool {
        let map = self.map.pin();
        let Some(held) = map.get(&key) else {
            return false;
        };
        let head = held.head();
        if !head.holds(epoch, now) || !serve(&head.life, head.life.age(now)) {
            return false;
        }
        head.mark_used();
        take(&***held)
    }

    /// Whatever is at a key, to be checked with the store before it is used.
    pub(crate) fn find(&self, key: KeyRef<'_>) -> Option<Arc<dyn Held>> {
        let map = self.map.pin();
        let held = map.get(&key)?;
        held.head().mark_used();
        Some(Arc::clone(held))
    }

    /// The same, of which nobody is to notice that it was looked at.
    pub(crate) fn look(&self, key: KeyRef<'_>) -> Option<Arc<dyn Held>> {
        self.map.pin().get(&key).map(|held| Arc::clone(held))
    }

    /// Puts an entry in. Who calls this holds the key's flight shard (guard G7). Returns the
    /// functions whose entries had to make room, once for each. `capacity`: how many entries the
    /// entry's own function may have.
    pub(crate) fn insert(
        &self,
        entry: Arc<dyn Held>,
        now: Duration,
        epoch: u64,
        capacity: Option<usize>,
    ) -> Vec<u32> {
        if entry.head().bytes > self.eviction.largest() {
            // It would push everything else out.
            self.remove(entry.head().key.borrowed());
            return Vec::new();
        }
        let key = entry.head().key.clone();
        let entry = Kept::new(entry);
        self.account(&entry, true);
        let guard = self.map.guard();
        if let Some(old) = self.map.insert(key, entry.clone(), &guard) {
            self.forget(old, &guard);
        }
        drop(guard);
        let mut evicted = Vec::new();
        if let Some(capacity) = capacity {
            self.limit(&entry, capacity, |victim| {
                if victim.holds(epoch, now) {
                    evicted.push(victim.key.function);
                }
            });
        }
        for victim in self.eviction.admit(entry, now) {
            let key = victim.head().key.clone();
            // Only if it is still this very entry: another may have taken its place.
            let guard = self.map.guard();
            let removed = self
                .map
                .remove_if(&key, |_, held| Arc::ptr_eq(held, &victim), &guard)
                .is_ok_and(|removed| removed.is_some());
            if removed {
                self.left(&victim, &guard);
                if victim.head().holds(epoch, now) {
                    evicted.push(key.function);
                }
            }
        }
        evicted
    }

    /// Makes room for an entry, which is in the map already, among those of its function.
    fn limit(&self, entry: &Arc<dyn Held>, capacity: usize, mut evicted: impl FnMut(&Head)) {
        let size = self.size_of(entry);
        size.limit.admit(
            entry,
            || size.entries.load(Ordering::Relaxed) > capacity,
            |key, at, at_last| {
                let guard = self.map.guard();
                let Some(held) = self.map.get(key, &guard).filter(|held| address(held) == at)
                else {
                    return Asked::Gone;
                };
                let used = held.head().used.load(Ordering::Relaxed);
                if used > 0 && !at_last {
                    held.head().used.store(used - 1, Ordering::Relaxed);
                    return Asked::Used;
                }
                // Only if it is still this very entry: another may have taken its place.
                let removed = self
                    .map
                    .remove_if(key, |_, held| address(held) == at, &guard);
                let Ok(Some((_, victim))) = removed else {
                    return Asked::Gone;
                };
                self.forget(victim, &guard);
                evicted(victim.head());
                Asked::Left
            },
        );
        size.limit.tidy(capacity, |key, at| {
            let map = self.map.pin();
            map.get(key).is_some_and(|held| address(held) == at)
        });
    }

    /// Takes an entry out. Who calls this holds the key's flight shard (guard G7).
    pub(crate) fn remove(&self, key: KeyRef<'_>) {
        let guard = self.map.guard();
        if let Some((_, old)) = self.map.remove_entry(&key, &guard) {
            self.forget(old, &guard);
        }
    }

    pub(crate) fn size(&self, function: u32) -> (usize, usize) {
        self.sizes.pin().get(&function).map_or((0, 0), |size| {
            (
                size.entries.load(Ordering::Relaxed),
                size.bytes.load(Ordering::Relaxed),
            )
        })
    }

    fn forget(&self, old: &Kept, guard: &impl Guard) {
        self.left(old, guard);
        self.eviction.forget(old);
    }

    /// An entry is out of the map.
    fn left(&self, old: &Kept, guard: &impl Guard) {
        self.account(old, false);
        if old.head().bytes >= self.large {
            guard.flush();
        }
    }

    fn account(&self, entry: &Arc<dyn Held>, added: bool) {
        let (head, size) = (entry.head(), self.size_of(entry));
        if added {
            size.entries.fetch_add(1, Ordering::Relaxed);
            size.bytes.fetch_add(head.bytes, Ordering::Relaxed);
        } else {
            size.entries.fetch_sub(1, Ordering::Relaxed);
            size.bytes.fetch_sub(head.bytes, Ordering::Relaxed);
        }
    }

    /// What the function of an entry has.
    fn size_of(&self, entry: &Arc<dyn Held>) -> Arc<Size> {
        let sizes = self.sizes.pin();
        Arc::clone(sizes.get_or_insert_with(entry.head().key.function, Arc::default))
    }
}

#[cfg(test)]
mod tests;
