//! The places of a part of the table, and the pointers in them: who follows one, and who owns what it
//! points to.
//!
//! # Why the pointers can be followed
//!
//! A pointer in a place owns one count of its entry, and [`Current`] one of its slots. Whoever takes
//! such a pointer away hands what it owned to `Limbo`, through `table.rs`, and that drops it only when every
//! [`Reading`] has ended that began before it was taken away (`readers.rs` has the argument). A pointer is
//! only followed during a reading which began before it was read here, and what is found can outlive
//! neither that reading nor the table: it borrows both. Places are written under the lock of their part only.
//!
//! What a place shows of a hash is a hint, and may be another entry's by the time that its pointer is read:
//! who asks compares keys. At worst one who asks while an entry is exchanged finds none.

#![expect(
    unsafe_code,
    reason = "readers hold no lock and no count of what they read"
)]

use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::readers::Reading;
use super::thin::{self, Found, Front, Kept};

/// The slots that a part uses now.
pub(super) struct Current(AtomicPtr<Slots>);

/// Places, a power of two of them, of which some are always free: a search ends at one.
#[derive(Debug)]
pub(super) struct Slots {
    places: Box<[Place]>,
}

/// A place for one entry: its hash, and where it is.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Zero where none has ever been.
    hash: AtomicU64,
    /// Null where there is none.
    entry: AtomicPtr<Front>,
}

/// What nobody can find any more who does not read already.
#[derive(Debug)]
pub(super) struct GrownOutOf(#[expect(dead_code, reason = "held until it is dropped")] Arc<Slots>);

impl Current {
    /// What is current, or was when the reading began.
    #[inline]
    pub(super) fn slots<'r>(&'r self, _: &'r Reading) -> &'r Slots {
        // SAFETY: it owns a count of them. Once they are replaced, that count is in limbo until this
        // reading has ended.
        unsafe { &*self.0.load(Acquire) }
    }

    /// Has others take their place, to which all entries were copied.
    pub(super) fn replace(&self, slots: Slots) -> GrownOutOf {
        let old = self
            .0
            .swap(Arc::into_raw(Arc::new(slots)).cast_mut(), Release);
        // SAFETY: it comes from `into_raw`, and its count is not this pointer's any more.
        GrownOutOf(unsafe { Arc::from_raw(old) })
    }
}

impl Default for Current {
    fn default() -> Self {
        let slots = Arc::new(Slots::with_room_for(0));
        Self(AtomicPtr::new(Arc::into_raw(slots).cast_mut()))
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        // SAFETY: it comes from `into_raw`, and nobody reads: whoever reads borrows the table.
        let slots = unsafe { Arc::from_raw(*self.0.get_mut()) };
        for place in &slots.places {
            drop(place.exchange(ptr::null_mut()));
        }
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

/// As it is in a place: there, zero is none.
#[inline]
fn shown(hash: u64) -> u64 {
    hash.max(1)
}

impl Slots {
    /// No more than half full with so many.
    pub(super) fn with_room_for(entries: usize) -> Self {
        let places = entries.saturating_mul(2).next_power_of_two().max(4);
        Self {
            places: (0..places).map(|_| Place::default()).collect(),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether that many places are too many to be taken.
    pub(super) fn is_full_with(&self, taken: usize) -> bool {
        taken > self.places.len() / 4 * 3
    }

    /// The entry of a hash.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn find<'r>(&'r self, hash: u64, _: &'r Reading) -> Option<Found<'r>> {
        let hash = shown(hash);
        for place in self.from(hash) {
            let seen = place.hash.load(Relaxed);
            if seen == hash {
                let entry = place.entry.load(Acquire);
                if !entry.is_null() {
                    // SAFETY: the place owned a count of it when it was read. Once it is taken away, that
                    // count is in limbo until this reading has ended.
                    return Some(unsafe { Found::at(entry) });
                }
            } else if seen == 0 {
                break;
            }
        }
        None
    }

    /// Where the entry of a hash is, or else where it may be put: where one has left, or where none has ever
    /// been.
    pub(super) fn place_for(&self, hash: u64) -> &Place {
        let hash = shown(hash);
        let mut left = None;
        for place in self.from(hash) {
            let seen = place.hash.load(Relaxed);
            let is_empty = place.entry.load(Relaxed).is_null();
            if seen == 0 {
                return left.unwrap_or(place);
            }
            if is_empty {
                left = left.or(Some(place));
            } else if seen == hash {
                return place;
            }
        }
        // Some are always free.
        left.unwrap_or(&self.places[0])
    }

    /// Takes the entry of a hash out.
    pub(super) fn take(&self, hash: u64) -> Option<Kept> {
        let place = self.place_for(hash);
        // One that has left keeps its hash: a search must go on behind it.
        place.exchange(ptr::null_mut())
    }

    /// Has all entries in others, too, whose they are from then on.
    pub(super) fn copy_into(&self, others: &Self) {
        for place in &self.places {
            let entry = place.entry.load(Relaxed);
            if !entry.is_null() {
                let hash = place.hash.load(Relaxed);
                let to = others.place_for(hash);
                to.hash.store(hash, Relaxed);
                to.entry.store(entry, Relaxed);
            }
        }
    }

    /// All places, from where a hash belongs on.
    #[inline]
    fn from(&self, hash: u64) -> impl Iterator<Item = &Place> {
        let mask = self.places.len() - 1;
        // Its lowest bits are enough.
        #[allow(clippy::cast_possible_truncation)]
        let first = hash as usize;
        (0..self.places.len()).map(move |further| &self.places[first.wrapping_add(further) & mask])
    }
}

impl Place {
    /// Has an entry there, and returns what was there.
    pub(super) fn put(&self, hash: u64, entry: &Kept) -> Option<Kept> {
        self.hash.store(shown(hash), Relaxed);
        self.exchange(thin::into_raw(entry))
    }

    /// Whether none has ever been there.
    pub(super) fn is_free(&self) -> bool {
        self.hash.load(Relaxed) == 0
    }

    /// Has another entry there, or none, and returns what was there.
    fn exchange(&self, entry: *mut Front) -> Option<Kept> {
        let old = self.entry.swap(entry, Release);
        if old.is_null() {
            return None;
        }
        // SAFETY: it was put there by `put`, which took it from `into_raw`, or copied there together with
        // what it owned; and that is not this place's any more.
        Some(unsafe { thin::from_raw(old) })
    }
}
