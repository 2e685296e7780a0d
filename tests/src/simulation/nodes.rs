//! The nodes of a run: each a cache with its store and its clients, each mortal.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cache_core::Cache;

use super::clock::env;
use super::executor::Executor;
use super::guards::Removed;
use super::history::History;
use super::keys::KINDS;
use super::network::Network;
use super::plan::{Mode, Plan};
use super::session::Session;
use super::store::SimStore;
use super::workload::Client;

/// How many invalidations a node keeps at most.
const QUEUE: usize = 10_001;

/// The nodes, by slot. A node that dies is followed by another one, with a number of its own.
pub(super) struct Nodes {
    executor: Arc<Executor>,
    history: Arc<History>,
    network: Arc<Network>,
    plan: Arc<Plan>,
    removed: Removed,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: usize,
    nodes: Vec<Option<Node>>,
}

struct Node {
    number: usize,
    cache: Cache,
}

impl Nodes {
    /// No nodes yet.
    pub(super) fn new(
        executor: &Arc<Executor>,
        history: &Arc<History>,
        network: &Arc<Network>,
        plan: &Arc<Plan>,
        removed: Removed,
    ) -> Arc<Self> {
        Arc::new(Self {
            executor: Arc::clone(executor),
            history: Arc::clone(history),
            network: Arc::clone(network),
            plan: Arc::clone(plan),
            removed,
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a node in a slot, and its clients.
    ///
    /// # Panics
    ///
    /// When a cache cannot be built from the plan, which would be a mistake in it.
    pub(super) fn start(&self, slot: usize, left: &Arc<AtomicU64>) {
        let number = {
            let mut state = self.lock();
            state.last += 1;
            state.last
        };
        let mode = self.plan.modes[slot];
        self.history.node_starts(number, mode);
        self.history
            .log(|| format!("node {number}: starts in slot {slot}"));
        let mut builder = Cache::builder()
            .env(env(&self.executor, number))
            .store_timeout(self.plan.store_timeout)
            .local_trust(self.plan.local_trust);
        for (kind, settings) in KINDS.into_iter().zip(&self.plan.kinds) {
            builder = builder.policy(kind, settings.policy(self.plan.wait));
        }
        if mode != Mode::Embedded {
            let session = Session::new(
                number,
                (mode == Mode::Tracked, self.plan.lanes),
                self.removed,
                &self.executor,
                &self.network,
                &self.history,
            );
            builder = builder.shared(SimStore::new(session, self.plan.remembers));
        }
        let cache = builder.try_build().expect("the plan's settings make sense");
        for _ in 0..self.plan.clients {
            let client = self.client(number, &cache, left);
            self.executor.spawn(number, Box::pin(client.work()));
        }
        let mut state = self.lock();
        if state.nodes.len() <= slot {
            state.nodes.resize_with(slot + 1, || None);
        }
        state.nodes[slot] = Some(Node { number, cache });
    }

    fn client(&self, node: usize, cache: &Cache, left: &Arc<AtomicU64>) -> Client {
        Client {
            executor: Arc::clone(&self.executor),
            history: Arc::clone(&self.history),
            plan: Arc::clone(&self.plan),
            left: Arc::clone(left),
            node,
            cache: cache.clone(),
        }
    }

    /// A client of each node.
    pub(super) fn clients(&self, left: &Arc<AtomicU64>) -> Vec<Client> {
        let state = self.lock();
        let nodes = state.nodes.iter().flatten();
        nodes
            .map(|node| self.client(node.number, &node.cache, left))
            .collect()
    }

    /// The node in a slot dies in the middle of whatever it was at; another takes its place.
    pub(super) fn crash(&self, slot: usize, left: &Arc<AtomicU64>) {
        let Some(node) = self.lock().nodes[slot].take() else {
            return;
        };
        self.history
            .log(|| format!("fault: node {} dies", node.number));
        self.history.node_ends(node.number);
        self.executor.kill(node.number);
        drop(node);
        self.start(slot, left);
    }

    /// What is not in order at a node, now that nothing is wrong around it.
    pub(super) fn trouble(&self) -> Option<String> {
        let state = self.lock();
        state.nodes.iter().flatten().find_map(|node| {
            let health = node.cache.health();
            let trouble = health.shared.is_some() && (!health.usable || health.queued > 0);
            trouble.then(|| format!("node {} does not heal: {health:?}", node.number))
        })
    }

    /// Looks whether queues are bounded.
    pub(super) fn check_queues(&self) {
        let state = self.lock();
        for node in state.nodes.iter().flatten() {
            let queued = node.cache.health().queued;
            if queued > QUEUE {
                let text = format!("node {} keeps {queued} invalidations", node.number);
                self.history
                    .violated("invariant 5, queues are bounded", text);
            }
        }
    }

    /// The number of slots.
    pub(super) fn len(&self) -> usize {
        self.lock().nodes.len()
    }
}
