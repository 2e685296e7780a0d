//! What is known of a local entry, which is before its value, in one allocation (`table/thin.rs`). A
//! million of them are held at a time, so each word is there for a reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::cells::Cell;
use super::course::Course;
use super::eviction::Marks;
use super::key::LocalKey;
use super::life::{Life, nanoseconds};
use super::moves::{Seen, Verified};
use super::table::Held;
use crate::entry::EntryId;
use crate::store::Stamp;

/// What is known of a local entry besides its value.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) key: LocalKey,
    /// When it is fresh, stale, gone.
    course: Course,
    verified: Verified,
    about: Arc<About>,
    /// As [`bytes`](Self::bytes).
    bytes: u32,
    /// What eviction goes by.
    pub(super) marks: Marks,
}

/// What entries may have in common that were loaded alike.
#[derive(Debug)]
pub(super) struct About {
    /// The epoch they belong to: they end with it.
    epoch: u64,
    deps: Arc<[Dependency]>,
    /// The id of the entry in the shared tier that one is a copy of; zeros where there is none.
    id: EntryId,
    /// When the shared tier was last asked about it.
    confirmed: AtomicU64,
}

/// A tag an entry depends on.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) cell: Arc<Cell>,
    pub(crate) stamp: Stamp,
}

impl Dependency {
    fn holds(&self) -> bool {
        self.cell.stamp() == Some(self.stamp)
    }

    fn is(&self, other: &Self) -> bool {
        self.stamp == other.stamp && Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl About {
    pub(super) fn new(epoch: u64, id: EntryId, confirmed: u64, deps: Arc<[Dependency]>) -> Self {
        Self {
            epoch,
            deps,
            id,
            confirmed: AtomicU64::new(confirmed),
        }
    }

    /// Whether entries of that epoch with these tags have it in common, where ids don't matter.
    pub(super) fn is_of(&self, epoch: u64, deps: &[Dependency]) -> bool {
        self.epoch == epoch && self.has(deps)
    }

    /// The list, if it is the same as that one.
    pub(super) fn same(&self, deps: &[Dependency]) -> Option<Arc<[Dependency]>> {
        self.has(deps).then(|| Arc::clone(&self.deps))
    }

    fn has(&self, deps: &[Dependency]) -> bool {
        self.deps.len() == deps.len()
            && self.deps.iter().zip(deps).all(|(one, other)| one.is(other))
    }

    /// What one takes in memory without its list, and with the counts of the allocation.
    pub(super) const BYTES: usize = size_of::<Self>() + COUNTS;

    /// What its list takes.
    pub(super) fn list_bytes(deps: &[Dependency]) -> usize {
        size_of_val(deps) + COUNTS
    }
}

/// What an allocation takes for the counts of those who share it.
const COUNTS: usize = 2 * size_of::<usize>();

impl Head {
    /// That of an entry which has nothing in common with others.
    #[cfg(test)]
    pub(crate) fn new(
        key: LocalKey,
        life: Life,
        epoch: u64,
        id: EntryId,
        deps: Box<[Dependency]>,
        bytes: usize,
    ) -> Self {
        let confirmed = nanoseconds(life.confirmed());
        let about = About::new(epoch, id, confirmed, deps.into());
        Self::of(key, life, Arc::new(about), bytes)
    }

    /// That of an entry which goes into no tier.
    pub(crate) fn nowhere() -> Self {
        let none = Duration::ZERO;
        let about = About::new(0, EntryId([0; 16]), 0, Arc::default());
        let life = Life::new(none, none, none, none);
        Self::of(LocalKey::new(0, []), life, Arc::new(about), 0)
    }

    /// The same in another epoch, where the tags may be in other cells.
    pub(crate) fn renewed(&self, epoch: u64, deps: Arc<[Dependency]>) -> Self {
        let life = self.life();
        let about = About::new(epoch, self.id(), nanoseconds(life.confirmed()), deps);
        Self::of(self.key.clone(), life, Arc::new(about), self.bytes())
    }

    /// That of one which takes so much in memory, all in all.
    pub(super) fn of(key: LocalKey, life: Life, about: Arc<About>, bytes: usize) -> Self {
        Self {
            key,
            course: Course::of(&life),
            verified: Verified::default(),
            about,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            marks: Marks::default(),
        }
    }

    /// The course of its life.
    pub(crate) fn life(&self) -> Life {
        self.course
            .life(self.about.confirmed.load(Ordering::Relaxed))
    }

    /// The shared tier was asked then, and had not changed its mind.
    pub(crate) fn confirm(&self, asked: Duration) {
        self.about
            .confirmed
            .fetch_max(nanoseconds(asked), Ordering::Relaxed);
    }

    /// The epoch it belongs to.
    pub(crate) fn epoch(&self) -> u64 {
        self.about.epoch
    }

    /// The id of the entry in the shared tier that it is a copy of.
    pub(crate) fn id(&self) -> EntryId {
        self.about.id
    }

    /// The tags it depends on, each with the stamp it was loaded under.
    pub(crate) fn deps(&self) -> &[Dependency] {
        &self.about.deps
    }

    /// What it takes in memory: estimated, of key, value and bookkeeping. From four gibibytes on it is
    /// [too large](Self::is_too_large) to be told.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Whether it takes more than this many bytes.
    pub(super) fn is_too_large(&self, most: usize) -> bool {
        self.bytes == u32::MAX || self.bytes() > most
    }

    /// Notes that it was returned, for eviction.
    #[inline]
    pub(crate) fn note_hit(&self) {
        self.marks.hit();
    }

    /// Whether it is fresh and not near its end, so that only [`stands`](Self::stands) is left to ask.
    #[inline]
    pub(crate) fn is_sure(&self, now: u64) -> bool {
        self.course.is_sure(now)
    }

    /// Whether nothing this node was told of speaks against it, but for its age. `seen` was read before
    /// `epoch` reads the current one: see [`Moves`](super::moves::Moves).
    #[inline]
    pub(crate) fn stands(&self, seen: Seen, epoch: impl FnOnce() -> u64) -> bool {
        self.verified.holds(seen, || self.stands_now(epoch()))
    }

    #[cold]
    #[inline(never)]
    fn stands_now(&self, epoch: u64) -> bool {
        self.about.epoch == epoch && self.about.deps.iter().all(Dependency::holds)
    }

    /// Whether nothing this node was told of speaks against it.
    pub(crate) fn holds(&self, epoch: u64, now: Duration) -> bool {
        self.life().lasts(now) && self.stands_now(epoch)
    }

    /// Whether every tag it depends on is as it was when the node last knew, which may be a while ago.
    pub(crate) fn was_left_alone(&self) -> bool {
        self.deps()
            .iter()
            .all(|dependency| dependency.cell.was(dependency.stamp))
    }

    /// Whether it may be served again: at once, after the shared tier was asked, or during an outage.
    pub(super) fn may_revive(&self, now: Duration) -> bool {
        self.life().lasts(now) && self.was_left_alone()
    }
}

impl dyn Held {
    /// The same with another course of life.
    pub(crate) fn with_life(&self, life: Life) -> Arc<Self> {
        let head = self.head();
        let about = Arc::clone(&head.about);
        self.value()
            .entry(Head::of(head.key.clone(), life, about, head.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_takes_no_more_than_nine_words() {
        assert!(size_of::<Head>() <= 72, "{} bytes", size_of::<Head>());
    }
}
