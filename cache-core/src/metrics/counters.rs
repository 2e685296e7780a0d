//! Counters owned by threads and summed by readers: a hit costs one plain increment of a word that
//! no other thread writes.

use std::cell::RefCell;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed},
    fence,
};
use std::sync::{Arc, Mutex, PoisonError};

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

#[derive(Debug)]
struct Block([AtomicU64; COUNTS]);

impl Block {
    fn new() -> Self {
        Self([const { AtomicU64::new(0) }; COUNTS])
    }

    fn get(&self, count: Count) -> u64 {
        self.0[count as usize].load(Relaxed)
    }
}

/// The counters of one kind in one cache.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Where each thread finds its own block: never reused.
    slot: usize,
    /// What threads that have ended had counted, and what is counted while a thread ends.
    base: Block,
    blocks: Mutex<Vec<Arc<Block>>>,
}

thread_local! {
    static OWN: RefCell<Vec<Option<Arc<Block>>>> = const { RefCell::new(Vec::new()) };
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

    #[inline]
    pub(crate) fn add(&self, count: Count, by: u64) {
        let owned = OWN.try_with(|own| {
            if let Some(Some(block)) = own.borrow().get(self.slot) {
                // Only this thread writes this word: a load and a store lose nothing.
                let word = &block.0[count as usize];
                word.store(word.load(Relaxed) + by, Relaxed);
                return true;
            }
            false
        });
        if owned != Ok(true) {
            self.add_first(count, by);
        }
    }

    /// Counts what is the first that this thread counts here.
    #[cold]
    fn add_first(&self, count: Count, by: u64) {
        let owned = OWN.try_with(|own| {
            let block = self.enlist();
            block.0[count as usize].store(by, Relaxed);
            // Nothing calls out while this is borrowed, so it is never borrowed twice.
            let mut own = own.borrow_mut();
            if own.len() <= self.slot {
                own.resize(self.slot + 1, None);
            }
            own[self.slot] = Some(block);
        });
        if owned.is_err() {
            // The thread is ending and its blocks are gone.
            self.base.0[count as usize].fetch_add(by, Relaxed);
        }
    }

    /// The sum over all threads.
    pub(crate) fn sum(&self, count: Count) -> u64 {
        let blocks = self.blocks();
        // The base is read under the lock under which blocks are folded into it.
        let base = self.base.get(count);
        base + blocks.iter().map(|block| block.get(count)).sum::<u64>()
    }

    fn enlist(&self) -> Arc<Block> {
        let block = Arc::new(Block::new());
        let mut blocks = self.blocks();
        blocks.push(Arc::clone(&block));
        block
    }

    fn blocks(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Block>>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        // A block only we hold belonged to a thread that has ended.
        blocks.retain(|block| {
            if Arc::strong_count(block) > 1 {
                return true;
            }
            // That the thread's handle is gone was read without an order: what it counted last must not
            // be read from before.
            fence(Acquire);
            for (base, word) in self.base.0.iter().zip(&block.0) {
                base.fetch_add(word.load(Relaxed), Relaxed);
            }
            false
        });
        blocks
    }
}

#[cfg(test)]
mod tests {
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
}
