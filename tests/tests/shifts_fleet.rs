//! Two processes of the service on one Redis and one database: a write through either is seen by
//! the next read through the same, by the other as soon as Redis has told it, and what it did not touch
//! stays cached.

use std::time::{Duration, Instant};

use cache_tests::server::RedisServer;
use cache_tests::service::{Service, database, until};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_tested-shifts");
const ROUNDS: i64 = 25;
/// How late a write may be seen by another process.
const BOUND: Duration = Duration::from_secs(2);

/// Another process is told of a write in milliseconds as a rule, and in two seconds at the most
/// (invariant 1).
fn within_bound(what: &str, told: impl Fn() -> bool) {
    let since = Instant::now();
    while !told() {
        assert!(since.elapsed() < BOUND, "not within {BOUND:?}: {what}");
    }
}

/// A write, what must be seen after it, and what it must leave alone.
struct Case {
    method: &'static str,
    path: String,
    body: Value,
    /// Paths, and a text that their answers must contain, or must not.
    seen: Vec<(String, String, bool)>,
    untouched: Vec<String>,
}

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

fn check(reader: &Service, writer: &Service, case: &Case) {
    let Case {
        method,
        path,
        body,
        seen,
        untouched,
    } = case;
    // Everything is cached on both sides, in both tiers, before the write.
    for service in [reader, writer] {
        for path in seen.iter().map(|(path, ..)| path).chain(untouched) {
            let answer = service.get(path);
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
        }
    }
    let written = writer.ask(method, path, Some(body));
    assert!(written.status < 300, "{method} {path} {body}: {written:?}");
    for service in [reader, writer] {
        for (path, text, wanted) in seen {
            if !std::ptr::eq(service, writer) {
                within_bound(&format!("{path} has {text}: {wanted}"), || {
                    service.get(path).body.contains(text) == *wanted
                });
            }
            let answer = service.get(path);
            assert_eq!(
                answer.body.contains(text),
                *wanted,
                "after {method} {} {body}, {path} has {text} wrongly: {answer:?}",
                case.path
            );
        }
        let before = (service.hits(), service.misses());
        for path in untouched {
            service.get(path);
        }
        // A schedule of four weeks is four hits.
        let hits = service.hits() - before.0;
        assert!(
            service.misses() == before.1 && hits >= untouched.len() as u64,
            "after {method} {}, {hits} hits, {} misses: {untouched:?}",
            case.path,
            service.misses() - before.1
        );
    }
}

fn each_way(services: &[Service; 2], case: impl Fn(i64) -> Case) {
    for round in 0..ROUNDS {
        let [one, other] = services;
        check(one, other, &case(round * 2));
        check(other, one, &case(round * 2 + 1));
    }
}

fn has(path: &str, text: String) -> (String, String, bool) {
    (path.to_owned(), text, true)
}

fn lacks(path: &str, text: String) -> (String, String, bool) {
    (path.to_owned(), text, false)
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

#[test]
fn a_setting_or_an_employee_changed_by_one_is_seen_by_the_other() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let services = fleet(&redis, &db);
    each_way(&services, |round| Case {
        method: "PUT",
        path: "/settings/currency".into(),
        body: json!({ "value": format!("round {round}") }),
        seen: vec![has("/settings/currency", format!("\"round {round}\""))],
        untouched: paths(&["/settings/notice.days", "/workplaces", "/employees/7"]),
    });
    // From one workplace to another and back, under another name each time.
    each_way(&services, |round| {
        let name = format!("Name {round} of her");
        let (from, to) = (3 + round % 2, 3 + (round + 1) % 2);
        Case {
            method: "PUT",
            path: "/employees/60".into(),
            body: json!({ "workplace": to, "name": name, "role": "cook",
                          "email": "her@shifts.example", "hourly_cents": 2000 + round }),
            seen: vec![
                has("/employees/60", name.clone()),
                has(&format!("/workplaces/{to}/employees"), name.clone()),
                lacks(
                    &format!("/workplaces/{from}/employees"),
                    "\"id\":60,".into(),
                ),
            ],
            untouched: paths(&["/employees/61", "/workplaces/5/employees", "/shifts/1"]),
        }
    });
}

#[test]
fn a_shift_moved_by_one_is_seen_by_the_other_and_nothing_else_is_lost() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let services = fleet(&redis, &db);
    // Another workplace, week and employee each time, so that all that it leaves and all that it
    // comes to is different.
    let case = |round: i64| {
        let place = |round: i64| 1 + round.rem_euclid(3);
        let week = |round: i64| format!("2027-01-{:02}", 4 + 7 * round.rem_euclid(2));
        let who = |round: i64| 100 + round.rem_euclid(5);
        let schedule =
            |round: i64| format!("/workplaces/{}/schedule?from={}", place(round), week(round));
        let own = |round: i64| format!("/employees/{}/week?of={}", who(round), week(round));
        let shift = "\"id\":9,".to_owned();
        Case {
            method: "PUT",
            path: "/shifts/9".into(),
            body: json!({ "workplace": place(round), "employee": who(round), "day": week(round),
                          "starts": "09:00", "ends": "17:00", "role": format!("role {round}") }),
            seen: vec![
                has("/shifts/9", format!("role {round}")),
                has(&schedule(round), format!("role {round}")),
                has(&own(round), format!("role {round}")),
                lacks(&schedule(round - 1), shift.clone()),
                lacks(&own(round - 1), shift),
            ],
            untouched: paths(&[
                "/shifts/10",
                "/workplaces/4/schedule?from=2027-01-04",
                "/workplaces/1/schedule?from=2026-03-02&days=28",
                "/employees/99/week?of=2027-01-04",
                "/employees/100",
                "/workplaces/1/employees",
                "/jobs?city=Porto",
                "/settings/currency",
            ]),
        }
    };
    // To where the first round finds it.
    let Case { path, body, .. } = case(-1);
    assert_eq!(services[0].ask("PUT", &path, Some(&body)).status, 200);
    each_way(&services, case);
}

#[test]
fn shifts_and_jobs_that_one_adds_and_removes_come_and_go_for_the_other() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let services = fleet(&redis, &db);
    let added = |from: &Service, path: &str, body: Value| -> i64 {
        let answer = from.ask("POST", path, Some(&body));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_i64().expect("an id")
    };
    for round in 0..ROUNDS * 2 {
        let turn = usize::from(round % 2 == 1);
        let (writer, reader) = (&services[turn], &services[1 - turn]);
        let shifts = [
            "/workplaces/2/schedule?from=2027-02-01",
            "/employees/30/week?of=2027-02-03",
        ];
        let jobs = ["/jobs?city=Porto"];
        let warm = || {
            for path in shifts.iter().chain(&jobs) {
                assert_eq!(reader.get(path).status, 200);
                assert_eq!(writer.get(path).status, 200);
            }
        };
        let everywhere = |paths: &[&str], id: i64, wanted: bool| {
            for path in paths {
                let told = || {
                    let body = reader.get(path).body;
                    body.contains(&format!("\"id\":{id},")) == wanted
                };
                within_bound(&format!("{path} has {id}: {wanted}"), told);
            }
        };
        warm();
        let shift = added(
            writer,
            "/shifts",
            json!({ "workplace": 2, "employee": 30, "day": "2027-02-03", "starts": "09:00",
                    "ends": "10:00", "role": "cook" }),
        );
        everywhere(&shifts, shift, true);
        let job = added(
            writer,
            "/jobs",
            json!({ "workplace": 5, "title": format!("job {round}"), "hourly_cents": 1500,
                    "posted": "2027-02-03" }),
        );
        everywhere(&jobs, job, true);

        warm();
        for (path, lists) in [
            (format!("/shifts/{shift}"), &shifts[..]),
            (format!("/jobs/{job}"), &jobs[..]),
        ] {
            assert_eq!(reader.get(&path).status, 200);
            assert_eq!(writer.ask("DELETE", &path, None).status, 204);
            within_bound(&format!("{path} is gone"), || {
                reader.get(&path).status == 404
            });
            let id = path.rsplit('/').next().and_then(|id| id.parse().ok());
            everywhere(lists, id.expect("an id"), false);
        }
    }
}

#[test]
fn what_one_has_warmed_the_next_finds_warm() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let start = || {
        let service = Service::start(BINARY, &db, Some(&redis.url()), &["--warm", "30"]);
        until("it is warm", || service.log().contains("warmed weeks=30"));
        service
    };
    let first = start();
    assert_eq!(first.figure(Some("schedule"), &["misses"]), 30);
    let second = start();
    assert_eq!(second.misses(), 0, "all of it is shared");
    assert_eq!(second.figure(Some("schedule"), &["hits_shared"]), 30);
    // The one with the most employees, as the rows are generated.
    second.get("/workplaces/13/schedule?from=2026-03-02&days=28");
    assert_eq!(
        second.misses(),
        0,
        "the busiest workplace's weeks are all warm"
    );
}
