//! Steps 7 and 8 of a call that leads: what surrounds the function while it runs, and what becomes of
//! what it returns.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::Span;

use super::outage::Asking;
use super::plan::Plan;
use super::worth::{Hit, Source, Spare};
use super::{Call, Engine, spans};
use crate::driver::BoxFuture;
use crate::flight::{Seat, Sharing, Standby};
use crate::local::{Held, Kept};
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};

/// A call whose function is to be run. Dropped at any time, it wakes those who wait for it, and gives
/// its lease up.
pub(crate) struct Lead {
    pub(super) seat: Seat,
    pub(super) plan: Plan,
    spare: Option<Spare>,
    /// When its load began.
    pub(super) point: u64,
    /// What is left of the time for the store.
    pub(super) budget: Duration,
}

/// A function under way.
pub(crate) struct Running {
    began: Duration,
    pub(crate) span: Span,
    /// Ends when it has run for too long.
    pub(crate) hard: Option<BoxFuture<'static, ()>>,
    /// Where it can't be stopped: told that it has ended by being dropped.
    #[allow(dead_code)]
    watched: Option<oneshot::Sender<()>>,
}

/// Elements whose callers have gone on, while the store is still to say that it keeps them. Counted until it is
/// dropped.
pub(crate) struct Unheard {
    engine: Arc<Engine>,
    elements: usize,
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let unheard = &self.engine.unheard;
        unheard.fetch_sub(self.elements, Ordering::Relaxed);
    }
}

impl Engine {
    /// Lets the caller of so many elements go on before the store has answered, unless that would be more
    /// than `most` in all.
    pub(crate) fn storing(self: &Arc<Self>, elements: usize, most: usize) -> Option<Unheard> {
        let added = |unheard: usize| unheard.checked_add(elements).filter(|all| *all <= most);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.unheard.fetch_update(set, fetch, added).ok()?;
        Some(Unheard {
            engine: Arc::clone(self),
            elements,
        })
    }
}

impl Call {
    /// A value that was found: kept here if nothing moved, and shared with those for whom it is new
    /// enough.
    pub(super) fn share_hit(&self, seat: Seat, hit: Hit) -> Arc<dyn Held> {
        let engine = &self.engine;
        let epoch = engine.epoch();
        let Hit {
            stored,
            point,
            source,
        } = hit;
        let stale = stored.head().life().is_stale(engine.env.coarse());
        self.count(match source {
            Source::Outage => Count::HitOutage,
            _ if stale => Count::HitStale,
            Source::Local => Count::HitLocal,
            Source::Shared => Count::HitShared,
        });
        let clean = seat.insert_if_clean(epoch, || {
            if source == Source::Shared {
                self.insert(&Kept::new(Arc::clone(&stored)), epoch);
            }
        });
        // Nobody has told of what could not be checked.
        let sharing = match source {
            Source::Outage => Sharing::CallsBefore(point),
            Source::Local | Source::Shared => self.sharing(clean, point),
        };
        seat.end(Arc::clone(&stored), sharing);
        stored
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

    /// What was planned, ready for the function to run.
    pub(super) fn take_off(
        &self,
        mut seat: Seat,
        (plan, spare): (Plan, Option<Spare>),
        budget: Duration,
    ) -> Lead {
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
                value: Kept::new(Arc::clone(&spare.hit.stored)),
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
        Lead {
            seat,
            plan,
            spare,
            point,
            budget,
        }
    }

    /// The function of a call that stays alone begins to run.
    pub(crate) fn run_alone(&self) -> Running {
        Running {
            began: self.function.load_begins(&self.engine.env),
            span: spans::load(&self.function),
            hard: None,
            watched: None,
        }
    }

    /// The function begins to run, for no longer than the hard timeout, where there is one. A plain
    /// function can't be stopped: its flight and its lease are ended for it.
    pub(crate) fn run(&self, lead: &Lead) -> Running {
        let env = &self.engine.env;
        if self.given {
            // None does: the value is there.
            return Running {
                began: env.now(),
                span: Span::none(),
                hard: None,
                watched: None,
            };
        }
        self.count(Count::Miss);
        let mut running = self.run_alone();
        let Some(hard) = self.function.settings.hard_timeout else {
            return running;
        };
        if !self.blocking {
            running.hard = Some(env.sleep(hard));
            return running;
        }
        let (ended, watched) = oneshot::channel::<()>();
        let (ejector, engine) = (lead.seat.eject(), Arc::clone(&self.engine));
        let (key, kind) = (self.shared_key(), Arc::clone(&self.function.kind));
        let sleep = env.sleep(hard);
        env.spawn(async move {
            tokio::select! {
                biased;
                _ = watched => return,
                () = sleep => {}
            }
            kind.counters.count(Count::LoadTimeout);
            if let Some(token) = ejector.eject() {
                engine.release_later(key, token);
            }
        });
        running.watched = Some(ended);
        running
    }

    /// The function has returned: timed and counted. Returns how long it took.
    pub(crate) fn ran(&self, running: &Running, is_error: bool) -> Duration {
        if self.given {
            return Duration::ZERO;
        }
        spans::loaded(&running.span, is_error);
        self.function
            .load_ended(&self.engine.env, running.began, is_error)
    }

    /// The function has run for too long: the value from before, where there is one. Without one it
    /// goes on for its caller alone; others may load from here on.
    pub(crate) fn too_late(&self, lead: Box<Lead>) -> Option<Arc<dyn Held>> {
        self.count(Count::LoadTimeout);
        self.rescue(lead).ok()
    }

    /// The value from before, where a failed load may be answered with it: nothing has moved since it
    /// was read, and the load has not outlasted it. It is left in peace for a while then.
    pub(crate) fn rescue(&self, mut lead: Box<Lead>) -> Result<Arc<dyn Held>, Box<Lead>> {
        let engine = &self.engine;
        let now = engine.env.coarse();
        let settings = &self.function.settings;
        let spare = lead
            .spare
            .take_if(|spare| now < spare.kept(settings))
            .filter(|_| lead.seat.is_clean(engine.epoch()));
        let Some(spare) = spare else {
            return Err(lead);
        };
        self.count(Count::Rescued);
        let Lead { seat, plan, .. } = *lead;
        // The lease is given up.
        drop(plan);
        let epoch = engine.epoch();
        let until = spare.kept(settings);
        let Hit { stored, point, .. } = spare.rested(now, Duration::MAX, until);
        let clean = seat.insert_if_clean(epoch, || {
            self.insert(&Kept::new(Arc::clone(&stored)), epoch);
        });
        seat.end(Arc::clone(&stored), self.sharing(clean, point));
        Ok(stored)
    }

    /// The function has returned something that is not cached.
    pub(crate) async fn leave_out(&self, lead: Box<Lead>, is_error: bool) {
        // What it replaces is not to be served any longer.
        if !is_error && (lead.spare.is_some() || self.refresh) {
            self.retire().await;
        }
        let Lead { seat, plan, .. } = *lead;
        // The lease, if there is one, is given up.
        drop(plan);
        seat.end_uncached();
    }

    /// What is cached is not to be served any longer. Removed in a task that outlives the caller.
    async fn retire(&self) {
        let engine = &self.engine;
        engine.flights.touch(&self.key, || {
            engine.local.remove(&self.key.borrowed());
        });
        let Some(store) = engine.store.clone() else {
            return;
        };
        let (done, told) = oneshot::channel::<()>();
        let (engine, keys) = (Arc::clone(engine), [self.shared_key().to_string()]);
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

    pub(super) fn insert(&self, held: &Kept, epoch: u64) {
        if !self.function.settings.local {
            return;
        }
        let engine = &self.engine;
        let (now, capacity) = (engine.env.coarse(), self.function.settings.capacity);
        for evicted in engine.local.insert(held, now, epoch, capacity) {
            if let Some(function) = engine.functions.get(evicted) {
                function.kind.counters.count(Count::Evicted);
            }
        }
    }
}
