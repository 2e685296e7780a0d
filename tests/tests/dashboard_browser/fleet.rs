//! A fleet with a past: figures that nodes have reported over an hour, as those of a service that plans
//! shifts would look, with a deployment, a restart of the store, and a node that was killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::metrics::{Node, NodeId, Report};
use cache_core::store::{Attachment, BoxFuture, Event, Observer, Store};
use cache_core::{Clock, Env, KindSnapshot, Snapshot, SystemClock};

/// The machine's clock, some seconds behind.
#[derive(Clone, Default)]
struct Behind(Arc<AtomicU64>);

impl Behind {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for Behind {
    fn now(&self) -> Duration {
        SystemClock.now()
    }

    fn wall(&self) -> Duration {
        let behind = Duration::from_secs(self.0.load(Ordering::SeqCst));
        SystemClock.wall().saturating_sub(behind)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(duration)
    }
}

struct Deaf;

impl Observer for Deaf {
    fn observe(&self, _: Event) {}
}

/// Reports to the server as nodes do.
struct Reporter {
    store: cache_core::memory::MemoryStore,
    _observer: Arc<dyn Observer>,
}

impl Reporter {
    fn to(server: &MemoryServer) -> Self {
        let observer: Arc<dyn Observer> = Arc::new(Deaf);
        let store = server.store();
        store
            .attach(Attachment::new(
                "shifts",
                Env::system(),
                Arc::downgrade(&observer),
            ))
            .expect("it is new");
        Self {
            store,
            _observer: observer,
        }
    }

    async fn report(&self, node: &Node, sequence: u64, minute: u64, added: Snapshot) {
        let report = Report::new(node.clone(), sequence, minute, added);
        self.store.report(&report).await.expect("it is in memory");
    }
}

fn node(number: u64, host: &str, started: u64) -> Node {
    let mut node = Node::new(NodeId(number));
    host.clone_into(&mut node.host);
    node.process = 1;
    "0.1.0".clone_into(&mut node.version);
    node.started_ms = started;
    node.every_ms = 15_000;
    node.trusted = true;
    node.local_entries = 2_100 + number * 137;
    node.local_bytes = (6 << 20) + number * 411_000;
    node
}

/// Nodes, kinds and versions that are called so.
pub(crate) async fn report_hostile(server: &MemoryServer, names: &[&str]) {
    let reporter = Reporter::to(server);
    let now = SystemClock.wall().as_secs();
    for (number, name) in (1..).zip(names) {
        let mut kind = KindSnapshot::default();
        kind.add_field("hits_local", 10);
        kind.add_field("load_micros", 900);
        kind.add_field("load_below_micros.1000", 1);
        let mut added = Snapshot::default();
        added.kinds.insert((*name).to_owned(), kind);
        let mut node = node(number, name, now * 1000);
        (*name).clone_into(&mut node.version);
        reporter.report(&node, 1, now / 60, added).await;
    }
}

/// How a kind is used: its name, calls in a minute of one node, hits among a thousand calls, and the median
/// of its loads in microseconds.
const KINDS: [(&str, u64, u64, u64); 6] = [
    ("schedule", 2_600, 965, 23_000),
    ("employee", 1_900, 985, 3_800),
    ("workplace", 700, 998, 2_200),
    ("job", 1_100, 890, 11_000),
    ("setting", 3_400, 999, 900),
    ("availability", 520, 780, 58_000),
];

/// Numbers that look like chance, and are the same each time.
fn noise(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
}

fn counted(number: u64, ago: u64) -> Snapshot {
    let mut added = Snapshot::default();
    for (at, (name, calls, hits, median)) in (0_u64..).zip(KINDS) {
        let chance = noise(number * 1_000_003 + ago * 7_919 + at * 104_729);
        let calls = calls * (85 + chance % 30) / 100;
        // After the deployment, 41 minutes ago, all began anew: half of what is missing comes back each
        // minute.
        let cold = match ago {
            33..=41 => (hits / 2) >> ((41 - ago) / (1 + at % 2)),
            _ => 0,
        };
        // Some hours are busier than others, and some kinds more alike than others.
        let swing = noise(ago / 4 * 17 + at * 13) % (1 + (1000 - hits) / 2);
        let hits = hits.saturating_sub(cold + swing / 2 + chance % (4 + (1000 - hits) / 12));
        let hits = calls * hits / 1000;
        let misses = calls - hits;
        let (shared, joined) = (hits * (90 + cold) / 1000, hits * 12 / 1000);
        let stale = if name == "job" { hits / 40 } else { 0 };
        let outage = if ago == 19 && name == "setting" {
            hits / 2
        } else {
            0
        };
        let mut kind = KindSnapshot::default();
        for (field, number) in [
            ("hits_shared", shared),
            ("coalesced", joined),
            ("hits_stale", stale),
            ("hits_outage", outage),
            ("hits_local", hits - shared - joined - stale - outage),
            ("misses", misses),
            ("loads", misses),
            (
                "load_errors",
                if name == "availability" {
                    misses / 60
                } else {
                    0
                },
            ),
            ("evictions", misses / 9),
        ] {
            kind.add_field(field, number);
        }
        for (share, factor) in [(50, 10), (30, 14), (13, 20), (5, 32), (2, 64)] {
            let below = median * factor / 10;
            let loads = (misses * share).div_ceil(100);
            kind.add_field(&format!("load_below_micros.{below}"), loads);
            kind.add_field("load_micros", loads * below * 9 / 10);
        }
        added.kinds.insert(name.to_owned(), kind);
    }
    let writes = noise(ago * 31 + number) % 26 + if ago == 41 { 60 } else { 4 };
    added.add_field("invalidations_applied", writes);
    if ago == 19 {
        for (field, number) in [
            ("invalidations_queued", 22),
            ("invalidations_replayed", 22),
            ("breaker_opened", 1),
            ("trust_lost", 1),
            ("epoch_steps", 1),
        ] {
            added.add_field(field, number);
        }
    }
    added
}

/// A server that four nodes have reported to for an hour. Its data was lost for some minutes, and one of
/// the nodes has not been heard of for a while.
pub(crate) async fn with_a_past() -> MemoryServer {
    let clock = Behind::default();
    // The caches of the test report nothing of their own.
    let server = MemoryServer::new(Env::system().with_clock(clock.clone()))
        .report_every(Duration::from_hours(24 * 365));
    let reporter = Reporter::to(&server);
    let now = SystemClock.wall().as_secs();
    let nodes = [
        node(1, "shifts-7d9f4b-x2kqp", (now - 41 * 60) * 1000),
        node(2, "shifts-7d9f4b-m8vtz", (now - 41 * 60) * 1000),
        node(3, "shifts-7d9f4b-c5hrd", (now - 41 * 60) * 1000),
        node(4, "shifts-worker-0", (now - 3 * 86_400) * 1000),
    ];
    for ago in (0..=60_u64).rev() {
        // The store was restarted, and its data lost, 24 to 20 minutes ago.
        if (20..=24).contains(&ago) {
            continue;
        }
        clock.set(ago * 60);
        for (number, node) in (1_u64..).zip(&nodes) {
            // One was killed.
            if number == 3 && ago < 4 {
                continue;
            }
            let added = counted(number, ago);
            reporter.report(node, 61 - ago, now / 60 - ago, added).await;
        }
    }
    clock.set(0);
    server
}
