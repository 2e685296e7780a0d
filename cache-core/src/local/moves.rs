//! One word that says whether anything has moved, so that a hit need not look at each tag of its entry.
//!
//! # Why a hit may go by it
//!
//! Whoever ends a stamp, or an epoch, does so first and then counts a move ([`Moves::ending`]); only
//! after that is the invalidation acknowledged. Whoever looks an entry over first reads the count
//! ([`Moves::seen`]), then looks at its epoch and all of its tags, and where all of them hold, writes the
//! count it has read into the entry. A later hit that reads the very count that the entry bears
//! serves it.
//!
//! Say that an invalidation was acknowledged, and that a hit which began after that finds the entry to
//! bear the count it reads. It has read the count of the invalidation's move, or a later one. Who wrote
//! it into the entry had read it before it looked at the tags. Every move is one step of one word
//! (`AcqRel`), so that reading a count (`Acquire`) shows what was done before that move and before
//! all earlier ones: the invalidated stamp was gone when it looked at the tags. So it did not write it.
//!
//! Either order turned round breaks this. A move that is counted before the stamp goes is read by
//! someone who still finds the stamp; so is one that is read after the tags were looked at.
//!
//! A count that is too old costs a look at the tags, no more: two who look at one entry at once may leave
//! the older count in it. And nothing needs to be counted that only makes entries hold: a stamp that
//! becomes known where none was.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often something that local entries hang on has ended, in one cache.
///
/// On cache lines of its own: every hit reads it, so nothing that is written often may lie beside
/// it, like the count of those who share it.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Moves(AtomicU64);

/// How often something had ended when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(u64);

/// The last count at which an entry was looked over, and held.
#[derive(Debug, Default)]
pub(crate) struct Verified(AtomicU64);

impl Default for Moves {
    fn default() -> Self {
        // Zero is what an entry bears that was never looked over.
        Self(AtomicU64::new(1))
    }
}

impl Moves {
    /// Has `end` put an end to something, and counts that, in this order, if `ended` says of what it
    /// returns that anything has ended. Nobody is to be told of it before this returns.
    pub(super) fn ending<T>(&self, end: impl FnOnce() -> T, ended: impl FnOnce(&T) -> bool) -> T {
        let end = end();
        if ended(&end) {
            self.count();
        }
        end
    }

    fn count(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// To be read before anything is looked at that may move.
    #[inline]
    pub(super) fn seen(&self) -> Seen {
        Seen(self.0.load(Ordering::Acquire))
    }
}

impl Verified {
    /// Whether an entry holds: because it did when it was looked over last, and nothing has moved since;
    /// or else because `look`, which is told nothing and looks at everything, says so.
    #[inline]
    pub(super) fn holds(&self, seen: Seen, look: impl FnOnce() -> bool) -> bool {
        if self.0.load(Ordering::Relaxed) == seen.0 {
            return true;
        }
        let holds = look();
        if holds {
            // Once for each move at most: readers of an entry share no written line but then.
            self.0.store(seen.0, Ordering::Relaxed);
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// What a thread does, one step at a time, in the order in which it should.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Step {
        End,
        Count,
        Read,
        Look,
        Write,
    }

    /// Whether a hit that comes after all of it is served from an entry that has ended.
    fn is_stale(steps: &[Step]) -> bool {
        let (moves, verified) = (Moves::default(), Verified::default());
        let holds = AtomicBool::new(true);
        let (mut seen, mut held) = (None, None);
        for step in steps {
            match step {
                Step::End => holds.store(false, Ordering::Release),
                Step::Count => moves.count(),
                Step::Read => seen = Some(moves.seen()),
                Step::Look => held = Some(holds.load(Ordering::Acquire)),
                Step::Write => {
                    let (Some(seen), Some(held)) = (seen, held) else {
                        panic!("nothing to write yet");
                    };
                    verified.holds(seen, || held);
                }
            }
        }
        verified.holds(moves.seen(), || holds.load(Ordering::Acquire))
    }

    /// All ways in which the steps of two threads can follow each other.
    fn interleaved(one: &[Step], other: &[Step]) -> Vec<Vec<Step>> {
        let ([first, one_left @ ..], [second, other_left @ ..]) = (one, other) else {
            return vec![[one, other].concat()];
        };
        let with_first = interleaved(one_left, other)
            .into_iter()
            .map(|left| [&[*first], &*left].concat());
        let with_second = interleaved(one, other_left)
            .into_iter()
            .map(|left| [&[*second], &*left].concat());
        with_first.chain(with_second).collect()
    }

    fn stale(ender: [Step; 2], reader: [Step; 3]) -> usize {
        let all = interleaved(&ender, &reader);
        assert_eq!(all.len(), 10);
        all.iter().filter(|steps| is_stale(steps)).count()
    }

    #[test]
    fn no_order_of_two_threads_has_a_later_hit_served_from_what_has_ended() {
        use Step::{Count, End, Look, Read, Write};
        assert_eq!(stale([End, Count], [Read, Look, Write]), 0);
        // What the order is there for: the other ways round fail.
        assert_ne!(stale([Count, End], [Read, Look, Write]), 0);
        assert_ne!(stale([End, Count], [Look, Read, Write]), 0);
    }

    #[test]
    fn what_was_looked_over_is_not_looked_at_again_until_something_moves() {
        let (moves, verified) = (Moves::default(), Verified::default());
        assert!(!verified.holds(moves.seen(), || false), "it was never");
        assert!(verified.holds(moves.seen(), || true));
        assert!(verified.holds(moves.seen(), || false), "nobody looks");
        moves.ending(|| (), |()| false);
        assert!(verified.holds(moves.seen(), || false), "nothing has ended");
        moves.ending(|| (), |()| true);
        assert!(!verified.holds(moves.seen(), || false));
        assert!(verified.holds(moves.seen(), || true));
    }

    #[test]
    fn who_looks_while_something_ends_does_not_vouch_for_it_afterwards() {
        let (moves, holds) = (Moves::default(), Cell::new(true));
        let (early, late) = (Verified::default(), Verified::default());
        let look = |verified: &Verified| verified.holds(moves.seen(), || holds.get());
        let end = || {
            // Another thread, just before it ends: it still has the word of the count before.
            assert!(look(&early));
            holds.set(false);
            assert!(!look(&late));
        };
        moves.ending(end, |()| true);
        assert!(!look(&early) && !look(&late));
        // And one whose look takes so long that it ends meanwhile.
        holds.set(true);
        assert!(early.holds(moves.seen(), || {
            let held = holds.get();
            moves.ending(|| holds.set(false), |()| true);
            held
        }));
        assert!(!look(&early));
    }
}
