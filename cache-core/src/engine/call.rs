//! One call after a local miss: join the flight of its key or lead it, fetch or load, store, share.

use std::future::Future;
use std::mem::size_of;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use super::fetch::{Budgets, Fetched, Hit, Search, Source, Spare, Tagged, Worth};
use super::lease::LeaseGuard;
use super::outage::{Asking, unit};
use super::{Carrier, Engine, Function};
use crate::entry::{self, EntryId, Header};
use crate::flight::{Followed, Follower, Joined, Seat, Sharing, Standby};
use crate::key::ArgsText;
use crate::local::{Dependency, Head, Held, LocalKey, Stored};
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::shape::Shape;
use crate::store::{Fill, Stamp};
use crate::{Codec, Result};

/// What is added to the bytes of a local entry for the map, the queues and the heads.
const BOOKKEEPING: usize = 160;
/// After how many flights that brought nothing a call runs the function by itself: callers of a
/// function that keeps failing must not queue up behind each other.
const FRUITLESS: u32 = 2;

/// The epoch of what was loaded while the shared tier did not answer, which is never the current one:
/// once it answers again, if only a moment later, nobody tells this node of the end of an entry that
/// is not there.
const OUTAGE: u64 = u64::MAX;

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
    /// Whether it loads although the value that is there is fresh, where that was drawn.
    pub(crate) early: Option<bool>,
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
        asked: Duration,
    },
    /// It goes into the local tier.
    Local { deps: Vec<Dependency> },
    /// It goes into the local tier, to be served while the shared one can't be reached.
    Outage {
        deps: Vec<Dependency>,
        asked: Duration,
    },
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
            early: None,
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

    pub(super) fn count(&self, count: Count) {
        self.function.kind.counters.count(count);
    }

    /// Whether events tell this call of whatever moves.
    fn trusts(&self) -> bool {
        let engine = &self.engine;
        !self.function.settings.strict && engine.trusts_local(engine.env.coarse())
    }

    /// Runs the call to its end: returns what the function returned or would have returned, and
    /// whether the value is stored.
    ///
    /// Dropped before its end, it leaves nothing behind: the function's future is dropped with it, its
    /// lease is given up, and one of those who waited for it takes over.
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
        let (seat, plan, spare) = loop {
            let seat = match self.take_seat::<S::Value>(&mut budgets).await {
                Ok(Some(seat)) => seat,
                Ok(None) => {
                    self.count(Count::Miss);
                    let returned = self.load(shape, body.as_mut()).await.0;
                    return (returned, false);
                }
                Err(value) => return (shape.join(value), true),
            };
            match self.plan::<S::Value>(&seat, &mut budgets).await {
                Ok((Plan::Elsewhere, _)) => {}
                Ok((plan, spare)) => break (seat, plan, spare),
                Err(hit) => {
                    let value = self.share_hit(seat, hit);
                    return (shape.join(value), true);
                }
            }
        };
        self.lead(
            shape,
            body.as_mut(),
            seat,
            (plan, spare),
            &mut budgets.store,
        )
        .await
    }

    /// What is cached, without loading it.
    pub(crate) async fn peek<V: crate::shape::CacheValue>(&self) -> Option<V> {
        let stored = self.engine.look::<V>(self, Worth::Refresh).await?;
        Some(stored.value.clone())
    }

    /// The leader's seat, or `None` where this call is better off alone, or the value of another
    /// call's flight, counted, as the error.
    async fn take_seat<V: crate::shape::CacheValue>(
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
        let mut soft = self.function.settings.soft_timeout;
        loop {
            let turn = engine.flights.join(
                &self.key,
                self.began,
                engine.epoch(),
                self.trusts(),
                self.blocking,
                engine.env.coarse(),
            );
            let mut other = match turn {
                Joined::Lead(seat, other) => {
                    if let Some(other) = other {
                        self.gather(other, budgets).await;
                    }
                    // Another flight may have ended since this call looked.
                    let Some(value) = self.look_again() else {
                        return Ok(Some(seat));
                    };
                    return Err(value);
                }
                Joined::Own => return Ok(None),
                Joined::Follow(other) => other,
                Joined::Standby(held) => {
                    if let Some(value) = self.stood_by(&*held) {
                        return Err(value);
                    }
                    // Another type's: it can't be had, and never comes.
                    return Ok(None);
                }
                Joined::Aside(other) => {
                    if let Some(value) = self.look_aside(Worth::Refresh).await {
                        return Err(value);
                    }
                    other
                }
            };
            let followed = loop {
                let before = engine.env.now();
                let pause = soft.map_or(budgets.waits, |soft| soft.min(budgets.waits));
                let ended = tokio::select! {
                    biased;
                    end = other.end() => Some(end),
                    () = engine.env.sleep(pause) => None,
                };
                let waited = engine.env.now().saturating_sub(before);
                budgets.waits = budgets.waits.saturating_sub(waited);
                soft = soft.map(|soft| soft.saturating_sub(waited));
                if let Some(followed) = ended {
                    break followed;
                }
                if soft.is_some_and(|soft| soft.is_zero()) {
                    soft = None;
                    let standby = other.standby(engine.epoch(), self.trusts(), engine.env.coarse());
                    if let Some(value) = standby.and_then(|held| self.stood_by(&*held)) {
                        return Err(value);
                    }
                    // Where nobody would have told, this call has to ask for itself.
                    if !self.trusts()
                        && let Some(value) = self.look_aside(Worth::Fallback).await
                    {
                        return Err(value);
                    }
                }
                if budgets.waits.is_zero() {
                    return Ok(None);
                }
            };
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

    /// The value that can be served while another call loads, as the store has it, counted.
    async fn look_aside<V: crate::shape::CacheValue>(&self, least: Worth) -> Option<V> {
        let stored = self.engine.look::<V>(self, least).await?;
        let stale = stored.head.life.is_stale(self.engine.env.coarse());
        self.count(if stale {
            Count::HitStale
        } else {
            Count::HitShared
        });
        Some(stored.value.clone())
    }

    /// The value of what stands by while another call loads, counted.
    fn stood_by<V: Clone + 'static>(&self, held: &dyn Held) -> Option<V> {
        let stored = held.typed::<V>()?;
        let stale = stored.head.life.is_stale(self.engine.env.coarse());
        self.count(if stale {
            Count::HitStale
        } else {
            Count::HitLocal
        });
        Some(stored.value.clone())
    }

    /// Without the shared tier each load serves those who called before it began. Who calls later
    /// waits for its end, but for no longer than it would wait for the store (invariant 2), so that
    /// all who call meanwhile share the next one.
    async fn gather(&self, mut other: Follower, budgets: &mut Budgets) {
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

    /// The local tier's value, where it can be trusted, counted.
    fn look_again<V: Clone + 'static>(&self) -> Option<V> {
        let engine = &self.engine;
        let key = self.key.borrowed();
        engine.local_hit(&self.function, key, &mut self.early.clone())
    }

    /// Settles where the value will be stored, and what can be returned meanwhile; or finds it (as the
    /// error).
    async fn plan<V: crate::shape::CacheValue>(
        &self,
        seat: &Seat,
        budgets: &mut Budgets,
    ) -> std::result::Result<(Plan, Option<Spare<V>>), Hit<V>> {
        let engine = &self.engine;
        let Some(store) = &engine.store else {
            return self.plan_local(seat);
        };
        if !engine.outage.usable() {
            return self.plan_outage(seat);
        }
        match Search::new(self, seat, store).run(budgets).await {
            Ok(Fetched::Hit(hit)) => Err(hit),
            Ok(Fetched::Granted {
                lease,
                deps,
                asked,
                spare,
            }) => Ok((Plan::Shared { lease, deps, asked }, spare)),
            Ok(Fetched::Bare { spare }) => Ok((Plan::Bare, spare)),
            Ok(Fetched::Replaced) => Ok((Plan::Elsewhere, None)),
            Err(error) => {
                // Invariant 2: whatever is wrong with the store, the function runs.
                self.count(Count::StoreError);
                engine.store_failed(&error);
                self.plan_outage(seat)
            }
        }
    }

    /// Without a shared tier the cells themselves hold the stamps. They are taken before the load:
    /// that is what makes a late insertion harmless.
    fn plan_local<V: crate::shape::CacheValue>(
        &self,
        seat: &Seat,
    ) -> std::result::Result<(Plan, Option<Spare<V>>), Hit<V>> {
        let engine = &self.engine;
        let Tagged { cells, .. } = engine.tagged(self, "");
        let note = engine.note(&cells);
        let now = engine.env.coarse();
        seat.note(note.clone());
        // After the note: whatever ends it from here on makes the flight dirty.
        let point = engine.flights.source_asked();
        let local = engine
            .find_typed::<V>(self)
            .filter(|stored| !self.refresh && stored.head.holds(note.epoch, now));
        let mut spare = None;
        if let Some(stored) = local {
            let worth = engine.worth(self, &stored.head.life, &mut self.early.clone());
            let hit = Hit {
                stored,
                point,
                source: Source::Local,
            };
            match worth {
                Worth::Serve => return Err(hit),
                Worth::Nothing => {}
                Worth::Refresh | Worth::Fallback => {
                    spare = Some(Spare {
                        hit,
                        at_once: worth == Worth::Refresh,
                    });
                }
            }
        }
        let deps = cells
            .into_iter()
            .map(|cell| {
                let stamp = cell.stamp_or_make(|| engine.env.draw())?;
                Some(Dependency { cell, stamp })
            })
            .collect();
        Ok(match deps {
            Some(deps) => (Plan::Local { deps }, spare),
            None => (Plan::Bare, spare),
        })
    }

    /// While the shared tier can't be reached: what the local tier had when it could, where the kind
    /// allows that; else the function runs, and what it brings is kept for as long.
    fn plan_outage<V: crate::shape::CacheValue>(
        &self,
        seat: &Seat,
    ) -> std::result::Result<(Plan, Option<Spare<V>>), Hit<V>> {
        let engine = &self.engine;
        if self.function.settings.outage_ttl.is_zero() || self.given {
            return Ok((Plan::Bare, None));
        }
        let Tagged { cells, .. } = engine.tagged(self, &self.shared_key());
        let asked = engine.env.coarse();
        seat.note(engine.note(&cells));
        let point = engine.flights.source_asked();
        if !self.refresh
            && let Some(stored) = engine.outage_value(self)
        {
            return Err(Hit {
                stored,
                point,
                source: Source::Outage,
            });
        }
        let deps = cells
            .into_iter()
            .map(|cell| {
                let stamp = cell.former_or_make(|| engine.env.draw())?;
                Some(Dependency { cell, stamp })
            })
            .collect();
        Ok(match deps {
            Some(deps) => (Plan::Outage { deps, asked }, None),
            None => (Plan::Bare, None),
        })
    }

    /// A value that was found: kept here if nothing moved, and shared with those for whom it is new
    /// enough.
    fn share_hit<V: crate::shape::CacheValue>(&self, seat: Seat, hit: Hit<V>) -> V {
        let engine = &self.engine;
        let epoch = engine.epoch();
        let Hit {
            stored,
            point,
            source,
        } = hit;
        let value = stored.value.clone();
        let stale = stored.head.life.is_stale(engine.env.coarse());
        self.count(match source {
            Source::Outage => Count::HitOutage,
            _ if stale => Count::HitStale,
            Source::Local => Count::HitLocal,
            Source::Shared => Count::HitShared,
        });
        let held: Arc<dyn Held> = stored;
        let clean = seat.insert_if_clean(epoch, || {
            if source == Source::Shared {
                self.insert(Arc::clone(&held), epoch);
            }
        });
        seat.end(held, self.sharing(clean, point));
        value
    }

    /// Who may have a value that was found, and asked for at this point.
    ///
    /// Guard G11: where the local tier is checked on each call, a read that was on its way before a
    /// call began is nothing to go by; where it is trusted, a clean flight is.
    fn sharing(&self, clean: bool, point: u64) -> Sharing {
        match (self.trusts(), clean) {
            (false, _) if !removed(Guard::G11) => Sharing::CallsBefore(point),
            (_, true) => Sharing::Everyone,
            (_, false) => Sharing::Nobody,
        }
    }

    /// Steps 7 and 8: load, store, share.
    async fn lead<R, S, F>(
        &self,
        shape: S,
        mut body: Pin<&mut F>,
        mut seat: Seat,
        (plan, spare): (Plan, Option<Spare<S::Value>>),
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
        if let Some(spare) = &spare {
            if spare.at_once {
                self.count(Count::Refresh);
            }
            let settings = &self.function.settings;
            let until = [spare.until(settings), spare.kept(settings)];
            let standby = Standby {
                value: spare.hit.stored.clone(),
                point: spare.hit.point,
                at_once: spare.at_once && engine.env.coarse() < until[0],
                until,
            };
            seat.stand_by(standby, engine.epoch(), self.trusts());
        }
        let point = match &plan {
            Plan::Shared { lease, .. } => seat.load_begins(Some(lease.token)),
            Plan::Local { .. } | Plan::Outage { .. } => seat.load_begins(None),
            Plan::Bare | Plan::Elsewhere => seat.bare_load_begins(),
        };
        let (returned, cost) = match self.load_in_time(shape, body.as_mut(), &seat).await {
            Loaded::InTime(returned, cost) => (returned, cost),
            Loaded::TooLate => {
                self.count(Count::LoadTimeout);
                if let Some(spare) = self.rescue(&seat, spare) {
                    // The lease is given up as the plan is dropped.
                    drop(plan);
                    return (shape.join(self.share_rescued(seat, spare)), false);
                }
                // Others may load it from here on; what this load brings is its caller's alone.
                drop(plan);
                drop(seat);
                return (body.await, false);
            }
        };
        let value = match shape.split(returned) {
            Ok(value) => value,
            Err(returned) => {
                if !shape.is_error(&returned) {
                    if spare.is_some() {
                        self.retire().await;
                    }
                } else if let Some(spare) = self.rescue(&seat, spare) {
                    drop(plan);
                    return (shape.join(self.share_rescued(seat, spare)), false);
                }
                // The lease, if there is one, is given up as the plan is dropped.
                drop(plan);
                seat.end_uncached();
                return (returned, false);
            }
        };
        let copy = value.clone();
        let epoch = engine.epoch();
        let settings = &self.function.settings;
        let fresh = settings.fresh(unit(engine.env.draw()));
        let kept = fresh.saturating_add(settings.grace());
        // Taken before the fill is sent: the local copy must not outlive the entry.
        let mut life = settings.life(engine.env.coarse(), fresh, kept, cost);
        let mut head_epoch = epoch;
        let (keeps, id, deps, encoded) = match plan {
            Plan::Bare | Plan::Elsewhere => (false, EntryId([0; 16]), Vec::new(), 0),
            Plan::Local { deps } => (true, EntryId([0; 16]), deps, weigh(&value)),
            Plan::Outage { deps, asked } => {
                head_epoch = OUTAGE;
                let kept = fresh.min(settings.outage_ttl);
                life = settings.life(asked, kept, kept, Duration::ZERO);
                (true, EntryId([0; 16]), deps, weigh(&value))
            }
            Plan::Shared { lease, deps, asked } => {
                // Of its stamps nothing has been heard since, where the store does not tell: what
                // was invalidated during the load is not known here.
                life = life.confirmed_at(asked);
                let token = lease.token;
                let (stored, encoded) = match self.function.carrier {
                    Carrier::None => (seat.take_lease().is_some(), weigh(&value)),
                    Carrier::Bytes { schema, codec } => {
                        let header = Header {
                            codec: codec.id(),
                            flags: 0,
                            id: token,
                            created_ms: millis(engine.env.wall()),
                            fresh_ms: millis(fresh),
                            life_ms: millis(kept),
                            cost_us: u64::try_from(cost.as_micros()).unwrap_or(u64::MAX),
                            origin: self.function.origin,
                            schema,
                            tags: stamps(&deps),
                        };
                        match self.encode(&value, &header, codec) {
                            Ok(bytes) => {
                                let size = bytes.len();
                                let stored = seat.take_lease().is_some()
                                    && self.fill(&seat, lease, &bytes, kept, budget).await;
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
                life,
                head_epoch,
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
        let sharing = if clean && self.trusts() {
            Sharing::Everyone
        } else {
            Sharing::CallsBefore(point)
        };
        seat.end(held, sharing);
        let stored = if engine.store.is_some() { keeps } else { clean };
        (shape.join(copy), stored)
    }

    /// Runs the function for no longer than the hard timeout, where there is one. A plain function
    /// can't be stopped: its flight and its lease are ended for it.
    async fn load_in_time<R, S, F>(&self, shape: S, body: Pin<&mut F>, seat: &Seat) -> Loaded<R>
    where
        S: Shape<R>,
        F: Future<Output = R>,
    {
        let env = &self.engine.env;
        let done = |(returned, cost)| Loaded::InTime(returned, cost);
        if self.given {
            return done((body.await, Duration::ZERO));
        }
        self.count(Count::Miss);
        let Some(hard) = self.function.settings.hard_timeout else {
            return done(self.load(shape, body).await);
        };
        if self.blocking {
            let (ended, watched) = tokio::sync::oneshot::channel::<()>();
            let (ejector, engine) = (seat.eject(), Arc::clone(&self.engine));
            let (key, counters) = (self.shared_key(), Arc::clone(&self.function.kind));
            let sleep = env.sleep(hard);
            env.spawn(async move {
                tokio::select! {
                    biased;
                    _ = watched => return,
                    () = sleep => {}
                }
                counters.counters.count(Count::LoadTimeout);
                if let Some(token) = ejector.eject() {
                    engine.release_later(key, token);
                }
            });
            let loaded = self.load(shape, body).await;
            drop(ended);
            return done(loaded);
        }
        tokio::select! {
            biased;
            loaded = self.load(shape, body) => done(loaded),
            () = env.sleep(hard) => Loaded::TooLate,
        }
    }

    async fn load<R, S: Shape<R>>(&self, shape: S, body: impl Future<Output = R>) -> (R, Duration) {
        self.function.timed(&self.engine.env, &shape, body).await
    }

    /// The value from before, where a failed load may be answered with it: nothing has moved since it
    /// was read, and the load has not outlasted it.
    fn rescue<V>(&self, seat: &Seat, spare: Option<Spare<V>>) -> Option<Spare<V>> {
        let now = self.engine.env.coarse();
        let spare = spare
            .filter(|spare| now < spare.kept(&self.function.settings))
            .filter(|_| seat.is_clean(self.engine.epoch()))?;
        self.count(Count::Rescued);
        Some(spare)
    }

    /// Gives out the value from before, and leaves it in peace for a while.
    fn share_rescued<V: crate::shape::CacheValue>(&self, seat: Seat, spare: Spare<V>) -> V {
        let engine = &self.engine;
        let epoch = engine.epoch();
        let until = spare.kept(&self.function.settings);
        let Hit { stored, point, .. } = spare.rested(engine.env.coarse(), Duration::MAX, until);
        let value = stored.value.clone();
        let held: Arc<dyn Held> = stored;
        let clean = seat.insert_if_clean(epoch, || self.insert(Arc::clone(&held), epoch));
        seat.end(held, self.sharing(clean, point));
        value
    }

    /// The function has returned something that is not cached: what it replaces is not to be served
    /// any longer. Removed in a task that outlives the caller.
    async fn retire(&self) {
        let engine = &self.engine;
        engine.flights.touch(&self.key, || {
            engine.local.remove(self.key.borrowed());
        });
        let Some(store) = engine.store.clone() else {
            return;
        };
        let (done, told) = tokio::sync::oneshot::channel::<()>();
        let (engine, keys) = (Arc::clone(engine), [self.shared_key()]);
        self.engine.env.spawn(async move {
            if !engine.outage.usable()
                || engine
                    .bounded(Asking::Write, store.remove(&keys))
                    .await
                    .is_err()
            {
                engine.queue_invalidation(&[], &keys);
            }
            drop(done);
        });
        // It ends without a word.
        let _ = told.await;
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
        header: &Header,
        codec: Codec,
    ) -> Result<Vec<u8>> {
        let payload = codec.encode(value, self.function.settings.max_bytes)?;
        entry::write(header, &payload)
    }

    /// Stores an entry; `false` where the lease was gone, or the store failed.
    async fn fill(
        &self,
        seat: &Seat,
        lease: LeaseGuard,
        bytes: &[u8],
        life: Duration,
        budget: &mut Duration,
    ) -> bool {
        let engine = &self.engine;
        let Some(store) = &engine.store else {
            return false;
        };
        // What is dirty is not worth storing, and another flight may read meanwhile.
        if !engine.outage.usable() || !seat.is_clean(engine.epoch()) {
            return false;
        }
        seat.retire(|| engine.local.remove(self.key.borrowed()));
        let unconfirmed = Unconfirmed(self);
        let key = self.shared_key();
        let request = Fill::new(&key, lease.token, bytes, life);
        let filled = store.fill(request);
        match engine.bounded_by(budget, Asking::Write, filled).await {
            Ok(stored) => {
                lease.gone();
                if stored {
                    unconfirmed.confirm();
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

/// A fill on its way, until its reading back is seen to have found what was filled; dropped by a
/// cancelled call too.
///
/// Guard G16: what another flight has read meanwhile is told of as little as what was here before it.
struct Unconfirmed<'a>(&'a Call);

impl Unconfirmed<'_> {
    /// It was read back, and is told of from there on.
    fn confirm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unconfirmed<'_> {
    fn drop(&mut self) {
        if removed(Guard::G16) {
            return;
        }
        let Call { engine, key, .. } = self.0;
        let lease = engine
            .flights
            .touch(key, || engine.local.remove(key.borrowed()));
        if let Some(token) = lease {
            engine.release_later(self.0.shared_key(), token);
        }
    }
}

/// What came of a load.
enum Loaded<R> {
    /// This, and it took so long.
    InTime(R, Duration),
    /// It is still at it.
    TooLate,
}

fn stamps(deps: &[Dependency]) -> Vec<(Box<str>, Stamp)> {
    deps.iter()
        .map(|dependency| (dependency.cell.tag().into(), dependency.stamp))
        .collect()
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
