//! Tags that only a value knows of (`tags_with`): stored only under stamps that are proven to be older
//! than its load.

use std::sync::Arc;

use super::hearing::Hearing;
use super::lease::LeaseGuard;
use super::plan::Plan;
use super::{Call, Engine, Function};
use crate::entry::EntryId;
use crate::flight::Seat;
use crate::local::{Cell, Dependency};
use crate::metrics::Count;
use crate::sabotage::{Guard, removed};
use crate::store::Begin;

impl Call {
    /// The dependencies on the tags of a value whose load began at `point`; `None` where it can't be
    /// stored under them.
    ///
    /// Guard G8: a tag that nobody could name before the load may have been invalidated during it, and
    /// a stamp from after that would hide it: the write would be lost. So its stamp has to be one that
    /// this node knew before the load began, and still knows; or, where the cells are all there is, one
    /// made now, if the tag was left alone since. Otherwise its stamp is learnt now, for the next load,
    /// and this value is not stored.
    pub(super) fn late(
        &self,
        seat: &Seat,
        plan: &Plan,
        tags: Vec<String>,
        point: u64,
    ) -> Option<Vec<Dependency>> {
        let tags: Vec<String> = tags
            .into_iter()
            .filter(|tag| !self.tags().contains(tag))
            .collect();
        if tags.is_empty() {
            return Some(Vec::new());
        }
        let engine = &self.engine;
        let cells: Vec<Arc<Cell>> = tags.iter().map(|tag| engine.cells.cell(tag)).collect();
        // From here on whatever ends one of them makes the flight dirty, so that nobody who calls
        // later shares its value.
        seat.depend_on(&cells);
        match plan {
            Plan::Shared { .. } => self.proven(tags, cells, point, true),
            Plan::Local { .. } => self.proven(tags, cells, point, false),
            Plan::Outage { .. } | Plan::Bare | Plan::Elsewhere => None,
        }
    }

    /// The dependencies on tags of which nobody knew before `point`, where none of them was invalidated
    /// since. `shared`: the store makes their stamps.
    pub(super) fn proven(
        &self,
        tags: Vec<String>,
        cells: Vec<Arc<Cell>>,
        point: u64,
        shared: bool,
    ) -> Option<Vec<Dependency>> {
        let engine = &self.engine;
        let stamps = if shared {
            cells
                .iter()
                .map(|cell| cell.known_before(point).or_else(|| unguarded(cell)))
                .collect::<Option<Vec<_>>>()
        } else {
            cells
                .iter()
                .map(|cell| {
                    let now = engine.flights.call_begins();
                    let made = cell.stamp_or_make(now, || engine.env.draw())?;
                    // Made first and asked then: what ends it after that ends the cell's stamp too.
                    let proven = cell.known_before(point).is_some()
                        || engine.cells.left_alone_since(cell.tag(), point)
                        || removed(Guard::G8);
                    proven.then_some(made)
                })
                .collect()
        };
        let Some(stamps) = stamps else {
            self.count(Count::FillRefused);
            if shared {
                engine.learn_later(&self.function, &self.shared_key(), tags, &cells);
            }
            return None;
        };
        let deps = cells.into_iter().zip(stamps);
        Some(
            deps.map(|(cell, stamp)| Dependency { cell, stamp })
                .collect(),
        )
    }
}

/// Whatever is known by now, in the simulation that is to notice.
fn unguarded(cell: &Cell) -> Option<u64> {
    removed(Guard::G8).then(|| cell.stamp()).flatten()
}

impl Engine {
    /// Learns the stamps of some tags, in the background, and has those made that are missing.
    fn learn_later(&self, function: &Function, key: &str, tags: Vec<String>, cells: &[Arc<Cell>]) {
        let (Some(store), Some(engine)) = (self.store.clone(), self.me.upgrade()) else {
            return;
        };
        if !engine.outage.usable() {
            return;
        }
        // Stamps are made by who asks for a lease. This one is nobody's but the tags'.
        let key = format!("{key}~");
        let token = EntryId(self.env.draw_wide());
        let settings = function.settings;
        let note = self.note(cells);
        let asked = self.env.coarse();
        let lease = LeaseGuard::new(&engine, key.as_str().into(), token);
        let answer = Box::pin(async move {
            let request = Begin::new(&key, token, &tags)
                .lease(settings.lease)
                .life(settings.longest())
                .force(true);
            store.begin(request).await
        });
        let hearing = Hearing {
            engine,
            note,
            asked,
            lease,
            answer,
        };
        let mut left = self.store_timeout;
        self.env.spawn(async move {
            // A failure was noted by who heard it; the lease is given up in any case.
            let _ = hearing.heard(&mut left).await;
        });
    }
}
