//! Single-flight: calls of one key in one process share one load, where that is right. A flight is
//! cancel-safe (its end is sent from `Drop`) and can be made dirty by an invalidation.

mod landing;
mod seat;

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::sync::Notify;

pub(crate) use self::landing::Follower;
use self::landing::Landing;
pub(crate) use self::seat::Seat;
use crate::local::{Cell, Held, Kept, LocalKey, Mixed, Parting};
use crate::sabotage::{Guard, removed};
use crate::store::Stamp;

/// What a flight knew of the world at one moment: anything that has moved since makes it dirty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    pub(crate) epoch: u64,
    pub(crate) cells: Vec<Noted>,
}

/// A cell as it was when it was noted.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) cell: Arc<Cell>,
    /// How often it had moved.
    pub(crate) moved: u64,
    /// Its stamp, if that was known.
    pub(crate) stamp: Option<Stamp>,
}

impl Noted {
    pub(crate) fn of(cell: Arc<Cell>) -> Self {
        Self {
            // First, so that what moves in between counts as moved, and a stamp that is learnt in between
            // as known: then a reply that gainsays it is not passed over.
            moved: cell.moved(),
            stamp: cell.stamp(),
            cell,
        }
    }

    /// Whether it has not moved since. Of a cell that was killed nobody would know.
    pub(crate) fn holds(&self) -> bool {
        self.moved != Cell::KILLED && self.cell.moved() == self.moved
    }
}

impl Note {
    /// Notes how often each cell has moved.
    pub(crate) fn take(epoch: u64, cells: impl Iterator<Item = Arc<Cell>>) -> Self {
        Self {
            epoch,
            cells: cells.map(Noted::of).collect(),
        }
    }

    /// Whether nothing has moved since.
    pub(crate) fn holds(&self, epoch: u64) -> bool {
        self.epoch == epoch && self.cells.iter().all(Noted::holds)
    }
}

/// Whom a flight's value may be given to besides its leader (guard G6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Every follower: nothing moved until the end.
    Everyone,
    /// Calls that began before this point: what they get was loaded, or read, after they began.
    CallsBefore(u64),
    /// Nobody.
    Nobody,
}

impl Sharing {
    fn allows(self, began: u64) -> bool {
        match self {
            Self::Everyone => true,
            Self::CallsBefore(point) => began < point || removed(Guard::G6),
            Self::Nobody => removed(Guard::G6),
        }
    }
}

/// How a flight ended.
enum Outcome {
    Value(Arc<dyn Held>, Sharing),
    /// The function returned something that is not cached.
    Uncached,
    /// The leader was cancelled, panicked, or has nothing to share.
    Abandoned,
}

impl Outcome {
    /// What it means for a call that began then.
    fn followed(&self, began: u64) -> Followed {
        match self {
            Self::Value(value, sharing) if sharing.allows(began) => {
                Followed::Value(Arc::clone(value))
            }
            Self::Uncached => Followed::Uncached,
            Self::Value(..) | Self::Abandoned => Followed::Again,
        }
    }
}

/// What a follower is to do.
pub(crate) enum Followed {
    /// Take this value.
    Value(Arc<dyn Held>),
    /// Start over: the flight was abandoned, or its value is not for this call.
    Again,
    /// Start over, knowing that the function returned something that is not cached.
    Uncached,
}

/// A value that can be given out while the flight loads a newer one.
#[derive(Clone)]
pub(crate) struct Standby {
    pub(crate) value: Kept,
    /// When it was asked for.
    pub(crate) point: u64,
    /// To whoever comes; else to those who have waited long, or if the load fails.
    pub(crate) at_once: bool,
    /// Until when it may be given to whoever comes, and until when to those who have waited: a load
    /// may outlast what it replaces.
    pub(crate) until: [Duration; 2],
}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standby").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    note: Note,
    dirty: bool,
    /// Another flight has taken its place, and with it the word of what is invalidated: it is dirty
    /// for good.
    replaced: bool,
    loading: bool,
    /// The point at which the value was given by the caller, where it was.
    given: Option<u64>,
    /// The moment its value was asked for, once it loads what will be stored nowhere.
    bare_since: Option<u64>,
    /// The lease the leader holds, so that whoever makes the flight dirty can give it up.
    lease: Option<crate::store::Token>,
    standby: Option<Standby>,
}

impl State {
    /// Whether nothing has moved since the flight's note.
    fn is_clean(&self, epoch: u64) -> bool {
        !self.dirty && self.note.holds(epoch)
    }

    /// What stands by, and whether a call that began then may have it.
    ///
    /// Guard G6: a clean flight's standby was right when it was read, and nothing has moved since,
    /// where events would have told; else it is for the calls that came before it was read.
    fn standby(
        &self,
        began: u64,
        epoch: u64,
        trusted: bool,
        now: Duration,
    ) -> Option<(&Standby, bool)> {
        let standby = self.standby.as_ref()?;
        let standby = Some(standby).filter(|standby| now < standby.until[1])?;
        let allowed = self.is_clean(epoch) && (trusted || began < standby.point);
        Some((standby, allowed || removed(Guard::G6)))
    }
}

/// One load under way, or about to be.
pub(crate) struct Flight {
    state: Mutex<State>,
    landing: Landing,
    bell: Bell,
    /// The thread that runs the load of a plain function: its own calls must not wait for it.
    thread: Option<ThreadId>,
}

impl Flight {
    fn new(blocking: bool) -> Self {
        Self::of(State::default(), blocking.then(|| thread::current().id()))
    }

    fn of(state: State, thread: Option<ThreadId>) -> Self {
        Self {
            state: Mutex::new(state),
            landing: Landing::default(),
            bell: Bell::default(),
            thread,
        }
    }

    /// Whether nothing has moved since the flight's note.
    fn is_clean(&self, epoch: u64) -> bool {
        self.lock().is_clean(epoch)
    }

    /// A replaced flight removes only itself; says whether it was there.
    fn leave(self: &Arc<Self>, shard: &mut Shard, key: &LocalKey) -> bool {
        let current = shard
            .get(key)
            .is_some_and(|current| Arc::ptr_eq(current, self));
        if current {
            shard.remove(key);
        }
        current
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").finish_non_exhaustive()
    }
}

/// Wakes a leader that waits for another node. Rings are counted, so that one between arming and
/// waiting is not lost (guard G14).
#[derive(Debug, Default)]
struct Bell {
    rung: AtomicU64,
    notify: Notify,
}

impl Bell {
    fn ring(&self) {
        self.rung.fetch_add(1, Ordering::AcqRel);
        self.notify.notify_waiters();
    }

    fn armed(&self) -> u64 {
        self.rung.load(Ordering::Acquire)
    }

    async fn wait(&self, armed: u64) {
        // Made before the count is compared, so that a ring after the comparison wakes it.
        let notified = self.notify.notified();
        if self.armed() == armed {
            notified.await;
        }
    }
}

const SHARDS: usize = 32;

type Shard = HashMap<LocalKey, Arc<Flight>, Mixed>;

/// The flights of a node, by key. A shard's lock is also the lock under which the local tier is
/// changed at the keys of that shard (guard G7).
pub(crate) struct Flights {
    hasher: Mixed,
    shards: [Mutex<Shard>; SHARDS],
    /// Counts the moments at which a value may have been taken from its source. A call that began
    /// before such a moment may share what was taken then.
    points: AtomicU64,
}

/// What a call does about its key.
pub(crate) enum Joined {
    /// Another is at it.
    Follow(Follower),
    /// Nobody is, or nobody whose value this call may have: it leads. The other, if there is one, is
    /// waited for first, so that those who come meanwhile share this load.
    Lead(Seat, Option<Follower>),
    /// Another is refreshing it, and this may be had meanwhile.
    Standby(Arc<dyn Held>),
    /// Another is refreshing what may be had meanwhile, but this call has to ask for itself whether it
    /// still may: nobody would have told.
    Aside(Follower),
    /// This very thread is at it, further up its stack, or an async call, which may need this thread:
    /// waiting could be for ever.
    Own,
}

impl Flights {
    pub(crate) fn new() -> Self {
        Self {
            hasher: Mixed::default(),
            shards: Default::default(),
            points: AtomicU64::new(1),
        }
    }

    /// The moment a call begins.
    pub(crate) fn call_begins(&self) -> u64 {
        self.points.load(Ordering::SeqCst)
    }

    /// The moment a value is asked for: calls that began earlier have a smaller number.
    pub(crate) fn source_asked(&self) -> u64 {
        self.points.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Joins the flight of a key, or starts one.
    ///
    /// Guard G6: nobody joins a load that has become dirty, since its value is from before an
    /// invalidation that may have been acknowledged before this call began. A new flight takes its
    /// place in the map. A refresh captures nobody: who comes meanwhile has what it refreshes, for as
    /// long as that lasts.
    /// `trusted`: events tell of whatever moves.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &LocalKey,
        began: u64,
        epoch: u64,
        trusted: bool,
        blocking: bool,
        now: Duration,
    ) -> Joined {
        let mut shard = self.shard(key);
        let mut other = None;
        if let Some(flight) = shard.get(key) {
            // An async call may need this very thread to go on.
            let in_vain = |led_by: ThreadId| led_by == thread::current().id();
            if blocking && flight.thread.is_none_or(in_vain) {
                return Joined::Own;
            }
            let state = flight.lock();
            let too_late = state.bare_since.is_some_and(|point| began >= point);
            let follower = || Follower::new(flight, began);
            let standby = state.standby(began, epoch, trusted, now);
            let at_once =
                |(standby, _): &(&Standby, bool)| standby.at_once && now < standby.until[0];
            if let Some((standby, allowed)) = standby.filter(at_once) {
                if allowed {
                    return Joined::Standby(standby.value.entry());
                }
                if state.is_clean(epoch) {
                    return Joined::Aside(follower());
                }
            } else if too_late {
                // Its value is stored nowhere and not for this call: there is nothing to be had by
                // waiting for it to the end.
                other = Some(follower());
            } else if !state.loading || state.is_clean(epoch) || removed(Guard::G6) {
                return Joined::Follow(follower());
            }
        }
        let flight = Arc::new(Flight::new(blocking));
        shard.insert(key.clone(), Arc::clone(&flight));
        let seat = Seat::new(self, key, flight);
        Joined::Lead(seat, other)
    }

    /// Takes the place of whatever flight there is, which is dirty from then on: for a load that
    /// replaces what is there.
    pub(crate) fn replace(self: &Arc<Self>, key: &LocalKey, blocking: bool) -> Seat {
        let flight = Arc::new(Flight::new(blocking));
        let replaced = self.shard(key).insert(key.clone(), Arc::clone(&flight));
        if let Some(replaced) = replaced {
            let mut state = replaced.lock();
            state.replaced = true;
            state.dirty = true;
            drop(state);
            replaced.bell.ring();
        }
        Seat::new(self, key, flight)
    }

    /// An entry or a key was invalidated: `change` is made to the local tier in one step with it.
    /// Returns the lease that the key's leader now holds in vain.
    pub(crate) fn touch(
        &self,
        key: &LocalKey,
        change: impl FnOnce(),
    ) -> Option<crate::store::Token> {
        let _parting = Parting::begin();
        let shard = self.shard(key);
        change();
        let flight = shard.get(key)?;
        let lease = {
            let mut state = flight.lock();
            state.dirty = true;
            state.lease.take()
        };
        flight.bell.ring();
        lease
    }

    /// The lease of a key changed hands or ended. Whoever loads under it loads in vain.
    pub(crate) fn lease_changed(&self, key: &LocalKey) {
        if let Some(flight) = self.shard(key).get(key) {
            let mut state = flight.lock();
            if state.lease.take().is_some() {
                state.dirty = true;
            }
            drop(state);
            flight.bell.ring();
        }
    }

    /// Something that the key's leader may wait for has happened.
    pub(crate) fn wake(&self, key: &LocalKey) {
        if let Some(flight) = self.shard(key).get(key) {
            flight.bell.ring();
        }
    }

    /// Whatever leaders wait for, they can't have it any more.
    pub(crate) fn wake_all(&self) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().for_each(|flight| flight.bell.ring());
        }
    }

    /// Tags moved, or the epoch did: every flight that depended on them is dirty. Returns the
    /// leases that are now held in vain.
    pub(crate) fn sweep_dirty(&self, epoch: u64) -> Vec<(LocalKey, crate::store::Token)> {
        let mut vain = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, flight) in shard.iter() {
                let mut state = flight.lock();
                if state.loading && (state.dirty || !state.note.holds(epoch)) {
                    state.dirty = true;
                    vain.extend(state.lease.take().map(|token| (key.clone(), token)));
                }
                drop(state);
                flight.bell.ring();
            }
        }
        // In an order that does not hang on the maps' random hashes: a simulation's run can be had
        // again.
        vain.sort_unstable_by(|(one, _), (other, _)| {
            (one.function, &one.args).cmp(&(other.function, &other.args))
        });
        vain
    }

    /// Ends a flight, once: takes it out of the map, and tells its followers.
    fn end(&self, key: &LocalKey, flight: &Arc<Flight>, outcome: Outcome) {
        let mut shard = self.shard(key);
        if !flight.leave(&mut shard, key)
            && let Some(current) = shard.get(key)
        {
            // Guard G14: the flight that took this one's place may wait for just this end, and the
            // store tells nobody of its own node's fill or release.
            current.bell.ring();
        }
        drop(shard);
        flight.landing.tell(outcome);
    }

    fn shard(&self, key: &LocalKey) -> MutexGuard<'_, Shard> {
        #[allow(clippy::cast_possible_truncation)]
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// What this call may have instead of waiting any longer.
    pub(crate) fn standby(
        &self,
        epoch: u64,
        trusted: bool,
        now: Duration,
    ) -> Option<Arc<dyn Held>> {
        let state = self.flight.lock();
        let (standby, allowed) = state.standby(self.began, epoch, trusted, now)?;
        allowed.then(|| standby.value.entry())
    }

    /// Waits for the flight to end. The caller bounds the wait.
    pub(crate) async fn end(&mut self) -> Followed {
        poll_fn(|context| self.poll_end(context)).await
    }
}

#[cfg(test)]
mod tests;
