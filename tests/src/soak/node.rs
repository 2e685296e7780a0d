//! One node of a soak: a process with a cache of its own, readers and a writer, that reports what its
//! calls got and what its invalidations returned.

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::{Cache, Invalidation, Policy};
use cache_redis::RedisStore;

use super::STORE_TIMEOUT;
use super::database::Database;
use super::functions::{Row, brief, longest_load, row};
use super::wire::{
    Ack, IDS, Longest, Outcome, Report, SHELVES, SUBJECTS, Seat, Seen, Subject, now,
};
use crate::simulation::random::Random;

/// Tasks that read side by side.
const READERS: u64 = 8;
/// The same on a node that is quiet.
const FEW: u64 = 2;
/// How many calls a reader makes before it pauses, and for how long it does.
const BATCH: (usize, Duration) = (16, Duration::from_millis(1));
/// The longest pause of a writer between two writes, in milliseconds.
const WRITES: u64 = 40;
/// How often a node reports.
const REPORTS: Duration = Duration::from_millis(100);
/// How often a node looks whether what it had queued is replayed.
const LOOKS: Duration = Duration::from_millis(10);
/// How many failures are reported in words.
const WORDS: usize = 10;

type Broken = Box<dyn std::error::Error + Send + Sync>;

static PANICS: AtomicU64 = AtomicU64::new(0);
static STALL: AtomicU64 = AtomicU64::new(0);

/// What one reader has seen since the last report.
#[derive(Default)]
struct Tally {
    seen: HashMap<(Subject, u64), u64>,
    calls: u64,
    cancelled: u64,
    longest: Longest,
    failures: u64,
    failed: Vec<String>,
}

impl Tally {
    fn failed(&mut self, what: String) {
        self.failures += 1;
        if self.failed.len() < WORDS {
            self.failed.push(what);
        }
    }
}

struct Node {
    cache: Cache,
    database: Database,
    quiet: bool,
    tallies: Vec<Mutex<Tally>>,
    acks: Mutex<Vec<Ack>>,
    /// What was queued, and not yet seen to be replayed.
    pending: Mutex<Vec<(Subject, u64)>>,
    /// Whether writers are to stop.
    still: AtomicBool,
    /// Whether readers are to stop.
    ending: AtomicBool,
    writing: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    async fn read(&self, subject: Subject) -> Result<Row, std::io::Error> {
        let id = subject.id();
        if subject.is_row() {
            row(&self.database, id).await
        } else {
            brief(&self.database, id, id % SHELVES).await
        }
    }

    async fn reader(self: Arc<Self>, number: usize, mut random: Random) {
        let quiet = [Subject::row(0), Subject::brief(0)];
        while !self.ending.load(Ordering::Relaxed) {
            for _ in 0..BATCH.0 {
                let subject = if self.quiet {
                    quiet[random.index(2)]
                } else {
                    subject(&mut random)
                };
                let gives_up = random.chance(4).then(|| random.micros(0..3_000));
                let began = now();
                let answer = match gives_up {
                    None => Some(self.read(subject).await),
                    Some(after) => tokio::time::timeout(after, self.read(subject)).await.ok(),
                };
                let took = now() - began;
                let mut tally = lock(&self.tallies[number]);
                tally.calls += 1;
                if took > tally.longest.took {
                    tally.longest = Longest { began, took };
                }
                match answer {
                    Some(Ok(got)) if got == Row::new(subject.id(), got.version) => {
                        let last = tally.seen.entry((subject, got.version)).or_default();
                        *last = (*last).max(began);
                    }
                    Some(Ok(got)) => tally.failed(format!("{subject:?} got {got:?}")),
                    Some(Err(error)) => tally.failed(format!("{subject:?} failed: {error}")),
                    None => tally.cancelled += 1,
                }
            }
            tokio::time::sleep(BATCH.1).await;
        }
    }

    async fn writer(self: Arc<Self>, mut random: Random) {
        while !self.still.load(Ordering::Relaxed) {
            let written = self.write(&mut random).await;
            if let Err(error) = written {
                lock(&self.tallies[0]).failed(format!("a write failed: {error}"));
            }
            let pause = random.below(0..WRITES * 1_000);
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        self.writing.store(false, Ordering::Release);
    }

    /// One write: the database first, then the invalidation, then the word about it.
    async fn write(&self, random: &mut Random) -> Result<(), Broken> {
        let id = subject(random).id();
        let shelf = id % SHELVES;
        let versions = self.database.bump(id).await?;
        let (how, outcome) = match random.below(0..200) {
            0 => ("everything", self.cache.clear().await),
            1..4 => ("kind row", self.cache.invalidate_kind("row").await?),
            4..16 => {
                let tag = format!("shelf:{shelf}");
                ("tag of a shelf", self.cache.invalidate_tag(&tag).await?)
            }
            16..80 => ("key", self.cache.invalidate_key(row::key(id)?).await),
            _ => {
                let tag = format!("item:{id}");
                ("tag of an item", self.cache.invalidate_tag(&tag).await?)
            }
        };
        let at = now();
        let current = |subject: Subject| {
            let version = usize::try_from(subject.id()).ok();
            let version = version.and_then(|id| versions.get(id));
            (subject, version.copied().unwrap_or(0))
        };
        // What the database said before the invalidation began: a load that begins after it can't
        // see less.
        let targets: Vec<(Subject, u64)> = match how {
            "everything" => (0..IDS)
                .flat_map(|id| [Subject::row(id), Subject::brief(id)])
                .map(current)
                .collect(),
            "kind row" => (0..IDS).map(Subject::row).map(current).collect(),
            "tag of a shelf" => (0..IDS)
                .filter(|id| id % SHELVES == shelf)
                .map(Subject::brief)
                .map(current)
                .collect(),
            "key" => vec![current(Subject::row(id))],
            _ => vec![current(Subject::row(id)), current(Subject::brief(id))],
        };
        let outcome = match outcome {
            Invalidation::Applied => Outcome::Applied,
            Invalidation::Queued => {
                lock(&self.pending).extend(&targets);
                Outcome::Queued
            }
            other => return Err(format!("an outcome that nobody knows: {other:?}").into()),
        };
        lock(&self.acks).push(Ack {
            at,
            outcome,
            how: how.to_owned(),
            targets,
        });
        Ok(())
    }

    /// Where the shared tier is in use, whatever had returned `Queued` before has been applied: the
    /// queue is closed only once it is empty.
    fn look_for_replays(&self) {
        // Taken before the look: what is queued after it must wait for the next one.
        let pending = std::mem::take(&mut *lock(&self.pending));
        if pending.is_empty() {
            return;
        }
        if !self.cache.health().usable {
            lock(&self.pending).extend(pending);
            return;
        }
        let mut newest: HashMap<Subject, u64> = HashMap::new();
        for (subject, version) in pending {
            let known = newest.entry(subject).or_default();
            *known = (*known).max(version);
        }
        lock(&self.acks).push(Ack {
            at: now(),
            outcome: Outcome::Replayed,
            how: "replay".to_owned(),
            targets: newest.into_iter().collect(),
        });
    }

    fn report(&self) -> Report {
        let mut report = Report {
            at: now(),
            load: longest_load(),
            stall: STALL.swap(0, Ordering::Relaxed),
            panics: PANICS.load(Ordering::Relaxed),
            ..Report::default()
        };
        let mut seen: HashMap<(Subject, u64), u64> = HashMap::new();
        for tally in &self.tallies {
            let tally = std::mem::take(&mut *lock(tally));
            for (what, last) in tally.seen {
                let known = seen.entry(what).or_default();
                *known = (*known).max(last);
            }
            report.calls += tally.calls;
            report.cancelled += tally.cancelled;
            report.failures += tally.failures;
            report.failed.extend(tally.failed);
            if tally.longest.took > report.longest.took {
                report.longest = tally.longest;
            }
        }
        report.failed.truncate(WORDS);
        report.seen = seen
            .into_iter()
            .map(|((subject, version), last)| Seen {
                subject,
                version,
                last,
            })
            .collect();
        for kind in self.cache.snapshot().kinds.values() {
            report.local += kind.hits_local;
            report.shared += kind.hits_shared;
            report.coalesced += kind.coalesced;
            report.missed += kind.misses;
        }
        let health = self.cache.health();
        report.writing = self.writing.load(Ordering::Acquire);
        let pending = lock(&self.pending).len();
        report.acks = std::mem::take(&mut *lock(&self.acks));
        report.healthy = health.usable && health.trusted && health.queued == 0 && pending == 0;
        report
    }
}

/// One in two of the ids in the first quarter, where nodes meet most often.
fn subject(random: &mut Random) -> Subject {
    let whole = u64::try_from(SUBJECTS).unwrap_or(IDS);
    let number = random.below(0..whole);
    let id = if random.chance(500) {
        number % (IDS / 4)
    } else {
        number % IDS
    };
    if number < IDS {
        Subject::row(id)
    } else {
        Subject::brief(id)
    }
}

/// Measures how late a thread is that wants to run every few milliseconds.
fn pulse() {
    const BEAT: Duration = Duration::from_millis(5);
    loop {
        let began = now();
        std::thread::sleep(BEAT);
        let late = (now() - began).saturating_sub(super::wire::nanos(BEAT));
        STALL.fetch_max(late, Ordering::Relaxed);
    }
}

fn print(report: &Report) -> Result<(), Broken> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// How long past its ttl a value may be served.
const STALE: Duration = Duration::from_secs(2);

/// Runs a node, on orders from its standard input, until it is told to end.
///
/// # Errors
///
/// When it can't be set up, or can't report.
pub fn run(seat: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let seat: Seat = serde_json::from_str(seat)?;
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
    std::thread::spawn(pulse);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(serve(seat))
}

async fn serve(seat: Seat) -> Result<(), Broken> {
    let store = RedisStore::builder(&seat.url)?
        .tracking(true)
        .connections(seat.connections)
        .heartbeat(seat.heartbeat, seat.timeout)
        .build()?;
    let policy = || Policy::new().wait(seat.wait);
    let cache = Cache::builder()
        .namespace("soak")
        .shared(store)
        .store_timeout(STORE_TIMEOUT)
        .policy("row", policy())
        // Served past its ttl while it is refreshed, and judged all the same.
        .policy("brief", policy().stale_while_revalidate(STALE).jitter(0.2))
        .try_build()?;
    cache.clone().install()?;
    let node = Arc::new(Node {
        cache,
        database: Database::new(seat.database),
        quiet: seat.quiet,
        tallies: (0..READERS).map(|_| Mutex::default()).collect(),
        acks: Mutex::default(),
        pending: Mutex::default(),
        still: AtomicBool::new(false),
        ending: AtomicBool::new(false),
        writing: AtomicBool::new(!seat.quiet),
    });

    let random = |task: u64| Random::new(seat.seed ^ (seat.number as u64) << 32 ^ task << 16);
    let mut tasks = Vec::new();
    let readers = if seat.quiet { FEW } else { READERS };
    for (number, task) in (0..readers).enumerate() {
        tasks.push(tokio::spawn(
            Arc::clone(&node).reader(number, random(task + 1)),
        ));
    }
    if !seat.quiet {
        tasks.push(tokio::spawn(Arc::clone(&node).writer(random(0))));
    }
    let looking = Arc::clone(&node);
    tokio::spawn(async move {
        loop {
            looking.look_for_replays();
            tokio::time::sleep(LOOKS).await;
        }
    });

    // Reports come from a thread of their own, so that a slow pipe holds nobody up.
    let reporting = Arc::clone(&node);
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let reports = std::thread::spawn(move || {
        while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(REPORTS) {
            if print(&reporting.report()).is_err() {
                // Nobody listens any more.
                std::process::exit(1);
            }
        }
    });

    let ordered = Arc::clone(&node);
    tokio::task::spawn_blocking(move || {
        for order in std::io::stdin().lock().lines() {
            match order.as_deref() {
                Ok("still") => ordered.still.store(true, Ordering::Relaxed),
                Ok("end") => return,
                _ => break,
            }
        }
        // Whoever gave the orders is gone.
        std::process::exit(1);
    })
    .await?;
    node.ending.store(true, Ordering::Relaxed);
    for task in tasks {
        if let Err(error) = task.await {
            lock(&node.tallies[0]).failed(format!("a task ended: {error}"));
        }
    }
    drop(end);
    let _ = reports.join();
    node.look_for_replays();
    let report = node.report();
    print(&Report {
        last: true,
        ..report
    })
}
