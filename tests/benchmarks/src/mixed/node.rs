//! One process: tasks that draw an item each, and read it, or write and invalidate it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::contestants::truth;
use super::{Contestant, ITEMS, NODES, Truth};
use crate::streams::{Random, Zipf};
use crate::{Result, loads};

/// How many tasks make calls in each process.
const TASKS: u64 = 32;
/// The part of the calls that write.
const WRITES: f64 = 0.05;
/// What ours promises: a stale read so long after the acknowledgement is none that was merely on its way.
const BOUND: Duration = Duration::from_secs(2);

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub contestant: usize,
    pub node: u64,
    pub url: String,
    pub folder: PathBuf,
    /// How long it makes calls before they count.
    pub warm: Duration,
    /// And then.
    pub span: Duration,
}

/// What it did while it counted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    pub calls: u64,
    pub reads: u64,
    pub loads: u64,
    /// Reads that got an older version than one whose invalidation had been acknowledged before.
    pub stale: u64,
    /// Those that began more than two seconds after that.
    pub late: u64,
    /// Calls that failed, and invalidations that were not acknowledged.
    pub failed: u64,
}

#[derive(Default)]
struct Counters {
    counting: AtomicBool,
    stopped: AtomicBool,
    calls: AtomicU64,
    reads: AtomicU64,
    stale: AtomicU64,
    late: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    fn add(&self, counter: &AtomicU64) {
        if self.counting.load(Ordering::Relaxed) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Does what the plan says.
///
/// # Errors
///
/// When Redis can't be reached, or the files can't.
pub async fn run(plan: Plan) -> Result<Tally> {
    let contestant =
        Contestant::connected(plan.contestant, &plan.url, Truth::open(&plan.folder)?).await?;
    let contestant = Arc::new(contestant);
    let zipf = Arc::new(Zipf::new(ITEMS, 0.99));
    let counters = Arc::new(Counters::default());
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let random = Random::new(plan.node * TASKS + task);
        tasks.spawn(calls(
            plan.node,
            random,
            zipf.clone(),
            contestant.clone(),
            counters.clone(),
        ));
    }
    sleep(plan.warm).await;
    let before = loads();
    counters.counting.store(true, Ordering::Relaxed);
    sleep(plan.span).await;
    counters.counting.store(false, Ordering::Relaxed);
    let loads = loads() - before;
    counters.stopped.store(true, Ordering::Relaxed);
    for ended in tasks.join_all().await {
        ended?;
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Tally {
        calls: count(&counters.calls),
        reads: count(&counters.reads),
        loads,
        stale: count(&counters.stale),
        late: count(&counters.late),
        failed: count(&counters.failed),
    })
}

async fn calls(
    node: u64,
    mut random: Random,
    zipf: Arc<Zipf>,
    contestant: Arc<Contestant>,
    counters: Arc<Counters>,
) -> Result<()> {
    while !counters.stopped.load(Ordering::Relaxed) {
        let id = zipf.draw(&mut random);
        if random.part() < WRITES {
            // The next item that is this process's to write.
            let id = (id - id % NODES + node).min(u64::from(ITEMS) - NODES + node);
            write(id, &contestant, &counters).await?;
        } else {
            read(id, &contestant, &counters).await?;
            counters.add(&counters.reads);
        }
        counters.add(&counters.calls);
    }
    Ok(())
}

async fn read(id: u64, contestant: &Contestant, counters: &Counters) -> Result<()> {
    let (floor, since) = (truth().acknowledged(id)?, truth().since(id)?);
    match (contestant.read)(id).await {
        Ok(version) if version < floor => {
            counters.add(&counters.stale);
            if since > BOUND {
                counters.add(&counters.late);
            }
        }
        Ok(_) => {}
        Err(_) => counters.add(&counters.failed),
    }
    Ok(())
}

async fn write(id: u64, contestant: &Contestant, counters: &Counters) -> Result<()> {
    let version = truth().write(id)?;
    match (contestant.invalidate)(id).await {
        Ok(true) => truth().acknowledge(id, version)?,
        Ok(false) | Err(_) => counters.add(&counters.failed),
    }
    Ok(())
}
