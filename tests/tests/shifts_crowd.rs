//! Several processes of the service and several clients at once: races between their writes, between
//! reads and writes, and at the start.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_tests::server::RedisServer;
use cache_tests::service::{Service, database};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_tested-shifts");

/// How late a write may be seen by another process (invariant 1).
const BOUND: Duration = Duration::from_secs(2);

/// Two that share a Redis and a database.
fn fleet(redis: &RedisServer, db: &std::path::Path) -> [Service; 2] {
    let url = redis.url();
    // The second may find the database half made by the first, and waits for it.
    let start = || Service::start(BINARY, db, Some(&url), &["--warm", "0"]);
    std::thread::scope(|scope| {
        let other = scope.spawn(start);
        [start(), other.join().expect("it starts")]
    })
}

#[test]
fn a_write_is_seen_however_many_are_reading_meanwhile() {
    const WRITES: u64 = 200;
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let services = fleet(&redis, &db);
    let path = "/settings/currency";
    let value = |service: &Service| -> u64 {
        let answer = service.get(path);
        let value = answer.json()["value"].as_str().map(str::to_owned);
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    // What each service has written itself, and what anybody had written the bound ago.
    let (own, done) = (
        [AtomicU64::new(0), AtomicU64::new(0)],
        AtomicBool::new(false),
    );
    let written_at = Mutex::new(Vec::new());
    let reads = AtomicU64::new(0);
    std::thread::scope(|scope| {
        // They keep loads and fills under way all the time, some of which a write overtakes.
        for (service, own) in services.iter().zip(&own).cycle().take(6) {
            let (done, written_at, reads, value) = (&done, &written_at, &reads, &value);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let told = written_at
                        .lock()
                        .unwrap()
                        .iter()
                        .rev()
                        .find(|(at, _): &&(Instant, u64)| at.elapsed() > BOUND)
                        .map_or(0, |(_, number)| *number);
                    let wanted = told.max(own.load(Ordering::SeqCst));
                    let seen = value(service);
                    reads.fetch_add(1, Ordering::Relaxed);
                    assert!(seen >= wanted, "{seen}, and {wanted} was written before");
                }
            });
        }
        for number in 1..=WRITES {
            let turn = usize::from(number % 2 == 1);
            let body = json!({ "value": number.to_string() });
            let written = services[turn].ask("PUT", path, Some(&body));
            assert_eq!(written.status, 200, "{written:?}");
            own[turn].store(number, Ordering::SeqCst);
            written_at.lock().unwrap().push((Instant::now(), number));
            assert_eq!(value(&services[turn]), number);
            let since = Instant::now();
            while value(&services[1 - turn]) != number {
                assert!(since.elapsed() < BOUND, "{number} is not seen elsewhere");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let hits: u64 = services.iter().map(Service::hits).sum();
    println!("{WRITES} writes, {reads:?} reads beside them, {hits} hits");
    assert!(hits > WRITES, "{hits}");
}

#[test]
fn after_writes_by_both_at_once_everything_is_as_in_the_database() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let services = fleet(&redis, &db);
    let week = |number: i64| format!("2027-01-{:02}", 4 + 7 * number.rem_euclid(2));
    let mut paths = Vec::new();
    for number in 1..=4 {
        paths.push(format!("/shifts/{number}"));
        paths.push(format!("/employees/{number}"));
        paths.push(format!("/workplaces/{number}/employees"));
        for week in [week(0), week(1)] {
            paths.push(format!("/workplaces/{number}/schedule?from={week}"));
            paths.push(format!("/employees/{number}/week?of={week}"));
        }
    }
    // The same four shifts and employees, from four sides: most changes are overtaken by others.
    std::thread::scope(|scope| {
        for (client, service) in (0..4).zip(services.iter().cycle()) {
            let paths = &paths;
            scope.spawn(move || {
                for round in 0..60 {
                    let number = 1 + (client + round) % 4;
                    let place = 1 + (round * 3 + client) % 4;
                    let (path, body) = if round % 3 == 0 {
                        let name = format!("{client} in round {round}");
                        let body = json!({ "workplace": place, "name": name, "role": "cook",
                                           "email": "x@shifts.example", "hourly_cents": 2000 });
                        (format!("/employees/{number}"), body)
                    } else {
                        let body = json!({ "workplace": place, "employee": 1 + round % 4,
                                           "day": week(round + client), "role": "cook",
                                           "starts": format!("{:02}:00", round % 20),
                                           "ends": format!("{:02}:30", round % 20) });
                        (format!("/shifts/{number}"), body)
                    };
                    let written = service.ask("PUT", &path, Some(&body));
                    assert!([200, 409].contains(&written.status), "{path}: {written:?}");
                    // So that loads are under way among the writes.
                    for path in paths.iter().skip(usize::from(round % 2 == 0)).step_by(2) {
                        assert_eq!(service.get(path).status, 200);
                    }
                }
            });
        }
    });
    let plain = Service::start(BINARY, &db, None, &["--no-cache"]);
    for path in &paths {
        let wanted = plain.get(path);
        for service in &services {
            let since = Instant::now();
            while service.get(path) != wanted && since.elapsed() < BOUND {}
            assert_eq!(service.get(path), wanted, "{path}");
        }
    }
    assert!(services.iter().all(|service| service.hits() > 1_000));
}

#[test]
fn any_number_of_them_can_start_at_once_on_a_new_database() {
    for _ in 0..4 {
        let (_directory, db) = database();
        let start = || Service::start(BINARY, &db, None, &["--warm", "0"]);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..6).map(|_| scope.spawn(start)).collect();
            let started = starting
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join);
            let services: Vec<_> = started.map(|service| service.expect("it starts")).collect();
            let ask = |service: &Service| service.get("/jobs?city=Porto");
            services.iter().map(ask).collect()
        });
        assert_eq!(answers[0].status, 200);
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
}
