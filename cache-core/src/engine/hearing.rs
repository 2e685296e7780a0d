//! The answer to `begin`, which this node must hear; and what replies teach the tag cells.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::lease::LeaseGuard;
use super::outage::Asking;
use crate::Result;
use crate::driver::BoxFuture;
use crate::flight::Note;
use crate::sabotage::{Guard, removed};
use crate::store::{Beginning, Stamp};

/// The answer to `begin`, on its way: it is heard whatever becomes of the caller.
///
/// Guard G17: `begin` may prolong a stamp, and a node's own write ends what it was told about the key
/// until it has been read back. What that finds must reach the cell: if another node has removed the
/// stamp in between, nothing else ever tells. Nor is the lease given up before: a release that
/// overtakes the request would leave it to nobody.
pub(super) struct Hearing {
    engine: Arc<Engine>,
    note: Note,
    answer: Option<BoxFuture<'static, Result<Beginning>>>,
    lease: Option<LeaseGuard>,
}

impl Hearing {
    pub(super) fn new(
        engine: &Arc<Engine>,
        note: Note,
        answer: BoxFuture<'static, Result<Beginning>>,
        lease: LeaseGuard,
    ) -> Self {
        Self {
            engine: Arc::clone(engine),
            note,
            answer: Some(answer),
            lease: Some(lease),
        }
    }

    pub(super) async fn heard(mut self, left: &mut Duration) -> Result<(LeaseGuard, Beginning)> {
        let engine = Arc::clone(&self.engine);
        let answer = &mut self.answer;
        let answered = async {
            let Some(asked) = answer else {
                // It is taken here and in `drop` only.
                return std::future::pending().await;
            };
            let outcome = asked.await;
            *answer = None;
            outcome
        };
        let outcome = engine.bounded_by(left, Asking::Write, answered).await;
        if self.answer.is_none() {
            learn_or_forget(&self.note, outcome.as_ref().ok());
        }
        let beginning = outcome?;
        match self.lease.take() {
            Some(lease) => Ok((lease, beginning)),
            None => unreachable!("the lease is taken here and in `drop` only"),
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        if removed(Guard::G17) {
            return;
        }
        let (engine, note) = (Arc::clone(&self.engine), std::mem::take(&mut self.note));
        let lease = self.lease.take();
        self.engine.env.spawn(async move {
            let answer = engine.bounded(Asking::Write, answer).await;
            learn_or_forget(&note, answer.as_ref().ok());
            engine.sweep_flights();
            drop(lease);
        });
    }
}

/// Teaches the cells what a reply of `begin` said; where there is none, nothing is known of them.
fn learn_or_forget(note: &Note, beginning: Option<&Beginning>) {
    match beginning {
        Some(beginning) => learn(note, &beginning.stamps, true),
        None => note.cells.iter().for_each(|(cell, _)| cell.lose_sight()),
    }
}

/// Teaches the cells what a reply said (guard G1).
pub(super) fn learn(note: &Note, stamps: &[Option<Stamp>], made: bool) {
    for ((cell, noted), stamp) in note.cells.iter().zip(stamps) {
        cell.learn(*noted, *stamp, made);
    }
}
