//! Who hears the answer to `begin`: its caller, or a task, where the caller is dropped or held up.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Engine;
use super::lease::LeaseGuard;
use crate::Result;
use crate::driver::BoxFuture;
use crate::store::Beginning;

/// The answers that are being waited for. Each is heard by its caller, which so is told of it without a
/// change of thread; by a task, if the caller is dropped, or has not come to hear it for a while.
#[derive(Default)]
pub(super) struct Ears {
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    ears: Vec<(Duration, Arc<Ear>)>,
    /// Whether the keeper runs.
    kept: bool,
}

/// For how long an answer is its caller's to hear. Far below the bound within which a node may be
/// told late.
const PATIENCE: Duration = Duration::from_millis(100);

pub(super) type Outcome = Result<(LeaseGuard, Beginning)>;

#[derive(Default)]
struct Ear(Mutex<State>);

#[derive(Default)]
enum State {
    /// Its caller hears it; whom to tell should a task do so in its place.
    Listening(BoxFuture<'static, Outcome>, Option<Waker>),
    /// A task does; whom to tell.
    Taken(Option<Waker>),
    Heard(Outcome),
    /// It was told, or nobody wants to know.
    #[default]
    Over,
}

impl Ear {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the answer from its caller, who may be told once it is there.
    fn take(&self) -> Option<BoxFuture<'static, Outcome>> {
        // One that is being polled is being heard.
        let mut state = self.0.try_lock().ok()?;
        match mem::take(&mut *state) {
            State::Listening(listening, waker) => {
                *state = State::Taken(waker);
                Some(listening)
            }
            other => {
                *state = other;
                None
            }
        }
    }

    /// Tells the caller, if it is still there.
    fn tell(&self, engine: &Engine, outcome: Outcome) {
        let mut state = self.lock();
        let State::Taken(waker) = &mut *state else {
            drop(state);
            unheard(engine, outcome);
            return;
        };
        let waker = waker.take();
        *state = State::Heard(outcome);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Nobody wants what came of it: a lease is given up, and what the stamps have taught reaches the flights.
fn unheard(engine: &Engine, outcome: Outcome) {
    drop(outcome);
    engine.sweep_flights();
}

/// A caller that waits for its answer.
pub(super) struct Overhearing {
    engine: Arc<Engine>,
    ear: Arc<Ear>,
}

impl Future for Overhearing {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.ear.lock();
        match &mut *state {
            State::Listening(listening, waker) => {
                if let Poll::Ready(outcome) = listening.as_mut().poll(context) {
                    *state = State::Over;
                    return Poll::Ready(outcome);
                }
                note(waker, context);
                Poll::Pending
            }
            State::Taken(waker) => {
                note(waker, context);
                Poll::Pending
            }
            State::Heard(_) | State::Over => match mem::take(&mut *state) {
                State::Heard(outcome) => Poll::Ready(outcome),
                _ => Poll::Pending,
            },
        }
    }
}

fn note(place: &mut Option<Waker>, context: &Context<'_>) {
    let waker = context.waker();
    if !place.as_ref().is_some_and(|known| known.will_wake(waker)) {
        *place = Some(waker.clone());
    }
}

impl Drop for Overhearing {
    fn drop(&mut self) {
        let state = mem::take(&mut *self.ear.lock());
        match state {
            State::Listening(listening, _) => {
                let engine = Arc::clone(&self.engine);
                self.engine.env.spawn(async move {
                    let outcome = listening.await;
                    unheard(&engine, outcome);
                });
            }
            State::Heard(outcome) => unheard(&self.engine, outcome),
            State::Taken(_) | State::Over => {}
        }
    }
}

impl Engine {
    /// Has the caller hear an answer, or a task in its place.
    pub(super) fn overhear(
        self: &Arc<Self>,
        listening: BoxFuture<'static, Outcome>,
    ) -> Overhearing {
        let ear = Arc::new(Ear(Mutex::new(State::Listening(listening, None))));
        let start = {
            let mut asked = self.ears.lock();
            asked.ears.push((self.env.coarse(), Arc::clone(&ear)));
            !mem::replace(&mut asked.kept, true)
        };
        if start {
            let env = self.env.clone();
            self.env
                .spawn(keep(self.me.clone(), move || env.sleep(PATIENCE)));
        }
        Overhearing {
            engine: Arc::clone(self),
            ear,
        }
    }

    /// Takes those answers that their callers have not come to hear; `None` where nobody waits for any.
    fn forgotten(&self) -> Option<Vec<(Arc<Ear>, BoxFuture<'static, Outcome>)>> {
        let now = self.env.coarse();
        let mut forgotten = Vec::new();
        let mut asked = self.ears.lock();
        asked.ears.retain(|(since, ear)| {
            // Nobody else has it any more: it is over.
            if Arc::strong_count(ear) == 1 {
                return false;
            }
            if now.saturating_sub(*since) < PATIENCE {
                return true;
            }
            match ear.take() {
                Some(listening) => {
                    forgotten.push((Arc::clone(ear), listening));
                    false
                }
                // It is being polled just now, or its caller has gone, or been told, meanwhile.
                None => true,
            }
        });
        asked.kept = !asked.ears.is_empty() || !forgotten.is_empty();
        asked.kept.then_some(forgotten)
    }
}

impl Ears {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears what callers do not come to hear, until nobody waits.
async fn keep(engine: Weak<Engine>, sleep: impl Fn() -> BoxFuture<'static, ()>) {
    loop {
        sleep().await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let Some(forgotten) = engine.forgotten() else {
            return;
        };
        for (ear, listening) in forgotten {
            let heard = Arc::clone(&engine);
            engine.env.spawn(async move {
                let outcome = listening.await;
                ear.tell(&heard, outcome);
            });
        }
    }
}
