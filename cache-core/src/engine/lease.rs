//! Leases held by this node: renewed while their load runs, given up when it is in vain.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Engine;
use super::outage::{Asking, is_outage};
use crate::store::Token;

/// How often a lease is renewed at most: a leader that is never polled again must not hold its key
/// for ever.
const RENEWALS: u32 = 60;
/// The pauses between two attempts to give a lease up: the first, and the longest.
const RELEASES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));
/// After this a lease that is not renewed has run out.
const LONGEST: Duration = Duration::from_secs(10);

/// The leases whose loads are under way.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Renewed in the order of their tokens: a simulation's run can be had again.
    leases: BTreeMap<Token, Lease>,
    /// Whether the keeper runs.
    kept: bool,
}

#[derive(Clone, Debug)]
struct Lease {
    key: Arc<str>,
    lasts: Duration,
    renew_at: Duration,
    renewals: u32,
}

impl Leases {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The load has ended, or its lease was given up.
    pub(crate) fn forget(&self, token: Token) {
        self.lock().leases.remove(&token);
    }
}

impl Engine {
    /// Renews a lease from here on until it is forgotten: a load may outlast it.
    ///
    /// One task for all leases of the node, so that the load of a plain function, which blocks its
    /// thread, is kept as well.
    pub(crate) fn keep_lease(&self, key: &Arc<str>, token: Token, lasts: Duration) {
        let start = {
            let mut held = self.leases.lock();
            held.leases.insert(
                token,
                Lease {
                    key: Arc::clone(key),
                    lasts,
                    renew_at: self.env.now() + lasts / 3,
                    renewals: 0,
                },
            );
            !std::mem::replace(&mut held.kept, true)
        };
        if start {
            self.env.spawn(keep(self.me.clone(), lasts / 4));
        }
    }

    /// The leases that are due, with the time of their next renewal noted.
    fn due_leases(&self) -> Option<Vec<(Token, Lease)>> {
        let now = self.env.now();
        let mut held = self.leases.lock();
        held.leases.retain(|_, lease| lease.renewals < RENEWALS);
        if held.leases.is_empty() {
            held.kept = false;
            return None;
        }
        let mut due = Vec::new();
        for (token, lease) in &mut held.leases {
            if lease.renew_at <= now {
                lease.renew_at = now + lease.lasts / 3;
                lease.renewals += 1;
                due.push((*token, lease.clone()));
            }
        }
        Some(due)
    }

    /// Gives a lease up, in the background: at once, or as soon as the store can be reached again,
    /// since everybody else waits for it in vain until then. One task for each; while the store is
    /// out of reach no lease is asked for, so that there are no more than calls were under way.
    pub(crate) fn release_later(&self, key: impl Into<Arc<str>>, token: Token) {
        self.leases.forget(token);
        self.release_until_gone(key.into(), token, Answer::Heard);
    }

    fn release_until_gone(&self, key: Arc<str>, token: Token, answer: Answer) {
        if self.store.is_some() {
            let ends = self.env.now() + LONGEST;
            let released = release(self.me.clone(), (key, token), answer, ends);
            self.env.spawn(released);
        }
    }
}

/// The answer to the request for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Whatever it was.
    Heard,
    /// The request may be carried out yet: over a connection that was lost meanwhile it may reach the server after
    /// what was asked over the next one, the release among it. Everybody would wait for that lease until
    /// it has run out.
    Missing,
}

/// Asks for the release of a lease until that was done for good, or the lease has run out by itself.
async fn release(
    engine: Weak<Engine>,
    (key, token): (Arc<str>, Token),
    answer: Answer,
    ends: Duration,
) {
    let (mut pause, mut longest) = RELEASES;
    loop {
        let Some(engine) = engine.upgrade() else {
            return;
        };
        if let (Some(store), true) = (&engine.store, engine.outage.usable()) {
            let release = store.release(&key, token);
            let released = engine.bounded(Asking::Write, release).await;
            // Guard G14: the store tells nobody of its own node's release.
            engine.wake_waiter(&key);
            match released {
                Ok(()) if answer == Answer::Heard => return,
                Err(error) if is_outage(&error) => engine.store_failed(&error),
                // Released most likely for good, or refused: trying again seldom is enough.
                answered => {
                    if let Err(error) = answered {
                        engine.store_failed(&error);
                    }
                    (pause, longest) = (pause.max(RELEASES.1), LONGEST);
                }
            }
        }
        if engine.env.now() >= ends {
            return;
        }
        let sleep = engine.env.sleep(pause);
        drop(engine);
        sleep.await;
        pause = (pause * 2).min(longest);
    }
}

/// Renews the leases that are due, until there is none.
async fn keep(engine: Weak<Engine>, pause: Duration) {
    loop {
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let Some(due) = engine.due_leases() else {
            return;
        };
        if let (Some(store), true) = (engine.store.clone(), engine.outage.usable()) {
            for (token, lease) in due {
                let renewed = store.renew(&lease.key, token, lease.lasts);
                match engine.bounded(Asking::Write, renewed).await {
                    Ok(true) => {}
                    // It is another's by now: the fill will be refused.
                    Ok(false) => engine.leases.forget(token),
                    Err(error) => engine.store_failed(&error),
                }
            }
        }
        let sleep = engine.env.sleep(pause);
        drop(engine);
        sleep.await;
    }
}

/// Gives a lease up when it is dropped, unless that was seen to.
pub(super) struct LeaseGuard {
    engine: Arc<Engine>,
    key: Arc<str>,
    pub(super) token: Token,
    answer: Answer,
    armed: bool,
}

impl LeaseGuard {
    /// Guards a lease that is about to be asked for: a caller that is cancelled before the answer
    /// is there may have been granted it all the same.
    pub(super) fn new(engine: &Arc<Engine>, key: Arc<str>, token: Token) -> Self {
        Self {
            engine: Arc::clone(engine),
            key,
            token,
            answer: Answer::Missing,
            armed: true,
        }
    }

    /// The request for it was answered.
    pub(super) fn heard(&mut self) {
        self.answer = Answer::Heard;
    }

    /// It was granted: it is renewed from here on.
    pub(super) fn granted(&self, lasts: Duration) {
        self.engine.keep_lease(&self.key, self.token, lasts);
    }

    /// The lease is no longer there, or no longer ours: there is nothing to give up.
    pub(super) fn gone(mut self) {
        self.armed = false;
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        self.engine.leases.forget(self.token);
        if self.armed {
            let key = Arc::clone(&self.key);
            self.engine.release_until_gone(key, self.token, self.answer);
        }
    }
}
