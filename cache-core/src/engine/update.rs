//! `#[updates]`: a write whose value becomes the cached one (guard G9). The lease is taken before the
//! write; after it, everything is as it was noted then, or nothing is stored.

use std::sync::Arc;
use std::time::Duration;

use super::beside::Beside;
use super::fetch::Tagged;
use super::hearing::Hearing;
use super::invalidate::{Targets, own_tag};
use super::lease::LeaseGuard;
use super::writers::Writer;
use super::written::{Incoming, Writing};
use super::{Call, Engine};
use crate::entry::EntryId;
use crate::flight::Note;
use crate::local::{Cell, Dependency, Kept};
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::store::{Begin, Stamp, Store, Turn};
use crate::tag::Tag;
use crate::value::Waiting;

/// A write that is about to begin, or under way, with what was noted before it.
///
/// Dropped in the middle, it ends the entry and its tags in the background: the write may have
/// happened.
pub(crate) struct Update {
    engine: Arc<Engine>,
    /// The call whose value the write brings; `None` where such calls go past this cache.
    call: Option<Box<Call>>,
    targets: Targets,
    claim: Claim,
    /// When the write began.
    point: u64,
    /// What the other updates of the same write have done.
    beside: Arc<Beside>,
    /// Whether the write may have happened.
    armed: bool,
}

/// What an update holds its key by.
enum Claim {
    /// Nothing: its value can't be stored.
    Nothing,
    /// The lease, and the stamps as they were when it was taken.
    Shared {
        lease: LeaseGuard,
        stamps: Vec<Stamp>,
        writer: Writer,
    },
    /// Without a shared tier: what the cells were then. The last one is the key's own, and stands for
    /// the lease.
    Local { note: Note, kept: Vec<Stamp> },
}

impl Update {
    /// An update of what `call` would return; its key and its own tags are among `targets`.
    pub(crate) fn of(engine: &Arc<Engine>, call: Option<Box<Call>>, targets: Targets) -> Self {
        Self {
            engine: Arc::clone(engine),
            call,
            targets,
            claim: Claim::Nothing,
            point: 0,
            beside: Arc::new(Beside::new(engine.store_timeout)),
            armed: false,
        }
    }

    /// This update and another are of one write: what either ends, the other need not take for
    /// somebody else's doing.
    pub(crate) fn beside(mut self, other: &Self) -> Self {
        if Arc::ptr_eq(&self.engine, &other.engine) {
            self.beside = Arc::clone(&other.beside);
        }
        self
    }

    /// Takes the lease by force and notes the stamps. Whatever comes of that, the write goes ahead.
    pub(crate) async fn begin(mut self) -> Self {
        if let Some(call) = &self.call {
            // A load under way is from before the write: it is not worth storing.
            let lease = self.engine.flights.touch(&call.key, || {});
            if let Some(token) = lease {
                self.engine.release_later(call.shared_key(), token);
            }
            self.claim = match self.engine.store.clone() {
                None => claim_locally(call),
                Some(store) if self.engine.outage.usable() => {
                    // What comes after the write needs the other half.
                    let half = self.engine.store_timeout / 2;
                    let mut left = self.beside.left().saturating_sub(half);
                    let claim = claim(call, &store, &mut left).await;
                    self.beside.has_left(left + half);
                    claim
                }
                Some(_) => Claim::Nothing,
            };
        }
        self.point = self.engine.flights.source_asked();
        self.armed = true;
        self
    }

    /// The same where nobody can wait.
    pub(crate) fn begin_unclaimed(mut self) -> Self {
        self.armed = true;
        self
    }

    /// The write has failed: it has changed nothing, and neither does this.
    pub(crate) fn failed(mut self) {
        self.armed = false;
    }

    /// The write has happened, and what it returned is not cached.
    pub(crate) async fn ended(mut self) {
        self.armed = false;
        let targets = std::mem::take(&mut self.targets);
        if let Some(call) = &self.call {
            call.count(Count::UpdateRefused);
        }
        let answer = self
            .engine
            .start_invalidation_within(targets, self.beside.left());
        if let Some(answer) = answer {
            // Queued or applied: the function's own result stands, and the metrics tell.
            let _ = answer.await;
        }
    }

    /// The call whose value the write brings, where such calls are cached here.
    pub(crate) fn call(&self) -> Option<&Call> {
        self.call.as_deref()
    }

    /// The write has happened, and this is the value it leaves, fresh for so long, with tags that only
    /// it knows of.
    pub(crate) async fn stored(
        mut self,
        value: Box<dyn Waiting>,
        ttl: Duration,
        tags: Vec<String>,
    ) {
        let claim = std::mem::replace(&mut self.claim, Claim::Nothing);
        let late = match (&self.call, &claim) {
            (Some(call), Claim::Shared { .. }) => call.late_of_write(tags, self.point, true),
            (Some(call), Claim::Local { .. }) => call.late_of_write(tags, self.point, false),
            _ => None,
        };
        let Some(late) = late else {
            // The lease goes with the key.
            drop(claim);
            return self.ended().await;
        };
        match (self.call.take(), claim) {
            (Some(call), Claim::Local { note, kept }) => {
                self.armed = false;
                let value = Incoming::of(&call, value, ttl, late);
                call.store_locally(&self.targets, (note, &kept), &self.beside, value);
            }
            (
                Some(call),
                Claim::Shared {
                    lease,
                    stamps,
                    writer,
                },
            ) => {
                self.armed = false;
                // Who asks from here on may wait: the end is near.
                drop(writer);
                let writing = Writing {
                    value: Incoming::of(&call, value, ttl, late),
                    call,
                    targets: std::mem::take(&mut self.targets),
                    lease,
                    stamps,
                    note: Note::default(),
                    kept: 0,
                    asked: Duration::ZERO,
                    left: self.beside.left(),
                    beside: Arc::clone(&self.beside),
                };
                writing.carried_out().await;
            }
            (call, _) => {
                self.call = call;
                self.ended().await;
            }
        }
    }
}

impl Drop for Update {
    fn drop(&mut self) {
        if self.armed {
            let targets = std::mem::take(&mut self.targets);
            // The local effect is there when this returns; the rest outlives us.
            drop(self.engine.start_invalidation(targets));
        }
    }
}

/// Guard G9: the lease before the write, by force, so that who loads now can't store, and the stamps
/// with it, so that what is invalidated from here on shows.
async fn claim(call: &Call, store: &Arc<dyn Store>, left: &mut Duration) -> Claim {
    let engine = &call.engine;
    let writer = Writer::enter(call);
    let key = call.shared_key();
    let Tagged { tags, cells } = engine.tagged(call, &key);
    let token = EntryId(engine.env.draw_wide());
    let settings = &call.function.settings;
    let (lasts, life) = (settings.lease, settings.longest());
    let hearing = Hearing {
        engine: Arc::clone(engine),
        note: engine.note(&cells),
        asked: engine.env.coarse(),
        lease: LeaseGuard::new(engine, Arc::clone(&key), token),
        answer: Box::pin({
            let (store, key) = (Arc::clone(store), key.clone());
            async move {
                let request = Begin::new(&key, token, &tags)
                    .force(true)
                    .lease(lasts)
                    .life(life);
                store.begin(request).await
            }
        }),
    };
    let (lease, beginning) = match hearing.heard(left).await {
        Ok(begun) => begun,
        Err(error) => {
            // Invariant 2: whatever is wrong with the store, the write goes ahead.
            call.count(Count::StoreError);
            engine.store_failed(&error);
            return Claim::Nothing;
        }
    };
    if beginning.turn != Turn::Granted {
        // It was taken away again at once.
        lease.gone();
        return Claim::Nothing;
    }
    lease.granted(lasts);
    // The store tells nobody of its own node's taking it.
    engine.flights.lease_changed(&call.key);
    let stamps: Option<Vec<Stamp>> = beginning.stamps.into_iter().collect();
    match stamps {
        Some(stamps) => Claim::Shared {
            lease,
            stamps,
            writer,
        },
        // A stamp was removed the moment it was made. Dropped, the lease is given up.
        None => Claim::Nothing,
    }
}

/// Without a shared tier the cells themselves hold the stamps, and the cell of the key's own tag, which
/// every invalidation of the key moves, stands for the lease.
fn claim_locally(call: &Call) -> Claim {
    let engine = &call.engine;
    let key = own_tag(&call.shared_key());
    let cells: Vec<Arc<Cell>> = call
        .tags()
        .iter()
        .chain([&key])
        .map(|tag| engine.cells.cell(tag))
        .collect();
    let note = engine.note(&cells);
    let kept: Option<Vec<Stamp>> = cells
        .iter()
        .take(kept(call.tags()))
        .map(|cell| cell.stamp_or_make(engine.flights.call_begins(), || engine.env.draw()))
        .collect();
    kept.map_or(Claim::Nothing, |kept| Claim::Local { note, kept })
}

/// How many of a call's tags an update leaves as they are: the namespace's and the kind's, which come
/// first. Its value is one of many under them.
pub(super) fn kept(tags: &[String]) -> usize {
    let of_all = |tag: &&String| {
        tag.strip_prefix(Tag::namespace().as_str())
            .is_some_and(|kind| !kind.contains(':'))
    };
    tags.iter().take_while(of_all).count()
}

impl Call {
    /// The dependencies on the tags of a write's value, where they were known before it and were left
    /// alone since (guard G8); `None` where it can't be stored under them.
    fn late_of_write(
        &self,
        mut tags: Vec<String>,
        point: u64,
        shared: bool,
    ) -> Option<Vec<Dependency>> {
        tags.retain(|tag| !self.tags().contains(tag));
        if tags.is_empty() {
            return Some(Vec::new());
        }
        let cells = tags.iter().map(|tag| self.engine.cells.cell(tag));
        let cells = cells.collect();
        self.proven(tags, cells, point, shared)
    }

    /// Stores a write's value where there is no shared tier.
    ///
    /// Guard G9: each cell compares and moves in one step, so that of two updates that cross, under
    /// one tag or at one key, neither leaves its value behind; what moves after that ends the entry by
    /// its cell.
    fn store_locally(
        &self,
        targets: &Targets,
        (note, kept): (Note, &[Stamp]),
        beside: &Beside,
        value: Incoming,
    ) {
        let engine = &self.engine;
        let epoch = engine.epoch();
        for tag in &targets.tags {
            // Guard G8: a load may bring a value that carries it.
            engine.cells.remember(tag, engine.flights.call_begins());
        }
        let mut unmoved = note.epoch == epoch || removed(Guard::G9);
        let mut deps = Vec::new();
        for (at, noted) in note.cells.into_iter().enumerate() {
            let stamp = match kept.get(at) {
                Some(stamp) => (noted.holds() || removed(Guard::G9)).then_some(*stamp),
                None => self.restamped(&noted.cell, noted.moved, beside),
            };
            match stamp {
                Some(stamp) => deps.push(Dependency {
                    cell: noted.cell,
                    stamp,
                }),
                None => unmoved = false,
            }
        }
        let asked = engine.env.coarse();
        let held = unmoved.then(|| value.held(self, (epoch, EntryId([0; 16]), asked), deps));
        let stored = held.is_some();
        let lease = engine.flights.touch(&self.key, || {
            engine.local.remove(&self.key.borrowed());
            if let Some(held) = held.flatten() {
                self.insert(&Kept::new(held), epoch);
            }
        });
        debug_assert!(lease.is_none(), "there is nobody to have it from");
        engine.sweep_flights();
        self.count_update(stored);
        engine.count_invalidation(targets, super::Invalidation::Applied);
    }

    /// The stamp of a cell that a write ends: a new one, or that of another update of the same write.
    fn restamped(&self, cell: &Cell, noted: u64, beside: &Beside) -> Option<Stamp> {
        let of_other = beside.made(cell.tag(), noted);
        if let Some(made) = of_other
            && cell.moved() == noted + 1
            && cell.stamp() == Some(made)
        {
            return Some(made);
        }
        let env = &self.engine.env;
        let point = self.engine.flights.call_begins();
        let made = cell.restamp(noted, point, || env.draw())?;
        beside.has_made(cell.tag(), noted, made);
        Some(made)
    }

    /// Counts what became of a write's value.
    pub(super) fn count_update(&self, stored: bool) {
        self.count(if stored {
            Count::Update
        } else {
            Count::UpdateRefused
        });
    }
}

impl std::fmt::Debug for Update {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Update")
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}
