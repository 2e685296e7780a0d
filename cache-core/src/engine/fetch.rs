//! Steps 1 to 6 of a call with a shared tier: read, judge, and ask for the lease or wait for whoever
//! has it.

use std::sync::Arc;
use std::time::Duration;

use super::invalidate::own_tag;
use super::judge::Judgement;
use super::lease::LeaseGuard;
use super::outage::{Asking, unit};
use super::{Call, Carrier, Engine};
use crate::Result;
use crate::entry::EntryId;
use crate::flight::{Note, Seat};
use crate::local::{Cell, Dependency, Head, Stored};
use crate::sabotage::{Guard, removed};
use crate::shape::CacheValue;
use crate::store::{Begin, Read, Reading, Stamp, Store, Turn};

/// The pauses between two looks at an entry that another node is loading, where the store does not
/// tell when it is there: from the first to the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));
/// How often a call starts over because something changed under its hands, before it loads without
/// a lease.
const ATTEMPTS: u32 = 8;

/// What came of looking for a value.
pub(super) enum Fetched<V> {
    /// It is there. `point` tells when it was asked for.
    Hit {
        stored: Arc<Stored<V>>,
        point: u64,
        was_local: bool,
    },
    /// It is to be loaded and stored under this lease and these stamps.
    Granted {
        lease: LeaseGuard,
        deps: Vec<Dependency>,
    },
    /// It is to be loaded, and not stored.
    Bare,
    /// Another flight has taken this one's place: it is to be joined.
    Replaced,
}

/// A call's tags with their cells.
pub(super) struct Tagged {
    pub(super) tags: Vec<String>,
    pub(super) cells: Vec<Arc<Cell>>,
}

/// What a step came to.
enum Step<V> {
    /// The search is over.
    Done(Fetched<V>),
    /// Nothing usable is there: ask for the lease, having seen this entry.
    Begin(Option<EntryId>),
    /// Another node is loading, for at most this long.
    Wait(Duration),
    /// Something changed: start over.
    Again,
}

/// How long a call may still wait: for other loads, and for the store.
pub(super) struct Budgets {
    pub(super) waits: Duration,
    pub(super) store: Duration,
}

/// One call's search for a value in the shared tier.
pub(super) struct Search<'a> {
    engine: &'a Arc<Engine>,
    call: &'a Call,
    seat: &'a Seat,
    store: &'a Arc<dyn Store>,
    key: String,
    /// The call's own tags, and then those that only an entry's header named; a cell for each.
    tags: Vec<String>,
    cells: Vec<Arc<Cell>>,
    /// How many are the call's own.
    own: usize,
    look: Duration,
    /// Until when this call waits for others, once it does.
    until: Option<Duration>,
}

impl<'a> Search<'a> {
    pub(super) fn new(call: &'a Call, seat: &'a Seat, store: &'a Arc<dyn Store>) -> Self {
        let key = call.shared_key();
        let Tagged { tags, cells } = call.engine.tagged(call, &key);
        Self {
            engine: &call.engine,
            call,
            seat,
            store,
            key,
            own: tags.len(),
            tags,
            cells,
            look: LOOKS.0,
            until: None,
        }
    }

    /// Looks until the value is there, or it is this call's turn to load it.
    pub(super) async fn run<V: CacheValue>(&mut self, budgets: &mut Budgets) -> Result<Fetched<V>> {
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            // Guard G14: the waiter is armed before anything is read.
            let armed = self.seat.arm();
            if self.seat.is_replaced() && !self.call.refresh {
                // No event would reach this flight any more.
                return Ok(Fetched::Replaced);
            }
            let step = if self.call.refresh {
                Step::Begin(None)
            } else {
                self.read::<V>(budgets).await?
            };
            let step = match step {
                Step::Begin(seen) => self.begin::<V>(seen, budgets).await?,
                step => step,
            };
            match step {
                Step::Done(fetched) => return Ok(fetched),
                Step::Wait(lasts) => {
                    // From the first wait on, looking again is waiting too: many looks at a slow
                    // store would else take many times the budget.
                    let now = self.engine.env.now();
                    let until = *self.until.get_or_insert(now + budgets.waits);
                    budgets.waits = until.saturating_sub(now);
                    if budgets.waits.is_zero() {
                        break;
                    }
                    let armed = if removed(Guard::G14) {
                        self.seat.arm()
                    } else {
                        armed
                    };
                    self.wait(armed, lasts, budgets).await;
                }
                Step::Again | Step::Begin(_) => attempts += 1,
            }
        }
        Ok(Fetched::Bare)
    }

    /// Notes the cells: what a reply says counts only where they have not moved by then (guard G1),
    /// and what moves from here on makes the flight dirty.
    fn note(&self, cells: &[Arc<Cell>]) -> Note {
        let note = self.engine.note(cells);
        self.seat.note(note.clone());
        note
    }

    /// Whether the shared tier may be asked at all. Looked at each time, since a call may have
    /// waited long, and after the point up to which callers are captured: one that began after an
    /// invalidation was queued must not share what is read here (guard G10).
    fn may_ask(&self, budgets: &Budgets) -> bool {
        self.engine.outage.usable() && !budgets.store.is_zero()
    }

    fn limit(&self) -> usize {
        self.call.function.entry_limit()
    }

    /// Steps 1 to 4: in one round trip, the entry and the stamps.
    async fn read<V: CacheValue>(&mut self, budgets: &mut Budgets) -> Result<Step<V>> {
        let note = self.note(&self.cells);
        let asked = self.engine.env.coarse();
        let point = self.engine.flights.source_asked();
        if !self.may_ask(budgets) {
            return Ok(Step::Done(Fetched::Bare));
        }
        let local = self.engine.find_typed::<V>(self.call);
        let request = Read::new(&self.key, &self.tags)
            .known(local.as_ref().map(|stored| stored.head.id))
            .limit(self.limit());
        let answer = self.store.read(request);
        let left = &mut budgets.store;
        let reading = self.engine.bounded_by(left, Asking::Read, answer).await?;
        learn(&self.cells, &note, &reading.stamps);
        let judged =
            self.engine
                .judge_reading(self.call, local.as_ref(), &reading, &self.tags, asked);
        Ok(match judged {
            Judgement::Valid(stored) => {
                let mut stored = stored;
                let mut was_local = local.is_some_and(|local| Arc::ptr_eq(&local, &stored));
                if was_local && !stored.head.holds(note.epoch, asked) {
                    // It is good once more, but of an earlier epoch, or its end was put off.
                    stored = self.engine.renewed(self.call, &stored, &reading, asked);
                    was_local = false;
                }
                Step::Done(Fetched::Hit {
                    stored,
                    point,
                    was_local,
                })
            }
            Judgement::Invalid(id) => Step::Begin(id),
            Judgement::Unasked(more) => {
                // The entry was stored under tags that this call does not know of: by another
                // version of the program, say. Their stamps are read after it.
                let cells = &self.engine.cells;
                self.cells.extend(more.iter().map(|tag| cells.cell(tag)));
                self.tags.extend(more);
                Step::Again
            }
        })
    }

    /// Step 6: the lease, or an entry that has appeared meanwhile.
    async fn begin<V: CacheValue>(
        &mut self,
        seen: Option<EntryId>,
        budgets: &mut Budgets,
    ) -> Result<Step<V>> {
        // What moved before `begin` is sent, its answer already reflects (guard G2).
        // Only the call's own tags: the load is stored under nothing else.
        let (own, cells) = (&self.tags[..self.own], &self.cells[..self.own]);
        let note = self.note(cells);
        let asked = self.engine.env.coarse();
        let point = self.engine.flights.source_asked();
        if !self.may_ask(budgets) {
            return Ok(Step::Done(Fetched::Bare));
        }
        let token = EntryId(self.engine.env.draw_wide());
        let settings = &self.call.function.settings;
        let unshared = self.call.function.carrier == Carrier::None;
        let request = Begin::new(&self.key, token, own)
            .seen(seen)
            .lease(settings.lease)
            .life(settings.ttl)
            .force(self.call.refresh || unshared)
            .limit(self.limit());
        let lease = LeaseGuard::new(self.engine, &self.key, token);
        let answer = self.store.begin(request);
        let left = &mut budgets.store;
        let beginning = self.engine.bounded_by(left, Asking::Write, answer).await?;
        learn(cells, &note, &beginning.stamps);
        let found = match beginning.turn {
            Turn::Granted => {
                lease.granted(settings.lease);
                return Ok(match dependencies(cells, &beginning.stamps) {
                    Some(deps) => Step::Done(Fetched::Granted { lease, deps }),
                    // A stamp was removed the moment it was made.
                    None => Step::Again,
                });
            }
            Turn::Held(lasts) => {
                lease.gone();
                return Ok(Step::Wait(lasts));
            }
            Turn::Entry(found) => found,
        };
        lease.gone();
        let ends = self.engine.ends(self.call, beginning.left, asked);
        let judged = self
            .engine
            .judge(self.call, None, &found, (own, &beginning.stamps), ends);
        Ok(match judged {
            Judgement::Valid(stored) => Step::Done(Fetched::Hit {
                stored,
                point,
                was_local: false,
            }),
            Judgement::Invalid(_) | Judgement::Unasked(_) => Step::Again,
        })
    }

    /// Waits until something happened to the key, or it is time to look again.
    async fn wait(&mut self, armed: u64, lasts: Duration, budgets: &mut Budgets) {
        let env = &self.engine.env;
        let pause = if self.engine.trusts_local(env.coarse()) {
            // The store tells; only the end of the lease may be told late.
            lasts
        } else {
            let jittered = self.look.mul_f64(0.75 + unit(env.draw()) / 2.0);
            self.look = (self.look * 3 / 2).min(LOOKS.1);
            jittered.min(lasts)
        };
        // A lease in its last instant must not make this a busy wait.
        let pause = pause.max(Duration::from_millis(1)).min(budgets.waits);
        let before = env.now();
        tokio::select! {
            biased;
            () = self.seat.rung(armed) => {}
            () = env.sleep(pause) => {}
        }
        let waited = env.now().saturating_sub(before);
        budgets.waits = budgets.waits.saturating_sub(waited);
        // What was waited for was not the store.
        budgets.store = self.engine.store_timeout;
    }
}

impl Engine {
    /// The cells of a call's tags.
    pub(super) fn tagged(&self, call: &Call, key: &str) -> Tagged {
        let mut tags = call.tags.clone();
        if call.function.carrier == Carrier::None && self.store.is_some() {
            // Nothing of it is in the shared tier that removing the key could remove.
            tags.push(own_tag(key));
        }
        let cells = tags.iter().map(|tag| self.cells.cell(tag)).collect();
        Tagged { tags, cells }
    }

    /// What the local tier has for a call, whether or not it holds.
    fn find_typed<V: Send + Sync + 'static>(&self, call: &Call) -> Option<Arc<Stored<V>>> {
        let held: Arc<dyn std::any::Any + Send + Sync> = self.local.find(call.key.borrowed())?;
        held.downcast().ok()
    }

    /// A local value that the shared tier has just confirmed, with a head of this very moment.
    fn renewed<V: Clone>(
        &self,
        call: &Call,
        stored: &Stored<V>,
        reading: &Reading,
        asked: Duration,
    ) -> Arc<Stored<V>> {
        let head = &stored.head;
        let deps = head.deps.iter().map(|dependency| Dependency {
            // The old cell may have left the registry.
            cell: self.cells.cell(dependency.cell.tag()),
            stamp: dependency.stamp,
        });
        let expires = match call.function.carrier {
            // Only the value itself knows its end.
            Carrier::None => head.expires,
            Carrier::Bytes { .. } => self.ends(call, reading.left, asked),
        };
        Arc::new(Stored {
            head: Head::new(
                head.key.clone(),
                expires,
                self.epoch(),
                head.id,
                deps.collect(),
                head.bytes,
            ),
            value: stored.value.clone(),
        })
    }

    /// What is cached for a call, without a flight: looked at, not kept.
    pub(super) async fn look<V: CacheValue>(&self, call: &Call) -> Option<V> {
        let now = self.env.coarse();
        if self.trusts_local(now)
            && let Some(value) = self.local.hit::<V>(call.key.borrowed(), self.epoch(), now)
        {
            return Some(value);
        }
        let store = self.store.as_ref().filter(|_| self.outage.usable())?;
        let key = call.shared_key();
        let Tagged { mut tags, .. } = self.tagged(call, &key);
        let local = self.find_typed::<V>(call);
        // The second round trip is for the tags that only the entry's header names.
        for _ in 0..2 {
            let request = Read::new(&key, &tags)
                .known(local.as_ref().map(|stored| stored.head.id))
                .limit(call.function.entry_limit());
            let reading = match self.bounded(Asking::Read, store.read(request)).await {
                Ok(reading) => reading,
                Err(error) => {
                    self.store_failed(&error);
                    return None;
                }
            };
            match self.judge_reading(call, local.as_ref(), &reading, &tags, now) {
                Judgement::Valid(stored) => return Some(stored.value.clone()),
                Judgement::Unasked(more) => tags.extend(more),
                Judgement::Invalid(_) => return None,
            }
        }
        None
    }
}

/// Teaches the cells what a reply said (guard G1).
fn learn(cells: &[Arc<Cell>], note: &Note, stamps: &[Option<Stamp>]) {
    for ((cell, (_, noted)), stamp) in cells.iter().zip(&note.cells).zip(stamps) {
        cell.learn(*noted, *stamp);
    }
}

/// The dependencies of what will be loaded, if each stamp is there.
fn dependencies(cells: &[Arc<Cell>], stamps: &[Option<Stamp>]) -> Option<Vec<Dependency>> {
    cells
        .iter()
        .zip(stamps)
        .map(|(cell, stamp)| {
            Some(Dependency {
                cell: Arc::clone(cell),
                stamp: (*stamp)?,
            })
        })
        .collect()
}
