//! What the page is told: figures of one range of time, of this node or of the fleet, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::routes::{Known, Served};
use super::series::{Range, Series};
use crate::Snapshot;
use crate::metrics::{Fleet, KindSnapshot, Node, millis};

/// The answer to one look.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    title: String,
    namespace: String,
    version: &'static str,
    /// Which settings of the page are on.
    invalidation: bool,
    values: bool,
    now_ms: u64,
    uptime_ms: u64,
    health: Health,
    /// What was wrong with what the cache was built from: then it is switched off.
    fault: Option<String>,
    unclaimed_policies: Vec<String>,
    /// What is so at this moment on this node, whatever is asked for.
    here: Here,
    /// `node` or `fleet`: whose figures follow. Not what was asked for, where the fleet's are not to be
    /// had.
    of: &'static str,
    range: &'static str,
    /// The time that is shown, and since when anything could be known in it.
    from_ms: u64,
    to_ms: u64,
    since_ms: u64,
    covered_ms: u64,
    step_ms: u64,
    points: Vec<Point>,
    totals: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<String, Kind>,
    nodes: Option<Nodes>,
    /// Why the fleet's figures are not to be had.
    fleet_error: Option<String>,
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
struct Nodes {
    now_ms: u64,
    list: Vec<NodeState>,
}

#[derive(Debug, Serialize)]
struct NodeState {
    /// As a text: a number of 64 bits is none in a browser.
    name: String,
    missing: bool,
    #[serde(flatten)]
    node: Node,
}

impl Data {
    pub(super) fn new(
        served: &Served,
        range: Range,
        figures: &Snapshot,
        nodes: &Known,
        fleet: Option<&Known>,
    ) -> Self {
        let dashboard = &served.dashboard;
        let (cache, env) = (&dashboard.cache, &dashboard.cache.engine.env);
        let now_ms = millis(env.wall());
        let (of, [from_ms, to_ms], since_ms, series) = if let Some(Ok(fleet)) = fleet {
            let shown = [range.first_minute_ms(fleet.now_ms), fleet.now_ms];
            ("fleet", shown, 0, Series::of_fleet(fleet, range))
        } else {
            let shown = [now_ms.saturating_sub(range.span_ms()), now_ms];
            let series = served.history.series(range);
            ("node", shown, served.history.since_ms, series)
        };
        let sum = series.sum();
        let health = cache.health();
        let errors = [
            fleet.and_then(|fleet| fleet.as_ref().err()),
            nodes.as_ref().err(),
        ];
        Self {
            title: dashboard.title.clone(),
            namespace: cache.engine.namespace.clone(),
            version: env!("CARGO_PKG_VERSION"),
            invalidation: dashboard.invalidation,
            values: dashboard.values,
            now_ms,
            uptime_ms: figures.uptime_ms,
            health: Health {
                shared: health.shared,
                usable: health.usable,
                trusted: health.trusted,
                queued: health.queued,
                journal_behind: health.journal_behind,
            },
            fault: cache.fault().map(ToString::to_string),
            unclaimed_policies: figures.unclaimed_policies.clone(),
            here: Here::of(figures),
            of,
            range: range.name(),
            from_ms,
            to_ms,
            since_ms,
            covered_ms: series.covered_ms(),
            step_ms: series.step_ms,
            points: series.slices.iter().map(Point::of).collect(),
            totals: sum.counters().collect(),
            kinds: kinds(&sum, figures),
            nodes: nodes.as_ref().ok().map(|fleet| Nodes::of(fleet)),
            fleet_error: errors.into_iter().flatten().next().cloned(),
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
    fn of((at_ms, slice): (&u64, &super::series::Slice)) -> Self {
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
fn kinds(sum: &Snapshot, figures: &Snapshot) -> BTreeMap<String, Kind> {
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
    names
        .into_iter()
        .map(|name| (name.clone(), of(name)))
        .collect()
}

impl Nodes {
    fn of(fleet: &Fleet) -> Self {
        let list = fleet.nodes.iter().map(|node| NodeState {
            name: node.id.to_string(),
            missing: node.is_missing(fleet.now_ms),
            node: node.clone(),
        });
        Self {
            now_ms: fleet.now_ms,
            list: list.collect(),
        }
    }
}
