//! A soak on a real Redis: several processes read and invalidate at random while faults are injected,
//! and a referee compares every call with every acknowledged invalidation (invariants 1 and 2).

mod database;
mod faults;
mod figures;
mod functions;
mod node;
mod plan;
mod referee;
mod report;
mod wire;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub use faults::Fault;
use faults::Stage;
use figures::Figures;
pub use node::run as run_node;
pub use plan::Plan;
use referee::{HEALTH, Patience, Referee};
pub use report::Summary;
use tempfile::TempDir;
use wire::{Report, Seat, now};

use crate::proxy::Proxy;
use crate::server::RedisServer;
use crate::service::program;
use crate::simulation::random::Random;

/// How long a call waits for the store: the default.
const STORE_TIMEOUT: Duration = Duration::from_millis(250);
/// How long a call waits for another's load, which a node may hold a lease for: the defaults.
const WAIT: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(10);
/// What the machine may add to a call: a few processes for each core, and whatever else runs there.
const SCHEDULING: Duration = Duration::from_secs(1);
/// How long all nodes may take to be well again, once the world is: the longest pauses between two
/// attempts, in the connection and in the breaker, and a timeout for each.
const HEALING: Duration = Duration::from_secs(20);
/// How long a lease may last that was held while a fault ended: a load takes far less, and giving one up
/// is tried this often even where it was refused.
const GIVEN_UP: Duration = Duration::from_secs(4);
/// How many of a hundred calls must be local hits in times of health: else nothing was put to the
/// test.
const LOCAL: f64 = 50.0;
/// The word that makes the binary a node.
const NODE: &str = "node";

impl Plan {
    /// Runs it.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server`, or a process can't be started.
    pub fn run(&self) -> Summary {
        let mut direction = Direction::begin(self);
        let began = Instant::now();
        direction.wait_for_health(Instant::now());
        let mut random = Random::new(self.seed);
        if self.faults.is_empty() {
            thread::sleep(self.lasts.unwrap_or_default());
            return direction.end(began);
        }
        loop {
            let mut deck = self.faults.clone();
            while !deck.is_empty() {
                let left = self.lasts.map(|lasts| lasts.checked_sub(began.elapsed()));
                if left == Some(None) {
                    return direction.end(began);
                }
                thread::sleep(random.millis(self.pause.clone()));
                let fault = deck.swap_remove(random.index(deck.len()));
                direction.inflict(fault, random.millis(self.fault.clone()), began);
            }
            if self.lasts.is_none() {
                return direction.end(began);
            }
        }
    }
}

/// A node's process, killed on drop.
struct Process {
    child: Child,
    log: PathBuf,
    reader: Option<thread::JoinHandle<()>>,
}

impl Process {
    fn order(&mut self, order: &str) {
        // One that is dead is found out by its silence.
        let _ = self
            .child
            .stdin
            .as_mut()
            .map(|stdin| writeln!(stdin, "{order}"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A soak under way.
struct Direction<'a> {
    plan: &'a Plan,
    referee: Arc<Mutex<Referee>>,
    processes: Vec<Process>,
    stage: Stage,
    /// What serves the database and the proxies.
    _runtime: tokio::runtime::Runtime,
    _logs: TempDir,
    load: String,
}

fn lock(referee: &Mutex<Referee>) -> MutexGuard<'_, Referee> {
    referee.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Direction<'a> {
    fn begin(plan: &'a Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads can be had");
        let database = runtime.block_on(database::serve());
        let database = database.expect("the loopback has a free port");
        let server = RedisServer::start();
        let patience = Patience {
            // A call may ask the store, wait for another's load until that has ended or the
            // connection is given up, ask the store again, and store.
            waits: STORE_TIMEOUT * 3 + plan.bound(),
            scheduling: SCHEDULING,
        };
        let bound = plan.claimed.unwrap_or(plan.bound());
        let referee = Arc::new(Mutex::new(Referee::new(plan.nodes, bound, patience)));
        let logs = tempfile::tempdir().expect("the temporary directory can be written");
        let (mut processes, mut proxies) = (Vec::new(), Vec::new());
        for number in 0..plan.nodes {
            let proxy = runtime.block_on(Proxy::start(server.port()));
            let seat = Seat {
                number,
                url: proxy.url(),
                database,
                heartbeat: plan.heartbeat.0,
                timeout: plan.heartbeat.1,
                connections: 1 + number % 3,
                wait: plan.wait,
                quiet: number + 1 == plan.nodes,
                seed: plan.seed,
            };
            proxies.push(proxy);
            let log = logs.path().join(number.to_string());
            processes.push(start(plan, &seat, log, &referee));
        }
        let stage = Stage {
            server,
            proxies,
            nodes: processes.iter().map(|one| one.child.id()).collect(),
            random: Random::new(plan.seed ^ 0xfa_017),
            store_timeout: STORE_TIMEOUT,
            bound: plan.bound(),
            littered: HashSet::new(),
        };
        Self {
            plan,
            referee,
            processes,
            stage,
            _runtime: runtime,
            _logs: logs,
            load: report::load(),
        }
    }

    fn tell(&self, what: &str) {
        if self.plan.aloud {
            eprintln!("{what}");
        }
    }

    fn inflict(&mut self, fault: Fault, usual: Duration, began: Instant) {
        self.tell(&format!("{:>6.1?} {}", began.elapsed(), fault.label()));
        let allows = if fault.hides_a_node() {
            LEASE
        } else {
            Duration::ZERO
        };
        lock(&self.referee).trouble(fault.label(), now(), allows);
        self.stage.play(fault, usual);
        self.wait_for_health(Instant::now());
        self.wait_for_leases(fault);
    }

    /// Waits until whatever lease is held now has ended. All nodes are well: who holds one is loading, or
    /// gives it up; nobody else ever would, and all would wait for it.
    fn wait_for_leases(&mut self, fault: Fault) {
        let mut held = self.stage.leases();
        let since = Instant::now();
        while !held.is_empty() && since.elapsed() < GIVEN_UP {
            thread::sleep(Duration::from_millis(5));
            let now = self.stage.leases();
            held.retain(|lease| now.contains(lease));
        }
        for (key, token) in held {
            let label = fault.label();
            let wrong = format!("a lease was left behind: {key} is held by {token} ({label})");
            lock(&self.referee).blame(wrong);
        }
    }

    /// Waits until all nodes are well again.
    fn wait_for_health(&mut self, since: Instant) {
        let after = now();
        while !lock(&self.referee).healthy_since(after) {
            thread::sleep(Duration::from_millis(5));
            if since.elapsed() > HEALING {
                let wrong = format!("some node was not well {HEALING:?} after the world was");
                lock(&self.referee).blame(wrong);
                break;
            }
        }
        let wrongs = lock(&self.referee).wrongs().len();
        if wrongs > 0 {
            self.tell(&format!("       {wrongs} wrongs so far"));
        }
        lock(&self.referee).healed(now(), since.elapsed());
    }

    /// Stops writing, lets everything settle, reads for longer than the bound, and sums up.
    fn end(mut self, began: Instant) -> Summary {
        for process in &mut self.processes {
            process.order("still");
        }
        let since = Instant::now();
        while lock(&self.referee).writing() && since.elapsed() < HEALING {
            thread::sleep(Duration::from_millis(5));
        }
        self.wait_for_health(Instant::now());
        thread::sleep(self.plan.bound() + Duration::from_secs(1));
        let elapsed = began.elapsed();
        let mut wrongs = Vec::new();
        for (number, process) in self.processes.iter_mut().enumerate() {
            if let Ok(Some(status)) = process.child.try_wait() {
                wrongs.push(format!("node {number} is dead: {status}"));
            }
            process.order("end");
            if let Some(reader) = process.reader.take() {
                let _ = reader.join();
            }
            let status = process.child.wait().expect("it is ours");
            if !status.success() {
                wrongs.push(format!("node {number} ended with {status}"));
            }
            let log = std::fs::read_to_string(&process.log).unwrap_or_default();
            if !log.is_empty() {
                wrongs.push(format!("node {number} said: {log}"));
            }
        }
        let mut referee = lock(&self.referee);
        referee.finish();
        let healthy = referee.figures().get(HEALTH).and_then(Figures::local_share);
        if healthy.is_none_or(|share| share < LOCAL) {
            wrongs.push(format!(
                "in times of health {healthy:?} % of the calls were local hits"
            ));
        }
        for wrong in wrongs {
            referee.blame(wrong);
        }
        let redis: String = self.stage.server.command(&["INFO", "server"]);
        Summary::new(self.plan, &referee, elapsed, &redis, &self.load)
    }
}

/// Starts a node, and has what it reports taken.
fn start(plan: &Plan, seat: &Seat, log: PathBuf, referee: &Arc<Mutex<Referee>>) -> Process {
    let words = serde_json::to_string(seat).expect("it is plain data");
    let mut child = program(&plan.program.display().to_string(), None)
        .args([NODE, &words])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).expect("the temporary directory can be written"))
        .spawn()
        .expect("a node can be started");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    let (number, referee) = (seat.number, Arc::clone(referee));
    let reader = thread::spawn(move || {
        let mut ended = false;
        for line in out.lines() {
            let report = line.ok().and_then(|line| {
                let report: Option<Report> = serde_json::from_str(&line).ok();
                report
            });
            let mut referee = lock(&referee);
            match report {
                Some(report) => {
                    ended = report.last;
                    referee.take(number, report);
                }
                None => referee.blame(format!("node {number} reported what is no report")),
            }
        }
        if !ended {
            lock(&referee).blame(format!("node {number} ended before it was told to"));
        }
    });
    Process {
        child,
        log,
        reader: Some(reader),
    }
}
