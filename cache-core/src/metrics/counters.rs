//! Counters owned by threads and summed by readers: a hit costs one plain increment of a word that
//! no other thread writes.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{
    AtomicU8, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Count {
    HitLocal,
    HitShared,
    HitStale,
    HitOutage,
    Coalesced,
    Miss,
    Bypassed,
    Load,
    LoadError,
    LoadTimeout,
    Refresh,
    Rescued,
    FillRefused,
    Update,
    UpdateRefused,
    InvalidationApplied,
    InvalidationQueued,
    StoreError,
    Undecodable,
    Unkeyed,
    Evicted,
    InvalidationReplayed,
    QueueWidened,
    BreakerOpened,
    TrustLost,
    EpochStep,
    Distrusted,
}

const COUNTS: usize = Count::Distrusted as usize + 1;

/// What one thread has counted. Used again once nobody needs it: there are no more than there ever were
/// pairs of a thread and a set of counters at a time.
#[derive(Debug)]
struct Block {
    words: [AtomicU64; COUNTS],
    /// Whose slot it is at.
    slot: AtomicUsize,
    /// Who has no more use for it: [`THREAD`], [`COUNTERS`].
    left: AtomicU8,
}

/// The thread has ended.
const THREAD: u8 = 1;
/// The counters are gone.
const COUNTERS: u8 = 2;

static SPARE: Mutex<Vec<&'static Block>> = Mutex::new(Vec::new());

impl Block {
    const fn new() -> Self {
        Self {
            words: [const { AtomicU64::new(0) }; COUNTS],
            slot: AtomicUsize::new(0),
            left: AtomicU8::new(0),
        }
    }

    fn get(&self, count: Count) -> u64 {
        self.words[count as usize].load(Relaxed)
    }

    /// Counts, on the thread whose block it is.
    #[inline]
    fn add(&self, count: Count, by: u64) {
        // Only this thread writes this word: a load and a store lose nothing.
        let word = &self.words[count as usize];
        word.store(word.load(Relaxed) + by, Relaxed);
    }

    /// One that nobody uses.
    fn spare() -> &'static Self {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Box::leak(Box::new(Self::new())))
    }

    /// Gives up one side's use of it.
    fn leave(&'static self, side: u8) {
        // Released and acquired: what the thread has counted last is seen by whoever comes second.
        if self.left.fetch_or(side, AcqRel) | side != THREAD | COUNTERS {
            return;
        }
        for word in &self.words {
            word.store(0, Relaxed);
        }
        self.left.store(0, Relaxed);
        SPARE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self);
    }
}

/// The counters of one kind in one cache.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Where each thread finds its own block: never reused.
    slot: usize,
    /// What threads that have ended had counted, and what is counted while a thread ends.
    base: Block,
    blocks: Mutex<Vec<&'static Block>>,
}

thread_local! {
    /// The thread's blocks, by slot.
    static OWN: RefCell<Own> = const { RefCell::new(Own(Vec::new())) };
    /// The one that was counted in last. Without a `Drop`, so that it is found without a question.
    static LAST: Cell<Option<&'static Block>> = const { Cell::new(None) };
}

struct Own(Vec<Option<&'static Block>>);

impl Drop for Own {
    fn drop(&mut self) {
        // What is counted from here on is not the thread's any more.
        LAST.set(None);
        for block in self.0.drain(..).flatten() {
            block.leave(THREAD);
        }
    }
}

impl Counters {
    pub(crate) fn new() -> Self {
        static SLOTS: AtomicUsize = AtomicUsize::new(0);
        Self {
            slot: SLOTS.fetch_add(1, Relaxed),
            base: Block::new(),
            blocks: Mutex::default(),
        }
    }

    /// Counts one.
    #[inline]
    pub(crate) fn count(&self, count: Count) {
        self.add(count, 1);
    }

    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn add(&self, count: Count, by: u64) {
        match LAST.get() {
            Some(block) if block.slot.load(Relaxed) == self.slot => block.add(count, by),
            _ => self.add_elsewhere(count, by),
        }
    }

    /// Counts where the thread has counted in another set last.
    #[cold]
    #[inline(never)]
    fn add_elsewhere(&self, count: Count, by: u64) {
        let known = OWN.try_with(|own| {
            // Nothing calls out while this is borrowed, so it is never borrowed twice.
            let mut own = own.borrow_mut();
            if own.0.len() <= self.slot {
                own.0.resize(self.slot + 1, None);
            }
            let block = *own.0[self.slot].get_or_insert_with(|| self.enlist());
            LAST.set(Some(block));
            block
        });
        match known {
            Ok(block) => block.add(count, by),
            // The thread is ending and its blocks are gone.
            Err(_) => {
                self.base.words[count as usize].fetch_add(by, Relaxed);
            }
        }
    }

    /// The sum over all threads.
    pub(crate) fn sum(&self, count: Count) -> u64 {
        let blocks = self.blocks();
        // The base is read under the lock under which blocks are folded into it.
        let base = self.base.get(count);
        base + blocks.iter().map(|block| block.get(count)).sum::<u64>()
    }

    fn enlist(&self) -> &'static Block {
        let block = Block::spare();
        block.slot.store(self.slot, Relaxed);
        self.blocks().push(block);
        block
    }

    fn blocks(&self) -> MutexGuard<'_, Vec<&'static Block>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.retain(|block| {
            if block.left.load(Acquire) & THREAD == 0 {
                return true;
            }
            for (base, word) in self.base.words.iter().zip(&block.words) {
                base.fetch_add(word.load(Relaxed), Relaxed);
            }
            block.leave(COUNTERS);
            false
        });
        blocks
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        let blocks = self.blocks.get_mut();
        for block in blocks.unwrap_or_else(PoisonError::into_inner).drain(..) {
            block.leave(COUNTERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn counts_of_living_and_ended_threads_are_summed() {
        let counters = Arc::new(Counters::new());
        counters.count(Count::Miss);
        let other = Arc::clone(&counters);
        std::thread::spawn(move || {
            for _ in 0..1_000 {
                other.count(Count::Miss);
            }
        })
        .join()
        .expect("the thread only counts");
        assert_eq!(counters.sum(Count::Miss), 1_001);
        assert_eq!(
            counters.sum(Count::Miss),
            1_001,
            "folding must not count twice"
        );
        assert_eq!(counters.sum(Count::Load), 0);
    }

    #[test]
    fn two_sets_of_counters_do_not_mix() {
        let (one, two) = (Counters::new(), Counters::new());
        one.count(Count::HitLocal);
        two.add(Count::HitLocal, 5);
        assert_eq!((one.sum(Count::HitLocal), two.sum(Count::HitLocal)), (1, 5));
    }

    #[test]
    fn many_sets_are_told_apart() {
        let sets: Vec<_> = (0..24).map(|_| Counters::new()).collect();
        for round in 0..10 {
            for (number, set) in sets.iter().enumerate() {
                set.add(Count::Miss, number as u64);
                assert_eq!(set.sum(Count::Miss), (round + 1) * number as u64);
            }
        }
    }

    #[test]
    fn blocks_are_used_again_with_nothing_in_them() {
        for _ in 0..100 {
            let counters = Arc::new(Counters::new());
            let other = Arc::clone(&counters);
            let count = move || other.add(Count::Miss, 3);
            std::thread::spawn(count).join().expect("it only counts");
            assert_eq!(counters.sum(Count::Miss), 3);
            counters.count(Count::Miss);
            assert_eq!(counters.sum(Count::Miss), 4);
        }
    }
}
