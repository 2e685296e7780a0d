//! Reports, and the fleet's figures: what is counted must never be in the way of what is cached.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use cache_core::metrics::{Fleet, Minute, Report};
use redis::Value;
use tokio::sync::oneshot;

use super::RedisStore;
use crate::connection::gone;
use crate::failure::{Failure, is_read_only};
use crate::fleet;
use crate::reply::is_no_script;
use crate::scripts::Sending;

/// After so many refusals of a read-only server it is looked for another one.
const PATIENCE: u32 = 20;

impl RedisStore {
    /// Adds a report, over the connection of invalidations: it reads nothing large, so an invalidation
    /// waits behind it no longer than behind another one, and no call that reads waits for it at all.
    pub(super) async fn report_now(&self, report: &Report) -> Result<(), Failure> {
        let attached = self.attached()?;
        let link = &attached.invalidation;
        let build = |sending| fleet::commands(report, &attached.keys, sending);
        let mut answers = link.exchange((&build(Sending::Digest)).into()).await?;
        if answers.0.iter().any(is_no_script) {
            // All of it once more: the parts that were added are known by the report's sequence.
            answers = link.exchange((&build(Sending::Source)).into()).await?;
        }
        let read_only = answers.0.iter().find(|answer| is_read_only(answer));
        if let Some(Value::ServerError(error)) = read_only {
            // After a failover only a new connection finds the new primary. But a server that stays
            // read-only would have it made anew, and the epoch stepped, with each report.
            if attached.refusals.fetch_add(1, Ordering::Relaxed) % PATIENCE == 0 {
                let failure = Failure::of_server(error, &self.endpoint.secrets);
                answers.1.distrust(failure);
            }
        } else {
            attached.refusals.store(0, Ordering::Relaxed);
        }
        let parts = answers.0.len();
        let mut replies = self.replies(answers);
        for _ in 0..parts {
            replies.flag()?;
        }
        Ok(())
    }

    pub(super) async fn fleet_now(
        &self,
        minutes: RangeInclusive<Minute>,
    ) -> Result<Fleet, Failure> {
        let attached = self.attached()?;
        let (endpoint, keys) = (self.endpoint.clone(), attached.keys.clone());
        let (env, readers) = (attached.env.clone(), attached.readers.clone());
        let (mut sender, answer) = oneshot::channel();
        // In a task, which has the reactor that a connection needs; it ends with the caller.
        attached.env.spawn(async move {
            let reading = async {
                // However many ask, Redis has few connections for it. Nobody closes the semaphore.
                let _turn = readers.acquire().await;
                fleet::read(&endpoint, &env, &keys, minutes).await
            };
            let fleet = tokio::select! {
                fleet = reading => fleet,
                () = sender.closed() => return,
            };
            // Whoever has stopped waiting needs no answer.
            let _ = sender.send(fleet);
        });
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}
