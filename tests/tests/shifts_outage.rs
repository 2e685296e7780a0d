//! The service while its Redis goes away and comes back: no request fails, none waits for longer
//! than it must, and nothing stale is answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cache_tests::server::RedisServer;
use cache_tests::service::{Service, database, until};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_tested-shifts");

/// How long a call waits for the store: the default, which the service has.
const STORE_TIMEOUT: Duration = Duration::from_millis(250);
/// The clients, the service and Redis share the machine's cores, with whatever else runs there: a
/// thread that could go on may have to wait for a few of the others' turns.
const SCHEDULING: Duration = Duration::from_millis(150);
/// A client's pause between two requests: a load that is steady, and not all the machine can take.
const PAUSE: Duration = Duration::from_millis(3);
const CLIENTS: usize = 4;

/// What was seen of one request.
struct Seen {
    at: Duration,
    took: Duration,
    what: String,
}

/// What the clients of a service see, until they are told to stop.
#[derive(Default)]
struct Load {
    done: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    failed: Mutex<Vec<String>>,
}

impl Load {
    /// One client: reads of every kind, and a write of its own now and then, which its next read
    /// must see.
    fn client(&self, service: &Service, began: Instant, client: usize) {
        let mut turn = client * 1_000;
        let key = format!("/settings/client.{client}");
        while !self.done.load(Ordering::Relaxed) {
            turn += 1;
            let path = match turn % 7 {
                0 => format!("/workplaces/{}/schedule?from=2026-03-02", 1 + turn % 48),
                1 => format!("/employees/{}", 1 + turn % 100),
                2 => format!("/employees/{}/week?of=2026-03-10", 1 + turn % 100),
                3 => format!("/shifts/{}", 1 + turn % 100),
                4 => format!("/workplaces/{}/employees", 1 + turn % 48),
                5 => "/jobs?city=Porto".to_owned(),
                _ => "/settings/currency".to_owned(),
            };
            self.ask(service, began, "GET", &path, None, None);
            if turn.is_multiple_of(10) {
                let value = turn.to_string();
                let body = json!({ "value": value });
                self.ask(service, began, "PUT", &key, Some(&body), Some(&value));
                self.ask(service, began, "GET", &key, None, Some(&value));
            }
            thread::sleep(PAUSE);
        }
    }

    fn ask(
        &self,
        service: &Service,
        began: Instant,
        method: &str,
        path: &str,
        body: Option<&Value>,
        wanted: Option<&str>,
    ) {
        let (at, asked) = (began.elapsed(), Instant::now());
        let answer = service.try_ask(method, path, body);
        let took = asked.elapsed();
        let wrong = match &answer {
            Ok(answer) if answer.status != 200 => true,
            Ok(answer) => wanted.is_some_and(|wanted| answer.json()["value"] != wanted),
            Err(_) => true,
        };
        let what = format!("{method} {path}");
        if wrong {
            lock(&self.failed).push(format!("{what} at {at:?}: {answer:?}, not {wanted:?}"));
        }
        lock(&self.seen).push(Seen { at, took, what });
    }

    /// Runs the clients while `play` runs, with the time since the beginning.
    fn during<T>(&self, service: &Service, play: impl FnOnce(Instant) -> T) -> T {
        let began = Instant::now();
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                scope.spawn(move || self.client(service, began, client));
            }
            let played = play(began);
            self.done.store(true, Ordering::Relaxed);
            played
        })
    }

    /// How long the requests took that began from `from` to before `to`, in order.
    fn times(&self, from: Duration, to: Duration) -> Vec<Duration> {
        let seen = lock(&self.seen);
        let within = seen.iter().filter(|seen| (from..to).contains(&seen.at));
        let mut times: Vec<_> = within.map(|seen| seen.took).collect();
        times.sort();
        times
    }

    fn assert_none_failed(&self) {
        let failed = lock(&self.failed);
        assert!(failed.is_empty(), "{} failed: {:#?}", failed.len(), failed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn print(what: &str, times: &[Duration]) {
    let at = |part: usize| times[(times.len() * part / 1_000).min(times.len() - 1)];
    println!(
        "{what:<22} {:>6} requests: p50 {:>8.2?}, p99 {:>8.2?}, p99.9 {:>8.2?}, longest {:>8.2?}",
        times.len(),
        at(500),
        at(990),
        at(999),
        times[times.len() - 1]
    );
}

/// Waits until it is so long after the beginning.
fn wait_for(began: Instant, seconds: u64) {
    thread::sleep(Duration::from_secs(seconds).saturating_sub(began.elapsed()));
}

/// What is to happen to Redis, by the second.
struct Play {
    lost: u64,
    back: u64,
    end: u64,
}

/// Measures the service without a cache, then plays: no request fails, none is late, and it caches
/// again within four seconds after Redis is back.
fn play(
    Play { lost, back, end }: Play,
    lose: impl FnOnce(&mut RedisServer),
    bring_back: impl FnOnce(&mut RedisServer),
) {
    let seconds = Duration::from_secs;
    let (_plain_directory, plain_db) = database();
    let plain = Service::start(BINARY, &plain_db, None, &["--no-cache"]);
    let uncached = Load::default();
    uncached.during(&plain, |began| wait_for(began, 4));
    drop(plain);
    uncached.assert_none_failed();
    let uncached = uncached.times(Duration::ZERO, Duration::MAX);
    print("without a cache", &uncached);

    let mut redis = RedisServer::start();
    let (_directory, db) = database();
    let service = Service::start(BINARY, &db, Some(&redis.url()), &[]);
    let load = Load::default();
    // Hits and misses after each second.
    let figures = load.during(&service, |began| {
        let (mut lose, mut bring_back) = (Some(lose), Some(bring_back));
        let mut figures = Vec::new();
        for second in 0..=end {
            wait_for(began, second);
            figures.push((service.hits(), service.misses()));
            if second == lost {
                lose.take().expect("once")(&mut redis);
            }
            if second == back {
                bring_back.take().expect("once")(&mut redis);
                println!("Redis is back {:?} after the beginning", began.elapsed());
            }
        }
        figures
    });

    print("with Redis", &load.times(Duration::ZERO, seconds(lost)));
    print(
        "first second without",
        &load.times(seconds(lost), seconds(lost + 1)),
    );
    print("without Redis", &load.times(seconds(lost), seconds(back)));
    print("Redis is back", &load.times(seconds(back), seconds(end)));
    let ratio = |from: u64, to: u64| {
        let at = |second: u64| figures[usize::try_from(second).expect("a few")];
        let (hits, misses) = (at(to).0 - at(from).0, at(to).1 - at(from).1);
        hits * 100 / (hits + misses).max(1)
    };
    let shown: Vec<String> = (0..end)
        .map(|second| ratio(second, second + 1).to_string())
        .collect();
    println!("hits in 100 calls, second by second: {}", shown.join(" "));

    load.assert_none_failed();
    let bound = STORE_TIMEOUT + uncached[uncached.len() - 1] + SCHEDULING;
    let late: Vec<_> = lock(&load.seen)
        .iter()
        .filter(|seen| seen.took > bound)
        .map(|seen| format!("{} at {:?} took {:?}", seen.what, seen.at, seen.took))
        .collect();
    if let Some(longest) = lock(&load.seen).iter().max_by_key(|seen| seen.took) {
        let Seen { at, took, what } = longest;
        println!("the longest was {what} at {at:.2?}, {took:.2?}; the bound is {bound:.2?}");
    }
    assert!(late.is_empty(), "later than {bound:?}: {late:#?}");
    let (before, after) = (ratio(lost - 2, lost), ratio(back + 4, end));
    println!("hits in 100 calls: {before} before, {after} from four seconds after the return on");
    assert!(before > 80 && after > 80, "cached before and again");
    assert!(redis.command::<u64>(&["DBSIZE"]) > 50, "it is used again");
}

#[test]
fn under_load_redis_is_killed_and_comes_back_empty() {
    let seconds = Play {
        lost: 5,
        back: 15,
        end: 30,
    };
    play(seconds, RedisServer::kill, RedisServer::restart);
}

#[test]
fn under_load_redis_falls_silent_and_speaks_again() {
    let seconds = Play {
        lost: 6,
        back: 11,
        end: 18,
    };
    // It keeps what it had, and so what was invalidated meanwhile must not be read from it.
    play(seconds, |redis| redis.pause(), |redis| redis.resume());
}

#[test]
fn it_starts_while_redis_is_down_and_uses_it_once_it_is_up() {
    let mut redis = RedisServer::start();
    redis.kill();
    let (_directory, db) = database();
    let service = Service::start(BINARY, &db, Some(&redis.url()), &[]);
    let shared = |field: &str| {
        let answer = service.get("/health");
        assert_eq!(answer.status, 200, "the service itself works: {answer:?}");
        let health = answer.json();
        assert_eq!(health["status"], "ok");
        health["shared"][field].clone()
    };
    assert_eq!(shared("connected"), false);
    assert!(shared("error").is_string());
    assert_eq!(service.get("/employees/1").status, 200);
    let put = |value: &str| {
        let body = json!({ "value": value });
        let answer = service.ask("PUT", "/settings/currency", Some(&body));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(service.get("/settings/currency").json()["value"], value);
    };
    put("SEK");

    redis.restart();
    until("it is in use", || shared("in_use") == true);
    assert_eq!(shared("connected"), true);
    assert_eq!(shared("error"), Value::Null);
    assert_eq!(shared("queued_invalidations"), 0);
    put("DKK");
    let hits = service.hits();
    until("values are shared", || {
        service.get("/employees/1");
        redis.command::<u64>(&["EXISTS", "shifts:e:{user_profile:employee:1i64}"]) == 1
    });
    assert_eq!(service.get("/employees/1").status, 200);
    assert!(service.hits() > hits);

    redis.kill();
    until("it is noticed", || shared("connected") == false);
    put("NOK");
    redis.restart();
    until("it is in use again", || {
        shared("in_use") == true && shared("connected") == true
    });
    assert_eq!(service.get("/settings/currency").json()["value"], "NOK");
}

#[test]
fn without_a_shared_tier_health_says_so() {
    let (_directory, db) = database();
    let service = Service::start(BINARY, &db, None, &[]);
    assert_eq!(
        service.get("/health").json(),
        json!({ "status": "ok", "shared": null })
    );
}
