//! The leader's side of a flight: what it depends on, what stands by, how it ends.

use std::sync::Arc;

use super::{Flight, Flights, Note, Noted, Outcome, Sharing, Standby, State};
use crate::local::{Cell, Held, LocalKey, Parting};
use crate::sabotage::{Guard, meanwhile, removed};
use crate::store::Token;

/// The leader's seat. Dropped before the end, by a cancelled or panicking leader, it wakes the
/// followers, one of whom takes over.
pub(crate) struct Seat {
    flights: Arc<Flights>,
    key: LocalKey,
    flight: Arc<Flight>,
    closed: bool,
}

impl Seat {
    pub(super) fn new(flights: &Arc<Flights>, key: &LocalKey, flight: Arc<Flight>) -> Self {
        Self {
            flights: Arc::clone(flights),
            key: key.clone(),
            flight,
            closed: false,
        }
    }

    /// Notes what the flight depends on from here on; what moved before no longer makes it dirty.
    /// Says whether nothing had moved since the note before.
    pub(crate) fn note(&self, note: Note) -> bool {
        let mut state = self.flight.lock();
        if state.given.is_some() {
            return false;
        }
        let unbroken = !state.dirty && state.note.holds(note.epoch);
        state.note = note;
        state.dirty = state.replaced;
        unbroken
    }

    /// The flight depends on these cells too, as they are now.
    pub(crate) fn depend_on(&self, cells: &[Arc<Cell>]) {
        let mut state = self.flight.lock();
        let more = cells.iter().map(|cell| Noted::of(Arc::clone(cell)));
        state.note.cells.extend(more);
    }

    /// What can be given out while this flight loads a newer value.
    ///
    /// At once: those who follow already have it now, and the load goes on in a flight of its own,
    /// which keeps the note and the lease, so that a refresh captures nobody.
    pub(crate) fn stand_by(&mut self, standby: Standby, epoch: u64, trusted: bool) {
        let _parting = Parting::begin();
        let mut shard = self.flights.shard(&self.key);
        if !standby.at_once {
            self.flight.lock().standby = Some(standby);
            return;
        }
        let (state, clean) = {
            let mut state = self.flight.lock();
            let clean = !state.dirty && state.note.holds(epoch);
            let moved = State {
                note: state.note.clone(),
                dirty: state.dirty,
                replaced: state.replaced,
                loading: true,
                given: None,
                bare_since: None,
                lease: state.lease.take(),
                standby: Some(standby.clone()),
            };
            (moved, clean)
        };
        let refresh = Arc::new(Flight::of(state, self.flight.thread));
        let searched = std::mem::replace(&mut self.flight, refresh);
        if let Some(current) = shard.get_mut(&self.key)
            && Arc::ptr_eq(current, &searched)
        {
            *current = Arc::clone(&self.flight);
        }
        // In one step with the check: who comes from here on finds the new flight.
        drop(shard);
        let sharing = if clean && trusted {
            Sharing::Everyone
        } else {
            Sharing::CallsBefore(standby.point)
        };
        searched
            .landing
            .tell(Outcome::Value(standby.value.entry(), sharing));
    }

    /// The load is about to be stored: what there was before is served no longer, and `remove` takes
    /// it out of the local tier.
    ///
    /// Guard G16: a node's own fill ends what it was told about the key (a write clears every
    /// registration, and NOLOOP tells it of its own writes only that way). Between the fill and the
    /// reading back another node's removal is told to nobody here: a local value from before would
    /// outlive it, if the reading back finds nothing or is never heard.
    pub(crate) fn retire(&self, remove: impl FnOnce()) {
        if removed(Guard::G16) {
            return;
        }
        let _parting = Parting::begin();
        let _shard = self.flights.shard(&self.key);
        self.flight.lock().standby = None;
        remove();
    }

    /// A way to end the flight from outside, should its load take too long.
    pub(crate) fn eject(&self) -> Ejector {
        Ejector {
            flights: Arc::clone(&self.flights),
            key: self.key.clone(),
            flight: Arc::clone(&self.flight),
        }
    }

    /// The caller has the value already (`put`): it is from before whatever moves from here on,
    /// however long the lease takes to come.
    pub(crate) fn given(&self, note: Note) {
        let mut state = self.flight.lock();
        state.note = note;
        state.loading = true;
        state.given = Some(self.flights.source_asked());
    }

    /// Whether nothing has moved since the flight's note.
    pub(crate) fn is_clean(&self, epoch: u64) -> bool {
        self.flight.is_clean(epoch)
    }

    /// Whether another flight has taken this one's place by force.
    pub(crate) fn is_replaced(&self) -> bool {
        self.flight.lock().replaced
    }

    /// The load begins, under this lease if there is one.
    pub(crate) fn load_begins(&self, lease: Option<Token>) -> u64 {
        let mut state = self.flight.lock();
        state.loading = true;
        state.lease = lease;
        state.given.unwrap_or_else(|| self.flights.source_asked())
    }

    /// The load begins, and what comes of it will be stored nowhere.
    pub(crate) fn bare_load_begins(&self) -> u64 {
        let mut state = self.flight.lock();
        let point = state.given.unwrap_or_else(|| self.flights.source_asked());
        state.loading = true;
        state.bare_since = Some(point);
        point
    }

    /// The load has ended: whether the lease is still the leader's as far as is known here.
    pub(crate) fn take_lease(&self) -> Option<Token> {
        self.flight.lock().lease.take()
    }

    /// Arms the bell (guard G14: before the read).
    pub(crate) fn arm(&self) -> u64 {
        self.flight.bell.armed()
    }

    /// Waits until the bell has been rung since it was armed.
    pub(crate) async fn rung(&self, armed: u64) {
        self.flight.bell.wait(armed).await;
    }

    /// Runs `insert` if the flight is clean, and says whether it was. Then nobody joins it any more:
    /// who began after an invalidation that comes right after this must not share its value.
    ///
    /// Guard G7: in one step under the lock that an invalidation of this key takes too. A tag that
    /// moves right after the check ends the entry by its cell, and an epoch step by its epoch.
    pub(crate) fn insert_if_clean(&self, epoch: u64, insert: impl FnOnce()) -> bool {
        let _parting = Parting::begin();
        let mut shard = self.flights.shard(&self.key);
        let clean = self.flight.is_clean(epoch);
        if removed(Guard::G7) {
            drop(shard);
            meanwhile();
            shard = self.flights.shard(&self.key);
        }
        if clean {
            insert();
            self.flight.leave(&mut shard, &self.key);
        }
        clean
    }

    /// Ends the flight with a value.
    pub(crate) fn end(mut self, value: Arc<dyn Held>, sharing: Sharing) {
        self.close(Outcome::Value(value, sharing));
    }

    /// Ends the flight with something that is not cached.
    pub(crate) fn end_uncached(mut self) {
        self.close(Outcome::Uncached);
    }

    fn close(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.closed, true) {
            self.flights.end(&self.key, &self.flight, outcome);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.close(Outcome::Abandoned);
    }
}

/// Ends a flight whose leader is still at it, and can't end it by itself.
pub(crate) struct Ejector {
    flights: Arc<Flights>,
    key: LocalKey,
    flight: Arc<Flight>,
}

impl Ejector {
    /// Frees the key: followers start over, and what the load still brings is nobody's but its
    /// caller's. Returns the lease to be given up; `None` also where the load has ended.
    pub(crate) fn eject(self) -> Option<Token> {
        let lease = {
            let mut state = self.flight.lock();
            state.dirty = true;
            state.replaced = true;
            state.lease.take()
        };
        self.flights
            .end(&self.key, &self.flight, Outcome::Abandoned);
        lease
    }
}
