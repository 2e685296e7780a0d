//! What is left of a batch once its caller has the values: the store's answers, which a task hears
//! (docs/decisions/0032-batches-return-early.md). And which of a batch's elements have something to do.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::driver::BoxFuture;
use crate::engine::Engine;

/// Elements whose values the caller has, and whose store has been asked to keep them. Each has in it what its
/// flight, its lease and the local tier come to.
pub(super) struct Storing {
    /// By their indices.
    pub(super) pending: Vec<Option<BoxFuture<'static, bool>>>,
    pub(super) left: usize,
    pub(super) nudges: Vec<Waker>,
    ready: Arc<Ready>,
}

/// How many elements may be waiting for the store's word after their callers have gone on. Whose are more
/// waits for it: a store that is slow is not to be outrun.
const MOST_STORING: usize = 4096;

impl Storing {
    pub(super) fn new(calls: usize) -> Self {
        let ready = Arc::new(Ready {
            indices: Mutex::new((0..calls).collect()),
            waker: Mutex::new(Waker::noop().clone()),
        });
        let nudge = |index| {
            Waker::from(Arc::new(Nudge {
                index,
                ready: Arc::clone(&ready),
            }))
        };
        Self {
            pending: (0..calls).map(|_| None).collect(),
            left: 0,
            nudges: (0..calls).map(nudge).collect(),
            ready,
        }
    }

    /// Who has something to do; whoever has from here on wakes this task.
    pub(super) fn nudged(&self, context: &Context<'_>) -> Vec<usize> {
        self.ready.lock_waker().clone_from(context.waker());
        std::mem::take(&mut *self.ready.lock())
    }

    pub(super) fn poll_one(&mut self, index: usize) {
        let Some(storing) = &mut self.pending[index] else {
            return;
        };
        let mut context = Context::from_waker(&self.nudges[index]);
        if storing.as_mut().poll(&mut context).is_ready() {
            self.pending[index] = None;
            self.left -= 1;
        }
    }

    /// Has a task hear the answers, unless too many are waited for already.
    pub(super) async fn hand_over(self, engine: &Arc<Engine>) {
        if self.left == 0 {
            return;
        }
        let Some(storing) = engine.storing(self.left, MOST_STORING) else {
            self.await;
            return;
        };
        engine.env.spawn(async move {
            self.await;
            drop(storing);
        });
    }
}

impl Future for Storing {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        for index in self.nudged(context) {
            self.poll_one(index);
        }
        if self.left == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Which calls have something to do.
struct Ready {
    indices: Mutex<Vec<usize>>,
    waker: Mutex<Waker>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.indices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_waker(&self) -> MutexGuard<'_, Waker> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the batch for one of its calls.
struct Nudge {
    index: usize,
    ready: Arc<Ready>,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        let mut indices = self.ready.lock();
        indices.push(self.index);
        // Whoever was the first has woken the batch, which takes all of them when it comes.
        if indices.len() > 1 {
            return;
        }
        drop(indices);
        let waker = self.ready.lock_waker().clone();
        waker.wake();
    }
}
