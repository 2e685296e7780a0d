//! The figures by the names they have outside of the process, for every way out: what is in these tables is
//! what Prometheus reads and what a recorder is told.

use std::collections::BTreeMap;

use super::{Distribution, KindSnapshot, Snapshot};
use crate::Cache;

#[cfg(feature = "prometheus")]
mod fleet;
mod kinds;
mod whole;

#[cfg(feature = "prometheus")]
pub(super) use fleet::{FLEET, Nodes, READABLE};
pub(super) use kinds::KINDS;
pub(super) use whole::WHOLE;

/// The label that says which kind it is.
pub(super) const KIND_LABEL: &str = "kind";
/// The label that says how it went.
pub(super) const OUTCOME_LABEL: &str = "outcome";
/// Every name of a label that is used here, or that the format keeps for itself.
pub(super) const TAKEN_LABELS: [&str; 5] = [KIND_LABEL, OUTCOME_LABEL, "version", "le", "quantile"];

/// How a figure behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It only grows, until the process ends.
    Counter,
    /// It is so at the moment.
    Gauge,
    /// Times, by how long they were.
    Histogram,
}

/// A figure, or several that are told apart by a label.
pub(super) struct Family<T: 'static> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) form: Form,
    pub(super) read: Read<T>,
}

/// Where the figures of a family are.
pub(super) enum Read<T: 'static> {
    /// There is one.
    One(fn(&T) -> f64),
    /// There is one for each value of a label.
    Each(&'static str, &'static [Labelled<T>]),
    /// It is a histogram.
    Times(fn(&T) -> &Distribution),
}

/// A value of a label, and where its figure is.
type Labelled<T> = (&'static str, fn(&T) -> u64);

/// One figure.
pub(super) enum Figure<'a> {
    Number(f64),
    Times(&'a Distribution),
}

impl<T> Family<T> {
    const fn counter(name: &'static str, help: &'static str, read: Read<T>) -> Self {
        Self {
            name,
            help,
            form: Form::Counter,
            read,
        }
    }

    const fn gauge(name: &'static str, help: &'static str, read: fn(&T) -> f64) -> Self {
        Self {
            name,
            help,
            form: Form::Gauge,
            read: Read::One(read),
        }
    }

    /// The label that its figures are told apart by.
    pub(super) fn label(&self) -> Option<&'static str> {
        match self.read {
            Read::Each(label, _) => Some(label),
            Read::One(_) | Read::Times(_) => None,
        }
    }

    /// Its figures, each with the value of its label.
    pub(super) fn figures<'a>(&self, of: &'a T) -> Vec<(Option<&'static str>, Figure<'a>)> {
        match self.read {
            Read::One(read) => vec![(None, Figure::Number(read(of)))],
            Read::Each(_, each) => each
                .iter()
                .map(|(value, read)| (Some(*value), Figure::Number(number(read(of)))))
                .collect(),
            Read::Times(read) => vec![(None, Figure::Times(read(of)))],
        }
    }
}

/// Exact up to 2^53, beyond which no reader of these formats tells numbers apart either.
#[allow(clippy::cast_precision_loss)]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

/// Microseconds in the unit that times have outside.
pub(super) fn seconds(micros: u64) -> f64 {
    number(micros) / 1e6
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// All that is known of a cache at one moment.
pub(super) struct Moment {
    pub(super) whole: Whole,
    pub(super) kinds: Vec<(String, OfKind)>,
}

/// What is known of the cache as a whole.
pub(super) struct Whole {
    snapshot: Snapshot,
    trusted: bool,
}

/// What is known of a kind.
pub(super) struct OfKind {
    pub(super) figures: KindSnapshot,
    saved_seconds: f64,
}

impl Moment {
    pub(super) fn of(cache: &Cache, saved: &mut Saved) -> Self {
        let engine = &cache.engine;
        // Not the health's word, which is of a shared tier: without one, local values are as good as any.
        let trusted = engine.trusts_local(engine.env.coarse());
        Self::from(cache.snapshot(), trusted, saved)
    }

    pub(super) fn from(mut snapshot: Snapshot, trusted: bool, saved: &mut Saved) -> Self {
        let kinds = std::mem::take(&mut snapshot.kinds).into_iter();
        let kinds = kinds.map(|(name, figures)| {
            let saved_seconds = saved.grow(&name, &figures);
            let kind = OfKind {
                figures,
                saved_seconds,
            };
            (name, kind)
        });
        Self {
            kinds: kinds.collect(),
            whole: Whole { snapshot, trusted },
        }
    }
}

/// The time that hits have saved, as a figure that never falls. [`KindSnapshot::time_saved`] does, when
/// loads become faster and with them the mean of all of them; and a counter that falls is taken for a
/// process that has started again.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// By kind: how many hits are in it, and the seconds they saved.
    kinds: BTreeMap<String, (u64, f64)>,
}

impl Saved {
    /// Adds the hits since the last time, at the mean of the loads until now.
    fn grow(&mut self, kind: &str, figures: &KindSnapshot) -> f64 {
        let (hits, saved) = self.kinds.entry(kind.to_owned()).or_default();
        let loads = &figures.load_time;
        // Before the first load nobody knows what a hit is worth: they are counted after it.
        if loads.count > 0 {
            let mean = seconds(loads.total_micros) / number(loads.count);
            let now = figures.hits();
            *saved += number(now.saturating_sub(*hits)) * mean;
            *hits = now.max(*hits);
        }
        *saved
    }
}
