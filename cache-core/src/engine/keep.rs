//! Step 7, after the load: the value goes into the shared tier, and is made ready for the local one.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::lease::LeaseGuard;
use super::outage::{Asking, unit};
use super::plan::Plan;
use super::{Call, Carrier, Lead};
use crate::entry::{self, EntryId, Header};
use crate::flight::{Seat, Sharing};
use crate::local::{Dependency, Held, Kept};
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::store::{Fill, Stamp};
use crate::value::Erased;
use crate::{Codec, Result};

/// The epoch of what was loaded while the shared tier did not answer, which is never the current one:
/// once it answers again, if only a moment later, nobody tells this node of the end of an entry that
/// is not there.
const OUTAGE: u64 = u64::MAX;

/// What is said of a value that was loaded.
#[derive(Debug)]
pub(crate) struct Fate {
    /// How long it is fresh, unless it is jittered or that is longer than allowed.
    pub(crate) ttl: Duration,
    /// What loading it took.
    pub(crate) cost: Duration,
    /// The tags that only it knows of.
    pub(crate) tags: Vec<String>,
}

/// A value that was loaded, as it is to be stored and shared.
pub(crate) struct Filling {
    seat: Seat,
    /// As the local tier keeps it.
    held: Arc<dyn Held>,
    fill: Fills,
    epoch: u64,
    /// When its load began, and whether this node is told of what ends it.
    point: u64,
    told: bool,
    budget: Duration,
}

/// What is to be stored in the shared tier.
enum Fills {
    /// Nothing; whether the local tier may keep the value.
    Nothing(bool),
    /// Nothing, though there is a lease: values of its kind stay local.
    Lease(LeaseGuard),
    /// An entry, for so long.
    Entry(LeaseGuard, Vec<u8>, Duration),
}

impl Call {
    /// Makes of a value what is stored of it, as planned.
    pub(crate) fn pack(&self, lead: Box<Lead>, value: Erased<'_>, fate: Fate) -> Filling {
        let Lead {
            seat,
            plan,
            point,
            budget,
            ..
        } = *lead;
        let engine = &self.engine;
        let epoch = engine.epoch();
        // Of what is loaded without the shared tier's word nobody tells this node.
        let told = !matches!(plan, Plan::Outage { .. });
        let settings = &self.function.settings;
        let Fate { ttl, cost, tags } = fate;
        let fresh = settings.fresh(ttl, unit(engine.env.draw()));
        let kept = fresh.saturating_add(settings.grace());
        // Taken before the fill is sent: the local copy must not outlive the entry.
        let mut life = settings.life(engine.env.coarse(), fresh, kept, cost);
        let mut head_epoch = epoch;
        let mut id = EntryId([0; 16]);
        let late = self.late(&seat, &plan, tags, point);
        let (fill, deps, encoded) = match (plan, late) {
            (Plan::Bare | Plan::Elsewhere, _) | (_, None) => (Fills::Nothing(false), Vec::new(), 0),
            (Plan::Local { mut deps }, Some(late)) => {
                deps.extend(late);
                (Fills::Nothing(true), deps, value.weigh())
            }
            (Plan::Outage { deps, asked }, Some(_)) => {
                head_epoch = OUTAGE;
                let kept = fresh.min(settings.outage_ttl);
                life = settings.life(asked, kept, kept, Duration::ZERO);
                (Fills::Nothing(true), deps, value.weigh())
            }
            (
                Plan::Shared {
                    lease,
                    mut deps,
                    asked,
                },
                Some(late),
            ) => {
                deps.extend(late);
                // Of its stamps nothing has been heard since, where the store does not tell: what
                // was invalidated during the load is not known here.
                life = life.confirmed_at(asked);
                id = lease.token;
                let (fill, encoded) = match self.function.carrier {
                    Carrier::None => (Fills::Lease(lease), value.weigh()),
                    Carrier::Bytes { schema, codec } => {
                        let header = Header {
                            codec: codec.id(),
                            flags: 0,
                            id,
                            created_ms: millis(engine.env.wall()),
                            fresh_ms: millis(fresh),
                            life_ms: millis(kept),
                            cost_us: u64::try_from(cost.as_micros()).unwrap_or(u64::MAX),
                            origin: self.function.origin,
                            schema,
                            tags: stamps(&deps),
                        };
                        match self.encode(value, &header, codec) {
                            Some(bytes) => {
                                let encoded = bytes.len();
                                (Fills::Entry(lease, bytes, kept), encoded)
                            }
                            None => (Fills::Nothing(false), 0),
                        }
                    }
                };
                (fill, deps, encoded)
            }
        };
        let (key, bytes) = (self.key.clone(), self.weight(encoded));
        let head = engine.local.head(key, life, head_epoch, id, &deps, bytes);
        Filling {
            seat,
            held: value.entry(head),
            fill,
            epoch,
            point,
            told,
            budget,
        }
    }

    /// Steps 7 and 8: stores a value, and shares it. Returns whether it is stored.
    pub(crate) async fn finish(&self, filling: Filling) -> bool {
        let Filling {
            seat,
            held,
            fill,
            epoch,
            point,
            told,
            mut budget,
        } = filling;
        let keeps = match fill {
            Fills::Nothing(keeps) => keeps,
            Fills::Lease(lease) => {
                let keeps = seat.take_lease().is_some();
                drop(lease);
                keeps
            }
            Fills::Entry(lease, bytes, kept) => {
                seat.take_lease().is_some()
                    && self.fill(&seat, lease, &bytes, kept, &mut budget).await
            }
        };
        // Step 8: only if the fill was accepted and nothing moved since step 1.
        let clean = keeps
            && seat.insert_if_clean(epoch, || self.insert(&Kept::new(Arc::clone(&held)), epoch));
        // Guard G6: to everybody only while nothing moved and events would have told; else to the
        // calls that began before the load did.
        let sharing = if clean && told && self.trusts() {
            Sharing::Everyone
        } else {
            Sharing::CallsBefore(point)
        };
        seat.end(held, sharing);
        if self.engine.store.is_some() {
            keeps
        } else {
            clean
        }
    }

    /// The bytes of an entry, unless the value can't be written.
    fn encode(&self, value: Erased<'_>, header: &Header<'_>, codec: Codec) -> Option<Vec<u8>> {
        let payload = self.payload(value, codec)?;
        self.written(entry::write(header, &payload))
    }

    /// The bytes of a value, unless it can't be written.
    pub(super) fn payload(&self, value: Erased<'_>, codec: Codec) -> Option<Vec<u8>> {
        self.written(value.encode(codec, self.function.settings.max_bytes))
    }

    /// What was written; where it could not be, that is counted, and told.
    pub(super) fn written(&self, written: Result<Vec<u8>>) -> Option<Vec<u8>> {
        match written {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.count(Count::FillRefused);
                self.engine.value_complaints.say(&self.engine.env, || {
                    tracing::warn!(
                        kind = self.function.kind.name,
                        "a value could not be stored: {error}"
                    );
                });
                None
            }
        }
    }

    /// Stores an entry; `false` where the lease was gone, or the store failed.
    async fn fill(
        &self,
        seat: &Seat,
        lease: LeaseGuard,
        bytes: &[u8],
        life: Duration,
        budget: &mut Duration,
    ) -> bool {
        let engine = &self.engine;
        let Some(store) = &engine.store else {
            return false;
        };
        // What is dirty is not worth storing, and another flight may read meanwhile.
        if !engine.outage.usable() || !seat.is_clean(engine.epoch()) {
            return false;
        }
        seat.retire(|| engine.local.remove(&self.key.borrowed()));
        let unconfirmed = Unconfirmed(self);
        let key = self.shared_key();
        let request = Fill::new(&key, lease.token, bytes, life);
        let filled = store.fill(request);
        match engine.bounded_by(budget, Asking::Write, filled).await {
            Ok(stored) => {
                lease.gone();
                if stored {
                    unconfirmed.confirm();
                } else {
                    self.count(Count::FillRefused);
                }
                stored
            }
            Err(error) => {
                self.count(Count::StoreError);
                engine.store_failed(&error);
                false
            }
        }
    }
}

/// A fill on its way, until its reading back is seen to have found what was filled; dropped by a
/// cancelled call too.
///
/// Guard G16: what another flight has read meanwhile is told of as little as what was here before it.
struct Unconfirmed<'a>(&'a Call);

impl Unconfirmed<'_> {
    /// It was read back, and is told of from there on.
    fn confirm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unconfirmed<'_> {
    fn drop(&mut self) {
        if removed(Guard::G16) {
            return;
        }
        let Call { engine, key, .. } = self.0;
        let lease = engine
            .flights
            .touch(key, || engine.local.remove(&key.borrowed()));
        if let Some(token) = lease {
            engine.release_later(self.0.shared_key(), token);
        }
    }
}

fn stamps(deps: &[Dependency]) -> Vec<(Cow<'_, str>, Stamp)> {
    deps.iter()
        .map(|dependency| (dependency.cell.tag().into(), dependency.stamp))
        .collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
