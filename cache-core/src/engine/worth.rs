//! What a value that was found is to a call, by its age: to be served, refreshed, or kept in reserve.

use std::sync::Arc;
use std::time::Duration;

use super::fetch::Tagged;
use super::judge::Judgement;
use super::outage::{Asking, unit};
use super::{Call, Engine};
use crate::local::{Age, Held, Life};
use crate::policy::Settings;
use crate::store::Read;

/// For how long a value whose refresh has just failed is served without another attempt.
const REST: Duration = Duration::from_secs(1);

/// A value that can be returned.
pub(super) struct Hit {
    pub(super) stored: Arc<dyn Held>,
    /// When it was asked for.
    pub(super) point: u64,
    pub(super) source: Source,
}

/// Where a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In the local tier, where it still is.
    Local,
    /// In the shared tier.
    Shared,
    /// In the local tier, which could not be checked.
    Outage,
}

/// A value that is there while a newer one is loaded.
pub(super) struct Spare {
    pub(super) hit: Hit,
    /// It is served while another call loads; else only if a load fails or takes long.
    pub(super) at_once: bool,
}

impl Spare {
    /// Until when it may be given to whoever comes.
    pub(super) fn until(&self, settings: &Settings) -> Duration {
        let life = self.hit.stored.head().life();
        life.stale_until(settings.stale_while_revalidate)
    }

    /// Until when it may be given to those who have waited, or whose load has failed.
    pub(super) fn kept(&self, settings: &Settings) -> Duration {
        let life = self.hit.stored.head().life();
        let rescue = life.stale_until(settings.stale_if_error);
        if self.at_once {
            rescue.max(self.until(settings))
        } else {
            rescue
        }
    }

    /// The same, served for a while without another attempt to refresh it, and not past `until`.
    pub(super) fn rested(self, now: Duration, rest: Duration, until: Duration) -> Hit {
        let Hit { stored, point, .. } = self.hit;
        let rested = now.saturating_add(rest.min(REST)).min(until);
        let life = stored.head().life().rested(rested);
        Hit {
            stored: stored.with_life(life),
            point,
            source: Source::Shared,
        }
    }
}

/// What is to be done about a value of a certain age; the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// Return it.
    Serve,
    /// Return it, unless it falls to this call to load a new one.
    Refresh,
    /// Load a new one, and return it only if that fails.
    Fallback,
    /// Load a new one.
    Nothing,
}

impl Engine {
    /// What is to be done about a value of this age. `early`: whether a fresh one is to be refreshed,
    /// once that was drawn for the call.
    pub(super) fn worth(&self, call: &Call, life: &Life, early: &mut Option<bool>) -> Worth {
        let settings = &call.function.settings;
        match life.age(self.env.coarse()) {
            Age::Quiet => Worth::Serve,
            Age::Early(left) => {
                let draw = || life.is_due(left, unit(self.env.draw()));
                if *early.get_or_insert_with(draw) {
                    Worth::Refresh
                } else {
                    Worth::Serve
                }
            }
            Age::Stale(past) if past < settings.stale_while_revalidate => Worth::Refresh,
            Age::Stale(past) if past < settings.stale_if_error => Worth::Fallback,
            Age::Stale(_) | Age::Ended => Worth::Nothing,
        }
    }

    /// What is cached for a call and is worth this much at least, without a flight: looked at, not
    /// kept.
    pub(super) async fn look(&self, call: &Call, least: Worth) -> Option<Arc<dyn Held>> {
        let now = self.env.coarse();
        // Nothing is refreshed here.
        let mut early = Some(false);
        let local = self.find(call);
        if let Some(local) = &local
            && !call.function.settings.strict
            && self.trusts_local(now)
            && local.head().holds(self.epoch(), now)
            && self.worth(call, &local.head().life(), &mut early) <= least
        {
            return Some(Arc::clone(local));
        }
        let store = self.store.as_ref().filter(|_| self.outage.usable())?;
        let key = call.shared_key();
        let Tagged { mut tags, .. } = self.tagged(call, &key);
        let local = local.filter(|stored| stored.head().life().lasts(now));
        // The second round trip is for the tags that only the entry's header names.
        for _ in 0..2 {
            let request = Read::new(&key, &tags)
                .known(local.as_ref().map(|stored| stored.head().id()))
                .limit(call.function.entry_limit());
            let reading = match self.bounded(Asking::Read, store.read(request)).await {
                Ok(reading) => reading,
                Err(error) => {
                    self.store_failed(&error);
                    return None;
                }
            };
            match self.judge_reading(call, local.as_ref(), &reading, &tags, (now, true)) {
                Judgement::Valid(stored) => {
                    let worth = self.worth(call, &stored.head().life(), &mut early);
                    return (worth <= least).then_some(stored);
                }
                Judgement::Unasked(more) => {
                    tags = tags.iter().cloned().chain(more).collect();
                }
                Judgement::Invalid(_) | Judgement::Outdated(..) | Judgement::Ageless => {
                    return None;
                }
            }
        }
        None
    }
}
