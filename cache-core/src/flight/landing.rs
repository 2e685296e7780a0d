//! How a flight's end reaches those who follow it: each leaves a waker, and all are woken at once, outside of
//! every lock. Ten thousand may follow one flight, so that one of them costs a place in a list, and a clone of
//! the value at the end.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Flight, Followed, Outcome};

/// Where a flight's end is told.
#[derive(Default)]
pub(super) struct Landing {
    outcome: OnceLock<Outcome>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    wakers: Vec<Option<Waker>>,
    /// The places of those who have been given up.
    free: Vec<usize>,
}

impl Landing {
    /// Says how the flight ended, unless that was said before.
    pub(super) fn tell(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_err() {
            return;
        }
        // Who takes a place from here on sees first that it is told.
        let wakers = mem::take(&mut *self.lock()).wakers;
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A follower's end of a flight.
pub(crate) struct Follower {
    pub(super) flight: Arc<Flight>,
    pub(super) began: u64,
    /// Its place among those who are woken.
    place: Option<usize>,
}

impl Follower {
    pub(super) fn new(flight: &Arc<Flight>, began: u64) -> Self {
        Self {
            flight: Arc::clone(flight),
            began,
            place: None,
        }
    }

    /// Whether the flight has ended, and what that means for this call.
    pub(crate) fn poll_end(&mut self, context: &Context<'_>) -> Poll<Followed> {
        let landing = &self.flight.landing;
        if let Some(outcome) = landing.outcome.get() {
            return Poll::Ready(outcome.followed(self.began));
        }
        let mut waiting = landing.lock();
        if let Some(outcome) = landing.outcome.get() {
            return Poll::Ready(outcome.followed(self.began));
        }
        let waker = context.waker();
        let place = self
            .place
            .or_else(|| waiting.free.pop())
            .unwrap_or(waiting.wakers.len());
        self.place = Some(place);
        match waiting.wakers.get_mut(place) {
            Some(Some(known)) if known.will_wake(waker) => {}
            Some(known) => *known = Some(waker.clone()),
            None => waiting.wakers.push(Some(waker.clone())),
        }
        Poll::Pending
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let landing = &self.flight.landing;
        if landing.outcome.get().is_some() {
            return;
        }
        let mut waiting = landing.lock();
        let waker = waiting.wakers.get_mut(place).and_then(Option::take);
        if waker.is_some() {
            waiting.free.push(place);
        }
        // Whatever a waker does when it is dropped, it does without the lock.
        drop(waiting);
        drop(waker);
    }
}
