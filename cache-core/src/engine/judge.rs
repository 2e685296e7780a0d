//! Step 3 of a call: what an entry from the shared tier is worth.

use std::sync::Arc;
use std::time::Duration;

use super::{Call, Carrier, Engine};
use crate::codec::Codec;
use crate::entry::{self, EntryId, Header};
use crate::local::{Dependency, Held, Life};
use crate::metrics::Count;
use crate::store::{Found, Reading, Stamp};

/// What an entry is worth.
pub(super) enum Judgement {
    Valid(Arc<dyn Held>),
    /// Nothing, or nothing that can be used; the id of what is there.
    Invalid(Option<EntryId>),
    /// It names tags whose stamps were not asked for.
    Unasked(Vec<String>),
}

/// What the store said of an entry's end, and when it was asked.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) left: Option<Duration>,
    pub(super) asked: Duration,
}

impl Engine {
    /// What a reading of the entry and of the stamps of `tags` is worth to a call, given the value
    /// that is in the local tier.
    pub(super) fn judge_reading(
        &self,
        call: &Call,
        local: Option<&Arc<dyn Held>>,
        reading: &Reading,
        tags: &[String],
        asked: Duration,
    ) -> Judgement {
        match (call.function.carrier, local) {
            // There is no entry in the shared tier for values that stay local: their stamps are
            // all there is, and nothing there expires with the value.
            (Carrier::None, Some(local)) if local.head().life().lasts(self.env.coarse()) => {
                judge_known(local, tags, &reading.stamps)
            }
            (Carrier::None, _) => Judgement::Invalid(None),
            (Carrier::Bytes { .. }, local) => {
                let told = Told {
                    left: reading.left,
                    asked,
                };
                self.judge(call, local, &reading.entry, (tags, &reading.stamps), told)
            }
        }
    }

    /// When a local copy of an entry is what: never later than what it is a copy of.
    fn life(&self, call: &Call, header: &Header, told: Told) -> Life {
        let settings = &call.function.settings;
        // How long it has been stale: reading it once more makes it no younger.
        let mut past = Duration::ZERO;
        let (fresh, kept) = match told.left {
            Some(left) => {
                let grace = header.life_ms.saturating_sub(header.fresh_ms);
                let grace = Duration::from_millis(grace);
                let fresh = left.saturating_sub(grace).min(settings.longest_ttl);
                past = grace.saturating_sub(left);
                let kept = fresh.saturating_add(settings.grace()).saturating_sub(past);
                (fresh, left.min(kept))
            }
            // Where each call asks the store, it is the store that knows the end.
            None if !self.trust.is_proven() => (settings.longest_ttl, settings.longest()),
            None => (Duration::ZERO, Duration::ZERO),
        };
        let cost = Duration::from_micros(header.cost_us);
        settings.life(told.asked, fresh, kept, cost).aged(past)
    }

    /// Step 3: valid only if it can be read, was stored by this very function with this very type,
    /// and every stamp it was stored under is there and the current one. A missing stamp is a
    /// mismatch, so that eviction, FLUSHALL and failover only ever lose entries.
    pub(super) fn judge(
        &self,
        call: &Call,
        local: Option<&Arc<dyn Held>>,
        found: &Found,
        (tags, stamps): (&[String], &[Option<Stamp>]),
        told: Told,
    ) -> Judgement {
        let bytes = match found {
            Found::Nothing => return Judgement::Invalid(None),
            Found::Known => {
                return match local {
                    Some(local) => judge_known(local, tags, stamps),
                    None => Judgement::Invalid(None),
                };
            }
            Found::TooLarge(_) => {
                call.function.kind.counters.count(Count::Undecodable);
                return Judgement::Invalid(None);
            }
            Found::Bytes(bytes) => bytes,
        };
        let id = entry_id(bytes);
        let limit = call.function.entry_limit();
        let Ok((header, payload)) = entry::read(bytes, limit) else {
            call.function.kind.counters.count(Count::Undecodable);
            return Judgement::Invalid(id);
        };
        let unasked: Vec<String> = header
            .tags
            .iter()
            .filter(|(tag, _)| !tags.iter().any(|asked| **asked == **tag))
            .map(|(tag, _)| tag.to_string())
            .collect();
        if !unasked.is_empty() {
            return Judgement::Unasked(unasked);
        }
        let current = |tag: &str| {
            tags.iter()
                .position(|asked| asked == tag)
                .and_then(|at| stamps.get(at).copied().flatten())
        };
        // Every tag of the call must be among them too, or an invalidation would not reach it.
        let stamped = header
            .tags
            .iter()
            .all(|(tag, stamp)| current(tag) == Some(*stamp))
            && tags
                .iter()
                .all(|tag| header.tags.iter().any(|(stored, _)| **stored == **tag));
        if !stamped {
            return Judgement::Invalid(id);
        }
        match self.decode(call, &header, payload, told) {
            Some(stored) => Judgement::Valid(stored),
            None => Judgement::Invalid(id),
        }
    }

    /// The typed value of an entry whose stamps are right.
    fn decode(
        &self,
        call: &Call,
        header: &Header,
        payload: &[u8],
        told: Told,
    ) -> Option<Arc<dyn Held>> {
        let Carrier::Bytes { schema, .. } = call.function.carrier else {
            return None;
        };
        if header.origin != call.function.origin || header.schema != schema {
            // Another function's, or another version of the type: a miss, not an error.
            return None;
        }
        let (values, limit) = (&call.function.values, call.function.settings.max_bytes);
        let decoded = Codec::from_id(header.codec)
            .and_then(|codec| values.decode(codec, payload, limit).ok());
        let Some(value) = decoded else {
            call.function.kind.counters.count(Count::Undecodable);
            return None;
        };
        let deps: Vec<Dependency> = header
            .tags
            .iter()
            .map(|(tag, stamp)| Dependency {
                cell: self.cells.cell(tag),
                stamp: *stamp,
            })
            .collect();
        let head = self.local.head(
            call.key.clone(),
            self.life(call, header, told),
            self.epoch(),
            header.id,
            &deps,
            Call::weight(&*value, payload.len()),
        );
        Some(value.store(head))
    }
}

/// The shared tier has the very entry that the local value is a copy of: its stamps decide.
fn judge_known(local: &Arc<dyn Held>, tags: &[String], stamps: &[Option<Stamp>]) -> Judgement {
    let mut unasked = Vec::new();
    for dependency in local.head().deps() {
        let tag = dependency.cell.tag();
        match tags.iter().position(|asked| asked == tag) {
            None => unasked.push(tag.to_owned()),
            Some(at) if stamps.get(at).copied().flatten() == Some(dependency.stamp) => {}
            Some(_) => return Judgement::Invalid(Some(local.head().id())),
        }
    }
    if unasked.is_empty() {
        Judgement::Valid(Arc::clone(local))
    } else {
        Judgement::Unasked(unasked)
    }
}

/// The id of an entry, whatever else its bytes are.
fn entry_id(bytes: &[u8]) -> Option<EntryId> {
    let id = bytes.get(entry::ID)?;
    Some(EntryId(id.try_into().ok()?))
}
