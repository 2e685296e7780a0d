//! Tag cells: what this node knows of a tag. All local entries that carry a tag share its cell, so
//! that invalidating it is one store, however many they are.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::mixed::Mixed;
use super::moves::{Moves, Seen};
use crate::sabotage::{Guard, removed};
use crate::store::Stamp;

/// The reply that brings a stamp.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// Of a command that has made what was missing.
    Made,
    /// Of one that has only looked; `knew`: whether a stamp was known when it was sent.
    Seen { knew: bool },
}

/// One tag, as this node knows it.
#[derive(Debug)]
pub(crate) struct Cell {
    tag: Box<str>,
    /// The stamp; zero while it is not known.
    stamp: AtomicU64,
    /// The stamp as it was when the node lost sight of it, unless it was invalidated since; zero
    /// where there is none. What is served during an outage goes by it, and nothing else does.
    former: AtomicU64,
    /// At which point of the node's calls the stamp was learnt or made (guard G8). Written under the lock
    /// only.
    learnt: AtomicU64,
    /// How often it moved. Written under the lock only.
    moved: AtomicU64,
    /// Taken by whoever changes the cell.
    standing: Mutex<Standing>,
    /// Those of all cells of the cache.
    moves: Arc<Moves>,
}

/// What a cell is to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// In it, and the first to go when there is no room.
    Loose,
    /// In it for good.
    Pinned,
    /// No longer in it: no invalidation would reach it, and it must never be learnt again.
    Killed,
}

impl Cell {
    /// How often a cell has moved that is no longer in the registry: no invalidation reaches it.
    pub(crate) const KILLED: u64 = u64::MAX;

    /// A cell of no registry.
    #[cfg(test)]
    pub(crate) fn new(tag: &str) -> Self {
        Self::among(Arc::default(), tag)
    }

    fn among(moves: Arc<Moves>, tag: &str) -> Self {
        Self {
            tag: tag.into(),
            stamp: AtomicU64::new(0),
            former: AtomicU64::new(0),
            learnt: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            standing: Mutex::new(Standing::Loose),
            moves,
        }
    }

    /// Puts another stamp in place, zero for none, and returns the one before.
    ///
    /// Whoever calls this holds the lock, and lets go of it, and tells of it, only afterwards.
    fn put(&self, stamp: Stamp) -> Stamp {
        self.moves.ending(
            || self.stamp.swap(stamp, Ordering::AcqRel),
            // Where none was known, no entry has held.
            |before| *before != 0 && *before != stamp,
        )
    }

    /// The tag's text.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The stamp, if it is known.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        match self.stamp.load(Ordering::Acquire) {
            0 => None,
            stamp => Some(stamp),
        }
    }

    /// How often it moved: noted before a command is sent, compared when its reply is there.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Acquire)
    }

    /// Takes the stamp a reply brought.
    ///
    /// Guard G1: only if the cell has not moved since `noted`, which was before the command was
    /// sent. Otherwise an invalidation came in between, and the reply's old stamp would outlive it,
    /// or bring a dead local entry back to life.
    ///
    /// Guard G17: a reply that gainsays what is known, where nothing has moved, says that something was
    /// missed: this node's own prolonging of a stamp ends what it is told about it until it has been
    /// read back. Replies are handled in any order, so that nobody knows which of the two is the later:
    /// then nothing is known. But a look that was sent while nothing was known says nothing against a stamp
    /// that was learnt meanwhile. Had that ended by then, this node would be told of it: by an event, or by
    /// the reply to its own prolonging, which is heard (`hearing.rs`). After a loss of Redis's data such looks
    /// are many, and would make the first loads of all keys be in vain.
    ///
    /// `point`: the point of the node's calls that has been reached.
    pub(crate) fn learn(&self, noted: u64, stamp: Option<Stamp>, reply: Reply, point: u64) {
        let standing = self.lock();
        let unmoved = self.moved.load(Ordering::Acquire) == noted;
        if *standing == Standing::Killed || !(unmoved || removed(Guard::G1)) {
            return;
        }
        let known = self.stamp.load(Ordering::Acquire);
        let told = stamp.unwrap_or(0);
        let missed = match reply {
            Reply::Seen { knew: false } if known != 0 => return,
            Reply::Seen { .. } => known != 0 && known != told,
            Reply::Made => told == 0 || (known != 0 && known != told),
        };
        self.former.store(0, Ordering::Release);
        if missed && !removed(Guard::G17) {
            self.put(0);
            self.moved.fetch_add(1, Ordering::AcqRel);
        } else {
            if known != told {
                self.learnt.store(point, Ordering::Release);
            }
            self.put(told);
        }
    }

    /// The stamp, if it was known before this point already, and has been ever since.
    pub(crate) fn known_before(&self, point: u64) -> Option<Stamp> {
        let _standing = self.lock();
        let stamp = self.stamp()?;
        (self.learnt.load(Ordering::Acquire) < point).then_some(stamp)
    }

    /// Whether this was the stamp when the node last knew, and nothing it was told of has ended it.
    pub(crate) fn was(&self, stamp: Stamp) -> bool {
        match self.stamp.load(Ordering::Acquire) {
            0 => self.former.load(Ordering::Acquire) == stamp,
            known => known == stamp,
        }
    }

    /// The stamp as it was when the node last knew, or one of the node's own: what is loaded during
    /// an outage is kept under it, so that an invalidation here ends it.
    pub(crate) fn former_or_make(&self, draw: impl Fn() -> u64) -> Option<Stamp> {
        let standing = self.lock();
        if *standing == Standing::Killed {
            return None;
        }
        let known = self
            .stamp()
            .unwrap_or_else(|| self.former.load(Ordering::Acquire));
        if known != 0 {
            return Some(known);
        }
        let stamp = draw().max(1);
        self.former.store(stamp, Ordering::Release);
        Some(stamp)
    }

    /// The stamp, made with `draw` where there is none: without a shared tier the cell is the only
    /// place where the tag lives.
    pub(crate) fn stamp_or_make(&self, point: u64, draw: impl Fn() -> u64) -> Option<Stamp> {
        let standing = self.lock();
        if *standing == Standing::Killed {
            return None;
        }
        if let Some(stamp) = self.stamp() {
            return Some(stamp);
        }
        let stamp = draw().max(1);
        self.learnt.store(point, Ordering::Release);
        self.put(stamp);
        Some(stamp)
    }

    /// The tag was invalidated by a write whose own value lives on under the stamp that is returned:
    /// `None` where it has moved since `noted`, which was before the write.
    ///
    /// Guard G9, where there is no shared tier: comparing and moving are one step.
    pub(crate) fn restamp(&self, noted: u64, point: u64, draw: impl Fn() -> u64) -> Option<Stamp> {
        let standing = self.lock();
        if *standing == Standing::Killed {
            return None;
        }
        let unmoved = self.moved.load(Ordering::Acquire) == noted || removed(Guard::G9);
        let stamp = unmoved.then(|| draw().max(1));
        self.former.store(0, Ordering::Release);
        self.learnt.store(point, Ordering::Release);
        self.put(stamp.unwrap_or(0));
        self.moved.fetch_add(1, Ordering::AcqRel);
        stamp
    }

    /// The tag was invalidated.
    pub(crate) fn advance(&self) {
        self.step(false);
    }

    /// What is known of the tag may no longer be so.
    fn lose_sight(&self) {
        self.step(true);
    }

    fn step(&self, remember: bool) {
        // Someone may have had it in hand when it was killed: it stays that.
        let standing = self.lock();
        if *standing != Standing::Killed {
            let stamp = self.put(0);
            if !remember {
                self.former.store(0, Ordering::Release);
            } else if stamp != 0 {
                self.former.store(stamp, Ordering::Release);
            }
            self.moved.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The cell leaves the registry: entries on it end, and it stays unknown for ever. `false`, and nothing
    /// happens, where it is pinned.
    fn kill(&self) -> bool {
        let mut standing = self.lock();
        if *standing == Standing::Pinned {
            return false;
        }
        *standing = Standing::Killed;
        self.put(0);
        self.former.store(0, Ordering::Release);
        self.moved.store(Self::KILLED, Ordering::Release);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SHARDS: usize = 16;

type Shard = HashMap<Box<str>, Arc<Cell>, Mixed>;

/// The cells by tag: bounded, so that a flood of tags costs hits, not memory.
#[derive(Debug)]
pub(crate) struct Cells {
    hasher: Mixed,
    shards: [Mutex<Shard>; SHARDS],
    most_in_shard: usize,
    ended: Mutex<Ended>,
    moves: Arc<Moves>,
}

/// How many invalidations are remembered.
const REMEMBERED: usize = 1024;

/// The tags that were invalidated last, each with the point of the node's calls at which it was.
#[derive(Debug, Default)]
struct Ended {
    latest: VecDeque<(u64, u64)>,
    /// The point of the last one that is forgotten.
    forgotten: u64,
}

impl Cells {
    /// A registry for about `most` cells.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            hasher: Mixed::default(),
            shards: Default::default(),
            most_in_shard: most.div_ceil(SHARDS).max(1),
            ended: Mutex::default(),
            moves: Arc::default(),
        }
    }

    /// How often anything that entries hang on has ended: to be read before they are looked at.
    #[inline]
    pub(crate) fn seen(&self) -> Seen {
        self.moves.seen()
    }

    /// Has `end` put an end to an epoch, and with it to every entry of it.
    pub(crate) fn ending_epoch<T>(&self, end: impl FnOnce() -> T) -> T {
        self.moves.ending(end, |_| true)
    }

    /// Remembers that a tag is about to be invalidated, at this point of the node's calls. To be told
    /// before its cell advances.
    pub(crate) fn remember(&self, tag: &str, point: u64) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.latest.len() == REMEMBERED
            && let Some((_, point)) = ended.latest.pop_front()
        {
            ended.forgotten = ended.forgotten.max(point);
        }
        ended.latest.push_back((self.hasher.hash_one(tag), point));
    }

    /// Whether no invalidation of a tag was remembered at this point or later (guard G8).
    pub(crate) fn left_alone_since(&self, tag: &str, point: u64) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = self.hasher.hash_one(tag);
        let touched = |(ended, at): &(u64, u64)| *ended == hash && *at >= point;
        ended.forgotten < point && !ended.latest.iter().any(touched)
    }

    /// The cell of a tag, made where there is none.
    pub(crate) fn cell(&self, tag: &str) -> Arc<Cell> {
        self.within(&mut self.shard(tag), tag)
    }

    /// The same, of a tag that all calls of a kind carry: it stays in the registry, so that whoever keeps it need
    /// not look for it again. There are as many as the program has kinds.
    pub(crate) fn pinned(&self, tag: &str) -> Arc<Cell> {
        let mut shard = self.shard(tag);
        let cell = self.within(&mut shard, tag);
        // Before the shard is let go of: whoever makes room there may take it out.
        *cell.lock() = Standing::Pinned;
        cell
    }

    fn within(&self, shard: &mut Shard, tag: &str) -> Arc<Cell> {
        if let Some(cell) = shard.get(tag) {
            return Arc::clone(cell);
        }
        if shard.len() >= self.most_in_shard {
            Self::make_room(shard, self.most_in_shard);
        }
        let cell = Arc::new(Cell::among(Arc::clone(&self.moves), tag));
        shard.insert(tag.into(), Arc::clone(&cell));
        cell
    }

    /// The tag was invalidated. Returns whether there is a cell: without one, no entry and no flight
    /// of this node depends on the tag.
    pub(crate) fn advance(&self, tag: &str) -> bool {
        let cell = self.shard(tag).get(tag).map(Arc::clone);
        cell.inspect(|cell| cell.advance()).is_some()
    }

    /// Every tag may have been invalidated (guard G12).
    pub(crate) fn advance_all(&self) {
        self.each(Cell::advance);
    }

    /// Nothing is known any more of any tag (guard G12).
    pub(crate) fn lose_sight(&self) {
        self.each(Cell::lose_sight);
    }

    fn each(&self, change: impl Fn(&Cell)) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().for_each(|cell| change(cell));
        }
    }

    /// Drops the cells that nothing depends on; if that is not enough, kills some of the others.
    fn make_room(shard: &mut Shard, most: usize) {
        // Nobody can take a cell out while the shard is locked: a count of one stays one.
        shard.retain(|_, cell| Arc::strong_count(cell) > 1);
        let mut excess = (shard.len() + 1).saturating_sub(most - most / 4);
        // With only a few places won, the whole shard would be looked through again soon.
        if shard.len() < most - most / 16 {
            excess = 0;
        }
        shard.retain(|_, cell| {
            if excess == 0 || !cell.kill() {
                return true;
            }
            excess -= 1;
            false
        });
    }

    fn shard(&self, tag: &str) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(tag);
        #[allow(clippy::cast_possible_truncation)]
        let shard = hash as usize % SHARDS;
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKED: Reply = Reply::Seen { knew: true };

    #[test]
    fn a_reply_older_than_an_invalidation_teaches_nothing() {
        let cell = Cell::new("a");
        let noted = cell.moved();
        cell.advance();
        cell.learn(noted, Some(7), LOOKED, 1);
        assert_eq!(cell.stamp(), None);
        cell.learn(cell.moved(), Some(8), LOOKED, 1);
        assert_eq!(cell.stamp(), Some(8));
    }

    #[test]
    fn replies_that_gainsay_each_other_leave_nothing_known() {
        for (older, newer) in [(Some(7), None), (Some(7), Some(8))] {
            for (first, second) in [(older, newer), (newer, older)] {
                let cell = Cell::new("a");
                let noted = cell.moved();
                let reply = |stamp| {
                    if stamp == newer { Reply::Made } else { LOOKED }
                };
                cell.learn(noted, first, reply(first), 1);
                cell.learn(noted, second, reply(second), 1);
                assert_ne!(cell.stamp(), older, "{first:?}, then {second:?}");
                assert_ne!(cell.moved(), noted);
                // What is asked for from here on counts again.
                cell.learn(cell.moved(), Some(9), LOOKED, 1);
                assert_eq!(cell.stamp(), Some(9));
            }
        }
    }

    #[test]
    fn a_look_from_before_a_stamp_was_made_says_nothing_against_it() {
        let cell = Cell::new("a");
        let moved = cell.moved();
        cell.learn(moved, Some(7), Reply::Made, 1);
        for told in [None, Some(6)] {
            cell.learn(moved, told, Reply::Seen { knew: false }, 1);
            assert_eq!((cell.stamp(), cell.moved()), (Some(7), moved));
        }
        cell.learn(moved, None, Reply::Seen { knew: true }, 1);
        assert_eq!(cell.stamp(), None, "one that knew it does");
        assert_ne!(cell.moved(), moved);
    }

    #[test]
    fn what_was_known_is_remembered_until_it_is_invalidated() {
        let cell = Cell::new("a");
        cell.learn(0, Some(7), LOOKED, 1);
        cell.lose_sight();
        assert_eq!((cell.stamp(), cell.was(7)), (None, true));
        cell.lose_sight();
        assert!(cell.was(7), "twice lost is not forgotten");
        assert_eq!(cell.former_or_make(|| 9), Some(7));
        cell.advance();
        assert!(!cell.was(7));
        assert_eq!(cell.former_or_make(|| 9), Some(9));
        assert_eq!((cell.stamp(), cell.was(9)), (None, true));
        cell.learn(cell.moved(), None, LOOKED, 1);
        assert!(!cell.was(9), "what the store says counts");
        cell.learn(cell.moved(), Some(8), LOOKED, 1);
        assert!(cell.was(8) && !cell.was(9));
        cell.kill();
        assert!(!cell.was(8) && cell.former_or_make(|| 9).is_none());
    }

    #[test]
    fn a_killed_cell_is_never_known_again() {
        let cell = Cell::new("a");
        cell.learn(0, Some(7), LOOKED, 1);
        cell.kill();
        cell.learn(cell.moved(), Some(7), LOOKED, 1);
        assert_eq!(cell.stamp(), None);
        assert_eq!(cell.stamp_or_make(1, || 9), None);
    }

    #[test]
    fn a_made_stamp_stays_until_the_tag_is_invalidated() {
        let cells = Cells::new(100);
        let cell = cells.cell("user:1");
        assert_eq!(cell.stamp_or_make(1, || 5), Some(5));
        assert_eq!(cells.cell("user:1").stamp_or_make(1, || 6), Some(5));
        cells.advance("user:1");
        assert_eq!(cell.stamp(), None);
        assert_eq!(cell.stamp_or_make(1, || 6), Some(6));
    }

    #[test]
    fn a_stamp_counts_as_known_from_when_it_was_learnt() {
        let cell = Cell::new("a");
        cell.learn(cell.moved(), Some(7), LOOKED, 5);
        assert_eq!(cell.known_before(5), None, "learnt at that very point");
        assert_eq!(cell.known_before(6), Some(7));
        cell.learn(cell.moved(), Some(7), LOOKED, 9);
        assert_eq!(cell.known_before(6), Some(7), "it was known all the time");
        cell.advance();
        cell.learn(cell.moved(), Some(8), LOOKED, 9);
        assert_eq!(cell.known_before(9), None);
        assert_eq!(cell.stamp_or_make(12, || 1), Some(8));
        assert_eq!(cell.known_before(10), Some(8));
    }

    #[test]
    fn an_invalidation_is_remembered_until_too_many_have_followed() {
        let cells = Cells::new(100);
        cells.remember("a", 5);
        assert!(cells.left_alone_since("a", 6) && cells.left_alone_since("b", 1));
        assert!(!cells.left_alone_since("a", 5));
        for _ in 0..REMEMBERED {
            cells.remember("b", 7);
        }
        assert!(
            cells.left_alone_since("a", 6),
            "all that came since is known"
        );
        assert!(
            !cells.left_alone_since("c", 5),
            "what was forgotten may be any"
        );
    }

    #[test]
    fn of_two_updates_that_cross_the_later_finds_the_cell_moved() {
        let cell = Cell::new("a");
        cell.stamp_or_make(0, || 5);
        let noted = cell.moved();
        assert_eq!(cell.restamp(noted, 0, || 6), Some(6));
        assert_eq!(cell.stamp(), Some(6), "the one that came first lives on");
        assert_eq!(cell.restamp(noted, 0, || 7), None);
        assert_eq!(cell.stamp(), None, "and ends with the other");
        cell.kill();
        assert_eq!(cell.restamp(cell.moved(), 0, || 8), None);
    }

    #[test]
    fn a_pinned_cell_outlasts_a_flood_and_is_still_told() {
        let cells = Cells::new(160);
        let loose = cells.cell("~news");
        let pinned = cells.pinned("~news");
        assert!(Arc::ptr_eq(&loose, &pinned), "the one that was there");
        pinned.learn(0, Some(7), LOOKED, 1);
        let _held: Vec<_> = (0..10_000)
            .map(|tag| cells.cell(&format!("held:{tag}")))
            .collect();
        assert!(cells.len() <= 160, "{} cells", cells.len());
        assert!(Arc::ptr_eq(&cells.cell("~news"), &pinned));
        assert_eq!(pinned.stamp(), Some(7));
        assert!(cells.advance("~news"));
        assert_eq!(pinned.stamp(), None);
        pinned.learn(pinned.moved(), Some(8), LOOKED, 1);
        cells.advance_all();
        assert_eq!(pinned.stamp(), None);
    }

    #[test]
    fn a_flood_of_tags_is_bounded_and_ends_what_it_pushes_out() {
        let cells = Cells::new(160);
        let held: Vec<_> = (0..1_000)
            .map(|tag| {
                let cell = cells.cell(&format!("held:{tag}"));
                cell.stamp_or_make(1, || 1);
                cell
            })
            .collect();
        assert!(cells.len() <= 160, "{} cells", cells.len());
        for (tag, cell) in held.iter().enumerate() {
            let reachable = Arc::ptr_eq(cell, &cells.cell(&format!("held:{tag}")));
            assert!(
                reachable || cell.stamp().is_none(),
                "held:{tag} can't be invalidated"
            );
        }
        for tag in 0..1_000 {
            cells.cell(&format!("loose:{tag}"));
        }
        assert!(cells.len() <= 160);
    }
}
