//! One load per key at a time: among processes, among tasks, among threads.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use cache_tests::server::RedisServer;
use cache_tests::service::program;
use tokio::task::JoinSet;

/// How long the functions take: long enough for all callers to come meanwhile.
const TAKES: Duration = Duration::from_millis(300);

#[test]
fn eight_processes_with_a_hundred_callers_each_load_once() {
    const PROCESSES: usize = 8;
    const CALLERS: usize = 100;
    let redis = RedisServer::start();
    let mut processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            program(env!("CARGO_BIN_EXE_one-load"), None)
                .args([redis.url(), CALLERS.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it can be started")
        })
        .collect();
    let mut outputs: Vec<_> = processes
        .iter_mut()
        .map(|process| BufReader::new(process.stdout.take().expect("it is piped")))
        .collect();
    let line = |output: &mut BufReader<_>| {
        let mut line = String::new();
        output.read_line(&mut line).expect("it prints text");
        line.trim_end().to_owned()
    };
    for output in &mut outputs {
        assert_eq!(line(output), "ready");
    }
    let began = Instant::now();
    for process in &mut processes {
        let stdin = process.stdin.as_mut().expect("it is piped");
        stdin.write_all(b"go\n").expect("it reads");
    }
    let wanted = format!("{:?}", [1; CALLERS]);
    for output in &mut outputs {
        assert_eq!(line(output), wanted, "everybody gets the value of one load");
    }
    let took = began.elapsed();
    for process in &mut processes {
        assert!(process.wait().expect("it ends").success());
    }
    let runs: u32 = redis.command(&["GET", "test:runs"]);
    println!(
        "{} callers in {PROCESSES} processes: {runs} load, all answered after {took:?}",
        PROCESSES * CALLERS
    );
    assert_eq!(runs, 1);
}

#[derive(Clone, Default)]
struct Runs(Arc<AtomicU32>);

impl Runs {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn counted(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cached(kind = "one_load", ttl = "10m", skip(runs))]
async fn by_tasks(runs: &Runs, id: u64) -> u64 {
    runs.count();
    tokio::time::sleep(TAKES).await;
    id * 2
}

#[cached(kind = "one_load", ttl = "10m", skip(runs))]
fn by_threads(runs: &Runs, id: u64) -> u64 {
    runs.count();
    std::thread::sleep(TAKES);
    id * 2
}

/// In this process alone, and with a shared tier.
fn caches(redis: &RedisServer) -> [Cache; 2] {
    let store = RedisStore::new(&redis.url()).expect("a good URL");
    [
        Cache::builder().build(),
        Cache::builder().shared(store).build(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_load_once() {
    let redis = RedisServer::start();
    for cache in caches(&redis) {
        let runs = Runs::default();
        let mut calls = JoinSet::new();
        for _ in 0..1_000 {
            let (cache, runs) = (cache.clone(), runs.clone());
            calls.spawn(async move { cache.scope(by_tasks(&runs, 21)).await });
        }
        let began = Instant::now();
        assert_eq!(calls.join_all().await, [42; 1_000]);
        println!("1000 tasks: all answered after {:?}", began.elapsed());
        assert_eq!(runs.counted(), 1, "{cache:?}");
    }
}

#[test]
fn two_hundred_threads_load_once() {
    const THREADS: usize = 200;
    let redis = RedisServer::start();
    for cache in caches(&redis) {
        let runs = Runs::default();
        let start = Barrier::new(THREADS);
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    assert_eq!(cache.scope_blocking(|| by_threads(&runs, 21)), 42);
                });
            }
        });
        println!(
            "{THREADS} threads: all answered after {:?}",
            began.elapsed()
        );
        assert_eq!(runs.counted(), 1, "{cache:?}");
    }
}
