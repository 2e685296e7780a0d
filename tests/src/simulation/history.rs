//! What happened in a run, and the checker of DESIGN 3 over it. It judges as the run goes on: for
//! each node and key it knows the oldest version a call that starts now may return.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::executor::Executor;
use super::keys::{KEYS, SimKey, Target, ended_by};
use super::server::Conn;
use super::store::HEARTBEAT;

/// How far a node's stream had come when something happened on the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The node.
    pub(super) node: usize,
    /// Its data connection.
    pub(super) conn: Conn,
    /// The last message that had been sent over it.
    pub(super) message: u64,
}

/// A rule of DESIGN 3, broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: &'static str,
    /// How.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}

/// The oldest version a call that starts now may return, and since when that is so.
#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    version: u64,
    since: Duration,
    /// The node that invalidated, where this is its own.
    own: Option<usize>,
}

#[derive(Debug)]
struct Fence {
    conn: Conn,
    message: u64,
    until: Duration,
    floors: Vec<(SimKey, Floor)>,
}

#[derive(Debug)]
struct Node {
    floors: [Floor; KEYS],
    /// Whether what happens on the server concerns it.
    shares: bool,
    /// The connection whose events it trusts.
    trusted: Option<Conn>,
    pending: Vec<Fence>,
    /// When something last happened to a key that lets a second load begin.
    stirred: [u64; KEYS],
}

impl Node {
    fn raise(&mut self, key: SimKey, floor: Floor) {
        let current = &mut self.floors[key.0];
        if floor.version > current.version {
            *current = floor;
        } else if floor.version == current.version && floor.own.is_some() {
            // It was known before it was told.
            current.own = floor.own;
        }
    }

    fn settle(&mut self, settled: impl Fn(&Fence) -> bool) {
        let settled: Vec<Fence> = self
            .pending
            .extract_if(.., |fence| settled(fence))
            .collect();
        for (key, floor) in settled.into_iter().flat_map(|fence| fence.floors) {
            self.raise(key, floor);
        }
    }
}

#[derive(Debug)]
struct Load {
    key: SimKey,
    /// What it returned.
    version: Option<u64>,
    /// Where it is a put: the node, and from when until when it was under way.
    put: Option<(usize, Duration, Duration)>,
}

#[derive(Debug)]
struct Call {
    node: usize,
    key: SimKey,
    what: &'static str,
    began: Duration,
    /// In the order of events.
    number: u64,
    floor: Floor,
    /// How long its own loads took.
    loading: Duration,
    panicked: bool,
}

/// A load under way.
#[derive(Debug)]
struct Active {
    node: usize,
    key: SimKey,
    began: u64,
}

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
    /// Whether no fault, no error and no cancellation excuses a second load of a key.
    pub(super) single: bool,
}

#[derive(Debug)]
struct State {
    log: Vec<String>,
    violation: Option<Violation>,
    events: u64,
    database: [u64; KEYS],
    /// What is older is void on the server, since then.
    void: [(u64, Duration); KEYS],
    nodes: BTreeMap<usize, Node>,
    loads: Vec<Load>,
    calls: BTreeMap<u64, Call>,
    active: BTreeMap<u64, Active>,
    promises: Promises,
}

/// The history of a run.
pub(super) struct History {
    executor: Arc<Executor>,
    recording: bool,
    state: Mutex<State>,
}

impl History {
    /// An empty one; `recording` says whether the log is written.
    pub(super) fn new(executor: &Arc<Executor>, recording: bool, promises: Promises) -> Arc<Self> {
        Arc::new(Self {
            executor: Arc::clone(executor),
            recording,
            state: Mutex::new(State {
                log: Vec::new(),
                violation: None,
                events: 0,
                database: [1; KEYS],
                void: [(0, Duration::ZERO); KEYS],
                nodes: BTreeMap::new(),
                loads: Vec::new(),
                calls: BTreeMap::new(),
                active: BTreeMap::new(),
                promises,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the log is written.
    pub(super) fn records(&self) -> bool {
        self.recording
    }

    /// Writes a line into the log.
    pub(super) fn log(&self, line: impl FnOnce() -> String) {
        if self.recording {
            let now = self.executor.now();
            let line = format!("{:>12.6} {}", now.as_secs_f64(), line());
            self.lock().log.push(line);
        }
    }

    /// The log.
    pub(super) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    /// The first violation.
    pub(super) fn violation(&self) -> Option<Violation> {
        self.lock().violation.clone()
    }

    /// A rule is broken.
    pub(super) fn violated(&self, rule: &'static str, text: String) {
        self.log(|| format!("VIOLATION of {rule}: {text}"));
        self.lock()
            .violation
            .get_or_insert(Violation { rule, text });
    }

    /// A node is there; `shares` says whether it has a shared tier.
    pub(super) fn node_starts(&self, node: usize, shares: bool) {
        let mut state = self.lock();
        let floors = state.void.map(|(version, since)| Floor {
            version,
            since,
            own: None,
        });
        state.nodes.insert(
            node,
            Node {
                floors,
                shares,
                trusted: None,
                pending: Vec::new(),
                stirred: [0; KEYS],
            },
        );
    }

    /// A node is gone, with everything it was at.
    pub(super) fn node_ends(&self, node: usize) {
        let mut state = self.lock();
        state.nodes.remove(&node);
        state.calls.retain(|_, call| call.node != node);
        state.active.retain(|_, load| load.node != node);
    }

    /// A node trusts the events of this connection from here on, or of none.
    pub(super) fn trusts(&self, node: usize, conn: Option<Conn>) {
        if let Some(node) = self.lock().nodes.get_mut(&node) {
            node.trusted = conn;
            node.settle(|_| true);
        }
    }

    /// A node has handled so many messages of a connection.
    pub(super) fn reached(&self, node: usize, conn: Conn, message: u64) {
        if let Some(node) = self.lock().nodes.get_mut(&node) {
            node.settle(|fence| fence.conn == conn && fence.message <= message);
        }
    }

    /// A name went away on the server: whatever was loaded before is void. Nodes that trust the
    /// events they get know it once they have handled what was sent until now, and after the bound
    /// B in any case; the others at once.
    pub(super) fn void(&self, name: &str, positions: &[Position]) {
        let now = self.executor.now();
        let mut state = self.lock();
        let State {
            nodes,
            database,
            void,
            ..
        } = &mut *state;
        let keys = ended_by(name);
        for key in &keys {
            void[key.0] = (database[key.0], now);
        }
        for (number, node) in nodes.iter_mut().filter(|(_, node)| node.shares) {
            let floors = keys.iter().map(|key| {
                let floor = Floor {
                    version: database[key.0],
                    since: now,
                    own: None,
                };
                (*key, floor)
            });
            let position = positions
                .iter()
                .find(|position| position.node == *number && Some(position.conn) == node.trusted);
            match position {
                Some(position) => node.pending.push(Fence {
                    conn: position.conn,
                    message: position.message,
                    until: now + 2 * HEARTBEAT,
                    floors: floors.collect(),
                }),
                None => floors.for_each(|(key, floor)| node.raise(key, floor)),
            }
        }
        drop(state);
        self.stir(&keys);
    }

    /// Something happened to these keys that lets a second load begin.
    pub(super) fn stir(&self, keys: &[SimKey]) {
        let mut state = self.lock();
        state.events += 1;
        let now = state.events;
        for node in state.nodes.values_mut() {
            for key in keys {
                node.stirred[key.0] = now;
            }
        }
    }

    /// A write of these keys to the database.
    pub(super) fn write(&self, target: Target) {
        let keys: Vec<SimKey> = target.keys().collect();
        {
            let mut state = self.lock();
            for key in &keys {
                state.database[key.0] += 1;
            }
        }
        self.stir(&keys);
        self.log(|| format!("database: {target:?} is written"));
    }

    /// The version of a key in the database.
    pub(super) fn version(&self, key: SimKey) -> u64 {
        self.lock().database[key.0]
    }

    /// The versions of the keys that an invalidation concerns, when it is asked for.
    pub(super) fn invalidation_begins(&self, node: usize, target: Target) -> Vec<(SimKey, u64)> {
        self.log(|| format!("node {node}: invalidates {target:?}"));
        let keys: Vec<SimKey> = target.keys().collect();
        self.stir(&keys);
        let state = self.lock();
        keys.iter()
            .map(|key| (*key, state.database[key.0]))
            .collect()
    }

    /// An invalidation has returned: on its own node it holds at once, and where it was applied, on
    /// the others within the bound.
    pub(super) fn invalidation_ends(&self, node: usize, begun: &[(SimKey, u64)], applied: bool) {
        self.log(|| format!("node {node}: has invalidated, applied: {applied}"));
        let keys: Vec<SimKey> = begun.iter().map(|(key, _)| *key).collect();
        self.stir(&keys);
        let now = self.executor.now();
        let mut state = self.lock();
        for (number, other) in &mut state.nodes {
            let own = *number == node;
            let floors = begun.iter().map(|(key, version)| {
                let floor = Floor {
                    version: *version,
                    since: now,
                    own: own.then_some(node),
                };
                (*key, floor)
            });
            if own || (applied && other.trusted.is_none()) {
                floors.for_each(|(key, floor)| other.raise(key, floor));
            } else if applied {
                other.pending.push(Fence {
                    conn: usize::MAX,
                    message: u64::MAX,
                    until: now + 2 * HEARTBEAT,
                    floors: floors.collect(),
                });
            }
        }
    }

    /// A call begins; names it.
    pub(super) fn call_begins(&self, node: usize, key: SimKey, what: &'static str) -> u64 {
        let now = self.executor.now();
        let mut state = self.lock();
        state.events += 1;
        let number = state.events;
        let floor = match state.nodes.get_mut(&node) {
            Some(node) => {
                // The bound B, and a moment for the heartbeat's own timer.
                node.settle(|fence| fence.until + Duration::from_millis(1) < now);
                node.floors[key.0]
            }
            None => Floor::default(),
        };
        let call = Call {
            node,
            key,
            what,
            began: now,
            number,
            floor,
            loading: Duration::ZERO,
            panicked: false,
        };
        state.calls.insert(number, call);
        drop(state);
        self.log(|| {
            format!(
                "node {node}: call {number}: {what} {key:?}, at least version {}",
                floor.version
            )
        });
        if what != "call" && what != "peek" {
            self.stir(&[key]);
        }
        number
    }

    /// A call has ended.
    pub(super) fn call_ends(&self, call: u64, came: Came) {
        self.log(|| format!("call {call}: {came:?}"));
        let mut broken = None;
        {
            let now = self.executor.now();
            let mut state = self.lock();
            let Some(ended) = state.calls.remove(&call) else {
                return;
            };
            if ended.what == "put"
                && let Some(load) = state.loads.iter_mut().rev().find(|load| {
                    load.key == ended.key
                        && load.put.is_some_and(|(node, began, _)| {
                            (node, began) == (ended.node, ended.began)
                        })
                })
            {
                load.put = Some((ended.node, ended.began, now));
            }
            let took = now
                .saturating_sub(ended.began)
                .saturating_sub(ended.loading);
            if took > state.promises.waits {
                broken = Some((
                    "invariant 5, waits are bounded",
                    format!("{} took {took:?} besides its own load", ended.what),
                ));
            }
            match came {
                Came::Value(key, version, load) => {
                    if let Some(wrong) = state.judge(&ended, key, version, load) {
                        broken = Some(wrong);
                    }
                }
                Came::Failed(of) if of != call => {
                    broken = Some((
                        "invariant 2, results are not changed",
                        format!("call {call} got the error of call {of}"),
                    ));
                }
                Came::Panicked if !ended.panicked => {
                    broken = Some((
                        "invariant 2, results are not changed",
                        format!("call {call} panicked and its body did not"),
                    ));
                }
                Came::Failed(_) | Came::Panicked | Came::Nothing => {}
            }
        }
        if let Some((rule, text)) = broken {
            self.violated(rule, text);
        }
    }

    /// A load begins, or a put; names it.
    pub(super) fn load_begins(&self, call: u64, key: SimKey, put: bool) -> u64 {
        let now = self.executor.now();
        let mut broken = None;
        let load = {
            let mut state = self.lock();
            state.events += 1;
            let number = state.events;
            let put = put.then(|| {
                let node = state.calls.get(&call).map_or(0, |call| call.node);
                (node, now, Duration::MAX)
            });
            let is_put = put.is_some();
            state.loads.push(Load {
                key,
                version: None,
                put,
            });
            let load = state.loads.len() as u64 - 1;
            if !is_put && let Some(call) = state.calls.get(&call) {
                let (node, of_call) = (call.node, call.number);
                let stirred = state.nodes.get(&node).map_or(0, |node| node.stirred[key.0]);
                let other = state.active.values().find(|active| {
                    active.node == node && active.key == key && active.began > stirred
                });
                if state.promises.single && other.is_some() {
                    broken = Some(format!(
                        "call {of_call} loads {key:?}, which is being loaded"
                    ));
                }
                let active = Active {
                    node,
                    key,
                    // From when on it could have been joined.
                    began: of_call.min(number),
                };
                state.active.insert(load, active);
            }
            load
        };
        self.log(|| format!("call {call}: load {load} begins"));
        if let Some(text) = broken {
            self.violated("invariant 4, one load per key", text);
        }
        load
    }

    /// A load has ended, or was dropped.
    pub(super) fn load_ends(&self, call: u64, load: u64, began: Duration, came: Came) {
        self.log(|| format!("call {call}: load {load} ends: {came:?}"));
        let now = self.executor.now();
        let mut state = self.lock();
        let ended = state.active.remove(&load);
        if let Some(call) = state.calls.get_mut(&call) {
            call.loading += now.saturating_sub(began);
            call.panicked |= matches!(came, Came::Panicked);
        }
        if let (Came::Value(_, version, _), Ok(at)) = (came, usize::try_from(load)) {
            state.loads[at].version = Some(version);
        }
        let failed = !matches!(came, Came::Value(..));
        drop(state);
        if let (true, Some(ended)) = (failed, ended) {
            self.stir(&[ended.key]);
        }
    }

    /// Calls that have not ended.
    pub(super) fn unfinished(&self) -> Vec<String> {
        let state = self.lock();
        let text = |call: &Call| {
            format!(
                "{} of {:?} on node {} since {:?}",
                call.what, call.key, call.node, call.began
            )
        };
        state.calls.values().map(text).collect()
    }
}

impl State {
    fn judge(
        &self,
        call: &Call,
        key: SimKey,
        version: u64,
        load: u64,
    ) -> Option<(&'static str, String)> {
        if key != call.key {
            let text = format!("{:?} was asked for, {key:?} returned", call.key);
            return Some(("invariant 3, values belong to their call", text));
        }
        let of = usize::try_from(load).ok().and_then(|at| self.loads.get(at));
        let Some(of) = of.filter(|of| of.key == key && of.version == Some(version)) else {
            let text = format!("{key:?} version {version} of load {load} was never loaded");
            return Some(("invariant 2, results are not changed", text));
        };
        let floor = call.floor;
        // A put counts as a load that began at its call; but what another node invalidates between
        // the call and the moment its lease is granted, nobody can tell it.
        let excused = of.put.is_some_and(|(node, began, ended)| {
            floor.own != Some(node) && (began..=ended).contains(&floor.since)
        });
        (version < floor.version && !excused).then(|| {
            (
                "invariant 1, no stale value",
                format!(
                    "{} on node {} that began at {:?} returned {key:?} version {version}, but \
                     version {} was made known there at {:?}",
                    call.what, call.node, call.began, floor.version, floor.since
                ),
            )
        })
    }
}
