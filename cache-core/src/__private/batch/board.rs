//! What the elements of a batch want and are given: where their calls, which each know of one element, meet the
//! one run of the function.

use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Each;

/// What the elements' calls want, and what they are given.
pub(super) struct Board<V> {
    slots: Mutex<Vec<Slot<V>>>,
    /// Up while a call waits for somebody else.
    pub(super) waiting: Vec<Arc<AtomicBool>>,
}

/// What one call is about.
pub(super) enum Slot<V> {
    /// It is searching, or has ended.
    Idle,
    /// It wants its part loaded.
    Wanted(Waker),
    /// The function runs for it.
    Asked(Waker),
    /// Its part is here.
    Given(Each<V>),
}

impl<V> Board<V> {
    pub(super) fn new(calls: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: Mutex::new((0..calls).map(|_| Slot::Idle).collect()),
            waiting: (0..calls).map(|_| Arc::default()).collect(),
        })
    }

    /// Gives a call its part, unless it has one.
    pub(super) fn give(&self, index: usize, part: Each<V>) {
        let mut slots = self.lock();
        if let Slot::Given(_) = slots[index] {
            return;
        }
        let slot = std::mem::replace(&mut slots[index], Slot::Given(part));
        drop(slots);
        if let Slot::Asked(waker) | Slot::Wanted(waker) = slot {
            waker.wake();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Slot<V>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One element's part of what the function returns.
pub(super) struct Part<V> {
    pub(super) board: Arc<Board<V>>,
    pub(super) index: usize,
}

impl<V> Future for Part<V> {
    type Output = Each<V>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Each<V>> {
        let mut slots = self.board.lock();
        let slot = &mut slots[self.index];
        match std::mem::replace(slot, Slot::Idle) {
            Slot::Given(part) => return Poll::Ready(part),
            Slot::Idle | Slot::Wanted(_) => *slot = Slot::Wanted(context.waker().clone()),
            Slot::Asked(_) => *slot = Slot::Asked(context.waker().clone()),
        }
        Poll::Pending
    }
}
