//! What local values are worth while the shared tier can't be reached (`outage_ttl`): how long ago this
//! node still knew them to be right.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::worth::Worth;
use super::{Call, Engine};
use crate::local::{Head, Held};

/// How many epochs are remembered: connections that come and go.
const REMEMBERED: usize = 8;

/// Until when events told of whatever moved, for the last few epochs.
#[derive(Debug, Default)]
pub(super) struct Lapses(Mutex<VecDeque<(u64, Duration)>>);

impl Lapses {
    /// An epoch ends in which local values were known to be right until then.
    pub(super) fn note(&self, epoch: u64, until: Duration) {
        let mut lapses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lapses.len() == REMEMBERED {
            lapses.pop_front();
        }
        lapses.push_back((epoch, until));
    }

    fn of(&self, epoch: u64) -> Option<Duration> {
        let lapses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, until) = lapses.iter().find(|(noted, _)| *noted == epoch)?;
        Some(*until)
    }
}

impl Engine {
    /// The local value of a call, where its kind allows that it is served without asking, and it was
    /// right not longer ago than allowed. This node's own invalidations have ended it, and so has
    /// whatever it was told of.
    pub(super) fn outage_value(&self, call: &Call) -> Option<Arc<dyn Held>> {
        let now = self.env.coarse();
        let stored = self.find(call)?;
        let allowed = call.function.settings.outage_ttl;
        let head = stored.head();
        if !head.was_left_alone() || now >= self.right_until(head, now).saturating_add(allowed) {
            return None;
        }
        // Nothing is refreshed during an outage.
        match self.worth(call, &head.life(), &mut Some(false)) {
            Worth::Serve | Worth::Refresh => Some(stored),
            Worth::Fallback | Worth::Nothing => None,
        }
    }

    /// Until when an entry that was left alone is known to have been right.
    fn right_until(&self, head: &Head, now: Duration) -> Duration {
        let told = if head.epoch() == self.epoch() {
            self.trust.known_until(now)
        } else {
            self.lapses.of(head.epoch())
        };
        told.unwrap_or_default().max(head.life().confirmed())
    }
}
