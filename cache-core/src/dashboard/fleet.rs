//! The figures of the fleet, asked for and made ready once for all who look: what the store has grows a few
//! times a minute, and a day of many kinds takes long to add up.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::answer::Shown;
use super::series::{MINUTE_MS, Range, Series};
use crate::metrics::{Fleet, Minute, Node};
use crate::{Cache, Result, driver};

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is kept of the fleet's figures of a range.
#[derive(Debug)]
pub(super) struct Reading {
    /// When it was, by the store's clock.
    pub(super) now_ms: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) shown: Shown,
}

/// The fleet's figures, or why there are none.
pub(super) type Known = std::result::Result<Arc<Reading>, String>;

/// The fleet's figures as they were read last.
#[derive(Debug)]
pub(super) struct Readings {
    cache: Cache,
    /// By range: when, and what came of it.
    last: Mutex<HashMap<&'static str, (Duration, Known)>>,
}

impl Readings {
    pub(super) fn of(cache: Cache) -> Self {
        Self {
            cache,
            last: Mutex::default(),
        }
    }

    /// The figures of a range as they were a moment ago. Whoever looks, and however many, the store is
    /// asked once in a while.
    pub(super) async fn last(&self, range: Range) -> Known {
        let env = &self.cache.engine.env;
        let mut last = self.last.lock().await;
        if let Some((read, known)) = last.get(range.name())
            && env.now().saturating_sub(*read) < good_for(range, known)
        {
            return known.clone();
        }
        let known = self.read(range).await;
        last.insert(range.name(), (env.now(), known.clone()));
        known
    }

    async fn read(&self, range: Range) -> Known {
        let health = self.cache.health();
        if health.shared.is_some() && !health.usable {
            return Err("the shared tier can't be reached at the moment".to_owned());
        }
        let (minutes, fleet) = tokio::select! {
            biased;
            answer = self.ask(range) => answer.map_err(|error| error.to_string())?,
            () = self.cache.engine.env.sleep(PATIENCE) => {
                return Err(format!("the store did not answer within {PATIENCE:?}"));
            }
        };
        // Neither the host's workers nor the driver's thread wait for it. A host with another runtime than
        // tokio's has no threads for that.
        let runtime = Handle::try_current().unwrap_or_else(|_| driver::handle().clone());
        let reading = runtime.spawn_blocking(move || Reading::of(fleet, &minutes, range));
        reading
            .await
            .map(Arc::new)
            .map_err(|_| "the runtime of the service has ended".to_owned())
    }

    /// The minutes up to the one that is running by the store's clock, as `cache stats` has them.
    async fn ask(&self, range: Range) -> Result<(RangeInclusive<Minute>, Fleet)> {
        let here = range.up_to(self.cache.minute());
        let fleet = self.cache.fleet(here.clone()).await?;
        let there = range.up_to(fleet.now_ms / MINUTE_MS);
        if there == here {
            return Ok((here, fleet));
        }
        // This machine's clock is another one, or the minute has just ended.
        let fleet = self.cache.fleet(there.clone()).await?;
        Ok((there, fleet))
    }
}

impl Reading {
    fn of(fleet: Fleet, minutes: &RangeInclusive<Minute>, range: Range) -> Self {
        let shown = [minutes.start() * MINUTE_MS, fleet.now_ms];
        Self {
            now_ms: fleet.now_ms,
            shown: Shown::of_fleet(&Series::of_fleet(&fleet, range), shown),
            nodes: fleet.nodes,
        }
    }
}

/// How long nobody asks again. What could not be had may be there in a moment.
fn good_for(range: Range, known: &Known) -> Duration {
    match range {
        Range::Hour if known.is_ok() => Duration::from_secs(15),
        Range::Day if known.is_ok() => Duration::from_mins(1),
        _ => Duration::from_secs(5),
    }
}
