//! What goes wrong, one thing after another, until the work is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::executor::Executor;
use super::network::Network;
use super::nodes::Nodes;
use super::plan::Plan;

/// Strikes now and then, with what the plan weighs in.
pub(super) async fn strike(
    executor: Arc<Executor>,
    network: Arc<Network>,
    nodes: Arc<Nodes>,
    plan: Arc<Plan>,
    left: Arc<AtomicU64>,
) {
    let weights = plan.faults.weights();
    let total: u64 = weights.iter().sum();
    loop {
        let pause = executor.random(|random| random.millis(0..plan.fault_pause));
        executor.sleep(pause).await;
        if left.load(Ordering::Relaxed) == 0 {
            return;
        }
        nodes.check_queues();
        let mut pick = executor.random(|random| random.below(0..total));
        let fault = weights.iter().position(|weight| {
            let hit = pick < *weight;
            pick = pick.saturating_sub(*weight);
            hit
        });
        match fault {
            Some(0) => {
                if let Some(conn) = any(&executor, &network.open()) {
                    network.break_connection(conn);
                }
            }
            Some(1) => {
                let how_long = executor.random(|random| random.millis(50..4_000));
                if let Some(conn) = any(&executor, &network.open()) {
                    network.hang(conn, how_long);
                }
            }
            Some(2) => {
                let back_after = executor.random(|random| random.millis(0..2_000));
                network.restart(back_after);
            }
            Some(3) => network.flush(),
            Some(4) => network.evict(),
            Some(5) => network.forget_scripts(),
            Some(6) => {
                network.read_only(true);
                let how_long = executor.random(|random| random.millis(1..600));
                executor.sleep(how_long).await;
                network.read_only(false);
            }
            _ => {
                let slot = executor.random(|random| random.index(nodes.len()));
                nodes.crash(slot, &left);
            }
        }
    }
}

fn any(executor: &Executor, conns: &[usize]) -> Option<usize> {
    if conns.is_empty() {
        return None;
    }
    Some(conns[executor.random(|random| random.index(conns.len()))])
}
