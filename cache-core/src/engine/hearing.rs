//! The answer to `begin`, which this node must hear; and what replies teach the tag cells.

use std::sync::Arc;
use std::time::Duration;

use super::lease::LeaseGuard;
use super::outage::{Asking, is_outage};
use super::{Engine, Step};
use crate::Result;
use crate::driver::BoxFuture;
use crate::flight::{Note, Noted};
use crate::local::Reply;
use crate::sabotage::{Guard, removed};
use crate::store::{Beginning, Stamp};

/// The answer to `begin`: what is asked, and what hangs on it.
pub(super) struct Hearing {
    pub(super) engine: Arc<Engine>,
    pub(super) note: Note,
    pub(super) asked: Duration,
    pub(super) lease: LeaseGuard,
    pub(super) answer: BoxFuture<'static, Result<Beginning>>,
}

impl Hearing {
    /// Waits for the answer, charged to what is left of a budget.
    ///
    /// Guard G17: `begin` may prolong a stamp, and a node's own write ends what it was told about the
    /// key until it has been read back. What that finds must reach the cell: if another node has
    /// removed the stamp in between, nothing else ever tells. So it is heard whatever becomes of the
    /// caller, and however late its future is polled: `overhear.rs` sees to that. Nor is the lease given up before:
    /// a release that overtakes the request would leave it to nobody.
    pub(super) async fn heard(self, left: &mut Duration) -> Result<(LeaseGuard, Beginning)> {
        let engine = Arc::clone(&self.engine);
        let (before, limit) = (engine.env.now(), *left);
        let outcome = if removed(Guard::G17) {
            self.listen(limit).await
        } else {
            engine.overhear(Box::pin(self.listen(limit))).await
        };
        *left = left.saturating_sub(engine.env.now().saturating_sub(before));
        outcome
    }

    async fn listen(mut self, mut limit: Duration) -> Result<(LeaseGuard, Beginning)> {
        let engine = &self.engine;
        let answered = engine.bounded_by(&mut limit, Asking::Write, self.answer);
        match answered.await {
            Ok(beginning) => {
                self.lease.heard();
                engine.learn(self.note.cells.iter(), &beginning.stamps, true);
                Ok((self.lease, beginning))
            }
            Err(error) => {
                if !is_outage(&error) {
                    self.lease.heard();
                }
                // Carried out or not: what was known until it was asked may no longer be so.
                if let Some(known) = engine.trust.known_until(self.asked) {
                    engine.step_epoch(Step::Loss(Some(known)));
                }
                Err(error)
            }
        }
    }
}

impl Engine {
    /// Teaches the cells what a reply said (guard G1); `made`: one to `begin`.
    pub(super) fn learn<'n>(
        &self,
        cells: impl Iterator<Item = &'n Noted>,
        stamps: &[Option<Stamp>],
        made: bool,
    ) {
        let point = self.flights.call_begins();
        for (noted, stamp) in cells.zip(stamps) {
            let knew = noted.stamp.is_some();
            let reply = if made {
                Reply::Made
            } else {
                Reply::Seen { knew }
            };
            noted.cell.learn(noted.moved, *stamp, reply, point);
        }
    }
}
