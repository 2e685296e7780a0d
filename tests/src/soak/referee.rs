//! Who decides whether a soak kept its promises: it is told what every node saw and acknowledged, and
//! compares each call with each invalidation once nothing about either can still come.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::figures::Figures;
use super::wire::{Ack, Longest, Outcome, Report, SUBJECTS, Subject, nanos};

/// How long after something happened nothing of it is still under way: a call this long has failed.
const WINDOW: Duration = Duration::from_secs(10);
/// How many wrongs are told in words.
const WORDS: usize = 40;

/// A time in which something was wrong with the world, from its beginning until all had healed.
#[derive(Clone, Debug)]
struct Trouble {
    label: &'static str,
    began: u64,
    ended: u64,
    /// How much longer a call may take.
    allows: u64,
}

/// The newest version that must be known to a node, and what calls that began after that must get.
#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    version: u64,
    after: u64,
}

/// What is known of one node.
struct Side {
    /// For each subject, when the last call began that got a version.
    seen: Vec<BTreeMap<u64, u64>>,
    floors: Vec<Floor>,
    /// The last stalls, with the time they were reported at.
    stalls: VecDeque<(u64, u64)>,
    last: Report,
    reported: bool,
}

/// What a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// All it waits for: the store, other loads.
    pub(super) waits: Duration,
    /// What the machine may take: everything runs side by side.
    pub(super) scheduling: Duration,
}

/// The referee of one soak.
pub(super) struct Referee {
    bound: u64,
    patience: Patience,
    sides: Vec<Side>,
    acks: VecDeque<(usize, Ack)>,
    troubles: Vec<Trouble>,
    figures: BTreeMap<&'static str, Figures>,
    load: u64,
    wrongs: Vec<String>,
    stale: u64,
    failures: u64,
    late: u64,
    others: u64,
}

/// The label of times without any trouble.
pub(super) const HEALTH: &str = "health";

impl Referee {
    /// For so many nodes, none of which may be behind for longer than the bound.
    pub(super) fn new(nodes: usize, bound: Duration, patience: Patience) -> Self {
        let side = |_| Side {
            seen: vec![BTreeMap::new(); SUBJECTS],
            floors: vec![Floor::default(); SUBJECTS],
            stalls: VecDeque::new(),
            last: Report::default(),
            reported: false,
        };
        Self {
            bound: nanos(bound),
            patience,
            sides: (0..nodes).map(side).collect(),
            acks: VecDeque::new(),
            troubles: Vec::new(),
            figures: BTreeMap::new(),
            load: 0,
            wrongs: Vec::new(),
            stale: 0,
            failures: 0,
            late: 0,
            others: 0,
        }
    }

    /// Something is wrong with the world from here on.
    pub(super) fn trouble(&mut self, label: &'static str, began: u64, allows: Duration) {
        self.troubles.push(Trouble {
            label,
            began,
            ended: u64::MAX,
            allows: nanos(allows),
        });
        self.figures.entry(label).or_default().times += 1;
    }

    /// All is well again.
    pub(super) fn healed(&mut self, ended: u64, after: Duration) {
        // Waited for once more at the end, when there is none left.
        let open = |trouble: &&mut Trouble| trouble.ended == u64::MAX;
        if let Some(trouble) = self.troubles.last_mut().filter(open) {
            trouble.ended = ended;
            let figures = self.figures.entry(trouble.label).or_default();
            figures.healing = figures.healing.max(nanos(after));
        }
    }

    /// Whether every node has said, in a report made after this time, that all is well with it.
    pub(super) fn healthy_since(&self, time: u64) -> bool {
        self.sides
            .iter()
            .all(|side| side.last.at > time && side.last.healthy)
    }

    /// Whether some writer still writes.
    pub(super) fn writing(&self) -> bool {
        self.sides.iter().any(|side| side.last.writing)
    }

    /// What is wrong so far.
    pub(super) fn wrongs(&self) -> &[String] {
        &self.wrongs
    }

    /// Something else is wrong, which others have found.
    pub(super) fn blame(&mut self, wrong: String) {
        self.others += 1;
        self.say(wrong);
    }

    fn say(&mut self, wrong: String) {
        if self.wrongs.len() < WORDS {
            self.wrongs.push(wrong);
        }
    }

    /// How many stale reads, failed calls, late calls and other wrongs there were.
    pub(super) fn counts(&self) -> (u64, u64, u64, u64) {
        (self.stale, self.failures, self.late, self.others)
    }

    /// The figures by trouble.
    pub(super) fn figures(&self) -> &BTreeMap<&'static str, Figures> {
        &self.figures
    }

    /// The longest the functions themselves took.
    pub(super) fn longest_load(&self) -> Duration {
        Duration::from_nanos(self.load)
    }

    /// What troubled the world at some point from one time to another; the last of it.
    fn label(&self, from: u64, to: u64) -> &'static str {
        self.trouble_between(from, to)
            .map_or(HEALTH, |trouble| trouble.label)
    }

    fn trouble_between(&self, from: u64, to: u64) -> Option<&Trouble> {
        let met = |trouble: &&Trouble| trouble.began <= to && from <= trouble.ended;
        self.troubles.iter().rev().find(met)
    }

    /// Takes a report.
    pub(super) fn take(&mut self, node: usize, mut report: Report) {
        for seen in std::mem::take(&mut report.seen) {
            let side = &mut self.sides[node];
            let floor = side.floors[seen.subject.index()];
            if seen.version < floor.version && seen.last > floor.after {
                self.stale += 1;
                let late = Duration::from_nanos(seen.last - floor.after);
                self.say(format!(
                    "node {node} got version {} of {:?}, {late:?} after it had to know version {}",
                    seen.version, seen.subject, floor.version
                ));
            }
            let side = &mut self.sides[node];
            let last = side.seen[seen.subject.index()]
                .entry(seen.version)
                .or_default();
            *last = (*last).max(seen.last);
        }
        for ack in std::mem::take(&mut report.acks) {
            self.acks.push_back((node, ack));
        }
        // A node that stood still in mid-load is no measure of what loads take.
        self.load = self.load.max(report.load.saturating_sub(report.stall));
        self.judge_times(node, &report);
        if report.failures > 0 {
            self.failures += report.failures;
            let what = report.failed.join("; ");
            self.say(format!("node {node}: {} failed: {what}", report.failures));
        }
        let before = &self.sides[node].last;
        if report.panics > before.panics {
            let panics = report.panics;
            self.blame(format!("node {node} panicked: {panics} times so far"));
        }
        let (from, before) = (self.sides[node].last.at, self.sides[node].last.clone());
        if self.sides[node].reported {
            let label = self.label(from, report.at);
            let figures = self.figures.entry(label).or_default();
            figures.calls += report.calls;
            figures.local += report.local - before.local;
            figures.shared += report.shared - before.shared;
            figures.coalesced += report.coalesced - before.coalesced;
            figures.missed += report.missed - before.missed;
            let Longest { began, took } = report.longest;
            let label = self.label(began, began + took);
            let figures = self.figures.entry(label).or_default();
            figures.longest = figures.longest.max(took);
        }
        self.sides[node].last = report;
        self.sides[node].reported = true;
        self.settle();
    }

    /// Whether a call took longer than all that it may have waited for.
    fn judge_times(&mut self, node: usize, report: &Report) {
        let side = &mut self.sides[node];
        side.stalls.push_back((report.at, report.stall));
        let longest = report.longest;
        let oldest = report.at.saturating_sub(nanos(WINDOW) * 2);
        side.stalls.retain(|(at, _)| *at > oldest);
        // What the machine did not let the whole process do is no fault of the call.
        let during = side.stalls.iter().filter(|(at, _)| *at > longest.began);
        let stalled: u64 = during.map(|(_, stall)| stall).sum();
        let patience = self.patience;
        let trouble = self.trouble_between(longest.began, longest.began + longest.took);
        let (label, allows) =
            trouble.map_or((HEALTH, 0), |trouble| (trouble.label, trouble.allows));
        // Its own load, and that of another call.
        let loads = self.load * 2;
        let may = nanos(patience.waits + patience.scheduling) + allows + loads + stalled;
        if longest.took > may {
            self.late += 1;
            let took = Duration::from_nanos(longest.took);
            let may = Duration::from_nanos(may);
            self.say(format!(
                "a call on node {node} took {took:?} where {may:?} was allowed ({label})"
            ));
        }
    }

    /// Compares what is old enough that nothing about it can still come.
    fn settle(&mut self) {
        let horizon = self.sides.iter().map(|side| side.last.at).min();
        let horizon = horizon.unwrap_or(0).saturating_sub(nanos(WINDOW));
        self.settle_before(horizon);
    }

    /// Compares all that is left: every node has made its last report.
    pub(super) fn finish(&mut self) {
        self.settle_before(u64::MAX);
    }

    fn settle_before(&mut self, horizon: u64) {
        let (settled, left): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.acks)
            .into_iter()
            .partition(|(_, ack)| ack.at < horizon);
        self.acks = left;
        for (node, ack) in &settled {
            self.judge(*node, ack);
        }
        for side in &mut self.sides {
            for seen in &mut side.seen {
                // What was last seen before an invalidation does not tell anything about it.
                seen.retain(|_, last| *last >= horizon);
            }
        }
    }

    /// One invalidation against everything that calls got: on its own node it holds at once, on the
    /// others within the bound, if it was applied.
    fn judge(&mut self, issuer: usize, ack: &Ack) {
        let mut behind = 0;
        let mut wrongs = Vec::new();
        for (node, side) in self.sides.iter_mut().enumerate() {
            let after = match (node == issuer, ack.outcome) {
                (true, _) => ack.at,
                (false, Outcome::Queued) => continue,
                (false, Outcome::Applied | Outcome::Replayed) => ack.at + self.bound,
            };
            for &(subject, version) in &ack.targets {
                let floor = &mut side.floors[subject.index()];
                if version > floor.version {
                    *floor = Floor { version, after };
                }
                for (&got, &last) in side.seen[subject.index()].range(..version) {
                    if last > after {
                        wrongs.push((node, subject, got, version, last));
                    }
                    if node != issuer {
                        behind = behind.max(last.saturating_sub(ack.at));
                    }
                }
            }
        }
        for (node, subject, got, version, last) in wrongs {
            self.stale += 1;
            let late = Duration::from_nanos(last - ack.at);
            let label = self.label(ack.at, last);
            self.say(told(
                node,
                subject,
                got,
                version,
                late,
                (issuer, ack),
                label,
            ));
        }
        let label = self.label(ack.at, ack.at.saturating_add(behind));
        let figures = self.figures.entry(label).or_default();
        match ack.outcome {
            Outcome::Applied => figures.applied(behind),
            Outcome::Queued => figures.queued += 1,
            Outcome::Replayed => figures.replayed(behind),
        }
    }
}

fn told(
    node: usize,
    subject: Subject,
    got: u64,
    version: u64,
    late: Duration,
    (issuer, ack): (usize, &Ack),
    label: &str,
) -> String {
    let function = if subject.is_row() { "row" } else { "brief" };
    format!(
        "node {node} got version {got} of {function}({}) in a call that began {late:?} after node \
         {issuer} had invalidated all before {version} by {} ({:?} at {}; {label})",
        subject.id(),
        ack.how,
        ack.outcome,
        ack.at,
    )
}

#[cfg(test)]
#[path = "referee_tests.rs"]
mod tests;
