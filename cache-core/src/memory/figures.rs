//! The figures of a fleet in memory: what Redis keeps of them, inside one process.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use crate::metrics::{Fleet, Minute, Node, NodeId, Report, Snapshot};
use crate::{Error, ErrorKind, Result};

/// What the nodes of a namespace have reported.
#[derive(Debug, Default)]
pub(super) struct Figures {
    minutes: BTreeMap<Minute, Counted>,
    nodes: HashMap<NodeId, Node>,
}

/// What was counted in a minute.
#[derive(Debug, Default)]
struct Counted {
    sum: Snapshot,
    /// The sequence of each node's last report in it.
    last: HashMap<NodeId, u64>,
}

/// How long nodes are kept after they were last seen, and figures after their minute.
const KEPT_MS: u64 = 24 * 60 * 60 * 1000;

impl Figures {
    /// Adds a report, once.
    pub(super) fn add(&mut self, report: &Report, now_ms: u64) {
        let node = &report.node;
        let counted = self.minutes.entry(report.minute).or_default();
        let last = counted.last.entry(node.id).or_default();
        if report.sequence > *last {
            *last = report.sequence;
            counted.sum.add(&report.added);
        }
        if report.leaving {
            self.nodes.remove(&node.id);
        } else {
            let mut node = node.clone();
            node.seen_ms = now_ms;
            self.nodes.insert(node.id, node);
        }
        self.expire(now_ms);
    }

    /// What was counted in these minutes.
    pub(super) fn read(&mut self, minutes: RangeInclusive<Minute>, now_ms: u64) -> Result<Fleet> {
        let (first, last) = minutes.clone().into_inner();
        if last.saturating_sub(first) >= Fleet::MOST_MINUTES {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "the minutes {first} to {last} are too many to be read at once: ask for at most \
                     {}, since figures are kept for a day",
                    Fleet::MOST_MINUTES
                ),
            ));
        }
        self.expire(now_ms);
        let mut nodes: Vec<Node> = self.nodes.values().cloned().collect();
        nodes.sort_by_key(|node| (node.started_ms, node.id));
        // Without a minute, where the range has none: BTreeMap refuses such a one.
        let found = (first <= last).then(|| self.minutes.range(minutes));
        Ok(Fleet {
            now_ms,
            minutes: found
                .into_iter()
                .flatten()
                .map(|(minute, counted)| (*minute, counted.sum.clone()))
                .collect(),
            nodes,
        })
    }

    fn expire(&mut self, now_ms: u64) {
        let end = |minute: Minute| minute.saturating_add(1).saturating_mul(60_000);
        self.minutes
            .retain(|minute, _| end(*minute).saturating_add(KEPT_MS) > now_ms);
        self.nodes
            .retain(|_, node| node.seen_ms.saturating_add(KEPT_MS) >= now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_kept() {
        let (start, minute) = (1_000_000 * 60_000, 1_000_000);
        let report = |id, sequence, minute| {
            let mut added = Snapshot::default();
            added.add_field("epoch_steps", 1);
            Report::new(Node::new(NodeId(id)), sequence, minute, added)
        };
        let mut figures = Figures::default();
        figures.add(&report(1, 1, minute), start);
        figures.add(&report(2, 1, minute + 1), start + KEPT_MS);
        let read = |figures: &mut Figures, now| {
            let fleet = figures.read(minute..=minute + 2000 - 560, now).unwrap();
            let nodes: Vec<u64> = fleet.nodes.iter().map(|node| node.id.0).collect();
            (fleet.minutes.into_keys().collect::<Vec<_>>(), nodes)
        };
        let end = start + 60_000 + KEPT_MS;
        assert_eq!(
            read(&mut figures, start + KEPT_MS),
            (vec![minute, minute + 1], vec![1, 2])
        );
        assert_eq!(
            read(&mut figures, end - 1),
            (vec![minute, minute + 1], vec![2])
        );
        assert_eq!(read(&mut figures, end), (vec![minute + 1], vec![2]));
        // Too old to be kept.
        figures.add(&report(2, 2, minute), end);
        assert_eq!(read(&mut figures, end), (vec![minute + 1], vec![2]));
    }
}
