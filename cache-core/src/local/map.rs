//! The map of local entries: found by function and canonical arguments, held as typed values,
//! bounded by bytes.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use papaya::{Guard, HashMap, ResizeMode};

use super::eviction::{Bound, Eviction, Newcomer};
use super::hash::{AsItIs, KeyHasher};
use super::head::{About, Dependency, Head, Held};
use super::key::{KeyRef, LocalKey};
use super::life::{Life, nanoseconds};
use super::parting::Kept;
use crate::entry::EntryId;

/// What leaves the map is freed a few dozen entries at a time, for each thread that takes some out. An
/// entry of more than this fraction of the capacity is not left to wait for the others.
const LARGE: usize = 4096;

/// No entry may take more than this fraction of the capacity.
const LARGEST: usize = 8;

/// How many places are copied at a time while the map grows: a few microseconds' worth, so that the
/// larger table does not wait beside the smaller one for a tenth of its size to come in.
const COPIED: usize = 512;

/// After how many insertions a thread gives up what it has taken out.
const FLUSHED: usize = 1024;

/// The local tier.
pub(crate) struct Local {
    /// By the hash of the key, which is in the entry. Of two keys with one hash the later has the place:
    /// that costs a miss, once in more keys than fit into any memory, since nobody outside knows what
    /// the hasher was seeded with.
    map: HashMap<u64, Kept, AsItIs>,
    hasher: KeyHasher,
    /// How many bytes all entries may take.
    capacity: usize,
    eviction: Apart<Eviction>,
    /// Whether there is a shared tier, so that entries have ids of their own.
    before_shared: bool,
    /// How many entries were put in.
    inserted: Apart<AtomicUsize>,
    /// From how many bytes on an entry that leaves is given up at once.
    large: usize,
    /// Entries and bytes per function, by its number, for the metrics.
    sizes: HashMap<u32, Arc<Size>>,
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
            map: HashMap::builder()
                .hasher(AsItIs::default())
                .resize_mode(ResizeMode::Incremental(COPIED))
                .build(),
            hasher: KeyHasher::new(),
            capacity,
            eviction: Apart(Eviction::new(Bound::Bytes)),
            before_shared: false,
            inserted: Apart(AtomicUsize::new(0)),
            large: capacity / LARGE,
            sizes: HashMap::new(),
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

    #[inline]
    fn hash(&self, key: KeyRef<'_>) -> u64 {
        self.hasher.hash(key)
    }

    /// Has `take` take the value at a key, if `serve` says that it may be served.
    #[inline]
    pub(crate) fn hit(
        &self,
        key: KeyRef<'_>,
        serve: impl FnOnce(&Head) -> bool,
        take: &mut dyn FnMut(&dyn Held) -> bool,
    ) -> bool {
        let hash = self.hash(key);
        let map = self.map.pin();
        let Some(held) = map.get(&hash) else {
            return false;
        };
        let head = held.head();
        if !head.key.is(key) || !serve(head) {
            return false;
        }
        head.marks.hit();
        take(&***held)
    }

    /// Whatever is at a key, to be checked with the store before it is used.
    pub(crate) fn find(&self, key: KeyRef<'_>) -> Option<Arc<dyn Held>> {
        self.look(key).inspect(|held| held.head().marks.hit())
    }

    /// The same, of which nobody is to notice that it was looked at.
    pub(crate) fn look(&self, key: KeyRef<'_>) -> Option<Arc<dyn Held>> {
        let map = self.map.pin();
        let held = map.get(&self.hash(key))?;
        held.head().key.is(key).then(|| Arc::clone(held))
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
        if entry.head().is_too_large(self.capacity / LARGEST) {
            // It would push everything else out.
            self.remove(entry.head().key.borrowed());
            return Vec::new();
        }
        let hash = self.hash(entry.head().key.borrowed());
        let entry = Kept::new(entry);
        self.account(&entry, true);
        let guard = self.map.guard();
        let replaced = self.map.insert(hash, entry.clone(), &guard);
        let newcomer = Newcomer {
            entry: &entry,
            hash,
            replaced,
        };
        let mut evicted = Vec::new();
        let mut make_room = |eviction: &Eviction, capacity| {
            let find = |hash| self.map.get(&hash, &guard);
            for victim in eviction.admit(&newcomer, capacity, now, find) {
                if self.evict(victim, &guard) && victim.head().holds(epoch, now) {
                    evicted.push(victim.head().key.function);
                }
            }
        };
        if let Some(capacity) = capacity {
            make_room(&self.size_of(entry.head().key.function).eviction, capacity);
        }
        make_room(&self.eviction, self.capacity);
        if let Some(old) = replaced {
            // Only now: until here its place was the newcomer's to have.
            self.forget(old, hash, &guard);
        }
        // What a table leaves behind that was grown out of waits, too, and is as large as the map.
        if self.inserted.fetch_add(1, Ordering::Relaxed) % FLUSHED == FLUSHED - 1 {
            guard.flush();
        }
        evicted
    }

    /// Takes an entry out that is to make room. Says whether it was still there.
    fn evict(&self, victim: &Kept, guard: &impl Guard) -> bool {
        let hash = self.hash(victim.head().key.borrowed());
        // Only if it is still this very entry: another may have taken its place.
        let removed = self
            .map
            .remove_if(&hash, |_, held| Arc::ptr_eq(held, victim), guard);
        let was_there = matches!(removed, Ok(Some(_)));
        if was_there {
            self.forget(victim, hash, guard);
        }
        was_there
    }

    /// Takes an entry out. Who calls this holds the key's flight shard (guard G7).
    pub(crate) fn remove(&self, key: KeyRef<'_>) {
        let guard = self.map.guard();
        let is_it = |_: &u64, held: &Kept| held.head().key.is(key);
        let hash = self.hash(key);
        if let Ok(Some((_, old))) = self.map.remove_if(&hash, is_it, &guard) {
            self.forget(old, hash, &guard);
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

    /// An entry is out of the map.
    fn forget(&self, old: &Kept, hash: u64, guard: &impl Guard) {
        let head = old.head();
        self.account(old, false);
        // Even where it is not queued yet: then it must not be any more.
        self.eviction.forget(old, hash);
        if head.marks.is_queued(Bound::Entries) {
            self.size_of(head.key.function).eviction.forget(old, hash);
        }
        if head.bytes() >= self.large {
            guard.flush();
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
        let sizes = self.sizes.pin();
        Arc::clone(sizes.get_or_insert_with(function, Arc::default))
    }
}

#[cfg(test)]
mod tests;
