//! What happened in a run, and the checker of DESIGN 3 over it. It judges as the run goes on: for
//! each node and key it knows the oldest version a call that starts now may return (`floors`), and
//! holds what the call comes to against the rules (`judge`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::executor::Executor;
use super::floors::{Floor, Node, Position};
use super::judge::{Active, Call, Came, Load, Promises, Write};
use super::keys::{KEYS, SimKey, Target, beside, ended_by};
use super::plan::Mode;
use super::server::Conn;

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

/// For so long the store may be asked about a write that was given up.
const SETTLED: Duration = Duration::from_millis(700);

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum What {
    Load,
    Put,
    Write,
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
    /// By call.
    writes: BTreeMap<u64, Write>,
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
    pub(super) fn new(executor: &Arc<Executor>, recording: bool, promises: &Promises) -> Arc<Self> {
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
                writes: BTreeMap::new(),
                promises: *promises,
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

    /// A node is there.
    pub(super) fn node_starts(&self, node: usize, mode: Mode) {
        let mut state = self.lock();
        let started = Node::new(mode, &state.void);
        state.nodes.insert(node, started);
    }

    /// A node is gone, with everything it was at.
    pub(super) fn node_ends(&self, node: usize) {
        let mut state = self.lock();
        state.nodes.remove(&node);
        state.calls.retain(|_, call| call.node != node);
        state.active.retain(|_, load| load.node != node);
        state.writes.retain(|_, write| write.node != node);
    }

    /// A node trusts the events of these connections from here on, or of none.
    pub(super) fn trusts(&self, node: usize, conns: Option<Vec<Conn>>) {
        if let Some(node) = self.lock().nodes.get_mut(&node) {
            node.trusts(conns.unwrap_or_default());
        }
    }

    /// The server has lost a connection of a node.
    pub(super) fn loses(&self, node: usize, conn: Conn) {
        let now = self.executor.now();
        if let Some(node) = self.lock().nodes.get_mut(&node) {
            node.loses(conn, now);
        }
    }

    /// A node has handled so many messages of a connection, and among them so many answers.
    pub(super) fn reached(&self, node: usize, conn: Conn, message: u64, answers: u64) {
        let mut state = self.lock();
        let heard = self.executor.now() + state.promises.heard;
        if let Some(node) = state.nodes.get_mut(&node) {
            node.reached(conn, message, answers, heard);
        }
    }

    /// A name went away on the server: whatever was loaded before is void. `updated`: by a write of
    /// that node and key, whose own value is not.
    pub(super) fn void(&self, name: &str, positions: &[Position], updated: Option<(usize, &str)>) {
        let since = self.executor.now();
        let keys = ended_by(name);
        let mut state = self.lock();
        let State {
            nodes,
            database,
            void,
            writes,
            promises,
            ..
        } = &mut *state;
        writes.retain(|_, write| since < write.until);
        for key in &keys {
            let mut version = database[key.0];
            if let Some((node, _)) = updated.filter(|(_, name)| *name == key.name()) {
                let ours = |write: &&Write| write.node == node && write.key == *key;
                let written = writes
                    .values()
                    .filter(ours)
                    .filter_map(|write| write.version);
                version = version.min(written.min().unwrap_or(version));
            }
            void[key.0] = (version, since);
            let floor = Floor {
                version,
                since,
                own: None,
            };
            for node in nodes.values_mut() {
                node.void(*key, floor, positions, promises);
            }
        }
        drop(state);
        self.stir(&keys);
    }

    /// The value of a load has been stored on the server, under stamps that were read at this time.
    pub(super) fn filled(&self, load: u64, stamped: Option<Duration>) {
        let now = self.executor.now();
        let mut state = self.lock();
        if let Some(load) = usize::try_from(load)
            .ok()
            .and_then(|at| state.loads.get_mut(at))
        {
            load.born = now;
            load.stamped = stamped;
        }
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

    /// A write whose value is to be cached has reached the database; which version that is, and the
    /// versions of everything that carries one of its tags.
    pub(super) fn write_one(&self, call: u64, key: SimKey) -> (u64, Vec<(SimKey, u64)>) {
        self.write(Target::Key(key));
        let mut state = self.lock();
        let version = state.database[key.0];
        if let Some(write) = state.writes.get_mut(&call) {
            write.version = Some(version);
        }
        let ends = beside(key).map(|key| (key, state.database[key.0]));
        (version, ends.collect())
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
        let State {
            nodes, promises, ..
        } = &mut *state;
        for (number, other) in nodes {
            let own = *number == node;
            for (key, version) in begun {
                let floor = Floor {
                    version: *version,
                    since: now,
                    own: own.then_some(node),
                };
                if own {
                    other.knows(*key, floor);
                } else if applied {
                    other.hears(*key, floor, promises);
                }
            }
        }
    }

    /// A write was given up after it may have reached the database: its node invalidates in the
    /// background.
    pub(super) fn write_given_up(&self, node: usize, begun: &[(SimKey, u64)]) {
        let now = self.executor.now();
        let mut state = self.lock();
        let Some(of) = state.nodes.get_mut(&node) else {
            return;
        };
        for (key, version) in begun {
            let floor = Floor {
                version: *version,
                since: now,
                own: Some(node),
            };
            of.will_know(*key, floor, SETTLED);
        }
    }

    /// A call begins; names it.
    pub(super) fn call_begins(&self, node: usize, key: SimKey, what: &'static str) -> u64 {
        let now = self.executor.now();
        let mut state = self.lock();
        state.events += 1;
        let number = state.events;
        let floors = match state.nodes.get_mut(&node) {
            Some(node) => node.floors(key, now),
            None => <[Floor; 2]>::default(),
        };
        let floor = floors[0];
        let call = Call {
            node,
            key,
            what,
            began: now,
            number,
            floors,
            loading: Duration::ZERO,
            dropped: Duration::ZERO,
            panicked: false,
        };
        state.calls.insert(number, call);
        if what == "update" {
            let write = Write {
                node,
                key,
                version: None,
                until: Duration::MAX,
            };
            state.writes.insert(number, write);
        }
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

    /// A call has ended; `outage` says whether its node served values meanwhile that it could not
    /// check.
    pub(super) fn call_ends(&self, call: u64, came: Came, outage: bool) {
        self.log(|| format!("call {call}: {came:?}"));
        let mut broken;
        {
            let now = self.executor.now();
            let mut state = self.lock();
            let Some(ended) = state.calls.remove(&call) else {
                return;
            };
            let mut settled = now;
            if matches!(came, Came::Nothing | Came::Panicked)
                && let Some(write) = state.writes.get_mut(&call)
            {
                // The store is still being asked.
                settled += SETTLED;
                write.until = settled;
            } else {
                state.writes.remove(&call);
            }
            if let Some((_, _, until)) = state
                .loads
                .iter_mut()
                .rev()
                .filter(|load| load.call == call)
                .find_map(|load| load.put.as_mut())
            {
                *until = settled;
            }
            let promises = &state.promises;
            broken = ended.judge_end(came, now, promises);
            if let (None, Came::Value(key, version, load)) = (&broken, came) {
                let load = usize::try_from(load).ok();
                let load = load.and_then(|at| state.loads.get(at));
                let node = state.nodes.get(&ended.node);
                broken = ended.judge_value((key, version, load), outage, node, promises);
            }
        }
        if let Some((rule, text)) = broken {
            self.violated(rule, text);
        }
    }

    /// A load begins, or a put, or a write; names it.
    pub(super) fn load_begins(&self, call: u64, key: SimKey, what: What) -> u64 {
        let now = self.executor.now();
        let mut broken = None;
        let load = {
            let mut state = self.lock();
            state.events += 1;
            let number = state.events;
            let put = (what != What::Load).then(|| {
                let node = state.calls.get(&call).map_or(0, |call| call.node);
                (node, now, Duration::MAX)
            });
            let is_put = put.is_some();
            state.loads.push(Load {
                key,
                version: None,
                call,
                took: Duration::ZERO,
                born: now,
                stamped: None,
                put,
                write: what == What::Write,
            });
            let load = state.loads.len() as u64 - 1;
            if !is_put && let Some(call) = state.calls.get(&call) {
                let (node, of_call) = (call.node, call.number);
                let stirred = state.nodes.get(&node).map_or(0, |node| node.stirred[key.0]);
                let other = state.active.values().find(|active| {
                    active.node == node
                        && active.key == key
                        && active.began > stirred
                        && active.holds(&state.promises, now)
                });
                // What calls while its key is being written here does not wait for that, and stores
                // nothing.
                let written = state.writes.values().any(|write| {
                    write.node == node && now < write.until && beside(write.key).any(|it| it == key)
                });
                if state.promises.single && other.is_some() && !written {
                    broken = Some(format!(
                        "call {of_call} loads {key:?}, which is being loaded"
                    ));
                }
                let active = Active {
                    node,
                    key,
                    began: of_call.min(number),
                    since: now,
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
            let took = now.saturating_sub(began);
            call.loading += took;
            if matches!(came, Came::Nothing) {
                call.dropped = call.dropped.max(took);
            }
            call.panicked |= matches!(came, Came::Panicked);
        }
        if let (Came::Value(_, version, _), Ok(at)) = (came, usize::try_from(load)) {
            state.loads[at].version = Some(version);
            state.loads[at].born = now;
            if state.loads[at].put.is_none() {
                state.loads[at].took = now.saturating_sub(began);
            }
        }
        let failed = !matches!(came, Came::Value(..));
        if let (Came::Failed(_), Some(ended)) = (came, &ended)
            && let Some(node) = state.nodes.get_mut(&ended.node)
        {
            node.failed[ended.key.0] = Some(now);
        }
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
