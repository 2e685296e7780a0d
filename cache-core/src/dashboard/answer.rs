//! What the page is told: figures of one range of time, of this node or of the fleet, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::fleet::{Known, Reading};
use super::routes::Served;
use super::series::{Range, Series, Slice};
use crate::Snapshot;
use crate::metrics::{KindSnapshot, Node, millis};

/// The answer to one look.
#[derive(Debug, Serialize)]
pub(super) struct Data<'a> {
    title: &'a str,
    namespace: &'a str,
    version: &'static str,
    /// Which settings of the page are on.
    invalidation: bool,
    values: bool,
    now_ms: u64,
    uptime_ms: u64,
    health: Health,
    /// What was wrong with what the cache was built from: then it is switched off.
    fault: Option<String>,
    unclaimed_policies: &'a [String],
    /// What is so at this moment on this node, whatever is asked for.
    here: Here,
    range: &'static str,
    #[serde(flatten)]
    shown: &'a Shown,
    totals: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<&'a str, Kind>,
    nodes: Option<Nodes<'a>>,
    /// Why the fleet's figures are not to be had.
    fleet_error: Option<&'a str>,
}

/// The figures of a range, made ready: what takes long is done once, however many look.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    /// `node` or `fleet`: whose figures these are. Not what was asked for, where the fleet's are not to be
    /// had.
    of: &'static str,
    /// The time that is shown, and since when anything could be known in it.
    from_ms: u64,
    to_ms: u64,
    since_ms: u64,
    covered_ms: u64,
    step_ms: u64,
    points: Vec<Point>,
    /// What was counted in all of it.
    #[serde(skip)]
    sum: Snapshot,
}

/// As [`crate::Health`], which is no answer format.
#[derive(Debug, Serialize)]
struct Health {
    shared: Option<String>,
    usable: bool,
    trusted: bool,
    queued: usize,
    journal_behind: bool,
}

#[derive(Debug, Serialize)]
struct Here {
    hits: u64,
    misses: u64,
    local_entries: u64,
    local_bytes: u64,
}

/// One slice of time.
#[derive(Debug, Serialize)]
struct Point {
    at_ms: u64,
    covered_ms: u64,
    applied: u64,
    queued: u64,
    /// Hits and misses, by kind.
    kinds: BTreeMap<String, [u64; 2]>,
}

/// What was counted of a kind in the whole range.
#[derive(Debug, Serialize)]
struct Kind {
    counters: BTreeMap<&'static str, u64>,
    hits: u64,
    saved_ms: u64,
    load_mean_micros: Option<u64>,
    load_p50_micros: Option<u64>,
    load_p95_micros: Option<u64>,
    load_p99_micros: Option<u64>,
    /// On this node, at this moment.
    local_entries: u64,
    local_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Nodes<'a> {
    now_ms: u64,
    list: Vec<NodeState<'a>>,
}

#[derive(Debug, Serialize)]
struct NodeState<'a> {
    /// As a text: a number of 64 bits is none in a browser.
    name: String,
    missing: bool,
    #[serde(flatten)]
    node: &'a Node,
}

impl<'a> Data<'a> {
    pub(super) fn new(
        served: &'a Served,
        range: Range,
        shown: &'a Shown,
        figures: &'a Snapshot,
        nodes: &'a Known,
        fleet: Option<&'a Known>,
    ) -> Self {
        let dashboard = &served.dashboard;
        let (cache, env) = (&dashboard.cache, &dashboard.cache.engine.env);
        let health = cache.health();
        let errors = [
            fleet.and_then(|fleet| fleet.as_ref().err()),
            nodes.as_ref().err(),
        ];
        Self {
            title: &dashboard.title,
            namespace: &cache.engine.namespace,
            version: env!("CARGO_PKG_VERSION"),
            invalidation: dashboard.invalidation,
            values: dashboard.values,
            now_ms: millis(env.wall()),
            uptime_ms: figures.uptime_ms,
            health: Health {
                shared: health.shared,
                usable: health.usable,
                trusted: health.trusted,
                queued: health.queued,
                journal_behind: health.journal_behind,
            },
            fault: cache.fault().map(ToString::to_string),
            unclaimed_policies: &figures.unclaimed_policies,
            here: Here::of(figures),
            range: range.name(),
            shown,
            totals: shown.sum.counters().collect(),
            kinds: kinds(&shown.sum, figures),
            nodes: nodes.as_ref().ok().map(|reading| Nodes::of(reading)),
            fleet_error: errors.into_iter().flatten().next().map(|error| &**error),
        }
    }
}

impl Shown {
    /// Of this node, since its router is there.
    pub(super) fn of_node(series: &Series, shown: [u64; 2], since_ms: u64) -> Self {
        Self::of("node", series, shown, since_ms)
    }

    /// Of the fleet: whatever the store has.
    pub(super) fn of_fleet(series: &Series, shown: [u64; 2]) -> Self {
        Self::of("fleet", series, shown, 0)
    }

    fn of(of: &'static str, series: &Series, [from_ms, to_ms]: [u64; 2], since_ms: u64) -> Self {
        Self {
            of,
            from_ms,
            to_ms,
            since_ms,
            covered_ms: series.covered_ms(),
            step_ms: series.step_ms,
            points: series.slices.iter().map(Point::of).collect(),
            sum: series.sum(),
        }
    }
}

impl Here {
    fn of(figures: &Snapshot) -> Self {
        let sum = |of: fn(&KindSnapshot) -> u64| figures.kinds.values().map(of).sum();
        Self {
            hits: sum(KindSnapshot::hits),
            misses: sum(|kind| kind.misses),
            local_entries: sum(|kind| kind.local_entries),
            local_bytes: sum(|kind| kind.local_bytes),
        }
    }
}

impl Point {
    fn of((at_ms, slice): (&u64, &Slice)) -> Self {
        let kinds = slice.counted.kinds.iter();
        Self {
            at_ms: *at_ms,
            covered_ms: slice.covered_ms,
            applied: slice.counted.invalidations_applied,
            queued: slice.counted.invalidations_queued,
            kinds: kinds
                .map(|(name, kind)| (name.clone(), [kind.hits(), kind.misses]))
                .collect(),
        }
    }
}

/// Every kind that was counted, or that this node knows.
fn kinds<'a>(sum: &'a Snapshot, figures: &'a Snapshot) -> BTreeMap<&'a str, Kind> {
    let nothing = KindSnapshot::default();
    let names: BTreeSet<&String> = sum.kinds.keys().chain(figures.kinds.keys()).collect();
    let of = |name: &String| {
        let counted = sum.kinds.get(name).unwrap_or(&nothing);
        let here = figures.kinds.get(name).unwrap_or(&nothing);
        let loads = &counted.load_time;
        Kind {
            counters: counted.counters().collect(),
            hits: counted.hits(),
            saved_ms: millis(counted.time_saved()),
            load_mean_micros: (loads.count > 0).then(|| loads.total_micros / loads.count),
            load_p50_micros: loads.p50_micros,
            load_p95_micros: loads.p95_micros,
            load_p99_micros: loads.p99_micros,
            local_entries: here.local_entries,
            local_bytes: here.local_bytes,
        }
    };
    names.into_iter().map(|name| (&**name, of(name))).collect()
}

impl<'a> Nodes<'a> {
    fn of(reading: &'a Reading) -> Self {
        let list = reading.nodes.iter().map(|node| NodeState {
            name: node.id.to_string(),
            missing: node.is_missing(reading.now_ms),
            node,
        });
        Self {
            now_ms: reading.now_ms,
            list: list.collect(),
        }
    }
}
