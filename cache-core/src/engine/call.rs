//! One call after a local miss: join the flight of its key or lead it, fetch or load, store, share.

use std::future::Future;
use std::mem::size_of;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use super::fetch::{Budgets, Fetched, Search, Tagged};
use super::lease::LeaseGuard;
use super::outage::Asking;
use super::{Carrier, Engine, Function};
use crate::entry::{self, EntryId, Header};
use crate::flight::{Followed, Follower, Joined, Seat, Sharing};
use crate::key::ArgsText;
use crate::local::{Dependency, Head, Held, LocalKey, Stored};
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::shape::Shape;
use crate::store::Fill;
use crate::{Codec, Result};

/// What is added to the bytes of a local entry for the map, the queues and the heads.
const BOOKKEEPING: usize = 160;
/// After how many flights that brought nothing a call runs the function by itself: callers of a
/// function that keeps failing must not queue up behind each other.
const FRUITLESS: u32 = 2;

/// A call that found nothing it could use in the local tier.
pub(crate) struct Call {
    pub(crate) engine: Arc<Engine>,
    pub(crate) function: Arc<Function>,
    pub(crate) key: LocalKey,
    pub(crate) tags: Vec<String>,
    /// When it began (guard G6).
    pub(crate) began: u64,
    /// Whether it loads whatever is there.
    pub(crate) refresh: bool,
    /// Whether the value was given, and no function runs.
    pub(crate) given: bool,
    /// Whether the function is a plain one.
    pub(crate) blocking: bool,
}

/// What will become of a load's value.
enum Plan {
    /// It goes into both tiers.
    Shared {
        lease: LeaseGuard,
        deps: Vec<Dependency>,
    },
    /// It goes into the local tier.
    Local { deps: Vec<Dependency> },
    /// It goes to the caller.
    Bare,
    /// There is none, since another flight has taken this one's place.
    Elsewhere,
}

impl Call {
    pub(crate) fn new(
        engine: &Arc<Engine>,
        function: &Arc<Function>,
        args: &ArgsText,
        tags: Vec<String>,
    ) -> Self {
        Self {
            key: LocalKey::new(function.number, args.as_str()),
            engine: Arc::clone(engine),
            function: Arc::clone(function),
            tags,
            began: engine.flights.call_begins(),
            refresh: false,
            given: false,
            blocking: false,
        }
    }

    /// The key in the shared tier.
    pub(super) fn shared_key(&self) -> String {
        format!("{}{}", self.function.prefix, self.key.args)
    }

    /// What a local entry with a value of this many encoded bytes takes.
    pub(super) fn weight<V>(&self, encoded: usize) -> usize {
        size_of::<Stored<V>>() + self.key.args.len() + encoded + BOOKKEEPING
    }

    fn count(&self, count: Count) {
        self.function.kind.counters.count(count);
    }

    /// Runs the call to its end: returns what the function returned or would have returned, and
    /// whether the value is stored.
    pub(crate) async fn run<R, S, F>(self, shape: S, body: F) -> (R, bool)
    where
        S: Shape<R>,
        F: Future<Output = R>,
    {
        let mut body = pin!(body);
        let mut budgets = Budgets {
            waits: self.function.settings.wait,
            store: self.engine.store_timeout,
        };
        let (seat, plan) = loop {
            let seat = match self.take_seat::<S::Value>(&mut budgets).await {
                Ok(Some(seat)) => seat,
                Ok(None) => {
                    let (returned, _) = self.load(shape, body.as_mut()).await;
                    return (returned, false);
                }
                Err(value) => return (shape.join(value), true),
            };
            match self.plan::<S::Value>(&seat, &mut budgets).await {
                Ok(Plan::Elsewhere) => {}
                Ok(plan) => break (seat, plan),
                Err((stored, point, was_local)) => {
                    let value = self.share_hit(seat, stored, point, was_local);
                    return (shape.join(value), true);
                }
            }
        };
        self.lead(shape, body.as_mut(), seat, plan, &mut budgets.store)
            .await
    }

    /// What is cached, without loading it.
    pub(crate) async fn peek<V: crate::shape::CacheValue>(&self) -> Option<V> {
        self.engine.look(self).await
    }

    /// The leader's seat, or `None` where this call is better off alone, or the value of another
    /// call's flight, counted, as the error.
    async fn take_seat<V: Clone + 'static>(
        &self,
        budgets: &mut Budgets,
    ) -> std::result::Result<Option<Seat>, V> {
        let engine = &self.engine;
        if self.refresh {
            let seat = engine.flights.replace(&self.key, self.blocking);
            if self.given {
                let Tagged { cells, .. } = engine.tagged(self, &self.shared_key());
                seat.given(engine.note(&cells));
            }
            return Ok(Some(seat));
        }
        let mut fruitless = 0;
        loop {
            let turn = engine
                .flights
                .join(&self.key, self.began, engine.epoch(), self.blocking);
            let other = match turn {
                Joined::Lead(seat, other) => {
                    if let Some(other) = other {
                        self.gather(other, budgets).await;
                    }
                    // Another flight may have ended since this call looked.
                    let Some(value) = self.look_again() else {
                        return Ok(Some(seat));
                    };
                    self.count(Count::HitLocal);
                    return Err(value);
                }
                Joined::Own => return Ok(None),
                Joined::Follow(other) => other,
            };
            let before = engine.env.now();
            let followed = tokio::select! {
                biased;
                end = other.end() => end,
                () = engine.env.sleep(budgets.waits) => return Ok(None),
            };
            let waited = engine.env.now().saturating_sub(before);
            budgets.waits = budgets.waits.saturating_sub(waited);
            match followed {
                Followed::Value(held) => {
                    if let Some(stored) = held.typed::<V>() {
                        self.count(Count::Coalesced);
                        return Err(stored.value.clone());
                    }
                }
                Followed::Again => {}
                Followed::Uncached => fruitless += 1,
            }
            if fruitless >= FRUITLESS || budgets.waits.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Without the shared tier each load serves those who called before it began. Who calls later
    /// waits for its end, but for no longer than it would wait for the store (invariant 2), so that
    /// all who call meanwhile share the next one.
    async fn gather(&self, other: Follower, budgets: &mut Budgets) {
        let env = &self.engine.env;
        let before = env.now();
        tokio::select! {
            biased;
            _ = other.end() => {}
            () = env.sleep(budgets.store.min(budgets.waits)) => {}
        }
        let waited = env.now().saturating_sub(before);
        budgets.waits = budgets.waits.saturating_sub(waited);
        budgets.store = budgets.store.saturating_sub(waited);
    }

    /// The local tier's value, where it can be trusted.
    fn look_again<V: Clone + 'static>(&self) -> Option<V> {
        let engine = &self.engine;
        let now = engine.env.coarse();
        engine.trusts_local(now).then_some(())?;
        engine.local.hit(self.key.borrowed(), engine.epoch(), now)
    }

    /// Settles where the value will be stored, or finds it (as the error) in the shared tier.
    async fn plan<V: crate::shape::CacheValue>(
        &self,
        seat: &Seat,
        budgets: &mut Budgets,
    ) -> std::result::Result<Plan, (Arc<Stored<V>>, u64, bool)> {
        let engine = &self.engine;
        let Some(store) = &engine.store else {
            return Ok(self.plan_local(seat));
        };
        if !engine.outage.usable() {
            return Ok(Plan::Bare);
        }
        match Search::new(self, seat, store).run::<V>(budgets).await {
            Ok(Fetched::Hit {
                stored,
                point,
                was_local,
            }) => Err((stored, point, was_local)),
            Ok(Fetched::Granted { lease, deps }) => Ok(Plan::Shared { lease, deps }),
            Ok(Fetched::Bare) => Ok(Plan::Bare),
            Ok(Fetched::Replaced) => Ok(Plan::Elsewhere),
            Err(error) => {
                // Invariant 2: whatever is wrong with the store, the function runs.
                self.count(Count::StoreError);
                engine.store_failed(&error);
                Ok(Plan::Bare)
            }
        }
    }

    /// Without a shared tier the cells themselves hold the stamps. They are taken before the load:
    /// that is what makes a late insertion harmless.
    fn plan_local(&self, seat: &Seat) -> Plan {
        let engine = &self.engine;
        let Tagged { cells, .. } = engine.tagged(self, "");
        seat.note(engine.note(&cells));
        let deps = cells
            .into_iter()
            .map(|cell| {
                let stamp = cell.stamp_or_make(|| engine.env.draw())?;
                Some(Dependency { cell, stamp })
            })
            .collect();
        match deps {
            Some(deps) => Plan::Local { deps },
            None => Plan::Bare,
        }
    }

    /// A value found in the shared tier: kept here if nothing moved, and shared with those for whom
    /// it is new enough.
    fn share_hit<V: Clone + Send + Sync + 'static>(
        &self,
        seat: Seat,
        stored: Arc<Stored<V>>,
        point: u64,
        was_local: bool,
    ) -> V {
        let engine = &self.engine;
        let epoch = engine.epoch();
        let value = stored.value.clone();
        let held: Arc<dyn Held> = stored;
        let clean = if was_local {
            self.count(Count::HitLocal);
            seat.insert_if_clean(epoch, || ())
        } else {
            self.count(Count::HitShared);
            seat.insert_if_clean(epoch, || self.insert(Arc::clone(&held), epoch))
        };
        // Guard G11: where the local tier is checked on each call, a read that was on its way
        // before a call began is nothing to go by; where it is trusted, a clean flight is.
        let sharing = match (engine.trusts_local(engine.env.coarse()), clean) {
            (false, _) if !removed(Guard::G11) => Sharing::CallsBefore(point),
            (_, true) => Sharing::Everyone,
            (_, false) => Sharing::Nobody,
        };
        seat.end(held, sharing);
        value
    }

    /// Steps 7 and 8: load, store, share.
    async fn lead<R, S, F>(
        &self,
        shape: S,
        body: Pin<&mut F>,
        seat: Seat,
        plan: Plan,
        budget: &mut Duration,
    ) -> (R, bool)
    where
        S: Shape<R>,
        F: Future<Output = R>,
    {
        let engine = &self.engine;
        // Guard G6, for a value that was given: an invalidation may have come between the call and
        // its lease. The stamps that were made with the lease are newer than it and would hide it.
        let plan = if self.given && !seat.is_clean(engine.epoch()) {
            Plan::Bare
        } else {
            plan
        };
        let point = match &plan {
            Plan::Shared { lease, .. } => seat.load_begins(Some(lease.token)),
            Plan::Local { .. } => seat.load_begins(None),
            Plan::Bare | Plan::Elsewhere => seat.bare_load_begins(),
        };
        let (returned, cost) = self.load(shape, body).await;
        let value = match shape.split(returned) {
            Ok(value) => value,
            Err(returned) => {
                // The lease, if there is one, is given up as the plan is dropped.
                drop(plan);
                seat.end_uncached();
                return (returned, false);
            }
        };
        let copy = value.clone();
        let epoch = engine.epoch();
        // Taken before the fill is sent: the local copy must not outlive the entry.
        let expires = engine.env.coarse() + self.function.settings.ttl;
        let (keeps, id, deps, encoded) = match plan {
            Plan::Bare | Plan::Elsewhere => (false, EntryId([0; 16]), Vec::new(), 0),
            Plan::Local { deps } => (true, EntryId([0; 16]), deps, weigh(&value)),
            Plan::Shared { lease, deps } => {
                let token = lease.token;
                let (stored, encoded) = match self.function.carrier {
                    Carrier::None => (seat.take_lease().is_some(), weigh(&value)),
                    Carrier::Bytes { schema, codec } => {
                        match self.encode(&value, token, &deps, cost, schema, codec) {
                            Ok(bytes) => {
                                let size = bytes.len();
                                let stored = seat.take_lease().is_some()
                                    && self.fill(lease, &bytes, budget).await;
                                (stored, size)
                            }
                            Err(error) => {
                                self.count(Count::FillRefused);
                                engine.value_complaints.say(&engine.env, || {
                                    tracing::warn!(
                                        kind = self.function.kind.name,
                                        "a value could not be stored: {error}"
                                    );
                                });
                                (false, 0)
                            }
                        }
                    }
                };
                (stored, token, deps, encoded)
            }
        };
        let held: Arc<dyn Held> = Arc::new(Stored {
            head: Head::new(
                self.key.clone(),
                expires,
                epoch,
                id,
                deps.into_boxed_slice(),
                self.weight::<S::Value>(encoded),
            ),
            value,
        });
        // Step 8: only if the fill was accepted and nothing moved since step 1.
        let clean = keeps && seat.insert_if_clean(epoch, || self.insert(Arc::clone(&held), epoch));
        // Guard G6: to everybody only while nothing moved and events would have told; else to the
        // calls that began before the load did.
        let sharing = if clean && engine.trusts_local(engine.env.coarse()) {
            Sharing::Everyone
        } else {
            Sharing::CallsBefore(point)
        };
        seat.end(held, sharing);
        let stored = if engine.store.is_some() { keeps } else { clean };
        (shape.join(copy), stored)
    }

    /// Runs the function, timed and counted.
    async fn load<R, S, F>(&self, shape: S, body: Pin<&mut F>) -> (R, Duration)
    where
        S: Shape<R>,
        F: Future<Output = R>,
    {
        if self.given {
            return (body.await, Duration::ZERO);
        }
        self.count(Count::Miss);
        self.count(Count::Load);
        let before = self.engine.env.now();
        let returned = body.await;
        let cost = self.engine.env.now().saturating_sub(before);
        self.function.kind.loads.record(cost);
        if shape.is_error(&returned) {
            self.count(Count::LoadError);
        }
        (returned, cost)
    }

    fn insert(&self, held: Arc<dyn Held>, epoch: u64) {
        let engine = &self.engine;
        for evicted in engine.local.insert(held, engine.env.coarse(), epoch) {
            if let Some(function) = engine.functions.get(evicted) {
                function.kind.counters.count(Count::Evicted);
            }
        }
    }

    fn encode<V: serde::Serialize>(
        &self,
        value: &V,
        id: EntryId,
        deps: &[Dependency],
        cost: Duration,
        schema: u64,
        codec: Codec,
    ) -> Result<Vec<u8>> {
        let payload = codec.encode(value, self.function.settings.max_bytes)?;
        let life = millis(self.function.settings.ttl);
        let header = Header {
            codec: codec.id(),
            flags: 0,
            id,
            created_ms: millis(self.engine.env.wall()),
            fresh_ms: life,
            life_ms: life,
            cost_us: u64::try_from(cost.as_micros()).unwrap_or(u64::MAX),
            origin: self.function.origin,
            schema,
            tags: deps
                .iter()
                .map(|dependency| (dependency.cell.tag().into(), dependency.stamp))
                .collect(),
        };
        entry::write(&header, &payload)
    }

    /// Stores an entry; `false` where the lease was gone, or the store failed.
    async fn fill(&self, lease: LeaseGuard, bytes: &[u8], budget: &mut Duration) -> bool {
        let engine = &self.engine;
        let Some(store) = &engine.store else {
            return false;
        };
        if !engine.outage.usable() {
            return false;
        }
        let key = self.shared_key();
        let request = Fill::new(&key, lease.token, bytes, self.function.settings.ttl);
        let unsure = Unconfirmed { call: self };
        let asking = Asking::Write;
        match engine.bounded_by(budget, asking, store.fill(request)).await {
            Ok(stored) => {
                lease.gone();
                if stored {
                    unsure.confirm();
                } else {
                    self.count(Count::FillRefused);
                }
                stored
            }
            Err(error) => {
                self.count(Count::StoreError);
                engine.store_failed(&error);
                false
            }
        }
    }
}

/// A fill on its way. A tracked store forgets, without a word to the writer, that this node has read
/// the entry: until the fill's own reading back is seen to have found what was filled, nothing tells
/// of a change, and so the entry that was here before goes. Dropped by a cancelled call too.
struct Unconfirmed<'a> {
    call: &'a Call,
}

impl Unconfirmed<'_> {
    /// It was read back, and is told of from there on.
    fn confirm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unconfirmed<'_> {
    fn drop(&mut self) {
        let Call { engine, key, .. } = self.call;
        engine.local.remove(key.borrowed());
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The encoded size of a value that is not encoded, as an estimate of what it takes.
fn weigh<V: serde::Serialize>(value: &V) -> usize {
    let mut size = bincode::enc::write::SizeWriter::default();
    match bincode::serde::encode_into_writer(value, &mut size, bincode::config::standard()) {
        Ok(()) => size.bytes_written,
        Err(_) => 0,
    }
}
