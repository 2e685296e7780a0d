//! The way of an answer to who waits for it. Whoever is answered by what was read at one time is woken at one
//! time, those of one runtime by that runtime.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use redis::{RedisResult, Value};

use super::closed;
use super::relay::Relay;

/// What comes of a request.
pub(super) type Answer = RedisResult<Vec<Value>>;

/// Waits for an answer.
pub(super) struct Told(Arc<Mutex<Slot>>);

/// Gives it. Dropped without having done so, it says that there will be none.
pub(super) struct Tell(Option<Arc<Mutex<Slot>>>);

/// Who is to be woken, and by whom.
pub(super) struct Waiter {
    waker: Waker,
    relay: Option<Arc<Relay>>,
}

#[derive(Default)]
struct Slot {
    answer: Option<Answer>,
    waiter: Option<Waiter>,
}

/// The two ends of a way.
pub(super) fn way() -> (Tell, Told) {
    let slot = Arc::default();
    (Tell(Some(Arc::clone(&slot))), Told(slot))
}

impl Tell {
    /// Gives the answer. Who waits for it is to be woken by whoever gave it.
    pub(super) fn tell(mut self, answer: Answer) -> Option<Waiter> {
        self.put(answer)
    }

    fn put(&mut self, answer: Answer) -> Option<Waiter> {
        let slot = self.0.take()?;
        let mut slot = lock(&slot);
        slot.answer = Some(answer);
        slot.waiter.take()
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        // Most have told by now.
        if self.0.is_some()
            && let Some(waiter) = self.put(Err(closed()))
        {
            waiter.waker.wake();
        }
    }
}

impl Future for Told {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut slot = lock(&self.0);
        if let Some(answer) = slot.answer.take() {
            return Poll::Ready(answer);
        }
        let waker = context.waker();
        let is_known = |waiter: &Waiter| waiter.waker.will_wake(waker);
        if !slot.waiter.as_ref().is_some_and(is_known) {
            slot.waiter = Some(Waiter {
                waker: waker.clone(),
                relay: Relay::of(waker),
            });
        }
        Poll::Pending
    }
}

/// Wakes all of them.
pub(super) fn wake(waiters: &mut Vec<Waiter>) {
    let mut relays: Vec<Arc<Relay>> = Vec::new();
    for Waiter { waker, relay } in waiters.drain(..) {
        let Some(relay) = relay else {
            waker.wake();
            continue;
        };
        relay.leave(waker);
        if !relays.iter().any(|known| Arc::ptr_eq(known, &relay)) {
            relays.push(relay);
        }
    }
    for relay in relays {
        relay.ring();
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
