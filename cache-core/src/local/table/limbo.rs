//! Where entries and slots are that were taken out, until nobody can be reading them any more.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::readers;
use super::slots::GrownOutOf;
use super::thin::Kept;

/// How many wait before somebody looks whether they must.
const ENOUGH: usize = 64;

/// What has left, the latest last.
#[derive(Default)]
pub(super) struct Limbo {
    waiting: Mutex<Waiting>,
    /// How many have come since somebody looked.
    fresh: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    /// Of the epoch that has not ended yet.
    fresh: Vec<Gone>,
    /// By the epoch they belong to.
    earlier: VecDeque<(u64, Vec<Gone>)>,
}

/// What has left.
pub(super) enum Gone {
    Entry(#[expect(dead_code, reason = "held until it is dropped")] Kept),
    Slots(#[expect(dead_code, reason = "held until it is dropped")] GrownOutOf),
}

impl Limbo {
    /// `is_large`: it waits for no others.
    pub(super) fn put_entry(&self, entry: Kept, is_large: bool) {
        self.put(Gone::Entry(entry), if is_large { ENOUGH } else { 1 });
    }

    /// Slots wait for no others: they may be larger than all that will ever leave.
    pub(super) fn put_slots(&self, slots: GrownOutOf) {
        self.put(Gone::Slots(slots), ENOUGH);
    }

    fn put(&self, gone: Gone, counts: usize) {
        self.lock().fresh.push(gone);
        self.fresh.fetch_add(counts, Ordering::Relaxed);
    }

    /// Whether it is time to [`collect`](Self::collect).
    pub(super) fn is_full(&self) -> bool {
        self.fresh.load(Ordering::Relaxed) >= ENOUGH
    }

    /// What nobody can be reading any more, to be dropped where no lock is held.
    pub(super) fn collect(&self) -> Vec<Gone> {
        let mut waiting = self.lock();
        self.fresh.store(0, Ordering::Relaxed);
        let fresh = mem::take(&mut waiting.fresh);
        // In this order: what is in `fresh` can't be found any more, so no reading that begins in a later epoch
        // finds it.
        let epoch = readers::end_epoch();
        if !fresh.is_empty() {
            waiting.earlier.push_back((epoch, fresh));
        }
        let mut gone = Vec::new();
        let Some(oldest) = readers::oldest() else {
            return gone;
        };
        while let Some((_, all)) = waiting.earlier.pop_front_if(|(epoch, _)| *epoch < oldest) {
            gone.extend(all);
        }
        if !waiting.earlier.is_empty() {
            // Somebody is reading: it is tried again sooner.
            self.fresh.fetch_add(ENOUGH / 4 * 3, Ordering::Relaxed);
        }
        gone
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Limbo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limbo").finish_non_exhaustive()
    }
}
