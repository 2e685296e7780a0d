//! What a call does first whose values are not kept in this process: it reads for itself, before it
//! joins the flight of its key. A hit, which is what most calls come to, then costs no flight, and no
//! copy of the value beside the one that is returned.

use std::time::Duration;

use super::fetch::Budgets;
use super::judge::{Judgement, unusable};
use super::outage::Asking;
use super::trusted::Trusted;
use super::{Call, Carrier, Engine, Within};
use crate::entry::EntryId;
use crate::metrics::Count;
use crate::store::{Found, Read, Store};
use crate::value::Value;

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
    pub(crate) async fn look_first(&mut self) -> Option<Box<dyn Value>> {
        let mut budgets = Budgets::of(self);
        let found = match &self.engine.store {
            // Guard G10.
            Some(store) if self.engine.outage.usable() => self.look(&**store, &mut budgets).await,
            _ => return None,
        };
        match found {
            Ok(value) => {
                self.count(Count::HitShared);
                return Some(value);
            }
            Err(seen) => self.seen = seen,
        }
        self.budgets = Some(budgets);
        None
    }

    async fn look(
        &self,
        store: &dyn Store,
        budgets: &mut Budgets,
    ) -> Result<Box<dyn Value>, Option<Seen>> {
        let engine = &self.engine;
        let key = self.shared_key();
        // Guard G1: noted before it is sent.
        let note = engine.note(self.cells());
        let trusted = Trusted::of(&note, self.trusts());
        let unknown = trusted.unknown(self.tags());
        let request = Read::new(&key, &unknown)
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
        let Found::Bytes(bytes) = &reading.entry else {
            return Err(Some(seen(unusable(self, &reading.entry), &trusted)));
        };
        let stamps = (&**self.tags(), &*reading.stamps);
        let (header, payload) = engine
            .sift(self, bytes, stamps, false)
            .map_err(|judgement| Some(seen(judgement, &trusted)))?;
        Engine::decode(self, &header, payload).ok_or(Some(Seen::Nothing(Some(header.id))))
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
