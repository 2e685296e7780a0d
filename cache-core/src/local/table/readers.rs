//! Who is reading now, and when nobody can be reading any more what has been taken out: epochs, as K. Fraser
//! describes them ("Practical lock-freedom", University of Cambridge 2004), with the barrier on the writers'
//! side, as in M. Desnoyers et al., "User-Level Implementations of Read-Copy Update" (IEEE TPDS 2012).
//!
//! # Why what `oldest` does not protect can be dropped
//!
//! A reader says that it reads, by a word of its own ([`Reader::active`]), and looks at pointers after that.
//! Whoever drops something has first taken away the pointer to it, then ended the epoch, and looks at
//! all readers' words after that. Between the two steps of each of them is a barrier, so one of them sees
//! what the other has done first: either the reader finds the pointer gone, or its word is seen, with
//! an epoch not after the one that was ended. A reader that bears a later epoch has read that the
//! epoch was ended, and with that finds the pointer gone.
//!
//! The reader's barrier would be most of what a look costs, so where the system has `membarrier`, which
//! executes one on all threads of the process at once, those who drop something call that, and readers
//! have none.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    compiler_fence, fence,
};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The lowest bits of a reader's word count its open readings, the others are the epoch of the first of them.
const OPEN: u64 = (1 << 19) - 1;
/// Beside them: the thread is ending, and gives its reader back with its last reading.
const ENDING: u64 = OPEN + 1;
/// Where the epoch begins.
const EPOCH_BITS: u32 = 20;

/// The word of a reader that begins to read now: how many epochs have ended, and one, and one open reading.
static EPOCH: AtomicU64 = AtomicU64::new((1 << EPOCH_BITS) + 1);
/// Whether whoever drops something has a barrier executed on the readers' threads. Where a reader finds that
/// it is not so, or not yet, it executes one itself.
static AFAR: AtomicBool = AtomicBool::new(false);
static READERS: Mutex<Readers> = Mutex::new(Readers {
    all: Vec::new(),
    idle: Vec::new(),
});

/// As many as there ever were threads that read at a time: kept for ever, and used again.
struct Readers {
    all: Vec<&'static Reader>,
    idle: Vec<&'static Reader>,
}

/// A thread that reads. On cache lines of its own: it writes its word at every look.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Reader {
    /// The epoch it began to read in, and how many readings are open; zero while none is. Written by the
    /// thread whose reader it is, and by no other. Always released, so that who sees a word, and not the zero
    /// before it, knows that the reading before has ended.
    active: AtomicU64,
}

thread_local! {
    /// The thread's. Without a `Drop`, so that it is found without a question.
    static HERE: Cell<Option<&'static Reader>> = const { Cell::new(None) };
    /// Gives the thread's reader back when the thread ends.
    static LEAVING: Leaving = const { Leaving };
}

struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        give_back();
    }
}

/// While one is open on a thread, nothing is dropped that can be found there. There may be several.
pub(crate) struct Reading {
    reader: &'static Reader,
    /// It is the thread's.
    here: PhantomData<*const ()>,
}

impl Reading {
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn begin() -> Self {
        let reader = match HERE.get() {
            Some(reader) if reader.active.load(Relaxed) == 0 => {
                reader.begin(0);
                reader
            }
            known => Reader::begin_otherwise(known),
        };
        Self {
            reader,
            here: PhantomData,
        }
    }
}

impl Drop for Reading {
    #[inline]
    fn drop(&mut self) {
        let left = self.reader.active.load(Relaxed) - 1;
        if left & (OPEN | ENDING) == 0 {
            self.reader.active.store(0, Release);
        } else {
            self.reader.leave(left);
        }
    }
}

impl Reader {
    /// Begins the first reading.
    #[inline]
    fn begin(&self, ending: u64) {
        self.active.store(EPOCH.load(Acquire) | ending, Release);
        if AFAR.load(Relaxed) {
            compiler_fence(SeqCst);
        } else {
            fence(SeqCst);
        }
    }

    /// Begins a reading within another, or one on a thread that has no reader.
    #[cold]
    #[inline(never)]
    fn begin_otherwise(known: Option<&'static Self>) -> &'static Self {
        if let Some(reader) = known {
            let open = reader.active.load(Relaxed);
            // Each takes some of the stack, of which there is not so much.
            assert!(open & OPEN < OPEN, "more readings than can be counted");
            reader.active.store(open + 1, Release);
            return reader;
        }
        let reader = enlist();
        let ending = LEAVING.try_with(|_| ()).is_err();
        reader.begin(if ending { ENDING } else { 0 });
        reader
    }

    /// A reading has ended, and this is left: others, or none any more on a thread that is ending.
    #[cold]
    #[inline(never)]
    fn leave(&self, left: u64) {
        if left & OPEN == 0 {
            give_back();
        } else {
            self.active.store(left, Release);
        }
    }
}

/// Gives the thread a reader.
fn enlist() -> &'static Reader {
    let reader = {
        let mut readers = readers();
        readers.idle.pop().unwrap_or_else(|| {
            let reader: &'static Reader = Box::leak(Box::default());
            readers.all.push(reader);
            reader
        })
    };
    HERE.set(Some(reader));
    reader
}

fn give_back() {
    if let Some(reader) = HERE.take() {
        reader.active.store(0, Release);
        readers().idle.push(reader);
    }
}

fn readers() -> MutexGuard<'static, Readers> {
    READERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends an epoch, and says which. What was taken out before belongs to it.
pub(super) fn end_epoch() -> u64 {
    EPOCH.fetch_add(1 << EPOCH_BITS, AcqRel) >> EPOCH_BITS
}

/// The oldest epoch that anybody reads in: what belongs to an earlier one can be dropped. To be asked after the
/// epoch was ended. `None`: that can't be known.
pub(super) fn oldest() -> Option<u64> {
    if !barrier() {
        return None;
    }
    let readers = readers();
    let active = readers.all.iter().map(|reader| reader.active.load(Acquire));
    let epochs = active.map(|word| word >> EPOCH_BITS);
    Some(epochs.filter(|epoch| *epoch != 0).min().unwrap_or(u64::MAX))
}

/// Executes a barrier here, and on all threads that leave theirs to this. Says whether it did.
fn barrier() -> bool {
    /// Settled once: were readers to leave it to writers of whom one can't, they would read what is dropped.
    static SETTLED: OnceLock<bool> = OnceLock::new();
    let afar = *SETTLED.get_or_init(|| {
        let afar = everywhere();
        AFAR.store(afar, Relaxed);
        afar
    });
    fence(SeqCst);
    !afar || everywhere()
}

#[cfg(all(target_os = "linux", not(miri)))]
fn everywhere() -> bool {
    use rustix::thread::{MembarrierCommand, membarrier};

    let barrier = || membarrier(MembarrierCommand::PrivateExpedited).is_ok();
    // A process has to ask for it once. Where it is not to be had, a sandbox forbids it, or the kernel is
    // older.
    barrier() || (membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok() && barrier())
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn everywhere() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::thread;

    use super::*;

    /// What a reader and somebody who drops something do, one step at a time.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Step {
        /// It says that it reads, and since which epoch.
        Say,
        Find,
        Use,
        Leave,
        TakeOut,
        End,
        Look,
        Drop,
    }

    use Step::{Drop, End, Find, Leave, Look, Say, TakeOut, Use};

    /// Whether what was dropped is used, in this order of the steps of all.
    fn is_used_late(steps: &[Step]) -> bool {
        let (mut epoch, mut active, mut there) = (1_u64, 0, true);
        let (mut found, mut ended, mut may_drop, mut dropped) = (false, 0, false, false);
        for step in steps {
            match step {
                Say => active = epoch,
                Find => found = there,
                Use if found && dropped => return true,
                Use => {}
                Leave => active = 0,
                TakeOut => there = false,
                End => {
                    ended = epoch;
                    epoch += 1;
                }
                Look => may_drop = active == 0 || ended < active,
                Drop => dropped = may_drop,
            }
        }
        false
    }

    /// All ways in which two may take turns.
    fn interleaved(one: &[Step], other: &[Step]) -> Vec<Vec<Step>> {
        match (one.split_last(), other.split_last()) {
            (None, _) => vec![other.to_vec()],
            (_, None) => vec![one.to_vec()],
            (Some((last, rest)), Some((other_last, other_rest))) => {
                let with = |mut all: Vec<Vec<Step>>, last: Step| {
                    for steps in &mut all {
                        steps.push(last);
                    }
                    all
                };
                let mut all = with(interleaved(rest, other), *last);
                all.extend(with(interleaved(one, other_rest), *other_last));
                all
            }
        }
    }

    fn ever_late(reader: &[Step], dropper: &[Step]) -> bool {
        let mut all = interleaved(reader, dropper).into_iter();
        all.any(|steps| is_used_late(&steps))
    }

    /// With each step where it is, nothing that was dropped is used; with two of them the other way round, it is.
    #[test]
    fn the_order_of_the_steps_is_what_protects() {
        let (reader, dropper) = ([Say, Find, Use, Leave], [TakeOut, End, Look, Drop]);
        assert!(!ever_late(&reader, &dropper));
        assert!(
            ever_late(&[Find, Say, Use, Leave], &dropper),
            "found before it was said"
        );
        assert!(
            ever_late(&[Say, Find, Leave, Use], &dropper),
            "used after it has left"
        );
        assert!(
            ever_late(&reader, &[Look, TakeOut, End, Drop]),
            "looked too soon"
        );
        assert!(
            ever_late(&reader, &[End, Look, TakeOut, Drop]),
            "taken out too late"
        );
        // A second reading, in a later epoch, must not be taken for the first one's end.
        let again = [Say, Find, Use, Leave, Say, Find, Use, Leave];
        assert!(!ever_late(&again, &dropper));
    }

    #[test]
    fn a_reading_holds_back_its_epoch_and_no_later_one() {
        let reading = Reading::begin();
        let ended = end_epoch();
        let inner = Reading::begin();
        assert!(oldest().is_none_or(|oldest| oldest <= ended));
        drop(inner);
        assert!(
            oldest().is_none_or(|oldest| oldest <= ended),
            "the outer one goes on"
        );
        drop(reading);
        // Others may read in other tests, but none since then.
        let again = Reading::begin();
        let mine = HERE.get().expect("it reads");
        assert!(mine.active.load(Relaxed) >> EPOCH_BITS > ended);
        drop(again);
        assert_eq!(mine.active.load(Relaxed), 0);
    }

    /// Reads when its thread ends, after everything of the thread's that was made later is gone.
    struct Late;

    impl std::ops::Drop for Late {
        fn drop(&mut self) {
            let reading = Reading::begin();
            let inner = Reading::begin();
            let active = HERE.get().map(|reader| reader.active.load(Relaxed));
            assert!(active.is_some_and(|word| word >> EPOCH_BITS > 0));
            drop(inner);
            drop(reading);
        }
    }

    thread_local! {
        static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
    }

    #[test]
    fn threads_that_have_ended_leave_their_readers_to_others() {
        for late_first in [true, false] {
            for _ in 0..200 {
                let read = move || {
                    let late = || LATE.with(|late| *late.borrow_mut() = Some(Late));
                    if late_first {
                        late();
                    }
                    drop(Reading::begin());
                    if !late_first {
                        late();
                    }
                };
                thread::spawn(read).join().expect("it only reads");
            }
        }
        let all = readers().all.len();
        assert!(
            all < 200,
            "{all} readers for a handful of threads at a time"
        );
    }
}
