//! What happens while the shared tier cannot be reached: a breaker, and the queue of invalidations
//! that must be applied before the shared tier is used again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Engine, Step};
use crate::sabotage::{Guard, removed};
use crate::tag::Tag;
use crate::{Error, ErrorKind, Key};

/// Consecutive failures after which no call waits for the store any more.
const TOLERATED: u32 = 3;
/// The first pause between two probes, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How many invalidations are kept one by one.
const QUEUE: usize = 10_000;
/// How many are replayed in one request.
const BATCH: usize = 500;

/// The breaker and the queue, in one state: the shared tier is used while the breaker is closed
/// and the queue is empty.
#[derive(Debug)]
pub(crate) struct Outage {
    usable: AtomicBool,
    /// Consecutive failures while it is closed.
    failures: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    healing: bool,
}

/// Invalidations to be replayed, coalesced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    tags: BTreeSet<String>,
    keys: BTreeSet<String>,
}

impl Queue {
    /// Adds what an invalidation concerns.
    ///
    /// The queue is bounded by widening, never by dropping: too many keys become the tags of their
    /// kinds, and too many tags the namespace's own, which every entry carries.
    pub(super) fn add(&mut self, tags: &[String], keys: &[String]) {
        self.tags.extend(tags.iter().cloned());
        self.keys.extend(keys.iter().cloned());
        self.widen();
    }

    /// Adds what another queue holds.
    pub(super) fn join(&mut self, other: Self) {
        self.tags.extend(other.tags);
        self.keys.extend(other.keys);
        self.widen();
    }

    fn widen(&mut self) {
        if self.len() > QUEUE {
            let kinds = std::mem::take(&mut self.keys);
            self.tags.extend(
                kinds
                    .iter()
                    .filter_map(|key| key.split_once(':'))
                    .map(|(kind, _)| Tag::of_kind(kind).as_str().to_owned()),
            );
        }
        if self.len() > QUEUE {
            self.tags = BTreeSet::from([Tag::namespace().as_str().to_owned()]);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len() + self.keys.len()
    }
}

impl Outage {
    pub(crate) fn new() -> Self {
        Self {
            usable: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            state: Mutex::default(),
        }
    }

    /// Whether the shared tier may be used.
    ///
    /// Guard G10: not while anything is queued or being replayed, since this node would read what
    /// it has itself invalidated.
    pub(crate) fn usable(&self) -> bool {
        self.usable.load(Ordering::Acquire)
    }

    /// How many invalidations are queued.
    pub(crate) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// A call to the store succeeded.
    pub(crate) fn succeeded(&self) {
        // Read first: callers of a healthy store share no written line.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error speaks for the store being out of reach, rather than for one request.
fn is_outage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Protocol
    )
}

impl Engine {
    /// A call to the store failed. Enough of those in a row, and no call waits for it any more.
    pub(crate) fn store_failed(&self, error: &Error) {
        self.store_complaints.say(&self.env, || {
            tracing::warn!(
                store = self.store.as_ref().map(|store| store.describe()),
                "the shared tier failed, functions run instead: {error}"
            );
        });
        if !is_outage(error) {
            return;
        }
        if self.outage.failures.fetch_add(1, Ordering::Relaxed) + 1 >= TOLERATED {
            self.open(self.outage.lock());
        }
    }

    /// Keeps an invalidation that could not be applied.
    pub(crate) fn queue_invalidation(&self, tags: &[String], keys: &[String]) {
        let mut state = self.outage.lock();
        state.queue.add(tags, keys);
        self.open(state);
    }

    /// Queues the invalidations of the last few seconds once more: with the connection, the server
    /// may have lost what it had acknowledged.
    pub(super) fn queue_recent(&self) {
        let recent = self.recent.since_window(self.env.now());
        if recent.len() == 0 {
            return;
        }
        let mut state = self.outage.lock();
        state.queue.join(recent);
        self.open(state);
    }

    fn open(&self, mut state: MutexGuard<'_, State>) {
        self.outage
            .usable
            .store(removed(Guard::G10), Ordering::Release);
        if std::mem::replace(&mut state.healing, true) {
            return;
        }
        drop(state);
        if let Some(engine) = self.me.upgrade() {
            self.env.spawn(heal(Arc::downgrade(&engine)));
        }
    }

    /// Whether the store answers and everything queued has been applied.
    async fn try_heal(&self) -> Result<(), Error> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        self.bounded(store.probe()).await?;
        loop {
            // Guard G13: what is replayed is taken out first; what is queued meanwhile stays.
            let kept = removed(Guard::G13).then(|| self.outage.lock().queue.clone());
            let taken = kept.unwrap_or_else(|| std::mem::take(&mut self.outage.lock().queue));
            if taken.len() == 0 {
                return Ok(());
            }
            let tags: Vec<String> = taken.tags.into_iter().collect();
            let keys: Vec<String> = taken.keys.into_iter().collect();
            self.recent.note(self.env.now(), &tags, &keys);
            let replayed = async {
                for tags in tags.chunks(BATCH) {
                    self.bounded(store.invalidate(tags)).await?;
                }
                for keys in keys.chunks(BATCH) {
                    self.bounded(store.remove(keys)).await?;
                }
                Ok(())
            };
            if let Err(error) = replayed.await {
                // Taken out is not forgotten.
                self.outage.lock().queue.add(&tags, &keys);
                return Err(error);
            }
            if removed(Guard::G13) {
                let queue = &mut self.outage.lock().queue;
                queue.tags.retain(|tag| !tags.contains(tag));
                queue.keys.retain(|key| !keys.contains(key));
            }
        }
    }

    /// Closes the breaker, unless something was queued in the meantime.
    fn close(&self) -> bool {
        // What was read before the outage may be from before an invalidation of another node.
        self.step_epoch(Step::Loss(self.trust.known_until(self.env.coarse())));
        let mut state = self.outage.lock();
        if state.queue.len() > 0 {
            return false;
        }
        self.outage.failures.store(0, Ordering::Relaxed);
        state.healing = false;
        self.outage.usable.store(true, Ordering::Release);
        true
    }
}

/// Probes the store with growing pauses until it answers, replays the queue, and closes the breaker.
async fn heal(engine: std::sync::Weak<Engine>) {
    let mut pause = PAUSE.0;
    loop {
        let Some(engine) = engine.upgrade() else {
            return;
        };
        match engine.try_heal().await {
            Ok(()) => {
                if engine.close() {
                    tracing::info!("the shared tier is back in use");
                    return;
                }
            }
            Err(error) => {
                tracing::debug!("the shared tier is still out of reach: {error}");
                // Half of it fixed and half random, so that a fleet does not probe in step.
                let half = pause / 2;
                let jitter = half.mul_f64(unit(engine.env.draw()));
                let sleep = engine.env.sleep(half + jitter);
                drop(engine);
                sleep.await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

/// A random number from 0 to 1.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// The keys in the shared tier that stand for a [`Key`]: under both names of its function.
pub(crate) fn shared_keys(key: &Key) -> impl Iterator<Item = String> {
    key.functions()
        .map(move |function| format!("{}:{function}:{}", key.kind(), key.args()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflowing_queue_widens_and_never_drops() {
        let mut queue = Queue::default();
        let keys: Vec<String> = (0..QUEUE).map(|id| format!("profile:get:{id}")).collect();
        queue.add(&["user:1".into()], &keys);
        assert_eq!(queue.keys.len(), 0);
        assert_eq!(
            queue.tags.iter().collect::<Vec<_>>(),
            ["user:1", "~profile"],
            "the keys became their kind"
        );
        let tags: Vec<String> = (0..=QUEUE).map(|id| format!("user:{id}")).collect();
        queue.add(&tags, &[]);
        assert_eq!(queue.tags.iter().collect::<Vec<_>>(), ["~"]);
    }

    #[test]
    fn what_is_queued_twice_is_kept_once() {
        let mut queue = Queue::default();
        queue.add(&["a".into()], &["k:f:1".into()]);
        queue.add(&["a".into()], &["k:f:1".into()]);
        assert_eq!(queue.len(), 2);
    }
}
