//! Steps 1 to 6 of a call with a shared tier: read, judge, and ask for the lease or wait for whoever
//! has it.

use std::sync::Arc;
use std::time::Duration;

use super::invalidate::own_tag;
use super::lease::LeaseGuard;
use super::outage::unit;
use super::{Call, Carrier, Engine};
use crate::__private::shape::CacheValue;
use crate::codec::Codec;
use crate::entry::{self, EntryId, Header};
use crate::flight::Seat;
use crate::local::{Cell, Dependency, Head, Held, Stored};
use crate::metrics::Count;
use crate::store::{Begin, Found, Read, Stamp, Store, Turn};
use crate::{Error, ErrorKind, Result};

/// The pauses between two looks at an entry that another node is loading, where the store does not
/// tell when it is there: from the first to the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));
/// How often a call asks for the lease again because something changed under its hands, before it
/// loads without one.
const ATTEMPTS: u32 = 8;
/// What is added to the size limit of a value for its entry's header.
const HEADER: usize = 64 << 10;

/// What came of looking for a value.
pub(super) enum Fetched<V> {
    /// It is there. `point` tells when it was asked for.
    Hit {
        stored: Arc<Stored<V>>,
        point: u64,
        was_local: bool,
    },
    /// It is to be loaded and stored under this lease and these stamps.
    Granted {
        lease: LeaseGuard,
        deps: Vec<Dependency>,
    },
    /// It is to be loaded, and not stored.
    Bare,
    /// Another flight has taken this one's place: it is to be joined.
    Replaced,
}

/// What an entry is worth.
enum Judgement<V> {
    Valid(Arc<Stored<V>>),
    /// Nothing, or nothing that can be used; the id of what is there.
    Invalid(Option<EntryId>),
    /// It names tags whose stamps were not asked for.
    Unasked(Vec<String>),
}

/// A call's tags with their cells.
pub(super) struct Tagged {
    pub(super) tags: Vec<String>,
    pub(super) cells: Vec<Arc<Cell>>,
}

impl Engine {
    /// The cells of a call's tags.
    pub(super) fn tagged(&self, call: &Call, key: &str) -> Tagged {
        let mut tags = call.tags.clone();
        if call.function.carrier == Carrier::None && self.store.is_some() {
            // Nothing of it is in the shared tier that removing the key could remove.
            tags.push(own_tag(key));
        }
        let cells = tags.iter().map(|tag| self.cells.cell(tag)).collect();
        Tagged { tags, cells }
    }

    /// Looks for a value in the shared tier until it is there, or it is this call's turn to load it.
    pub(super) async fn fetch<V: CacheValue>(
        self: &Arc<Self>,
        call: &Call,
        seat: &Seat,
        store: &Arc<dyn Store>,
        waits: &mut Duration,
        budget: &mut Duration,
    ) -> Result<Fetched<V>> {
        let key = call.shared_key();
        let Tagged { mut tags, cells } = self.tagged(call, &key);
        let limit = call.function.settings.max_bytes + HEADER;
        let mut look = LOOKS.0;
        let mut attempts = 0;
        loop {
            // Step 1: the waiter is armed and the cells are noted before anything is sent (guards
            // G1 and G14). Whether the shared tier may be asked at all is looked at each time, since
            // this call may have waited long, and after the point from which callers are not
            // captured: one that began after an invalidation was queued must not share what is
            // read here (guard G10).
            let armed = seat.arm();
            if seat.is_replaced() && !call.refresh {
                // No event would reach this flight any more (guard G14).
                return Ok(Fetched::Replaced);
            }
            let note = self.note(&cells);
            seat.note(note.clone());
            let mut seen = None;
            if !call.refresh {
                let point = self.flights.source_asked();
                if !self.outage.usable() {
                    return Ok(Fetched::Bare);
                }
                let local = self
                    .local
                    .find(call.key.borrowed())
                    .and_then(|held| typed::<V>(&held));
                // Step 2: in one round trip, the entry and the stamps.
                let request = Read::new(&key, &tags)
                    .known(local.as_ref().map(|stored| stored.head.id))
                    .limit(limit);
                let reading = self.bounded_by(budget, store.read(request)).await?;
                learn(&cells, &note, &reading.stamps);
                // Step 3.
                let judged = match call.function.carrier {
                    Carrier::None => {
                        judge_by_stamps(local.clone(), &tags, &reading.stamps, self.env.coarse())
                    }
                    Carrier::Bytes { .. } => self.judge(
                        call,
                        local.clone(),
                        &reading.entry,
                        (&tags, &reading.stamps),
                        key_expiry(self, call),
                    ),
                };
                match judged {
                    Judgement::Valid(stored) => {
                        let was_local = local.is_some_and(|local| Arc::ptr_eq(&local, &stored));
                        return Ok(Fetched::Hit {
                            stored,
                            point,
                            was_local,
                        });
                    }
                    Judgement::Unasked(more) if more.iter().any(|tag| !tags.contains(tag)) => {
                        // The entry was stored under tags that this call does not know of: by
                        // another version of the program, say. Their stamps are read after it.
                        tags.extend(more);
                        attempts += 1;
                        if attempts > ATTEMPTS {
                            return Ok(Fetched::Bare);
                        }
                        continue;
                    }
                    Judgement::Unasked(_) => {}
                    Judgement::Invalid(id) => seen = id,
                }
            }
            // Step 6. What moved before `begin` is sent, its answer already reflects.
            let note = self.note(&cells);
            seat.note(note.clone());
            let point = self.flights.source_asked();
            if !self.outage.usable() {
                return Ok(Fetched::Bare);
            }
            let token = EntryId(self.env.draw_wide());
            // Only the call's own tags: the load is stored under nothing else.
            let own = &tags[..cells.len()];
            let settings = &call.function.settings;
            let request = Begin::new(&key, token, own)
                .seen(seen)
                .lease(settings.lease)
                .life(settings.ttl)
                .force(call.refresh || attempts > 1 || call.function.carrier == Carrier::None)
                .limit(limit);
            // Armed before it is sent: a call that is cancelled, or given up, in the middle may have
            // been granted the lease all the same.
            let lease = LeaseGuard::new(self, &key, token);
            let beginning = self.bounded_by(budget, store.begin(request)).await?;
            learn(&cells, &note, &beginning.stamps);
            match beginning.turn {
                Turn::Granted => {
                    lease.keep(settings.lease);
                    if let Some(deps) = dependencies(&cells, &beginning.stamps) {
                        return Ok(Fetched::Granted { lease, deps });
                    }
                    // A stamp was removed the moment it was made.
                }
                Turn::Entry(found) => {
                    lease.gone();
                    let judged = self.judge(
                        call,
                        None,
                        &found,
                        (own, &beginning.stamps),
                        key_expiry(self, call),
                    );
                    if let Judgement::Valid(stored) = judged {
                        return Ok(Fetched::Hit {
                            stored,
                            point,
                            was_local: false,
                        });
                    }
                }
                Turn::Held(lasts) => {
                    lease.gone();
                    if waits.is_zero() {
                        return Ok(Fetched::Bare);
                    }
                    let pause = if self.trusts_local() {
                        lasts
                    } else {
                        let jittered = look.mul_f64(0.75 + unit(self.env.draw()) / 2.0);
                        look = (look * 3 / 2).min(LOOKS.1);
                        jittered.min(lasts)
                    };
                    let before = self.env.now();
                    tokio::select! {
                        biased;
                        () = seat.rung(armed) => {}
                        () = self.env.sleep(pause.min(*waits)) => {}
                    }
                    *waits = waits.saturating_sub(self.env.now().saturating_sub(before));
                    // What was waited for was not the store.
                    *budget = self.store_timeout;
                    continue;
                }
            }
            attempts += 1;
            if attempts > ATTEMPTS {
                return Ok(Fetched::Bare);
            }
        }
    }

    /// What is cached for a call, without a flight: looked at, not kept.
    pub(super) async fn look<V: CacheValue>(&self, call: &Call) -> Option<V> {
        let (now, epoch) = (self.env.coarse(), self.epoch());
        if self.trusts_local()
            && let Some(value) = self.local.hit::<V>(call.key.borrowed(), epoch, now)
        {
            return Some(value);
        }
        let store = self.store.as_ref().filter(|_| self.outage.usable())?;
        let key = call.shared_key();
        let Tagged { mut tags, .. } = self.tagged(call, &key);
        let local = self
            .local
            .find(call.key.borrowed())
            .and_then(|held| typed::<V>(&held));
        // The second round trip is for the tags that only the entry's header names.
        for _ in 0..2 {
            let request = Read::new(&key, &tags)
                .known(local.as_ref().map(|stored| stored.head.id))
                .limit(call.function.settings.max_bytes + HEADER);
            let reading = match self.bounded(store.read(request)).await {
                Ok(reading) => reading,
                Err(error) => {
                    self.store_failed(&error);
                    return None;
                }
            };
            let judged = match call.function.carrier {
                Carrier::None => judge_by_stamps(local.clone(), &tags, &reading.stamps, now),
                Carrier::Bytes { .. } => self.judge(
                    call,
                    local.clone(),
                    &reading.entry,
                    (&tags, &reading.stamps),
                    now,
                ),
            };
            match judged {
                Judgement::Valid(stored) => return Some(stored.value.clone()),
                Judgement::Unasked(more) => tags.extend(more),
                Judgement::Invalid(_) => return None,
            }
        }
        None
    }

    /// Step 3: valid only if it can be read, was stored by this very function with this very type,
    /// and every stamp it was stored under is there and the current one. A missing stamp is a
    /// mismatch, so that eviction, FLUSHALL and failover only ever lose entries.
    fn judge<V: CacheValue>(
        &self,
        call: &Call,
        local: Option<Arc<Stored<V>>>,
        found: &Found,
        (tags, stamps): (&[String], &[Option<Stamp>]),
        expires: Duration,
    ) -> Judgement<V> {
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
        // The limit is the value's: its header comes on top, as when it was written.
        let limit = call.function.settings.max_bytes + HEADER;
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
        match self.decode::<V>(call, &header, payload, expires) {
            Some(stored) => Judgement::Valid(Arc::new(stored)),
            None => Judgement::Invalid(id),
        }
    }

    /// The typed value of an entry whose stamps are right.
    fn decode<V: CacheValue>(
        &self,
        call: &Call,
        header: &Header,
        payload: &[u8],
        expires: Duration,
    ) -> Option<Stored<V>> {
        let Carrier::Bytes { schema, .. } = call.function.carrier else {
            return None;
        };
        if header.origin != call.function.origin || header.schema != schema {
            // Another function's, or another version of the type: a miss, not an error.
            return None;
        }
        let limit = call.function.settings.max_bytes;
        let decoded = Codec::from_id(header.codec)
            .and_then(|codec| codec.decode::<V>(payload, limit).ok());
        let Some(value) = decoded else {
            call.function.kind.counters.count(Count::Undecodable);
            return None;
        };
        let deps = header
            .tags
            .iter()
            .map(|(tag, stamp)| Dependency {
                cell: self.cells.cell(tag),
                stamp: *stamp,
            })
            .collect();
        Some(Stored {
            head: Head::new(
                call.key.clone(),
                expires,
                self.epoch(),
                header.id,
                deps,
                call.weight::<V>(payload.len()),
            ),
            value,
        })
    }
}

/// When a local copy made now ends at the latest.
fn key_expiry(engine: &Engine, call: &Call) -> Duration {
    engine.env.coarse() + call.function.settings.ttl
}

/// The local value, if it is of the type.
fn typed<V: Send + Sync + 'static>(held: &Arc<dyn Held>) -> Option<Arc<Stored<V>>> {
    let held: Arc<dyn std::any::Any + Send + Sync> = Arc::<dyn Held>::clone(held);
    held.downcast().ok()
}

/// The shared tier has the very entry that the local value is a copy of: its stamps decide.
fn judge_known<V>(
    local: Arc<Stored<V>>,
    tags: &[String],
    stamps: &[Option<Stamp>],
) -> Judgement<V> {
    let mut unasked = Vec::new();
    for dependency in &local.head.deps {
        let tag = dependency.cell.tag();
        match tags.iter().position(|asked| asked == tag) {
            None => unasked.push(tag.to_owned()),
            Some(at) if stamps.get(at).copied().flatten() == Some(dependency.stamp) => {}
            Some(_) => return Judgement::Invalid(Some(local.head.id)),
        }
    }
    if unasked.is_empty() {
        Judgement::Valid(local)
    } else {
        Judgement::Unasked(unasked)
    }
}

/// There is no entry in the shared tier for values that stay local: their stamps are all there is,
/// and nothing there expires with the value.
fn judge_by_stamps<V>(
    local: Option<Arc<Stored<V>>>,
    tags: &[String],
    stamps: &[Option<Stamp>],
    now: Duration,
) -> Judgement<V> {
    match local {
        Some(local) if now < local.head.expires => judge_known(local, tags, stamps),
        _ => Judgement::Invalid(None),
    }
}

/// Teaches the cells what a reply said (guard G1).
fn learn(cells: &[Arc<Cell>], note: &crate::flight::Note, stamps: &[Option<Stamp>]) {
    for ((cell, (_, noted)), stamp) in cells.iter().zip(&note.cells).zip(stamps) {
        cell.learn(*noted, *stamp);
    }
}

/// The dependencies of what will be loaded, if each stamp is there.
fn dependencies(cells: &[Arc<Cell>], stamps: &[Option<Stamp>]) -> Option<Vec<Dependency>> {
    cells
        .iter()
        .zip(stamps)
        .map(|(cell, stamp)| {
            Some(Dependency {
                cell: Arc::clone(cell),
                stamp: (*stamp)?,
            })
        })
        .collect()
}

/// The id of an entry, whatever else its bytes are.
fn entry_id(bytes: &[u8]) -> Option<EntryId> {
    let id = bytes.get(entry::ID)?;
    Some(EntryId(id.try_into().ok()?))
}

/// What a value that cannot be encoded is told.
pub(super) fn unencodable(call: &Call, error: &Error) -> Error {
    Error::new(
        ErrorKind::Encode,
        format!(
            "a value of kind {} could not be stored: {error}",
            call.function.kind.name
        ),
    )
}
