//! Three nodes, one Redis, and an oracle that knows which version may still be served: invariant 1, on
//! chance. `STRESS_SECONDS` makes it longer, and its figures better.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_core::{Cache, Env, Invalidation, cached};
use cache_redis::RedisStore;
use cache_tests::server::{RedisServer, until};

const NODES: usize = 3;
const IDS: u64 = 6;
const BOUND: Duration = Duration::from_millis(500);

/// What is true, and since when it must be told.
struct Oracle {
    began: Instant,
    /// The version of each id, as a database has it.
    versions: Vec<AtomicU64>,
    /// For each node and id: the version that the node itself has invalidated everything before.
    own: Vec<Vec<AtomicU64>>,
    /// For each id: versions and when an invalidation of everything before them was acknowledged.
    acknowledged: Vec<Mutex<Vec<Acknowledged>>>,
}

struct Acknowledged {
    version: u64,
    at: Duration,
    /// For each node: how long after that the last call began that got an older version.
    late: [Duration; NODES],
}

impl Oracle {
    fn new() -> Self {
        let numbers = || (0..IDS).map(|_| AtomicU64::new(1)).collect();
        Self {
            began: Instant::now(),
            versions: numbers(),
            own: (0..NODES)
                .map(|_| (0..IDS).map(|_| AtomicU64::new(0)).collect())
                .collect(),
            acknowledged: (0..IDS).map(|_| Mutex::default()).collect(),
        }
    }

    fn version(&self, id: u64) -> &AtomicU64 {
        &self.versions[usize::try_from(id).unwrap()]
    }

    fn own(&self, node: usize, id: u64) -> &AtomicU64 {
        &self.own[node][usize::try_from(id).unwrap()]
    }

    fn acknowledged(&self, id: u64) -> &Mutex<Vec<Acknowledged>> {
        &self.acknowledged[usize::try_from(id).unwrap()]
    }

    /// An invalidation of everything before this version was acknowledged just now.
    fn acknowledge(&self, node: usize, id: u64, version: u64, outcome: Invalidation) {
        self.own(node, id).fetch_max(version, Ordering::SeqCst);
        if outcome == Invalidation::Applied {
            let at = self.began.elapsed();
            self.acknowledged(id).lock().unwrap().push(Acknowledged {
                version,
                at,
                late: [Duration::ZERO; NODES],
            });
        }
    }

    /// A call got this version that began then.
    fn got(&self, node: usize, id: u64, version: u64, began: Duration) {
        let mut acknowledged = self.acknowledged(id).lock().unwrap();
        for newer in acknowledged.iter_mut().rev() {
            if newer.at + Duration::from_secs(2) < began {
                break;
            }
            if newer.version > version && newer.at < began {
                let late = began.saturating_sub(newer.at);
                newer.late[node] = newer.late[node].max(late);
            }
        }
        // Whatever was acknowledged longer ago must be known.
        let oldest = acknowledged
            .iter()
            .filter(|newer| newer.version > version && newer.at + BOUND < began)
            .map(|newer| (newer.version, began.saturating_sub(newer.at)))
            .next();
        assert_eq!(oldest, None, "node {node} got version {version} of {id}");
    }
}

#[cached(kind = "versioned", ttl = "2s", tags("item:{id}"), skip(oracle))]
async fn versioned(oracle: &Oracle, id: u64) -> u64 {
    let version = oracle.version(id).load(Ordering::SeqCst);
    // Now and then a load is slow, so that much happens meanwhile.
    if Env::system().draw().is_multiple_of(16) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    version
}

struct Figures {
    calls: u64,
    invalidations: u64,
    queued: u64,
}

async fn reader(node: Cache, number: usize, oracle: Arc<Oracle>, ends: Instant) -> Figures {
    let env = Env::system();
    let mut calls = 0;
    while Instant::now() < ends {
        for _ in 0..50 {
            let id = env.draw() % IDS;
            let own = oracle.own(number, id).load(Ordering::SeqCst);
            let began = oracle.began.elapsed();
            let version = node.scope(versioned(&oracle, id)).await;
            assert!(
                version >= own,
                "node {number} got version {version} of {id} after it had invalidated all before {own}"
            );
            oracle.got(number, id, version, began);
            calls += 1;
        }
        tokio::task::yield_now().await;
    }
    Figures {
        calls,
        invalidations: 0,
        queued: 0,
    }
}

async fn writer(node: Cache, number: usize, oracle: Arc<Oracle>, ends: Instant) -> Figures {
    let env = Env::system();
    let mut figures = Figures {
        calls: 0,
        invalidations: 0,
        queued: 0,
    };
    while Instant::now() < ends {
        let id = env.draw() % IDS;
        let version = oracle.version(id).fetch_add(1, Ordering::SeqCst) + 1;
        let outcome = match env.draw() % 8 {
            0 => node.invalidate_kind("versioned").await.unwrap(),
            1..=3 => node.invalidate_key(versioned::key(id).unwrap()).await,
            _ => node.invalidate_tag(&format!("item:{id}")).await.unwrap(),
        };
        oracle.acknowledge(number, id, version, outcome);
        figures.invalidations += 1;
        figures.queued += u64::from(outcome == Invalidation::Queued);
        tokio::time::sleep(Duration::from_millis(env.draw() % 20)).await;
    }
    figures
}

async fn stress(connections: usize, killing: bool) {
    let server = RedisServer::start();
    let nodes: Vec<Cache> = (0..NODES)
        .map(|_| {
            let store = RedisStore::builder(&server.url())
                .unwrap()
                .tracking(true)
                .connections(connections)
                .heartbeat(BOUND / 2, BOUND / 2);
            Cache::builder()
                .namespace("test")
                .shared(store.build().unwrap())
                .try_build()
                .unwrap()
        })
        .collect();
    let seconds = std::env::var("STRESS_SECONDS").map_or(3, |text| text.parse().unwrap());
    let oracle = Arc::new(Oracle::new());
    let ends = Instant::now() + Duration::from_secs(seconds);
    let mut tasks = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        for _ in 0..2 {
            let oracle = oracle.clone();
            tasks.push(tokio::spawn(reader(node.clone(), number, oracle, ends)));
        }
        let oracle = oracle.clone();
        tasks.push(tokio::spawn(writer(node.clone(), number, oracle, ends)));
    }
    while killing && Instant::now() < ends {
        // All of them are well for as long as that each time, however slow the machine is to make them so.
        for node in &nodes {
            until("it is trusted again", async || node.health().trusted).await;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.command::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }
    let (mut calls, mut invalidations, mut queued) = (0, 0, 0);
    for task in tasks {
        let figures = task.await.unwrap();
        calls += figures.calls;
        invalidations += figures.invalidations;
        queued += figures.queued;
    }
    let hits: u64 = nodes
        .iter()
        .map(|node| node.snapshot().kinds["versioned"].hits_local)
        .sum();
    report(
        &oracle,
        &format!("{connections} connections, killing: {killing}"),
    );
    println!(
        "  {calls} calls, {hits} of them local hits; {invalidations} invalidations, {queued} queued"
    );
    // Else nothing was put to the test.
    assert!(hits > calls / 2, "{hits} of {calls}");
    for node in &nodes {
        until("it is trusted at the end", async || {
            node.scope(versioned(&oracle, 0)).await;
            node.health().trusted
        })
        .await;
    }
}

/// How long after an acknowledgement the other nodes still began calls that got an older version.
fn report(oracle: &Oracle, what: &str) {
    let mut delays = Vec::new();
    for acknowledged in &oracle.acknowledged {
        for one in acknowledged.lock().unwrap().iter() {
            delays.push(one.late.into_iter().max().unwrap());
        }
    }
    delays.sort();
    assert!(!delays.is_empty());
    let at = |share: usize| delays[(delays.len() - 1) * share / 1000];
    println!(
        "{what}: of {} applied, the last older value elsewhere after: median {:?}, p99 {:?}, max {:?}",
        delays.len(),
        at(500),
        at(990),
        at(1000)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nobody_gets_what_was_invalidated() {
    stress(1, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nobody_does_with_connections_side_by_side() {
    stress(3, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nobody_does_while_connections_are_lost() {
    stress(2, true).await;
}
