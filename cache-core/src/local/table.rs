//! The table of local entries, by the hashes of their keys. Whoever looks something up takes no lock and
//! writes nothing that others read; whoever changes something takes the lock of one part of it.
//!
//! Open addressing with linear probing. Entries are found by one pointer each, and what leaves waits in
//! [`Limbo`] until nobody can be reading it any more. That is why there is `unsafe` here, in
//! `slots.rs` and `thin.rs` and nowhere else in the three crates: a map of a library cost a hit a third of
//! its time (docs/decisions/0031-own-table.md).

use std::sync::{Mutex, MutexGuard, PoisonError};

use limbo::Limbo;
pub(super) use readers::Reading;
use slots::{Current, Slots};
pub(crate) use thin::{Found, Held, Kept, Lent, Stored, View};

mod limbo;
mod readers;
mod slots;
mod thin;

/// How many parts: while one of them grows, the others are written to. Readers don't wait for either.
const PARTS: usize = 32;

/// The parts are told apart by the highest bits of a hash, the places in one by the lowest.
const PART: u32 = u64::BITS - PARTS.trailing_zeros();

/// Entries by hash. Of two with one hash the later has the place.
#[derive(Debug)]
pub(super) struct Table {
    parts: [Part; PARTS],
    limbo: Limbo,
    /// From how many bytes on an entry that has left waits for no others to leave.
    large: usize,
}

/// On cache lines of its own: what writers of one part write must not lie beside what readers of another
/// read.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part {
    current: Current,
    filled: Mutex<Filled>,
}

/// How full the current slots are; whoever has it locked is the only one to write to them.
#[derive(Debug, Default)]
struct Filled {
    /// How many places have an entry.
    living: usize,
    /// How many places are taken, by entries and by such as have left.
    taken: usize,
}

impl Table {
    pub(super) fn new(large: usize) -> Self {
        Self {
            parts: Default::default(),
            limbo: Limbo::default(),
            large,
        }
    }

    /// What is there, for as long as the reading goes on.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn find<'r>(&'r self, hash: u64, reading: &'r Reading) -> Option<Found<'r>> {
        self.part(hash).current.slots(reading).find(hash, reading)
    }

    /// The same, with a reading of its own.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn lend(&self, hash: u64) -> Option<Lent<'_>> {
        Lent::find(self, hash)
    }

    /// Puts an entry in, and returns the one that had the place.
    pub(super) fn insert(&self, hash: u64, entry: &Kept) -> Option<Kept> {
        let part = self.part(hash);
        let mut filled = part.lock();
        let reading = Reading::begin();
        let slots = part.current.slots(&reading);
        let place = slots.place_for(hash);
        if place.is_free() && slots.is_full_with(filled.taken + 1) {
            let room = Slots::with_room_for(filled.living + 1);
            slots.copy_into(&room);
            room.place_for(hash).put(hash, entry);
            filled.living += 1;
            filled.taken = filled.living;
            let grown_out_of = part.current.replace(room);
            drop((filled, reading));
            self.limbo.put_slots(grown_out_of);
            return None;
        }
        let is_new = place.is_free();
        let replaced = place.put(hash, entry);
        filled.taken += usize::from(is_new);
        filled.living += usize::from(replaced.is_none());
        drop((filled, reading));
        replaced.map(|replaced| self.part_with(replaced))
    }

    /// Takes out what is there, if `is` says so of it.
    pub(super) fn remove_if(&self, hash: u64, is: impl FnOnce(Found<'_>) -> bool) -> Option<Kept> {
        let part = self.part(hash);
        let mut filled = part.lock();
        let reading = Reading::begin();
        let slots = part.current.slots(&reading);
        if !slots.find(hash, &reading).is_some_and(is) {
            return None;
        }
        let removed = slots.take(hash)?;
        filled.living -= 1;
        drop((filled, reading));
        Some(self.part_with(removed))
    }

    /// Drops what has left and nobody reads any more, once there is much of it. To be called where no lock of
    /// this is held, and nothing read: a value's `Drop` is its owner's code.
    pub(super) fn tidy(&self) {
        if self.limbo.is_full() {
            drop(self.limbo.collect());
        }
    }

    /// An entry that has left: readers may have found it before.
    fn part_with(&self, entry: Kept) -> Kept {
        let is_large = entry.head().bytes() >= self.large;
        self.limbo.put_entry(entry.clone(), is_large);
        entry
    }

    #[inline]
    fn part(&self, hash: u64) -> &Part {
        // Always there, which the compiler does not see.
        &self.parts[(hash >> PART) as usize % PARTS]
    }
}

impl Part {
    fn lock(&self) -> MutexGuard<'_, Filled> {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
