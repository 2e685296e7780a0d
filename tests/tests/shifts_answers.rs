//! One process of the service: cached or not, its answers are the same; and it ends as it should.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use cache_tests::server::RedisServer;
use cache_tests::service::{Answer, Service, database, until};
use rusqlite::Connection;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_tested-shifts");

/// Every endpoint that reads: found, empty, missing and wrong.
const READS: [&str; 33] = [
    "/",
    "/workplaces",
    "/workplaces/1/schedule?from=2026-03-02",
    "/workplaces/1/schedule?from=2026-03-04&days=1",
    "/workplaces/1/schedule?from=2026-03-04&days=35",
    "/workplaces/2/schedule?from=2026-03-08&days=2",
    "/workplaces/2/schedule?from=2031-03-08&days=2",
    "/workplaces/2/schedule?from=2099-12-31&days=35",
    "/workplaces/2/schedule?from=2026-03-08&days=0",
    "/workplaces/2/schedule?from=2026-03-08&days=36",
    "/workplaces/2/schedule?from=2026-02-30",
    "/workplaces/2/schedule",
    "/workplaces/999/schedule?from=2026-03-02",
    "/workplaces/x/schedule?from=2026-03-02",
    "/workplaces/1/employees",
    "/workplaces/999/employees",
    "/employees/1",
    "/employees/99999",
    "/employees/-1",
    "/employees/1/week?of=2026-03-04",
    "/employees/1/week?of=yesterday",
    "/employees/99999/week?of=2026-03-04",
    "/shifts/1",
    "/shifts/99999",
    "/shifts/18446744073709551616",
    "/jobs?city=Porto",
    "/jobs?city=%C5%81%C3%B3d%C5%BA",
    "/jobs?city=Nowhere%7B%7D%3A%25",
    "/jobs",
    "/jobs/1",
    "/settings/currency",
    "/settings/a%20b%3A%7B%7D%25",
    "/nothing",
];

/// Every endpoint that writes: done, and refused in each way.
fn writes() -> Vec<(&'static str, &'static str, Value)> {
    let shift = |workplace: i64, employee: Option<i64>, starts: &str, ends: &str| {
        json!({ "workplace": workplace, "employee": employee, "day": "2026-03-04",
                "starts": starts, "ends": ends, "role": "cook" })
    };
    let employee = |workplace: i64, cents: i64| {
        json!({ "workplace": workplace, "name": "Zoë", "role": "host", "email": "z@shifts.example",
                "hourly_cents": cents })
    };
    vec![
        ("PUT", "/shifts/1", shift(1, None, "06:00", "07:00")),
        ("PUT", "/shifts/1", shift(1, Some(1), "22:00", "23:00")),
        ("PUT", "/shifts/2", shift(1, Some(1), "22:30", "23:30")),
        ("PUT", "/shifts/2", shift(999, None, "22:30", "23:30")),
        ("PUT", "/shifts/2", shift(2, Some(99_999), "22:30", "23:30")),
        ("PUT", "/shifts/2", shift(2, None, "23:30", "22:30")),
        ("PUT", "/shifts/99999", shift(2, None, "22:30", "23:30")),
        ("PUT", "/shifts/2", json!({ "workplace": 1 })),
        ("POST", "/shifts", shift(2, Some(1), "03:00", "4:00")),
        ("POST", "/shifts", shift(2, Some(1), "03:59", "05:00")),
        ("DELETE", "/shifts/3", Value::Null),
        ("DELETE", "/shifts/3", Value::Null),
        ("PUT", "/employees/1", employee(2, 1999)),
        ("PUT", "/employees/1", employee(999, 1999)),
        ("PUT", "/employees/1", employee(2, -1)),
        ("PUT", "/employees/99999", employee(2, 1999)),
        (
            "POST",
            "/jobs",
            json!({ "workplace": 5, "title": "cook", "hourly_cents": 1500,
                                  "posted": "2026-03-04" }),
        ),
        (
            "POST",
            "/jobs",
            json!({ "workplace": 999, "title": "cook", "hourly_cents": 1500,
                                  "posted": "2026-03-04" }),
        ),
        ("DELETE", "/jobs/1", Value::Null),
        ("DELETE", "/jobs/1", Value::Null),
        ("PUT", "/settings/currency", json!({ "value": "SEK" })),
        (
            "PUT",
            "/settings/a%20b%3A%7B%7D%25",
            json!({ "value": "odd" }),
        ),
        ("PUT", "/settings/currency", json!({ "value": 1 })),
        ("PATCH", "/settings/currency", json!({ "value": "no" })),
        ("POST", "/nothing", json!({})),
    ]
}

/// All reads twice, so that the second is from the cache, and again after each write.
fn walk(service: &Service) -> Vec<(String, Answer)> {
    let mut walked = Vec::new();
    let reads = |walked: &mut Vec<_>| {
        for path in READS {
            walked.push((format!("GET {path}"), service.get(path)));
        }
    };
    reads(&mut walked);
    reads(&mut walked);
    for (method, path, body) in writes() {
        let body = (!body.is_null()).then_some(body);
        let answer = service.ask(method, path, body.as_ref());
        walked.push((format!("{method} {path} {body:?}"), answer));
        reads(&mut walked);
    }
    walked
}

#[test]
fn cached_in_any_way_or_not_the_answers_are_the_same_byte_for_byte() {
    let redis = RedisServer::start();
    let ways: [(&str, Option<String>, &[&str]); 4] = [
        ("not cached", None, &["--no-cache"]),
        ("not cached, with Redis", Some(redis.url()), &["--no-cache"]),
        ("in the process", Some(redis.url()), &["--embedded"]),
        ("through Redis", Some(redis.url()), &[]),
    ];
    let mut wanted = Vec::new();
    for (way, url, arguments) in ways {
        let (_directory, db) = database();
        let service = Service::start(BINARY, &db, url.as_deref(), arguments);
        let walked = walk(&service);
        let (hits, misses) = (service.hits(), service.misses());
        println!(
            "{way}: {} answers, {hits} hits, {misses} misses",
            walked.len()
        );
        if wanted.is_empty() {
            wanted = walked;
            let statuses = |status: u16| {
                let with = wanted.iter().filter(|(_, answer)| answer.status == status);
                with.count()
            };
            for status in [200, 201, 204, 400, 404, 405, 409] {
                assert!(statuses(status) > 0, "the walk meets a {status}");
            }
            assert_eq!(statuses(500), 0);
        } else {
            for (wanted, walked) in wanted.iter().zip(&walked) {
                assert_eq!(wanted, walked, "{way}");
            }
            assert_eq!(wanted.len(), walked.len());
        }
        if arguments == ["--no-cache"] {
            assert_eq!((hits, misses), (0, 0), "{way}");
        } else {
            assert!(hits > misses, "{way}");
        }
    }
    assert!(
        redis.command::<u64>(&["DBSIZE"]) > 0,
        "the last one was shared"
    );
}

#[test]
fn every_refusal_is_json_with_an_error() {
    let (_directory, db) = database();
    let service = Service::start(BINARY, &db, None, &[]);
    for (what, answer) in walk(&service) {
        if answer.status >= 400 {
            assert_eq!(answer.media, "application/json", "{what}: {answer:?}");
            let text = answer.json()["error"].as_str().map(str::to_owned);
            assert!(
                text.is_some_and(|text| text.len() > 10),
                "{what}: {answer:?}"
            );
        }
    }
}

/// A PUT of a setting of which the service has seen the head, and not yet the body: it answers 100
/// when the body is asked for.
fn begin_put(service: &Service, body: &str) -> (TcpStream, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(service.address()).expect("it listens");
    let head = format!(
        "PUT /settings/currency HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut reader = BufReader::new(stream.try_clone().expect("it can be cloned"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("it answers");
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    reader.read_line(&mut line).expect("an empty line");
    (stream, reader)
}

fn ends_well(signal: &str) {
    let (_directory, db) = database();
    let mut service = Service::start(BINARY, &db, None, &[]);
    // This leaves an idle connection in the client, which must not keep the service.
    assert_eq!(service.get("/employees/1").status, 200);

    // Whoever holds the write lock keeps the request waiting.
    let lock = Connection::open(&db).expect("it is there");
    lock.execute_batch("BEGIN IMMEDIATE").expect("it is free");
    let body = r#"{"value":"SEK"}"#;
    let (mut stream, mut reader) = begin_put(&service, body);
    service.signal(signal);
    until("it listens no more", || {
        TcpStream::connect(service.address()).is_err()
    });
    stream.write_all(body.as_bytes()).expect("it still reads");
    lock.execute_batch("COMMIT").expect("it can be given back");
    let released = Instant::now();
    let mut answer = String::new();
    reader.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.ends_with(r#"{"key":"currency","value":"SEK"}"#),
        "{answer}"
    );
    let status = service.wait();
    let took = released.elapsed();
    println!("{signal}: ended {took:?} after its last request could go on");
    assert_eq!(status.code(), Some(0), "{}", service.log());
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn asked_to_end_it_finishes_what_it_is_at_and_exits_with_0() {
    ends_well("-TERM");
    ends_well("-INT");
}

#[test]
fn a_write_whose_caller_hangs_up_is_seen_all_the_same() {
    let (_directory, db) = database();
    let service = Service::start(BINARY, &db, None, &[]);
    let setting = || service.get("/settings/currency").json()["value"].clone();
    let lock = Connection::open(&db).expect("it is there");
    lock.execute_batch("BEGIN IMMEDIATE").expect("it is free");
    let body = r#"{"value":"SEK"}"#;
    let (mut stream, reader) = begin_put(&service, body);
    stream.write_all(body.as_bytes()).expect("it reads");
    // While these are answered, the write gets to the lock; one that had not yet begun when its
    // caller hung up would rightly not happen at all.
    let meanwhile = || (0..200).for_each(|_| assert_eq!(setting(), "EUR"));
    meanwhile();
    drop((stream, reader));
    // Whatever the hanging up invalidates, these make it cached again before the write is done.
    meanwhile();
    lock.execute_batch("COMMIT").expect("it can be given back");
    until("the write is seen", || setting() == "SEK");
}

#[test]
fn a_policy_file_switches_a_kind_off() {
    let (directory, db) = database();
    let file = directory.path().join("policies.toml");
    std::fs::write(&file, "[kinds.settings]\nenabled = false\n").expect("it can be written");
    let file = file.to_str().expect("a text");
    let service = Service::start(BINARY, &db, None, &["--policies", file, "--warm", "0"]);
    for _ in 0..5 {
        service.get("/settings/currency");
        service.get("/employees/1");
    }
    assert_eq!(service.figure(Some("settings"), &["bypassed"]), 5);
    assert_eq!(service.figure(Some("settings"), &["misses"]), 0);
    assert_eq!(service.figure(Some("user_profile"), &["misses"]), 1);
    assert_eq!(service.figure(Some("user_profile"), &["hits_local"]), 4);
}

#[test]
fn each_kind_is_kept_for_as_long_as_it_says() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let service = Service::start(BINARY, &db, Some(&redis.url()), &["--warm", "0"]);
    for (path, kind, minutes) in [
        ("/employees/1", "user_profile", 30),
        ("/shifts/1", "shift_data", 15),
        ("/jobs?city=Porto", "job_listing", 10),
        ("/workplaces/1/employees", "employee_list", 20),
        ("/settings/currency", "settings", 120),
        ("/workplaces/1/schedule?from=2026-03-02", "schedule", 5),
    ] {
        assert_eq!(service.get(path).status, 200);
        let keys: Vec<String> = redis.command(&["KEYS", &format!("shifts:e:{{{kind}:*")]);
        let [key] = &keys[..] else {
            panic!("{path} makes one entry of {kind}: {keys:?}");
        };
        let left: i64 = redis.command(&["TTL", key]);
        assert!(
            (minutes * 60 - 30..=minutes * 60).contains(&left),
            "{key}: {left} s"
        );
    }
}
