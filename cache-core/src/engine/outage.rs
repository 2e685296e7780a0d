//! What happens while the shared tier cannot be reached: a breaker, and the queue of invalidations
//! that must be applied before the shared tier is used again.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::journal::Ticket;
use super::queue::Queue;
use super::{Engine, Step};
use crate::entry::EntryId;
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::store::{Read, Store};
use crate::{Error, ErrorKind, Key};

/// Consecutive failures after which no call waits for the store any more.
const TOLERATED: u32 = 3;
/// The first pause between two probes, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How many are replayed in one request.
const BATCH: usize = 500;
/// The key that is read, and whose lease is given up, to see whether the store does what calls need.
/// No kind's name begins with `~`, so there is never anything there.
const PROBED: &str = "~probe";

/// What is asked of the store, for the breaker's sake.
///
/// Calls that read and those that write have a streak of failures each, and either opens it: a
/// server may answer reads and let writes hang (`CLIENT PAUSE .. WRITE`, a failover under way), and
/// then each miss would pay the store timeout, for as long as the reads in between end the streak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// `read`.
    Read,
    /// `begin`, `fill`, `renew` and `release`.
    Write,
    /// Neither: a question about the store itself, or an invalidation, one failure of which opens the
    /// breaker, since it is queued. Its success says nothing of the others: it may have a connection
    /// of its own.
    Aside,
}

/// The breaker and the queue, in one state: the shared tier is used while the breaker is closed
/// and the queue is empty.
#[derive(Debug)]
pub(crate) struct Outage {
    usable: AtomicBool,
    /// Consecutive failures of calls that read, while it is closed.
    reads: AtomicU32,
    /// The same of calls that write.
    writes: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    healing: bool,
}

impl Outage {
    /// Begins with what an earlier process could not apply: open, where there is any.
    pub(crate) fn new(queue: Queue) -> Self {
        Self {
            usable: AtomicBool::new(queue.is_empty() || removed(Guard::G10)),
            reads: AtomicU32::new(0),
            writes: AtomicU32::new(0),
            state: Mutex::new(State {
                queue,
                healing: false,
            }),
        }
    }

    /// Whether the shared tier may be used.
    ///
    /// Guard G10: not while anything is queued or being replayed, since this node would read what
    /// it has itself invalidated.
    #[inline]
    pub(crate) fn usable(&self) -> bool {
        self.usable.load(Ordering::Acquire)
    }

    /// How many tags and keys are queued.
    pub(crate) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    fn streak(&self, asking: Asking) -> Option<&AtomicU32> {
        match asking {
            Asking::Read => Some(&self.reads),
            Asking::Write => Some(&self.writes),
            Asking::Aside => None,
        }
    }

    /// The store answered.
    fn answered(&self, asking: Asking) {
        if let Some(streak) = self.streak(asking)
            // Read first: callers of a healthy store share no written line.
            && streak.load(Ordering::Relaxed) != 0
        {
            streak.store(0, Ordering::Relaxed);
        }
    }

    /// The store did not answer; returns whether that is too often in a row.
    fn unanswered(&self, asking: Asking) -> bool {
        self.streak(asking)
            .is_some_and(|streak| streak.fetch_add(1, Ordering::Relaxed) + 1 >= TOLERATED)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error speaks for the store being out of reach, rather than for one request.
pub(super) fn is_outage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Protocol
    )
}

impl Engine {
    /// Says that a call to the store failed. What that means for the breaker, [`Self::judged`] has
    /// seen to.
    pub(crate) fn store_failed(&self, error: &Error) {
        self.store_complaints.say(&self.env, || {
            tracing::warn!(
                store = self.store.as_ref().map(|store| store.describe()),
                "the shared tier failed, functions run instead: {error}"
            );
        });
    }

    /// What a call to the store came to, for the breaker. Enough without an answer in a row, and no
    /// call waits for the store any more.
    ///
    /// A refusal is an answer: a full or read-only Redis refuses each write at once, and its reads
    /// still serve hits, which an open breaker would forgo.
    pub(super) fn judged(&self, asking: Asking, error: Option<&Error>) {
        if !error.is_some_and(is_outage) {
            self.outage.answered(asking);
        } else if self.outage.unanswered(asking) {
            self.open(self.outage.lock());
        }
    }

    /// Keeps an invalidation that could not be applied. The ticket is for
    /// [`journaled`](Self::journaled).
    pub(crate) fn queue_invalidation(&self, tags: &[String], keys: &[String]) -> Option<Ticket> {
        let mut more = Queue::default();
        let widened = more.add(tags, keys);
        self.enqueue(more, widened)
    }

    /// Queues the invalidations of the last few seconds once more: with the connection, the server
    /// may have lost what it had acknowledged.
    pub(super) fn queue_recent(&self) {
        let recent = self.recent.since_window(self.env.now());
        if !recent.is_empty() {
            self.enqueue(recent, false);
        }
    }

    fn enqueue(&self, more: Queue, mut widened: bool) -> Option<Ticket> {
        let mut state = self.outage.lock();
        // Under the lock under which the journal is emptied: in the file's order as in the queue's.
        let ticket = self
            .journal
            .as_ref()
            .map(|journal| journal.add(more.clone()));
        widened |= state.queue.join(more);
        self.open(state);
        if widened {
            self.totals.count(Count::QueueWidened);
        }
        ticket
    }

    /// Waits until the journal has what was queued, or its disk has failed, or taken longer than a
    /// call may wait. The invalidation is queued in any case.
    pub(super) async fn journaled(&self, ticket: Option<Ticket>) {
        let (Some(journal), Some(ticket)) = (&self.journal, ticket) else {
            return;
        };
        tokio::select! {
            biased;
            () = journal.written(ticket) => {}
            () = self.env.sleep(self.store_timeout) => journal.is_late(self.store_timeout),
        }
    }

    /// Begins to apply what an earlier process left in its journal.
    pub(super) fn resume(&self) {
        let state = self.outage.lock();
        if !state.queue.is_empty() {
            tracing::info!(
                count = state.queue.len(),
                "an earlier process left queued invalidations: the shared tier is not used before \
                 they are applied"
            );
            self.open(state);
        }
    }

    fn open(&self, mut state: MutexGuard<'_, State>) {
        self.outage
            .usable
            .store(removed(Guard::G10), Ordering::Release);
        if std::mem::replace(&mut state.healing, true) {
            return;
        }
        drop(state);
        self.totals.count(Count::BreakerOpened);
        // Who waits for another node's load would not be told of its end.
        self.flights.wake_all();
        if let Some(engine) = self.me.upgrade() {
            self.env.spawn(heal(Arc::downgrade(&engine)));
        }
    }

    /// Whether the store answers reads and takes writes, or refuses them at once.
    ///
    /// [`Store::probe`] says nothing of either, and closing the breaker on its word alone would let
    /// the next calls pay for finding out. Giving up a lease that nobody holds changes nothing, and
    /// goes the way of every write: in Redis it is a script, which a server that holds writes back
    /// holds back, since it can't know what the script will do. The replay does the same for
    /// invalidations: if one fails, it is queued, and so the breaker is open until one succeeds.
    async fn probe_calls(&self, store: &Arc<dyn Store>) -> Result<(), Error> {
        let nobody = EntryId([0; 16]);
        let read = self.bounded(Asking::Aside, store.read(Read::new(PROBED, &[])));
        let read = read.await.map(drop);
        let written = self.bounded(Asking::Aside, store.release(PROBED, nobody));
        let errors = [read.err(), written.await.err()];
        match errors.into_iter().flatten().find(is_outage) {
            Some(outage) => Err(outage),
            None => Ok(()),
        }
    }

    /// Whether the store answers and everything queued has been applied.
    async fn try_heal(&self) -> Result<(), Error> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        self.bounded(Asking::Aside, store.probe()).await?;
        self.probe_calls(store).await?;
        loop {
            // Guard G13: what is replayed is taken out first; what is queued meanwhile stays.
            let kept = removed(Guard::G13).then(|| self.outage.lock().queue.clone());
            let taken = kept.unwrap_or_else(|| std::mem::take(&mut self.outage.lock().queue));
            if taken.is_empty() {
                return Ok(());
            }
            let tags: Vec<String> = taken.tags.into_iter().collect();
            let keys: Vec<String> = taken.keys.into_iter().collect();
            let count = tags.len() + keys.len();
            self.recent.note(self.env.now(), &tags, &keys);
            let replayed = async {
                for tags in tags.chunks(BATCH) {
                    self.bounded(Asking::Aside, store.invalidate(tags)).await?;
                }
                for keys in keys.chunks(BATCH) {
                    self.bounded(Asking::Aside, store.remove(keys)).await?;
                }
                Ok(())
            };
            if let Err(error) = replayed.await {
                // Taken out is not forgotten; the journal has it still.
                if self.outage.lock().queue.add(&tags, &keys) {
                    self.totals.count(Count::QueueWidened);
                }
                return Err(error);
            }
            self.totals.add(Count::InvalidationReplayed, count as u64);
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
        if !state.queue.is_empty() {
            return false;
        }
        if let Some(journal) = &self.journal {
            journal.clear();
        }
        self.outage.reads.store(0, Ordering::Relaxed);
        self.outage.writes.store(0, Ordering::Relaxed);
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
