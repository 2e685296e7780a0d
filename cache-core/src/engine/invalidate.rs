//! Invalidation: here at once, in the shared tier before it returns, or queued.

use std::time::Duration;

use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::Engine;
use super::outage::{Asking, shared_keys};
use super::spans;
use crate::Key;
use crate::cache::Transaction;
use crate::driver;
use crate::key::Args;
use crate::local::LocalKey;
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::tag::Tag;

/// What became of an invalidation.
///
/// ```
/// use cache_core::{Cache, Invalidation};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let cache = Cache::builder().build();
/// let outcome = cache.invalidate_tag("user:42").await?;
/// assert_eq!(outcome, Invalidation::Applied);
/// # Ok::<(), cache_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalidation {
    /// It holds: on this node at once, and everywhere within the bound of invariant 1.
    Applied,
    /// It holds on this node. The shared tier could not be reached; it is kept, and applied before
    /// this node uses the shared tier again. Kept in memory, and where the cache has a
    /// [`journal`](crate::CacheBuilder::journal), on disk by now.
    Queued,
    /// It is kept until the [`transaction`](crate::Cache::transaction) around it has succeeded, and
    /// carried out then.
    Collected,
    /// It holds on this node, and what becomes of it elsewhere is not waited for: plain code has asked
    /// for it on the thread that carries it out, in the `Drop` of a value that left the local tier
    /// there, say. The metrics count what comes of it.
    Started,
}

/// What is to be invalidated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    pub(crate) tags: Vec<String>,
    pub(crate) keys: Vec<Key>,
}

impl Targets {
    pub(crate) fn tag(tag: &Tag) -> Self {
        Self {
            tags: vec![tag.as_str().to_owned()],
            keys: Vec::new(),
        }
    }

    pub(crate) fn key(key: Key) -> Self {
        Self {
            tags: Vec::new(),
            keys: vec![key],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.keys.is_empty()
    }

    /// The tags to remove in the shared tier: those named, and the tag of each key, which values
    /// carry that are not stored as bytes.
    pub(super) fn shared_tags(&self) -> Vec<String> {
        let of_keys = self
            .keys
            .iter()
            .flat_map(shared_keys)
            .map(|key| own_tag(&key));
        self.tags.iter().cloned().chain(of_keys).collect()
    }
}

/// The tag of one key, for values that stay local: there is no entry in the shared tier whose
/// removal could end them.
pub(crate) fn own_tag(key: &str) -> String {
    format!("~{key}")
}

impl Engine {
    /// Invalidates, in a task that outlives its caller.
    ///
    /// Guard G4: the local effect happens before the store is asked and again when it has answered,
    /// whatever became of the caller; a lookup in between may have learnt the old state again.
    ///
    /// The answer and the pushes about it come over different connections, in any order. Nothing
    /// hangs on that: a lookup that began before the second effect noted the cells before it, so
    /// that whatever it reads, however late, is neither learnt nor kept; one that began after it
    /// sends its read after the store has carried the invalidation out.
    pub(crate) async fn invalidate(&self, targets: Targets) -> Invalidation {
        if let Some(transaction) = Transaction::around(self) {
            transaction.collect(targets);
            return Invalidation::Collected;
        }
        let Some(answer) = self.start_invalidation(targets) else {
            return Invalidation::Applied;
        };
        // The task only ends without an answer when the driver thread is gone with the process.
        answer.await.unwrap_or(Invalidation::Queued)
    }

    /// [`invalidate`](Self::invalidate) for plain code: waits on this thread, unless it is the driver's,
    /// where nobody may wait for what it drives.
    pub(crate) fn invalidate_blocking(&self, targets: Targets) -> Invalidation {
        if !driver::is_here() {
            return driver::block_on(self.invalidate(targets));
        }
        if let Some(transaction) = Transaction::around(self) {
            transaction.collect(targets);
            return Invalidation::Collected;
        }
        match self.start_invalidation(targets) {
            Some(_answer) => Invalidation::Started,
            None => Invalidation::Applied,
        }
    }

    /// Starts an invalidation whose local effect is there when this returns, unless a transaction
    /// collects it. `None`: it is done.
    pub(crate) fn start_invalidation(
        &self,
        targets: Targets,
    ) -> Option<oneshot::Receiver<Invalidation>> {
        self.start_invalidation_within(targets, self.store_timeout)
    }

    /// The same, for a caller that will not wait as long for the store.
    pub(super) fn start_invalidation_within(
        &self,
        targets: Targets,
        limit: Duration,
    ) -> Option<oneshot::Receiver<Invalidation>> {
        if targets.is_empty() {
            return None;
        }
        if let Some(transaction) = Transaction::around(self) {
            transaction.collect(targets);
            return None;
        }
        self.apply_locally(&targets);
        let (Some(store), Some(engine)) = (self.store.clone(), self.me.upgrade()) else {
            self.count_invalidation(&targets, Invalidation::Applied);
            return None;
        };
        let (tell, answer) = oneshot::channel();
        let done = async move {
            let tags = targets.shared_tags();
            let keys: Vec<String> = targets.keys.iter().flat_map(shared_keys).collect();
            let asked = async {
                if !engine.outage.usable() {
                    return false;
                }
                // Before it is sent: what is on its way when the connection breaks is among it.
                engine.recent.note(engine.env.now(), &tags, &keys);
                let mut left = [limit; 2];
                let [of_tags, of_keys] = &mut left;
                let tags_done = engine.bounded_by(of_tags, Asking::Aside, store.invalidate(&tags));
                let keys_done = engine.bounded_by(of_keys, Asking::Aside, store.remove(&keys));
                // In any order: nobody is told before both are done.
                let (tags_done, keys_done) = tokio::join!(tags_done, keys_done);
                for error in [&tags_done, &keys_done]
                    .into_iter()
                    .filter_map(|r| r.as_ref().err())
                {
                    engine.store_failed(error);
                }
                tags_done.is_ok() && keys_done.is_ok()
            };
            let (outcome, ticket) = if asked.await {
                (Invalidation::Applied, None)
            } else {
                // Guard G10: the queue closes the shared tier to this node before the caller
                // learns of it.
                let ticket = engine.queue_invalidation(&tags, &keys);
                (Invalidation::Queued, ticket)
            };
            if !removed(Guard::G4) {
                engine.apply_locally(&targets);
            }
            engine.journaled(ticket).await;
            engine.count_invalidation(&targets, outcome);
            // The caller may be gone; that changes nothing.
            let _ = tell.send(outcome);
        };
        // What is told of it belongs to what the caller does.
        self.env.spawn(done.in_current_span());
        Some(answer)
    }

    /// The effect on this node.
    pub(crate) fn apply_locally(&self, targets: &Targets) {
        for tag in &targets.tags {
            if self.store.is_none() {
                // Guard G8: a load may bring a value that carries it.
                self.cells.remember(tag, self.flights.call_begins());
            }
            self.cells.advance(tag);
        }
        for key in &targets.keys {
            for function in key.functions() {
                self.cells.advance(&own_tag(&format!(
                    "{}:{function}:{}",
                    key.kind(),
                    key.args()
                )));
                let Some(function) = self.function_named(key.kind(), function) else {
                    continue;
                };
                let local = LocalKey::new(function.number, Args::of_text(key.args()).as_bytes());
                let lease = self
                    .flights
                    .touch(&local, || self.local.remove(&local.borrowed()));
                if let Some(token) = lease {
                    self.release_later(format!("{}{}", function.prefix, key.args()), token);
                }
            }
        }
        self.sweep_flights();
    }

    pub(super) fn count_invalidation(&self, targets: &Targets, outcome: Invalidation) {
        let count = match outcome {
            Invalidation::Applied => Count::InvalidationApplied,
            Invalidation::Queued => Count::InvalidationQueued,
            // Counted when it is delivered, and when it is answered.
            Invalidation::Collected | Invalidation::Started => return,
        };
        self.totals.count(count);
        spans::invalidated(targets.tags.len(), targets.keys.len(), outcome);
        let of_keys = targets.keys.iter().map(Key::kind);
        let of_kinds = targets.tags.iter().filter_map(|tag| tag.strip_prefix('~'));
        for kind in of_keys.chain(of_kinds).filter(|kind| !kind.is_empty()) {
            if let Some(kind) = self.known_kind(kind) {
                kind.counters.count(count);
            }
        }
    }
}
