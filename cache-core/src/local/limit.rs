//! A function's own bound on its local entries, beside the one in bytes that all share: a queue with
//! second chances, since which entry was asked for lately is noted in the entry already. A hit
//! touches nothing of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::head::Held;
use super::key::LocalKey;

/// How often an entry that was hit is passed over, at most: as often as its marks count.
const CHANCES: usize = 3;

/// The entries of a function that has a bound, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Limit(Mutex<VecDeque<Place>>);

/// Where an entry was. It is not held, so that nothing keeps the memory of what has left the map.
#[derive(Debug)]
struct Place {
    key: LocalKey,
    address: usize,
}

/// What became of an entry that was asked to make room.
pub(super) enum Asked {
    /// It has left already, or another has taken its place.
    Gone,
    /// It was hit since it was asked last.
    Used,
    /// It has made room.
    Left,
}

impl Limit {
    /// Queues a new entry, after older ones have made room: `is_over` says whether any has to, and
    /// `ask`, with `true` where it has no more chances, what became of one.
    ///
    /// The newcomer is queued last, so that it never makes room for itself.
    pub(super) fn admit(
        &self,
        entry: &Arc<dyn Held>,
        is_over: impl Fn() -> bool,
        mut ask: impl FnMut(&LocalKey, usize, bool) -> Asked,
    ) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Hits go on meanwhile: without a bound they could keep each entry in for ever.
        let mut chances = queue.len() * CHANCES;
        while is_over() {
            let Some(place) = queue.pop_front() else {
                break;
            };
            match ask(&place.key, place.address, chances == 0) {
                Asked::Gone | Asked::Left => {}
                Asked::Used => {
                    chances -= 1;
                    queue.push_back(place);
                }
            }
        }
        queue.push_back(Place {
            key: entry.head().key.clone(),
            address: address(entry),
        });
    }

    /// How many places are queued.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Drops the places of entries that have left by other ways, where they are many.
    pub(super) fn tidy(&self, capacity: usize, is_there: impl Fn(&LocalKey, usize) -> bool) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() > capacity.saturating_mul(2).saturating_add(64) {
            queue.retain(|place| is_there(&place.key, place.address));
        }
    }
}

/// Tells an entry from those that were at its key before, as long as it lives; after that a place
/// may be taken for another entry's, which then makes room a little early.
pub(super) fn address(entry: &Arc<dyn Held>) -> usize {
    Arc::as_ptr(entry).cast::<()>().addr()
}
