//! Step 3 of a call: what an entry from the shared tier is worth.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::{Call, Carrier, Engine};
use crate::codec::{Codec, Read};
use crate::entry::{self, EntryId, Header};
use crate::local::{Dependency, EARLY, Held, Life};
use crate::metrics::Count;
use crate::store::{Found, Reading, Stamp};

/// So close to what seems to be its end, an entry's end is asked for.
const NEAR: Duration = Duration::from_secs(1);

/// What an entry is worth.
pub(super) enum Judgement {
    Valid(Arc<dyn Held>),
    /// Nothing, or nothing that can be used; the id of what is there.
    Invalid(Option<EntryId>),
    /// Nothing, for the stamps of these of the call's tags; the id of what is there.
    Outdated(Option<EntryId>, Vec<usize>),
    /// It names tags whose stamps were not asked for.
    Unasked(Vec<String>),
    /// How long it has left was not asked for, and matters.
    Ageless,
}

/// What the store said of an entry's end, and when it was asked.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) left: Option<Duration>,
    pub(super) asked: Duration,
    /// Whether it was asked for an entry's end.
    pub(super) ends: bool,
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
        (asked, ends): (Duration, bool),
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
                    ends,
                };
                self.judge(call, local, &reading.entry, (tags, &reading.stamps), told)
            }
        }
    }

    /// When a local copy of an entry is what: never later than what it is a copy of.
    fn life(&self, call: &Call, header: &Header<'_>, told: Told) -> Life {
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
            // It is there, so it is fresh, and by its own word far from its end.
            None if !told.ends => {
                let fresh = self.about_left(header).min(settings.longest_ttl);
                (fresh, fresh)
            }
            // Where each call asks the store, it is the store that knows the end.
            None if !self.trust.is_proven() => (settings.longest_ttl, settings.longest()),
            None => (Duration::ZERO, Duration::ZERO),
        };
        let cost = Duration::from_micros(header.cost_us);
        settings.life(told.asked, fresh, kept, cost).aged(past)
    }

    /// How long an entry is still fresh by its own word. Clocks differ, so this is good only to tell
    /// whether the store must be asked.
    fn about_left(&self, header: &Header<'_>) -> Duration {
        let wall = u64::try_from(self.env.wall().as_millis()).unwrap_or(u64::MAX);
        let age = wall.saturating_sub(header.created_ms);
        Duration::from_millis(header.fresh_ms.saturating_sub(age))
    }

    /// Whether an entry must not be judged without knowing how long it has left: it may be stale, or
    /// so near its end that it may be refreshed before.
    fn needs_end(&self, header: &Header<'_>) -> bool {
        let cost = Duration::from_micros(header.cost_us);
        header.life_ms != header.fresh_ms
            || self.about_left(header) <= cost.saturating_mul(EARLY) + NEAR
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
            Found::Known => {
                return match local {
                    Some(local) => judge_known(local, tags, stamps),
                    None => Judgement::Invalid(None),
                };
            }
            Found::Bytes(bytes) => bytes,
            _ => return unusable(call, found),
        };
        let (header, payload) = match self.sift(call, bytes, (tags, stamps), told.ends) {
            Ok(sifted) => sifted,
            Err(judgement) => return judgement,
        };
        let held = call
            .codec(&header)
            .and_then(|codec| self.held(call, &header, (codec, payload), told));
        match held {
            Some(held) => Judgement::Valid(held),
            None => Judgement::Invalid(Some(header.id)),
        }
    }

    /// An entry's header and payload, if what is stored beside the value is as it should be.
    pub(super) fn sift<'b>(
        &self,
        call: &Call,
        bytes: &'b [u8],
        (tags, stamps): (&[String], &[Option<Stamp>]),
        ends: bool,
    ) -> Result<(Header<'b>, &'b [u8]), Judgement> {
        let id = entry_id(bytes);
        let limit = call.function.entry_limit();
        let Ok((header, payload)) = entry::read(bytes, limit) else {
            call.function.kind.counters.count(Count::Undecodable);
            return Err(Judgement::Invalid(id));
        };
        let unasked: Vec<String> = header
            .tags
            .iter()
            .filter(|(tag, _)| !tags.iter().any(|asked| **asked == **tag))
            .map(|(tag, _)| tag.to_string())
            .collect();
        if !unasked.is_empty() {
            return Err(Judgement::Unasked(unasked));
        }
        // Every tag of the call must be among them too, or an invalidation would not reach it.
        if !tags
            .iter()
            .all(|tag| header.tags.iter().any(|(stored, _)| **stored == **tag))
        {
            return Err(Judgement::Invalid(id));
        }
        let place = |tag: &str| tags.iter().position(|own| own == tag);
        let stamped = |(tag, stamp): &(Cow<'_, str>, u64)| {
            let current = place(tag).and_then(|at| stamps.get(at).copied().flatten());
            current == Some(*stamp)
        };
        if !header.tags.iter().all(stamped) {
            let outdated = header.tags.iter().filter(|tag| !stamped(tag));
            let at = outdated.filter_map(|(tag, _)| place(tag)).collect();
            return Err(Judgement::Outdated(id, at));
        }
        if !ends && self.needs_end(&header) {
            return Err(Judgement::Ageless);
        }
        Ok((header, payload))
    }

    /// A value as the local tier holds it; nothing where it can't be read.
    fn held(
        &self,
        call: &Call,
        header: &Header<'_>,
        (codec, payload): (Codec, &[u8]),
        told: Told,
    ) -> Option<Arc<dyn Held>> {
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
            call.weight(payload.len()),
        );
        let (values, limit) = (call.function.values, call.function.settings.max_bytes);
        let held = values.decode(codec, payload, limit, head).ok();
        if held.is_none() {
            call.function.kind.counters.count(Count::Undecodable);
        }
        held
    }
}

impl Call {
    /// What the value of an entry whose stamps are right is read with.
    pub(super) fn codec(&self, header: &Header<'_>) -> Option<Codec> {
        let Carrier::Bytes { schema, .. } = self.function.carrier else {
            return None;
        };
        if header.origin != self.function.origin || header.schema != schema {
            // Another function's, or another version of the type: a miss, not an error.
            return None;
        }
        let codec = Codec::from_id(header.codec);
        if codec.is_none() {
            self.function.kind.counters.count(Count::Undecodable);
        }
        codec
    }

    /// Has a value be read; `false` where it can't be.
    pub(super) fn read(&self, codec: Codec, payload: &[u8], read: &mut Read<'_>) -> bool {
        let limit = self.function.settings.max_bytes;
        let is_read = codec.read(payload, limit, read).is_ok();
        if !is_read {
            self.function.kind.counters.count(Count::Undecodable);
        }
        is_read
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
            Some(at) => return Judgement::Outdated(Some(local.head().id()), vec![at]),
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

/// What is no entry's bytes.
pub(super) fn unusable(call: &Call, found: &Found) -> Judgement {
    if let Found::TooLarge(_) = found {
        call.function.kind.counters.count(Count::Undecodable);
    }
    Judgement::Invalid(None)
}
