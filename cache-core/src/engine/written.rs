//! After the write of an update: what was stored before it ends, and its own value takes the place,
//! where nobody has come in between. In a task that outlives its caller.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::beside::Beside;
use super::fetch::Tagged;
use super::invalidate::{Invalidation, Targets};
use super::lease::LeaseGuard;
use super::outage::{Asking, shared_keys, unit};
use super::update::kept;
use super::{Call, Carrier, Engine};
use crate::ErrorKind;
use crate::entry::{self, EntryId, Header};
use crate::flight::Note;
use crate::local::{Dependency, Held, Kept, Reply};
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::store::{Fill, Stamp, Store, Update};
use crate::value::Waiting;

/// A write's value, on its way into the tiers.
pub(super) struct Incoming {
    form: Form,
    /// How long it is fresh, and how long it is kept.
    fresh: Duration,
    kept: Duration,
    /// The tags that only it knows of.
    late: Vec<Dependency>,
}

/// What is stored of a value.
enum Form {
    /// Its bytes, in this codec and of this schema: in the shared tier.
    Bytes(Vec<u8>, u8, u64),
    /// Itself, in the local tier, and what it takes there.
    Itself(Box<dyn Waiting>, usize),
    /// Nothing: it can't be written.
    Nothing,
}

impl Incoming {
    /// What `call` stores of a value that is fresh for so long.
    pub(super) fn of(
        call: &Call,
        value: Box<dyn Waiting>,
        ttl: Duration,
        late: Vec<Dependency>,
    ) -> Self {
        let settings = &call.function.settings;
        let fresh = settings.fresh(ttl, unit(call.engine.env.draw()));
        let form = match call.function.carrier {
            Carrier::Bytes { schema, codec } if call.engine.store.is_some() => call
                .payload(value.erased(), codec)
                .map_or(Form::Nothing, |payload| {
                    Form::Bytes(payload, codec.id(), schema)
                }),
            _ => {
                let weight = call.weight(value.erased().weigh());
                Form::Itself(value, weight)
            }
        };
        Self {
            form,
            fresh,
            kept: fresh.saturating_add(settings.grace()),
            late,
        }
    }

    /// The value as the local tier keeps it, where it is kept only there.
    pub(super) fn held(
        self,
        call: &Call,
        (epoch, id, asked): (u64, EntryId, Duration),
        mut deps: Vec<Dependency>,
    ) -> Option<Arc<dyn Held>> {
        let Form::Itself(value, weight) = self.form else {
            return None;
        };
        deps.extend(self.late);
        let now = call.engine.env.coarse();
        let settings = &call.function.settings;
        // Of its stamps nothing has been heard since they were asked for, where the store does not tell.
        let life = settings
            .life(now, self.fresh, self.kept, Duration::ZERO)
            .confirmed_at(asked);
        let key = call.key.clone();
        let local = &call.engine.local;
        let head = local.head(key, life, epoch, id, &deps, weight);
        Some(value.erased().entry(head))
    }

    /// The bytes of its entry, where it has any.
    fn entry(&self, call: &Call, id: EntryId, deps: &[Dependency]) -> Option<Vec<u8>> {
        let Form::Bytes(payload, codec, schema) = &self.form else {
            return None;
        };
        let tags = deps.iter().chain(&self.late);
        let header = Header {
            codec: *codec,
            flags: 0,
            id,
            created_ms: millis(call.engine.env.wall()),
            fresh_ms: millis(self.fresh),
            life_ms: millis(self.kept),
            cost_us: 0,
            origin: call.function.origin,
            schema: *schema,
            tags: tags
                .map(|dependency| (dependency.cell.tag().into(), dependency.stamp))
                .collect(),
        };
        call.written(entry::write(&header, payload))
    }
}

/// A write that has happened.
pub(super) struct Writing {
    pub(super) call: Box<Call>,
    pub(super) targets: Targets,
    pub(super) lease: LeaseGuard,
    /// As they were noted, in the order of the call's tags.
    pub(super) stamps: Vec<Stamp>,
    pub(super) value: Incoming,
    /// The cells, as they were when the update was sent: those whose stamps are kept come first.
    pub(super) note: Note,
    /// How many are kept.
    pub(super) kept: usize,
    /// When the update was sent.
    pub(super) asked: Duration,
    pub(super) left: Duration,
    pub(super) beside: Arc<Beside>,
}

/// What a write's invalidation came to.
enum Ended {
    /// It holds; where nobody has come in between, these are the stamps from here on.
    Applied(Option<Vec<Stamp>>),
    /// It is to be queued.
    Failed,
}

impl Writing {
    /// Ends what there was before the write and stores its value, and returns when that is done.
    ///
    /// Guard G4 holds here as for every invalidation: the local effect before the store is asked, and
    /// again when it has answered.
    pub(super) async fn carried_out(self) {
        let engine = Arc::clone(&self.call.engine);
        engine.apply_locally(&self.targets);
        let (done, told) = oneshot::channel::<()>();
        let writing = async move {
            self.run().await;
            drop(done);
        };
        // What is told of it belongs to what the caller does.
        engine.env.spawn(writing.in_current_span());
        // It ends without a word.
        let _ = told.await;
    }

    async fn run(mut self) {
        let engine = Arc::clone(&self.call.engine);
        let Some(store) = engine.store.clone() else {
            return;
        };
        let tags = self.targets.shared_tags();
        let keys: Vec<String> = self.targets.keys.iter().flat_map(shared_keys).collect();
        let ended = if engine.outage.usable() {
            // Before it is sent: what is on its way when the connection breaks is among it.
            engine.recent.note(engine.env.now(), &tags, &keys);
            self.end(&store, &tags, &keys).await
        } else {
            Ended::Failed
        };
        let (outcome, stamps, ticket) = match ended {
            Ended::Applied(stamps) => (Invalidation::Applied, stamps, None),
            // Guard G10: the queue closes the shared tier to this node before the caller learns of it.
            Ended::Failed => {
                let ticket = engine.queue_invalidation(&tags, &keys);
                effect_again(&engine, &self.targets);
                (Invalidation::Queued, None, ticket)
            }
        };
        engine.journaled(ticket).await;
        engine.count_invalidation(&self.targets, outcome);
        let key = self.call.shared_key();
        let (call, stored) = match stamps {
            Some(stamps) => self.store(&store, &key, &stamps).await,
            // The lease is given up as its guard is dropped, if it is still there.
            None => (self.call, false),
        };
        call.count_update(stored);
        // Guard G14: the store tells nobody of its own node's doings.
        engine.wake_waiter(&key);
    }

    /// Ends what was stored before the write, in the shared tier.
    async fn end(&mut self, store: &Arc<dyn Store>, tags: &[String], keys: &[String]) -> Ended {
        let engine = &self.call.engine;
        let key = self.call.shared_key();
        let Tagged { tags: own, cells } = engine.tagged(&self.call, &key);
        let of_all = kept(&own);
        let tags_noted = own.iter().cloned().zip(cells).zip(&self.stamps).enumerate();
        let mut noted: Vec<_> = tags_noted
            .map(|(at, ((tag, cell), stamp))| {
                // What another update of this write has ended already is not to be ended again.
                let made = self.beside.made(&tag, *stamp).filter(|_| at >= of_all);
                let kept = at < of_all || made.is_some();
                (!kept, tag, cell, made.unwrap_or(*stamp))
            })
            .collect();
        noted.sort_by_key(|(ends, ..)| *ends);
        self.kept = noted.iter().filter(|(ends, ..)| !ends).count();
        let (own, cells, stamps) = noted.into_iter().fold(
            (Vec::new(), Vec::new(), Vec::new()),
            |(mut tags, mut cells, mut stamps), (_, tag, cell, stamp)| {
                tags.push(tag);
                cells.push(cell);
                stamps.push(stamp);
                (tags, cells, stamps)
            },
        );
        self.note = engine.note(&cells);
        self.asked = engine.env.coarse();
        let update = Update::new(&key, self.lease.token, &own, &stamps)
            .kept(self.kept)
            .life(self.call.function.settings.longest());
        // What the update itself does not name: its key under another process's name, and the tag of
        // the key, where another version of the program keeps its values local.
        let rest = |names: &[String], named: &[String]| -> Vec<String> {
            let others = names.iter().filter(|name| !named.contains(name));
            others.cloned().collect()
        };
        let (other_tags, other_keys) = (rest(tags, &own), rest(keys, &[key.to_string()]));
        let mut left = [self.left; 3];
        let [of_update, of_tags, of_keys] = &mut left;
        // Guard G4: at once, whatever else is still to be answered. The node's own write has ended what
        // it was told about what it has just ended, and others may have ended that before it.
        let targets = &self.targets;
        let updated = async {
            let updated = engine.bounded_by(of_update, Asking::Write, store.update(update));
            let updated = updated.await;
            effect_again(engine, targets);
            updated
        };
        let (updated, tags_done, keys_done) = tokio::join!(
            updated,
            engine.bounded_by(of_tags, Asking::Aside, store.invalidate(&other_tags)),
            engine.bounded_by(of_keys, Asking::Aside, store.remove(&other_keys)),
        );
        self.left = left.into_iter().min().unwrap_or_default();
        let mut errors: Vec<_> = [tags_done.err(), keys_done.err()]
            .into_iter()
            .flatten()
            .collect();
        let stamps = match updated {
            Ok(updated) if updated.matched => {
                let made: Option<Vec<Stamp>> = updated.stamps.into_iter().collect();
                let ended = own.iter().zip(&stamps).zip(made.iter().flatten());
                for ((tag, noted), made) in ended.skip(self.kept) {
                    self.beside.has_made(tag, *noted, *made);
                }
                made
            }
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::Rejected => {
                // Nothing of it was carried out: a store that is full still removes.
                engine.store_failed(&error);
                let mut left = [self.left; 2];
                let [of_tags, of_keys] = &mut left;
                let (tags_done, keys_done) = tokio::join!(
                    engine.bounded_by(of_tags, Asking::Aside, store.invalidate(tags)),
                    engine.bounded_by(of_keys, Asking::Aside, store.remove(keys)),
                );
                errors.extend([tags_done.err(), keys_done.err()].into_iter().flatten());
                effect_again(engine, &self.targets);
                None
            }
            Err(error) => {
                // Carried out or not, or still to be. It is queued, and before anything of the local
                // tier is trusted again, a new epoch has begun (guard G17): what is read from then on
                // is read after it.
                errors.push(error);
                None
            }
        };
        for error in &errors {
            self.call.count(Count::StoreError);
            engine.store_failed(error);
        }
        if errors.is_empty() {
            Ended::Applied(stamps)
        } else {
            Ended::Failed
        }
    }

    /// Stores the value under the lease and these stamps. The local tier waits for the next read: what
    /// this node was told about the tags it has ended itself.
    async fn store(
        mut self,
        store: &Arc<dyn Store>,
        key: &str,
        stamps: &[Stamp],
    ) -> (Box<Call>, bool) {
        let call = self.call;
        let engine = &call.engine;
        let token = self.lease.token;
        if call.function.carrier == Carrier::None {
            // Nowhere else can it be kept.
            for (noted, stamp) in self.note.cells.iter().zip(stamps).skip(self.kept) {
                // Guard G1: nothing has moved it since the update was sent, but its own local effect.
                let point = engine.flights.call_begins();
                let moved = noted.moved.saturating_add(1);
                noted.cell.learn(moved, Some(*stamp), Reply::Made, point);
            }
            let epoch = self.note.epoch;
            let deps = dependencies(self.note, stamps);
            let Some(held) = self.value.held(&call, (epoch, token, self.asked), deps) else {
                return (call, false);
            };
            // Of a stamp that another update of this write has made nothing may be known here.
            if !held.head().was_left_alone() {
                return (call, false);
            }
            let held = Kept::new(held);
            let lease = engine
                .flights
                .touch(&call.key, || call.insert(&held, epoch));
            if let Some(token) = lease {
                engine.release_later(key.to_owned(), token);
            }
            return (call, true);
        }
        let deps = dependencies(self.note, stamps);
        let Some(bytes) = self.value.entry(&call, token, &deps) else {
            return (call, false);
        };
        // While the breaker is open nobody waits for the store.
        if !engine.outage.usable() {
            return (call, false);
        }
        let filled = store.fill(Fill::new(key, token, &bytes, self.value.kept));
        let filled = engine.bounded_by(&mut self.left, Asking::Write, filled);
        let stored = match filled.await {
            Ok(stored) => {
                self.lease.gone();
                stored
            }
            Err(error) => {
                call.count(Count::StoreError);
                engine.store_failed(&error);
                false
            }
        };
        if !stored {
            call.count(Count::FillRefused);
        }
        (call, stored)
    }
}

/// The local effect, once the store has answered.
fn effect_again(engine: &Engine, targets: &Targets) {
    if !removed(Guard::G4) {
        engine.apply_locally(targets);
    }
}

fn dependencies(note: Note, stamps: &[Stamp]) -> Vec<Dependency> {
    let cells = note.cells.into_iter().zip(stamps);
    cells
        .map(|(noted, stamp)| Dependency {
            cell: noted.cell,
            stamp: *stamp,
        })
        .collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
