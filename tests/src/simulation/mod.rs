//! The seeded simulation of DESIGN 8: several nodes with the engine that production runs, one
//! simulated Redis, a network that delays and breaks, virtual time, and a checker. A seed makes a
//! run, and the same seed the same run.

mod clock;
mod executor;
mod faults;
mod floors;
mod functions;
mod guards;
mod history;
pub mod hunt;
mod judge;
mod keys;
mod network;
mod nodes;
mod plan;
pub(crate) mod random;
mod server;
mod session;
mod settings;
mod store;
mod workload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use executor::{Executor, WORLD};
pub use guards::{Guard, Removed};
use history::History;
pub use history::Violation;
use keys::SimKey;
use network::Network;
use nodes::Nodes;
use plan::Plan;
use random::Random;
use settings::Settings;

/// After so many steps a run is stuck in a circle.
const MOST_STEPS: u64 = 2_000_000;
/// After so much virtual time a run hangs.
const LONGEST: Duration = Duration::from_mins(20);
/// How long everything may take to be in order again once faults have ended: a heartbeat, the
/// longest pause of the breaker's probes, and the way there and back.
const HEALED_WITHIN: Duration = Duration::from_secs(20);

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// What happened, line by line, where that was asked for.
    pub log: Vec<String>,
    /// How many steps it took.
    pub steps: u64,
}

/// Makes the run of a seed, with every guard but `removed`. `recording` says whether the log is
/// kept; it changes nothing else.
#[must_use]
pub fn run(seed: u64, removed: Option<Guard>, recording: bool) -> Outcome {
    // In one order in each process: functions are numbered as they are first seen.
    for key in SimKey::all() {
        let _ = functions::key_of(key);
    }
    let mut random = Random::new(seed);
    let mut plan = Plan::new(&mut random);
    // From a stream of its own: what else a seed makes stays what it was.
    let beside = &mut Random::new(seed ^ 0x000e_15e3_44e4_e000);
    Settings::elsewhere(&mut plan.kinds, beside);
    plan.rush(beside);
    // Drawn from nothing, for the same reason.
    plan.remembers = seed % 2 == 1;
    let plan = Arc::new(plan);
    let executor = Arc::new(Executor::new(random, plan.lag));
    let history = History::new(&executor, recording, &plan.promises());
    history.log(|| format!("{plan:?}"));
    let network = Network::new(
        &executor,
        &history,
        plan.slowness.clone(),
        plan.faults.script_flushes > 3,
    );
    let world = World {
        nodes: Nodes::new(&executor, &history, &network, &plan, Removed(removed)),
        left: Arc::new(AtomicU64::new(plan.operations)),
        done: Arc::new(AtomicBool::new(false)),
        executor: Arc::clone(&executor),
        history: Arc::clone(&history),
        network,
        plan,
    };
    let done = Arc::clone(&world.done);
    #[cfg(feature = "sabotage")]
    let _without = removed.and_then(Guard::in_engine).map(|guard| {
        let executor = Arc::clone(&executor);
        cache_core::sabotage::without(guard, move || executor.meanwhile())
    });
    executor.spawn(WORLD, Box::pin(direct(world)));
    let mut steps = 0;
    while !done.load(Ordering::Relaxed) && history.violation().is_none() {
        let stuck = if !executor.step() {
            Some("nothing will ever happen again")
        } else if executor.now() > LONGEST {
            Some("time goes by and nothing ends")
        } else if steps > MOST_STEPS {
            Some("it goes round in a circle")
        } else {
            None
        };
        if let Some(stuck) = stuck {
            let calls = history.unfinished().join("; ");
            history.violated("invariant 4, nobody hangs", format!("{stuck}: {calls}"));
        }
        steps += 1;
    }
    executor.clear();
    Outcome {
        violation: history.violation(),
        log: history.take_log(),
        steps,
    }
}

/// A run's parts.
struct World {
    executor: Arc<Executor>,
    history: Arc<History>,
    network: Arc<Network>,
    plan: Arc<Plan>,
    nodes: Arc<Nodes>,
    left: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
}

/// Starts everything, ends the faults when the work is done, and looks whether all is in order.
async fn direct(world: World) {
    let World {
        executor,
        history,
        network,
        plan,
        nodes,
        left,
        done,
    } = world;
    for slot in 0..plan.modes.len() {
        nodes.start(slot, &left);
    }
    if plan.has_faults() {
        let faults = faults::strike(
            Arc::clone(&executor),
            Arc::clone(&network),
            Arc::clone(&nodes),
            Arc::clone(&plan),
            Arc::clone(&left),
        );
        executor.spawn(WORLD, Box::pin(faults));
    }
    while left.load(Ordering::Relaxed) > 0 {
        executor.sleep(Duration::from_millis(37)).await;
        network.sweep();
    }
    network.heal();
    while !history.unfinished().is_empty() {
        executor.sleep(Duration::from_millis(37)).await;
        network.sweep();
    }
    let since = executor.now();
    while let Some(trouble) = nodes.trouble() {
        if executor.now() > since + HEALED_WITHIN {
            history.violated("invariant 2, outages end", trouble);
            return;
        }
        executor.sleep(Duration::from_millis(100)).await;
    }
    // Everything that is still on its way arrives; then what was stored in vain would show.
    executor.sleep(Duration::from_millis(500)).await;
    for client in nodes.clients(&left) {
        for key in &plan.keys {
            client.plain_call(*key).await;
        }
    }
    done.store(true, Ordering::Relaxed);
}
