//! What is told of the nodes that share a store. Only where it is asked for, since it is read from there.

use super::{Family, flag, number};
use crate::metrics::Fleet;

/// Whether there are figures of the fleet.
pub(in crate::metrics) static READABLE: Family<Option<Nodes>> = Family::gauge(
    "cache_fleet_readable",
    "1 when the fleet's nodes could be read from the shared tier, 0 when the figures below are absent \
     for want of an answer.",
    |nodes| flag(nodes.is_some()),
);

/// The figures of all nodes together. They have no label: nodes come and go.
pub(in crate::metrics) static FLEET: &[Family<Nodes>] = &[
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
pub(in crate::metrics) struct Nodes {
    listed: u64,
    missing: u64,
    breaker_open: u64,
    untrusted: u64,
    pending: u64,
    entries: u64,
    bytes: u64,
}

impl Nodes {
    pub(in crate::metrics) fn of(fleet: &Fleet) -> Self {
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
