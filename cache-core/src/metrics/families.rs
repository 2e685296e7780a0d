//! The figures by the names they have outside of the process, for every way out: what is in these tables is
//! what Prometheus reads and what a recorder is told.

use std::collections::BTreeMap;

use super::{Distribution, Fleet, KindSnapshot, Snapshot};
use crate::Cache;

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
        Self::from(cache.snapshot(), cache.health().trusted, saved)
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

/// The figures of each kind, which have its name as a label.
pub(super) static KINDS: &[Family<OfKind>] = &[
    Family::counter(
        "cache_requests_total",
        "Calls, by how they were answered.",
        Read::Each(
            OUTCOME_LABEL,
            &[
                ("hit_local", |kind| kind.figures.hits_local),
                ("hit_shared", |kind| kind.figures.hits_shared),
                ("hit_stale", |kind| kind.figures.hits_stale),
                ("hit_outage", |kind| kind.figures.hits_outage),
                ("coalesced", |kind| kind.figures.coalesced),
                ("miss", |kind| kind.figures.misses),
                ("bypassed", |kind| kind.figures.bypassed),
            ],
        ),
    ),
    Family::counter(
        "cache_loads_total",
        "How often the functions ran.",
        Read::One(|kind| number(kind.figures.loads)),
    ),
    Family {
        name: "cache_load_duration_seconds",
        help: "How long the functions took.",
        form: Form::Histogram,
        read: Read::Times(|kind| &kind.figures.load_time),
    },
    Family::counter(
        "cache_load_errors_total",
        "How often the functions returned an error.",
        Read::One(|kind| number(kind.figures.load_errors)),
    ),
    Family::counter(
        "cache_load_timeouts_total",
        "How often the functions took longer than their hard timeout.",
        Read::One(|kind| number(kind.figures.load_timeouts)),
    ),
    Family::counter(
        "cache_refreshes_total",
        "How often the functions ran although there was a value that could have been served.",
        Read::One(|kind| number(kind.figures.refreshes)),
    ),
    Family::counter(
        "cache_rescued_total",
        "Calls whose load failed and that were answered with the value from before.",
        Read::One(|kind| number(kind.figures.rescued)),
    ),
    Family::counter(
        "cache_fills_refused_total",
        "Loads whose value was not stored because the lease was gone by then.",
        Read::One(|kind| number(kind.figures.fills_refused)),
    ),
    Family::counter(
        "cache_updates_total",
        "Writes that bring their value along, by whether it was stored.",
        Read::Each(
            OUTCOME_LABEL,
            &[
                ("stored", |kind| kind.figures.updates),
                ("refused", |kind| kind.figures.updates_refused),
            ],
        ),
    ),
    Family::counter(
        "cache_kind_invalidations_total",
        "Invalidations of a key of the kind or of the whole kind, by whether they took effect \
         everywhere at once.",
        Read::Each(
            OUTCOME_LABEL,
            &[
                ("applied", |kind| kind.figures.invalidations_applied),
                ("queued", |kind| kind.figures.invalidations_queued),
            ],
        ),
    ),
    Family::counter(
        "cache_store_errors_total",
        "Calls to the shared tier that failed or took too long.",
        Read::One(|kind| number(kind.figures.store_errors)),
    ),
    Family::counter(
        "cache_undecodable_total",
        "Entries whose bytes could not be trusted.",
        Read::One(|kind| number(kind.figures.undecodable)),
    ),
    Family::counter(
        "cache_unkeyed_total",
        "Calls whose arguments could not be made a key.",
        Read::One(|kind| number(kind.figures.unkeyed)),
    ),
    Family::counter(
        "cache_evictions_total",
        "Local entries that had to make room.",
        Read::One(|kind| number(kind.figures.evictions)),
    ),
    Family::counter(
        "cache_saved_seconds_total",
        "The time that hits saved: each at the mean time of the loads until then.",
        Read::One(|kind| kind.saved_seconds),
    ),
    Family::gauge("cache_local_entries", "Local entries there are.", |kind| {
        number(kind.figures.local_entries)
    }),
    Family::gauge(
        "cache_local_bytes",
        "Bytes that local entries take, estimated.",
        |kind| number(kind.figures.local_bytes),
    ),
];

/// The figures of the cache as a whole.
pub(super) static WHOLE: &[Family<Whole>] = &[
    Family {
        name: "cache_info",
        help: "Always 1, with the version of the library.",
        form: Form::Gauge,
        read: Read::Each("version", &[(env!("CARGO_PKG_VERSION"), |_| 1)]),
    },
    Family::gauge(
        "cache_uptime_seconds",
        "How long the cache has been there.",
        |cache| number(cache.snapshot.uptime_ms) / 1e3,
    ),
    Family::gauge(
        "cache_breaker_open",
        "1 while calls go past the shared tier because it does not answer or something is pending.",
        |cache| flag(cache.snapshot.breaker_open),
    ),
    Family::counter(
        "cache_breaker_opened_total",
        "How often calls began to go past the shared tier.",
        Read::One(|cache| number(cache.snapshot.breaker_opened)),
    ),
    Family::gauge(
        "cache_shared_trusted",
        "1 while local values are served without asking the shared tier because it tells of every \
         change.",
        |cache| flag(cache.trusted),
    ),
    Family::counter(
        "cache_trust_lost_total",
        "How often the shared tier lost touch, so that local values were not served unasked.",
        Read::One(|cache| number(cache.snapshot.trust_lost)),
    ),
    Family::counter(
        "cache_epoch_steps_total",
        "How often everything learnt so far was given up.",
        Read::One(|cache| number(cache.snapshot.epoch_steps)),
    ),
    Family::counter(
        "cache_distrusted_total",
        "How often the shared tier said something that makes no sense.",
        Read::One(|cache| number(cache.snapshot.distrusted)),
    ),
    Family::counter(
        "cache_invalidations_total",
        "Invalidations by tag, key or kind, by whether they took effect everywhere at once.",
        Read::Each(
            OUTCOME_LABEL,
            &[
                ("applied", |cache| cache.snapshot.invalidations_applied),
                ("queued", |cache| cache.snapshot.invalidations_queued),
            ],
        ),
    ),
    Family::gauge(
        "cache_invalidations_pending",
        "Tags and keys that wait to be invalidated in the shared tier.",
        |cache| number(cache.snapshot.invalidations_pending),
    ),
    Family::counter(
        "cache_invalidations_replayed_total",
        "Tags and keys that were invalidated in the shared tier once it could be reached again.",
        Read::One(|cache| number(cache.snapshot.invalidations_replayed)),
    ),
    Family::counter(
        "cache_queue_widened_total",
        "How often too much was pending to be kept one by one.",
        Read::One(|cache| number(cache.snapshot.queue_widened)),
    ),
    Family::counter(
        "cache_journal_errors_total",
        "How often the disk of the journal of invalidations failed or was too slow.",
        Read::One(|cache| number(cache.snapshot.journal_errors)),
    ),
    Family::gauge(
        "cache_policies_unclaimed",
        "Kinds that have a policy and that no function has used so far: most likely misspelt.",
        |cache| number(cache.snapshot.unclaimed_policies.len() as u64),
    ),
];

/// Whether there are figures of the fleet.
pub(super) static READABLE: Family<Option<Nodes>> = Family::gauge(
    "cache_fleet_readable",
    "1 when the fleet's nodes could be read from the shared tier, 0 when the figures below are absent \
     for want of an answer.",
    |nodes| flag(nodes.is_some()),
);

/// The figures of all nodes together. They have no label: nodes come and go.
pub(super) static FLEET: &[Family<Nodes>] = &[
    Family::gauge(
        "cache_fleet_nodes",
        "Nodes that have reported within a day and have not said that they end.",
        |nodes| number(nodes.listed),
    ),
    Family::gauge(
        "cache_fleet_nodes_missing",
        "Those of them that have missed their reports.",
        |nodes| number(nodes.missing),
    ),
    Family::gauge(
        "cache_fleet_nodes_breaker_open",
        "Nodes that report and whose calls go past the shared tier.",
        |nodes| number(nodes.breaker_open),
    ),
    Family::gauge(
        "cache_fleet_nodes_untrusted",
        "Nodes that report and that do not serve local values without asking the shared tier.",
        |nodes| number(nodes.untrusted),
    ),
    Family::gauge(
        "cache_fleet_invalidations_pending",
        "Tags and keys that the nodes that report have still to invalidate.",
        |nodes| number(nodes.pending),
    ),
    Family::gauge(
        "cache_fleet_local_entries",
        "Local entries of the nodes that report.",
        |nodes| number(nodes.entries),
    ),
    Family::gauge(
        "cache_fleet_local_bytes",
        "Bytes that local entries of the nodes that report take, estimated.",
        |nodes| number(nodes.bytes),
    ),
];

/// The nodes of a fleet, counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Nodes {
    listed: u64,
    missing: u64,
    breaker_open: u64,
    untrusted: u64,
    pending: u64,
    entries: u64,
    bytes: u64,
}

impl Nodes {
    pub(super) fn of(fleet: &Fleet) -> Self {
        let mut nodes = Self::default();
        for node in &fleet.nodes {
            nodes.listed += 1;
            // What a node that is gone was like is of no use to anybody.
            if node.is_missing(fleet.now_ms) {
                nodes.missing += 1;
                continue;
            }
            nodes.breaker_open += u64::from(node.breaker_open);
            nodes.untrusted += u64::from(!node.trusted);
            nodes.pending = nodes.pending.saturating_add(node.invalidations_pending);
            nodes.entries = nodes.entries.saturating_add(node.local_entries);
            nodes.bytes = nodes.bytes.saturating_add(node.local_bytes);
        }
        nodes
    }
}
