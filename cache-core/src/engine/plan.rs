//! What will become of a load's value, settled before it is loaded; or that it is there already.

use std::sync::Arc;
use std::time::Duration;

use super::Call;
use super::fetch::{Budgets, Fetched, Search, Tagged};
use super::lease::LeaseGuard;
use super::worth::{Hit, Source, Spare, Worth};
use crate::flight::{Noted, Seat};
use crate::local::Dependency;
use crate::metrics::Count;

/// What will become of a load's value.
pub(super) enum Plan {
    /// It goes into both tiers.
    Shared {
        lease: LeaseGuard,
        deps: Vec<Dependency>,
        asked: Duration,
    },
    /// It goes into the local tier.
    Local { deps: Vec<Dependency> },
    /// It goes into the local tier, to be served while the shared one can't be reached.
    Outage {
        deps: Vec<Dependency>,
        asked: Duration,
    },
    /// It goes to the caller.
    Bare,
    /// There is none, since another flight has taken this one's place.
    Elsewhere,
}

impl Call {
    /// Settles where the value will be stored, and what can be returned meanwhile; or finds it (as the
    /// error).
    pub(super) async fn plan(
        &self,
        seat: &Seat,
        budgets: &mut Budgets,
    ) -> Result<(Plan, Option<Spare>), Hit> {
        let engine = &self.engine;
        let Some(store) = &engine.store else {
            return self.plan_local(seat);
        };
        if !engine.outage.usable() {
            return self.plan_outage(seat);
        }
        match Search::new(self, seat, store).run(budgets).await {
            Ok(Fetched::Hit(hit)) => Err(hit),
            Ok(Fetched::Granted {
                lease,
                deps,
                asked,
                spare,
            }) => Ok((Plan::Shared { lease, deps, asked }, spare)),
            Ok(Fetched::Bare { spare }) => Ok((Plan::Bare, spare)),
            Ok(Fetched::Replaced) => Ok((Plan::Elsewhere, None)),
            Err(error) => {
                // Invariant 2: whatever is wrong with the store, the function runs.
                self.count(Count::StoreError);
                engine.store_failed(&error);
                self.plan_outage(seat)
            }
        }
    }

    /// Without a shared tier the cells themselves hold the stamps. They are taken before the load:
    /// that is what makes a late insertion harmless.
    fn plan_local(&self, seat: &Seat) -> Result<(Plan, Option<Spare>), Hit> {
        let engine = &self.engine;
        let Tagged { cells, .. } = engine.tagged(self, "");
        let now = engine.env.coarse();
        let found = engine.find(self).filter(|_| !self.refresh);
        let mut note = engine.note(&cells);
        if let Some(found) = &found {
            // Among them those tags that only the value knows of.
            let deps = found.head().deps().iter();
            note.cells
                .extend(deps.map(|dependency| Noted::of(Arc::clone(&dependency.cell))));
        }
        let epoch = note.epoch;
        seat.note(note);
        // After the note: whatever ends it from here on makes the flight dirty.
        let point = engine.flights.source_asked();
        let local = found.filter(|stored| stored.head().holds(epoch, now));
        let mut spare = None;
        if let Some(stored) = local {
            let worth = engine.worth(self, &stored.head().life(), &mut self.early.clone());
            let hit = Hit {
                stored,
                point,
                source: Source::Local,
            };
            match worth {
                Worth::Serve => return Err(hit),
                Worth::Nothing => {}
                Worth::Refresh | Worth::Fallback => {
                    spare = Some(Spare {
                        hit,
                        at_once: worth == Worth::Refresh,
                    });
                }
            }
        }
        let deps = cells
            .into_iter()
            .map(|cell| {
                let stamp =
                    cell.stamp_or_make(engine.flights.call_begins(), || engine.env.draw())?;
                Some(Dependency { cell, stamp })
            })
            .collect();
        Ok(match deps {
            Some(deps) => (Plan::Local { deps }, spare),
            None => (Plan::Bare, spare),
        })
    }

    /// While the shared tier can't be reached: what the local tier had when it could, where the kind
    /// allows that; else the function runs, and what it brings is kept for as long.
    fn plan_outage(&self, seat: &Seat) -> Result<(Plan, Option<Spare>), Hit> {
        let engine = &self.engine;
        if self.function.settings.outage_ttl.is_zero() || self.given {
            return Ok((Plan::Bare, None));
        }
        let Tagged { cells, .. } = engine.tagged(self, &self.shared_key());
        let asked = engine.env.coarse();
        seat.note(engine.note(&cells));
        let point = engine.flights.source_asked();
        if !self.refresh
            && let Some(stored) = engine.outage_value(self)
        {
            return Err(Hit {
                stored,
                point,
                source: Source::Outage,
            });
        }
        let deps = cells
            .into_iter()
            .map(|cell| {
                let stamp = cell.former_or_make(|| engine.env.draw())?;
                Some(Dependency { cell, stamp })
            })
            .collect();
        Ok(match deps {
            Some(deps) => (Plan::Outage { deps, asked }, None),
            None => (Plan::Bare, None),
        })
    }
}
