//! What a call does first whose values are not kept in this process: it reads for itself, before it
//! joins the flight of its key. A hit, which is what most calls come to, then costs no flight, and no
//! copy of the value beside the one that is returned.

use std::time::Duration;

use super::fetch::Budgets;
use super::judge::{Judgement, unusable};
use super::outage::Asking;
use super::trusted::Trusted;
use super::{Call, Carrier, Within};
use crate::codec::{Codec, Read};
use crate::entry::EntryId;
use crate::metrics::Count;
use crate::store::{self, Found, Store};

/// What a first look has come to, for the search that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// There is nothing usable: the lease can be asked for, having seen this entry.
    Nothing(Option<EntryId>),
    /// What this node knows speaks against the entry, and Redis is to be asked.
    Doubt,
    /// It is to be looked at once more, in full.
    More,
}

impl Call {
    /// Whether it is for this call to look first.
    ///
    /// What is read here is for this call alone, which began before (guards G6 and G11), and goes into
    /// no local tier (guard G7): nobody need be told if it changes.
    pub(crate) fn looks_first(&self) -> bool {
        let settings = &self.function.settings;
        !settings.local
            && !self.refresh
            && !self.given
            && !self.function.late_tags
            && settings.grace().is_zero()
            && self.function.carrier != Carrier::None
            && self.engine.store.is_some()
            && !Within::covers(&self.engine, &self.key)
    }

    /// Looks, and counts a hit. Without one, what was seen and what was spent of the budgets is noted for
    /// the search that follows.
    pub(crate) async fn look_first(&mut self) -> Option<Payload> {
        let mut budgets = Budgets::of(self);
        let found = match &self.engine.store {
            // Guard G10.
            Some(store) if self.engine.outage.usable() => self.look(&**store, &mut budgets).await,
            _ => return None,
        };
        self.budgets = Some(budgets);
        match found {
            Ok(payload) => Some(payload),
            Err(seen) => {
                self.seen = seen;
                None
            }
        }
    }

    /// Has the value of a first look be read, and counts a hit; `false` where it can't be.
    pub(crate) fn take(&mut self, payload: &Payload, read: &mut Read<'_>) -> bool {
        let is_read = self.read(payload.codec, payload.bytes(), read);
        if is_read {
            self.count(Count::HitShared);
        } else {
            self.seen = Some(Seen::Nothing(Some(payload.id)));
        }
        is_read
    }

    async fn look(
        &self,
        store: &dyn Store,
        budgets: &mut Budgets,
    ) -> Result<Payload, Option<Seen>> {
        let engine = &self.engine;
        let key = self.shared_key();
        // Guard G1: noted before it is sent.
        let note = engine.note(self.cells());
        let trusted = Trusted::of(&note, self.trusts());
        let unknown = trusted.unknown(self.tags());
        let request = store::Read::new(&key, &unknown)
            .limit(self.function.entry_limit())
            .left(false);
        let answer = engine.bounded_by(&mut budgets.store, Asking::Read, store.read(request));
        let mut reading = match answer.await {
            Ok(reading) => reading,
            Err(error) => {
                // Invariant 2: it is not asked a second time.
                self.count(Count::StoreError);
                engine.store_failed(&error);
                budgets.store = Duration::ZERO;
                return Err(None);
            }
        };
        trusted.join(engine, &mut reading.stamps);
        let bytes = match reading.entry {
            Found::Bytes(bytes) => bytes,
            other => return Err(Some(seen(unusable(self, &other), &trusted))),
        };
        let stamps = (&**self.tags(), &*reading.stamps);
        let (header, payload) = engine
            .sift(self, &bytes, stamps, false)
            .map_err(|judgement| Some(seen(judgement, &trusted)))?;
        let (id, at) = (header.id, bytes.len() - payload.len());
        match self.codec(&header) {
            Some(codec) => Ok(Payload {
                bytes,
                at,
                codec,
                id,
            }),
            None => Err(Some(Seen::Nothing(Some(id)))),
        }
    }
}

/// An entry whose value is to be read.
pub(crate) struct Payload {
    bytes: Vec<u8>,
    /// Where the value begins, which is the last thing in it.
    at: usize,
    codec: Codec,
    id: EntryId,
}

impl Payload {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

/// What a judgement means for the search that follows.
fn seen(judgement: Judgement, trusted: &Trusted<'_>) -> Seen {
    match judgement {
        Judgement::Outdated(_, at) if trusted.knew_all(&at) => Seen::Doubt,
        Judgement::Invalid(id) | Judgement::Outdated(id, _) => Seen::Nothing(id),
        Judgement::Valid(_) | Judgement::Unasked(_) | Judgement::Ageless => Seen::More,
    }
}
