//! Steps 7 and 8 of a call that leads: load, within its time; store; share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Call;
use super::outage::Asking;
use super::plan::Plan;
use super::worth::{Hit, Source, Spare};
use crate::flight::{Seat, Sharing, Standby};
use crate::local::Held;
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::shape::{CacheValue, Shape};

/// What came of a load.
enum Loaded<R> {
    /// This, and it took so long.
    InTime(R, Duration),
    /// It is still at it.
    TooLate,
}

impl Call {
    /// A value that was found: kept here if nothing moved, and shared with those for whom it is new
    /// enough.
    pub(super) fn share_hit<V: CacheValue>(&self, seat: Seat, hit: Hit<V>) -> V {
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
        // Nobody has told of what could not be checked.
        let sharing = match source {
            Source::Outage => Sharing::CallsBefore(point),
            Source::Local | Source::Shared => self.sharing(clean, point),
        };
        seat.end(held, sharing);
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
    pub(super) async fn lead<R, S, F>(
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
        // Of what is loaded without the shared tier's word nobody tells this node.
        let told = !matches!(plan, Plan::Outage { .. });
        let (held, keeps) = self.keep(&seat, plan, value, (cost, epoch), budget).await;
        // Step 8: only if the fill was accepted and nothing moved since step 1.
        let clean = keeps && seat.insert_if_clean(epoch, || self.insert(Arc::clone(&held), epoch));
        // Guard G6: to everybody only while nothing moved and events would have told; else to the
        // calls that began before the load did.
        let sharing = if clean && told && self.trusts() {
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

    pub(super) async fn load<R, S: Shape<R>>(
        &self,
        shape: S,
        body: impl Future<Output = R>,
    ) -> (R, Duration) {
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
    fn share_rescued<V: CacheValue>(&self, seat: Seat, spare: Spare<V>) -> V {
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
}
