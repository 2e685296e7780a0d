//! The rules a call's outcome is held against: which version, of which age, after how long.

use std::time::Duration;

use super::floors::{Floor, Node};
use super::keys::{KINDS, SimKey};
use super::settings::Settings;

/// For as long a value whose refresh has failed is served without another attempt.
const REST: Duration = Duration::from_secs(1);
/// Less than this nobody can tell apart: spans in entries are whole milliseconds.
const GRAIN: Duration = Duration::from_millis(2);
/// How much later than it is due a task may run, on a busy machine.
const LATE: Duration = Duration::from_millis(60);

/// A rule that is broken, and how.
pub(super) type Broken = (&'static str, String);

/// What a call came to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Came {
    /// A value, of this key and version, from this load.
    Value(SimKey, u64, u64),
    /// The error of the load of this call.
    Failed(u64),
    /// A body's panic.
    Panicked,
    /// Nothing to be compared.
    Nothing,
}

/// What is expected of calls, in a run's setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promises {
    /// How long a call may take besides its own load.
    pub(super) waits: Duration,
    /// How long a write may be delayed by the store.
    pub(super) store: Duration,
    /// How long a task may take to be run once its answer is there.
    pub(super) heard: Duration,
    /// Whether no fault, no error and no cancellation excuses a second load of a key.
    pub(super) single: bool,
    /// The settings of each kind.
    pub(super) kinds: [Settings; KINDS.len()],
    /// How many data connections a node has.
    pub(super) lanes: usize,
    /// How long a node whose store does not tell trusts what it has confirmed.
    pub(super) local_trust: Duration,
}

/// A load, or a put, or a write whose value is cached.
#[derive(Debug)]
pub(super) struct Load {
    /// What was loaded.
    pub(super) key: SimKey,
    /// What it returned.
    pub(super) version: Option<u64>,
    /// The call whose load it was.
    pub(super) call: u64,
    /// How long it took.
    pub(super) took: Duration,
    /// When it had ended, and when its value was last stored on the server.
    pub(super) born: Duration,
    /// When the stamps were read under which its value is stored on the server, if it is.
    pub(super) stamped: Option<Duration>,
    /// Where it is no load: the node, and from when until when it was under way.
    pub(super) put: Option<(usize, Duration, Duration)>,
    /// Whether it is a write.
    pub(super) write: bool,
}

/// A write under way whose value is to be cached, or given up a moment ago.
#[derive(Debug)]
#[allow(missing_docs)]
pub(super) struct Write {
    pub(super) node: usize,
    pub(super) key: SimKey,
    /// What it has written.
    pub(super) version: Option<u64>,
    /// Until when the store may still be asked about it.
    pub(super) until: Duration,
}

/// A call under way.
#[derive(Debug)]
#[allow(missing_docs)]
pub(super) struct Call {
    pub(super) node: usize,
    pub(super) key: SimKey,
    pub(super) what: &'static str,
    pub(super) began: Duration,
    /// In the order of events.
    pub(super) number: u64,
    /// The oldest version it may return, as a rule and because of an outage.
    pub(super) floors: [Floor; 2],
    /// How long its own loads took.
    pub(super) loading: Duration,
    /// How long those took that were dropped.
    pub(super) dropped: Duration,
    pub(super) panicked: bool,
}

/// A load under way.
#[derive(Debug)]
#[allow(missing_docs)]
pub(super) struct Active {
    pub(super) node: usize,
    pub(super) key: SimKey,
    /// From when on it could have been joined, in the order of events.
    pub(super) began: u64,
    pub(super) since: Duration,
}

impl Active {
    /// Whether a second load of its key may not begin at this time: only a hard timeout frees it.
    pub(super) fn holds(&self, promises: &Promises, now: Duration) -> bool {
        let hard = promises.kinds[self.key.kind()].hard;
        hard.is_none_or(|hard| now < self.since + hard)
    }
}

impl Call {
    /// How long it took, and how it ended.
    pub(super) fn judge_end(
        &self,
        came: Came,
        now: Duration,
        promises: &Promises,
    ) -> Option<Broken> {
        let took = now.saturating_sub(self.began).saturating_sub(self.loading);
        if took > promises.waits {
            let text = format!("{} took {took:?} besides its own load", self.what);
            return Some(("invariant 5, waits are bounded", text));
        }
        if self.what == "update" && took > promises.store + LATE {
            let text = format!("a write was delayed by {took:?}");
            return Some((
                "invariant 2, no write waits longer than for the store",
                text,
            ));
        }
        let hard = promises.kinds[self.key.kind()].hard;
        if let (Came::Value(..), Some(hard)) = (came, hard)
            && self.dropped > hard + LATE
        {
            let text = format!(
                "call {} returned after its load had run for {:?}, with a hard timeout of {hard:?}",
                self.number, self.dropped
            );
            return Some(("invariant 5, waits are bounded", text));
        }
        let text = match came {
            Came::Failed(of) if of != self.number => {
                format!("call {} got the error of call {of}", self.number)
            }
            Came::Panicked if !self.panicked => {
                format!("call {} panicked and its body did not", self.number)
            }
            _ => return None,
        };
        Some(("invariant 2, results are not changed", text))
    }

    /// The value it returned. `of`: the load that is said to have brought it; `outage`: whether the
    /// node served values meanwhile because of an outage.
    pub(super) fn judge_value(
        &self,
        (key, version, of): (SimKey, u64, Option<&Load>),
        outage: bool,
        node: Option<&Node>,
        promises: &Promises,
    ) -> Option<Broken> {
        if key != self.key {
            let text = format!("{:?} was asked for, {key:?} returned", self.key);
            return Some(("invariant 3, values belong to their call", text));
        }
        let Some(of) = of.filter(|of| of.key == key && of.version == Some(version)) else {
            let text = format!("{key:?} version {version} was never loaded so");
            return Some(("invariant 2, results are not changed", text));
        };
        let floor = self.floors[usize::from(outage)];
        // A put counts as a load that began at its call; but what another node invalidates between
        // the call and the moment its lease is granted and its stamps are read, nobody can tell it. A value
        // that was never stored on the server is excused until its put has ended.
        let excused = of.put.is_some_and(|(node, began, ended)| {
            let ended = of.stamped.unwrap_or(ended);
            !of.write && floor.own != Some(node) && (began..=ended).contains(&floor.since)
        });
        if version < floor.version && !excused {
            let text = format!(
                "{} on node {} that began at {:?} returned {key:?} version {version}, but \
                 version {} was made known there at {:?}",
                self.what, self.node, self.began, floor.version, floor.since
            );
            return Some(("invariant 1, no stale value", text));
        }
        let hard = promises.kinds[self.key.kind()].hard;
        if hard.is_some_and(|hard| of.took > hard + LATE) && of.call != self.number {
            let text = format!(
                "call {} got the value of call {}, whose load took {:?}",
                self.number, of.call, of.took
            );
            return Some(("a load past its hard timeout is its caller's alone", text));
        }
        self.judge_age(of, node, promises)
    }

    /// How old the value was when the call began, whatever happened then.
    fn judge_age(&self, of: &Load, node: Option<&Node>, promises: &Promises) -> Option<Broken> {
        let settings = &promises.kinds[self.key.kind()];
        let born = match of.put {
            Some((_, _, ended)) if ended == Duration::MAX => return None,
            Some((_, _, ended)) => of.born.max(ended),
            None => of.born,
        };
        let age = self.began.saturating_sub(born).saturating_sub(GRAIN);
        let past = age.saturating_sub(settings.ttl);
        let text = |why: &str| {
            format!(
                "{} on node {} that began at {:?} returned a value of {:?} that was born at {born:?}, \
                 {why}",
                self.what, self.node, self.began, self.key
            )
        };
        if past > settings.grace() {
            return Some(("values end", text("past its ttl and all grace")));
        }
        let failed = node.and_then(|node| node.failed[self.key.0]);
        let rescued = settings.soft.is_some()
            || settings.hard.is_some()
            || failed.is_some_and(|failed| failed + REST >= self.began);
        (past > settings.while_revalidate && !rescued).then(|| {
            (
                "stale values are for those who may have them",
                text("past what may be served without an error or a timeout"),
            )
        })
    }
}
