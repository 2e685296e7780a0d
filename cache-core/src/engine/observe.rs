//! What the store tells: mapped to entries, flights and tag cells, inside the store's reader (guard
//! G5), so that nothing that comes after it on the wire is seen before it.

use super::{Engine, Step};
use crate::key::Args;
use crate::local::LocalKey;
use crate::metrics::Count;
use crate::store::{Event, Observer};

impl Observer for Engine {
    fn observe(&self, event: Event) {
        match event {
            Event::Entry(key) => {
                if let Some(local) = self.local_key(&key) {
                    let lease = self
                        .flights
                        .touch(&local, || self.local.remove(&local.borrowed()));
                    if let Some(token) = lease {
                        self.release_later(key, token);
                    }
                }
            }
            Event::Lease(key) => {
                if let Some(local) = self.local_key(&key) {
                    self.flights.lease_changed(&local);
                }
            }
            Event::Tag(tag) => {
                // Without a cell nothing of this node depends on the tag.
                if self.cells.advance(&tag) {
                    self.sweep_flights();
                }
            }
            Event::Flushed => self.step_epoch(Step::Flush),
            Event::Strange => {
                self.totals.count(Count::Distrusted);
                let known = self.trust.known_until(self.env.coarse());
                self.step_epoch(Step::Loss(known));
            }
            Event::Lost => {
                // What was right so far may be served for a while where a kind allows it.
                let known = self.trust.known_until(self.env.coarse());
                self.totals.count(Count::TrustLost);
                self.trust.withdraw();
                self.queue_recent();
                self.step_epoch(Step::Loss(known));
            }
            Event::Proven { until } => {
                // The very first connection: there is nothing to forget, and what the call reads
                // that made it can be kept.
                if !self.trust.is_new() {
                    let known = self.trust.known_until(self.env.coarse());
                    self.step_epoch(Step::Loss(known));
                }
                self.trust.grant(until);
            }
            Event::Alive { until } => self.trust.prolong(until),
        }
    }
}

impl Engine {
    /// Wakes the leader of a key that may wait for its lease.
    pub(super) fn wake_waiter(&self, key: &str) {
        if let Some(local) = self.local_key(key) {
            self.flights.wake(&local);
        }
    }

    /// The local key of `kind:function:arguments`, if that function was ever called here.
    fn local_key(&self, key: &str) -> Option<LocalKey> {
        let (kind, rest) = key.split_once(':')?;
        let (name, args) = rest.split_once(':')?;
        let function = self.function_named(kind, name)?;
        Some(LocalKey::new(
            function.number,
            Args::of_text(args).as_bytes(),
        ))
    }
}
