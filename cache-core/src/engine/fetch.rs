//! Steps 1 to 6 of a call with a shared tier: read, judge, and ask for the lease or wait for whoever
//! has it.

use std::sync::Arc;
use std::time::Duration;

use super::first::Seen;
use super::hearing::Hearing;
use super::invalidate::own_tag;
use super::judge::{Judgement, Told};
use super::lease::LeaseGuard;
use super::outage::{Asking, unit};
use super::trusted::Trusted;
use super::worth::{Hit, Source, Spare, Worth};
use super::{Call, Carrier, Engine};
use crate::Result;
use crate::entry::EntryId;
use crate::flight::{Note, Seat};
use crate::local::{Cell, Dependency, Held};
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::store::{Begin, Read, Stamp, Store, Turn};

/// The pauses between two looks at an entry that another node is loading, where the store does not
/// tell when it is there: from the first to the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));
/// How often a call starts over because something changed under its hands, before it loads without
/// a lease.
const ATTEMPTS: u32 = 8;

/// What came of looking for a value.
pub(super) enum Fetched {
    /// It is there.
    Hit(Hit),
    /// It is to be loaded and stored under this lease and these stamps.
    Granted {
        lease: LeaseGuard,
        deps: Vec<Dependency>,
        /// When the stamps were asked for.
        asked: Duration,
        spare: Option<Spare>,
    },
    /// It is to be loaded, and not stored.
    Bare { spare: Option<Spare> },
    /// Another flight has taken this one's place: it is to be joined.
    Replaced,
}

/// A call's tags with their cells.
pub(super) struct Tagged {
    pub(super) tags: Arc<[String]>,
    pub(super) cells: Vec<Arc<Cell>>,
}

/// What a step came to.
enum Step {
    /// The search is over.
    Done(Fetched),
    /// Nothing usable is there: ask for the lease, having seen this entry.
    Begin(Option<EntryId>),
    /// Another node is loading, for at most this long.
    Wait(Duration),
    /// Something changed: start over.
    Again,
}

/// How long a call may still wait: for other loads, and for the store.
#[derive(Clone, Copy)]
pub(super) struct Budgets {
    pub(super) waits: Duration,
    pub(super) store: Duration,
}

impl Budgets {
    /// All that a call has.
    pub(super) fn of(call: &Call) -> Self {
        Self {
            waits: call.function.settings.wait,
            store: call.engine.store_timeout,
        }
    }
}

/// One call's search for a value in the shared tier.
pub(super) struct Search<'a> {
    engine: &'a Arc<Engine>,
    call: &'a Call,
    seat: &'a Seat,
    store: &'a Arc<dyn Store>,
    key: Arc<str>,
    /// The call's own tags, and then those that only an entry's header named; a cell for each.
    tags: Arc<[String]>,
    cells: Vec<Arc<Cell>>,
    /// How many are the call's own.
    own: usize,
    look: Duration,
    /// Until when this call waits for others, once it does; and after when it takes a spare.
    until: Option<Duration>,
    soft: Option<Duration>,
    /// Whether a value that is still fresh is to be refreshed, once that was drawn.
    early: Option<bool>,
    /// Whether stamps are asked for that are known here, and whether how long the entry has left.
    all: bool,
    ends: bool,
    /// Whether the last reading went by stamps that were known here.
    relied: bool,
    /// What the call has seen before.
    seen: Option<Seen>,
    /// What the last reading has found that a load may replace.
    spare: Option<Spare>,
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
            soft: None,
            early: call.early,
            all: call.seen == Some(Seen::Doubt),
            // A copy that is kept here must not outlive the entry, and one that may be stale says so
            // only by what it has left.
            ends: call.function.settings.local
                || !call.function.settings.grace().is_zero()
                || call.seen == Some(Seen::More),
            relied: matches!(call.seen, Some(Seen::Nothing(_))),
            seen: call.seen,
            spare: None,
        }
    }

    /// Looks until the value is there, or it is this call's turn to load it.
    pub(super) async fn run(&mut self, budgets: &mut Budgets) -> Result<Fetched> {
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            // Guard G14: the waiter is armed before anything is read.
            let armed = self.seat.arm();
            if self.is_replaced() {
                return Ok(Fetched::Replaced);
            }
            self.spare = None;
            let step = match self.seen.take() {
                _ if self.call.refresh => Step::Begin(None),
                // What has appeared since, `begin` hands over.
                Some(Seen::Nothing(id)) => Step::Begin(id),
                _ => self.read(budgets).await?,
            };
            let step = match step {
                Step::Begin(_) if self.is_replaced() => return Ok(Fetched::Replaced),
                Step::Begin(seen) => self.turn(seen, budgets).await?,
                step => step,
            };
            match step {
                // The lease is given up: two would load.
                Step::Done(Fetched::Granted { .. }) if self.is_replaced() => {
                    return Ok(Fetched::Replaced);
                }
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
                    if let Some(hit) = self.tired(now) {
                        return Ok(Fetched::Hit(hit));
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
        Ok(Fetched::Bare {
            spare: self.spare.take(),
        })
    }

    /// Whether a write or a refresh has put its flight in the place of this one, which events reach no more,
    /// and which nobody joins: who has not begun to load follows that flight, or the one after it
    /// (invariant 4).
    fn is_replaced(&self) -> bool {
        self.seat.is_replaced() && !self.call.refresh
    }

    /// Asks for the lease, without waiting for it where there is a value that can be returned.
    async fn turn(&mut self, seen: Option<EntryId>, budgets: &mut Budgets) -> Result<Step> {
        let begun = self.begin(seen, budgets).await;
        if !self.spare.as_ref().is_some_and(|spare| spare.at_once) {
            return begun;
        }
        let settings = &self.call.function.settings;
        let now = self.engine.env.coarse();
        // Asking may have outlasted it, and others have come since.
        let Some(spare) = self
            .spare
            .take()
            .filter(|spare| now < spare.until(settings))
        else {
            return begun;
        };
        Ok(match begun {
            Ok(Step::Wait(lasts)) => {
                // Whoever has the lease tells of its fill, or each call asks.
                let until = spare.until(settings);
                let rested = spare.rested(now, lasts, until);
                Step::Done(Fetched::Hit(rested))
            }
            Ok(Step::Done(Fetched::Bare { .. })) => Step::Done(Fetched::Hit(spare.hit)),
            Ok(step) => step,
            Err(error) => {
                // A refresh that can't be had takes nothing from anybody.
                self.call.count(Count::StoreError);
                self.engine.store_failed(&error);
                Step::Done(Fetched::Hit(spare.hit))
            }
        })
    }

    /// The spare, once this call has waited for as long as it should.
    fn tired(&mut self, now: Duration) -> Option<Hit> {
        let soft = self.call.function.settings.soft_timeout?;
        let until = *self.soft.get_or_insert(now.saturating_add(soft));
        (now >= until).then_some(())?;
        self.spare.take().map(|spare| spare.hit)
    }

    /// Notes the cells: what a reply says counts only where they have not moved by then (guard G1),
    /// and what moves from here on makes the flight dirty.
    ///
    /// Says too whether nothing has moved since the note before.
    fn note(&self, cells: &[Arc<Cell>]) -> (Note, bool) {
        let note = self.engine.note(cells);
        let unbroken = self.seat.note(note.clone());
        (note, unbroken)
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
    async fn read(&mut self, budgets: &mut Budgets) -> Result<Step> {
        let (note, _) = self.note(&self.cells);
        let asked = self.engine.env.coarse();
        let point = self.engine.flights.source_asked();
        if !self.may_ask(budgets) {
            return Ok(Step::Done(Fetched::Bare { spare: None }));
        }
        // What has ended here may have been given a longer life there: then it is read anew.
        let local = self
            .engine
            .find(self.call)
            .filter(|stored| stored.head().life().lasts(asked));
        let trusted = Trusted::of(&note, !self.all && self.call.trusts());
        self.relied = trusted.knew_any();
        let unknown = trusted.unknown(&self.tags);
        let request = Read::new(&self.key, &unknown)
            .known(local.as_ref().map(|stored| stored.head().id()))
            .limit(self.limit())
            .left(self.ends);
        let answer = self.store.read(request);
        let left = &mut budgets.store;
        let mut reading = self.engine.bounded_by(left, Asking::Read, answer).await?;
        trusted.join(self.engine, &mut reading.stamps);
        let judged = self.engine.judge_reading(
            self.call,
            local.as_ref(),
            &reading,
            &self.tags,
            (asked, self.ends),
        );
        Ok(match judged {
            Judgement::Valid(stored) => {
                let mut hit = Hit {
                    stored,
                    point,
                    source: Source::Shared,
                };
                if local.is_some_and(|local| Arc::ptr_eq(&local, &hit.stored)) {
                    if hit.stored.head().holds(note.epoch, asked) {
                        hit.stored.head().confirm(asked);
                        hit.source = Source::Local;
                    } else {
                        // It is good once more, but of an earlier epoch.
                        hit.stored = self.engine.renewed(&*hit.stored, asked);
                    }
                }
                self.appraise(hit)
            }
            // What is known here may be out of date the moment it is compared: a push is on its way.
            // Where the entry may be right all the same, Redis is asked before it counts as a miss.
            Judgement::Outdated(_, at) if trusted.knew_all(&at) => {
                self.all = true;
                Step::Again
            }
            Judgement::Invalid(id) | Judgement::Outdated(id, _) => Step::Begin(id),
            Judgement::Ageless => {
                self.ends = true;
                Step::Again
            }
            Judgement::Unasked(more) => {
                // The entry was stored under tags that this call does not know of: by another
                // version of the program, say. Their stamps are read after it.
                let cells = &self.engine.cells;
                self.cells.extend(more.iter().map(|tag| cells.cell(tag)));
                self.tags = self.tags.iter().cloned().chain(more).collect();
                Step::Again
            }
        })
    }

    /// What is to be done with a valid value of this age.
    fn appraise(&mut self, hit: Hit) -> Step {
        let life = &hit.stored.head().life();
        match self.engine.worth(self.call, life, &mut self.early) {
            Worth::Serve => Step::Done(Fetched::Hit(hit)),
            worth => {
                let seen = Some(hit.stored.head().id());
                self.spare = (worth != Worth::Nothing).then_some(Spare {
                    hit,
                    at_once: worth == Worth::Refresh,
                });
                Step::Begin(seen)
            }
        }
    }

    /// Step 6: the lease, or an entry that has appeared meanwhile.
    async fn begin(&mut self, seen: Option<EntryId>, budgets: &mut Budgets) -> Result<Step> {
        // What moved before `begin` is sent, its answer already reflects (guard G2).
        // Only the call's own tags, since the load is stored under nothing else; but for those that only
        // the value knows of: they are most likely those of the value before (guard G8).
        let asked_for = if self.call.function.late_tags {
            self.tags.len()
        } else {
            self.own
        };
        let (tags, cells) = (&self.tags[..asked_for], &self.cells[..asked_for]);
        let (note, unbroken) = self.note(cells);
        if !unbroken {
            // Guard G6: something has moved since it was read, and the new note would hide that.
            self.spare = None;
        }
        let asked = self.engine.env.coarse();
        let point = self.engine.flights.source_asked();
        if !self.may_ask(budgets) {
            let spare = self.spare.take();
            return Ok(Step::Done(Fetched::Bare { spare }));
        }
        let token = EntryId(self.engine.env.draw_wide());
        let settings = &self.call.function.settings;
        let unshared = self.call.function.carrier == Carrier::None;
        let lease = LeaseGuard::new(self.engine, Arc::clone(&self.key), token);
        let (store, key, wanted) = (self.store, &self.key, &self.tags);
        let (store, key, wanted) = (Arc::clone(store), Arc::clone(key), Arc::clone(wanted));
        let known: Vec<_> = cells.iter().map(|cell| cell.stamp()).collect();
        let (lasts, life) = (settings.lease, settings.longest());
        let (force, limit) = (self.call.refresh || unshared, self.limit());
        let answer = Box::pin(async move {
            let request = Begin::new(&key, token, &wanted[..asked_for])
                .seen(seen)
                .known(&known)
                .lease(lasts)
                .life(life)
                .force(force)
                .limit(limit);
            store.begin(request).await
        });
        let hearing = Hearing {
            engine: Arc::clone(self.engine),
            note,
            asked,
            lease,
            answer,
        };
        let (lease, beginning) = hearing.heard(&mut budgets.store).await?;
        let found = match beginning.turn {
            Turn::Granted => {
                lease.granted(settings.lease);
                let told = self.told(beginning.stamps, budgets).await?;
                let (cells, spare) = (&self.cells[..self.own], self.spare.take());
                return Ok(match dependencies(cells, &told) {
                    Some(deps) => Step::Done(Fetched::Granted {
                        lease,
                        deps,
                        asked,
                        spare,
                    }),
                    // A stamp was removed the moment it was made.
                    None => Step::Again,
                });
            }
            Turn::Held(_) if self.engine.writers.hold(self.call) => {
                // By a write of this node, which may be what calls: it must not wait for itself.
                lease.gone();
                let spare = self.spare.take();
                return Ok(Step::Done(Fetched::Bare { spare }));
            }
            Turn::Held(lasts) => {
                lease.gone();
                return Ok(Step::Wait(lasts));
            }
            Turn::Entry(found) => found,
        };
        lease.gone();
        let told = Told {
            left: beginning.left,
            asked,
            ends: true,
        };
        let judged = self
            .engine
            .judge(self.call, None, &found, (tags, &beginning.stamps), told);
        Ok(match judged {
            Judgement::Valid(stored) => {
                let life = &stored.head().life();
                match self.engine.worth(self.call, life, &mut self.early) {
                    Worth::Serve | Worth::Refresh => Step::Done(Fetched::Hit(Hit {
                        stored,
                        point,
                        source: Source::Shared,
                    })),
                    Worth::Fallback | Worth::Nothing => Step::Again,
                }
            }
            Judgement::Invalid(_)
            | Judgement::Outdated(..)
            | Judgement::Unasked(_)
            | Judgement::Ageless => Step::Again,
        })
    }

    /// The stamps of the call's own tags, as `begin` has told them, where that is what is known now.
    ///
    /// A stamp that was relied on, or that nobody has looked at before a write by force, may have gone from the
    /// store: then `begin` has made another, which gainsays what is known, and nothing is (guard G17), so that
    /// what is loaded could not be kept. Asked once more, it is known. The load has not begun: these are
    /// stamps from before it (guard G1).
    async fn told(
        &mut self,
        stamps: Vec<Option<Stamp>>,
        budgets: &mut Budgets,
    ) -> Result<Vec<Option<Stamp>>> {
        let (tags, cells) = (&self.tags[..self.own], &self.cells[..self.own]);
        let known = cells.iter().map(|cell| cell.stamp());
        let seen = !self.relied && !self.call.refresh;
        if seen || known.eq(stamps.iter().take(self.own).copied()) {
            return Ok(stamps);
        }
        let (note, unbroken) = self.note(cells);
        if !unbroken {
            // Guard G6, as before `begin`.
            self.spare = None;
        }
        let answer = self.store.read(Read::new(&self.key, tags).limit(0));
        let left = &mut budgets.store;
        let reading = self.engine.bounded_by(left, Asking::Read, answer).await?;
        self.engine.learn(note.cells.iter(), &reading.stamps, false);
        Ok(reading.stamps)
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
        let mut pause = pause.max(Duration::from_millis(1)).min(budgets.waits);
        let before = env.now();
        if let (Some(soft), Some(_)) = (self.soft, &self.spare) {
            pause = pause.min(soft.saturating_sub(before));
        }
        let wait = async {
            tokio::select! {
                biased;
                () = self.seat.rung(armed) => {}
                () = env.sleep(pause) => {}
            }
        };
        self.call.waits(wait).await;
        let waited = env.now().saturating_sub(before);
        budgets.waits = budgets.waits.saturating_sub(waited);
        // What was waited for was not the store.
        budgets.store = self.engine.store_timeout;
    }
}

impl Engine {
    /// The cells of a call's tags.
    pub(super) fn tagged(&self, call: &Call, key: &str) -> Tagged {
        let mut tags = Arc::clone(call.tags());
        let mut cells = call.cells().to_vec();
        if call.function.carrier == Carrier::None && self.store.is_some() {
            // Nothing of it is in the shared tier that removing the key could remove.
            let own = own_tag(key);
            cells.push(self.cells.cell(&own));
            tags = tags.iter().cloned().chain([own]).collect();
        }
        Tagged { tags, cells }
    }

    /// What the local tier has for a call, whether or not it holds.
    pub(super) fn find(&self, call: &Call) -> Option<Arc<dyn Held>> {
        if !call.function.settings.local {
            return None;
        }
        let held = self.local.find(&call.key.borrowed())?;
        call.function.values.are(&*held).then_some(held)
    }

    /// A local value of an earlier epoch that the shared tier has just confirmed, as one of this epoch.
    fn renewed(&self, stored: &dyn Held, asked: Duration) -> Arc<dyn Held> {
        let head = stored.head();
        head.confirm(asked);
        let deps = head.deps().iter().map(|dependency| Dependency {
            // The old cell may have left the registry.
            cell: self.cells.cell(dependency.cell.tag()),
            stamp: dependency.stamp,
        });
        stored
            .value()
            .entry(head.renewed(self.epoch(), deps.collect()))
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
