//! What the updates of one write know of each other: they end the same tags, and none of them is to take
//! another's new stamp for a write that came in between.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::Stamp;

/// Shared by the updates of one write.
#[derive(Debug)]
pub(super) struct Beside(Mutex<State>);

#[derive(Debug)]
struct State {
    /// What is left of the time that the write may be delayed by.
    left: Duration,
    made: Vec<Made>,
}

/// A stamp that was made for the write.
#[derive(Debug)]
struct Made {
    tag: Box<str>,
    /// What was noted of the tag before the write.
    noted: u64,
    stamp: Stamp,
}

impl Beside {
    /// For a write that may be delayed by this much.
    pub(super) fn new(left: Duration) -> Self {
        Self(Mutex::new(State {
            left,
            made: Vec::new(),
        }))
    }

    /// What is left of the time.
    pub(super) fn left(&self) -> Duration {
        self.lock().left
    }

    /// So much is left of it.
    pub(super) fn has_left(&self, left: Duration) {
        self.lock().left = left;
    }

    /// The stamp that another update has made of a tag of which it had noted the same.
    pub(super) fn made(&self, tag: &str, noted: u64) -> Option<Stamp> {
        let state = self.lock();
        let ours = |made: &&Made| *made.tag == *tag && made.noted == noted;
        state.made.iter().find(ours).map(|made| made.stamp)
    }

    /// This update has made one.
    pub(super) fn has_made(&self, tag: &str, noted: u64, stamp: Stamp) {
        self.lock().made.push(Made {
            tag: tag.into(),
            noted,
            stamp,
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
