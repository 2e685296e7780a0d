//! Three processes of the service under load on one Redis: whoever tells of hits and misses tells the
//! same, and it is what the clients have seen. They know without asking the cache: each answer says how
//! often the database was read for it.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::process::Stdio;
use std::sync::Mutex;

use cache_tests::browser::Browser;
use cache_tests::prometheus::{Prometheus, repository};
use cache_tests::server::{RedisServer, until};
use cache_tests::service::{Service, database, program};
use serde_json::{Value, json};

const SHIFTS: &str = env!("CARGO_BIN_EXE_tested-shifts");
const CACHE: &str = env!("CARGO_BIN_EXE_tested-cache");
const CLIENTS: u64 = 6;
const REQUESTS: u64 = 400;

/// Hits and misses of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    hits: u64,
    misses: u64,
}

impl AddAssign for Asked {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
    }
}

/// By kind.
type Figures = BTreeMap<String, Asked>;

/// What a client asks for: each is one call of one cached function, of this kind.
fn path(number: u64) -> (&'static str, String) {
    let id = 1 + number / 5 * 31 % 60;
    match number % 5 {
        0 => ("settings", "/settings/currency".to_owned()),
        1 => ("user_profile", format!("/employees/{id}")),
        2 => (
            "employee_list",
            format!("/workplaces/{}/employees", 1 + id % 20),
        ),
        3 => ("shift_data", format!("/shifts/{id}")),
        _ => ("schedule", format!("/employees/{id}/week?of=2026-03-02")),
    }
}

/// Sends requests to all of the services, writes among them; returns what the answers say.
fn load(services: &[Service]) -> Figures {
    let seen = Mutex::new(Figures::new());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let seen = &seen;
            scope.spawn(move || {
                for request in 0..REQUESTS {
                    let number = client * REQUESTS + request;
                    let service = &services[usize::try_from(number).unwrap_or(0) % services.len()];
                    if request % 40 == 0 {
                        let body = json!({ "value": number.to_string() });
                        let written = service.ask("PUT", "/settings/currency", Some(&body));
                        assert_eq!(written.status, 200, "{written:?}");
                        continue;
                    }
                    let (kind, path) = path(number);
                    let answer = service.get(&path);
                    assert_eq!(answer.status, 200, "{path}: {answer:?}");
                    let asked = match answer.reads {
                        Some(0) => Asked { hits: 1, misses: 0 },
                        Some(1) => Asked { hits: 0, misses: 1 },
                        reads => panic!("{path} has read {reads:?} times"),
                    };
                    *seen.lock().unwrap().entry(kind.to_owned()).or_default() += asked;
                }
            });
        }
    });
    seen.into_inner().expect("nobody has panicked")
}

/// What one process says of itself.
fn of_snapshot(service: &Service) -> Figures {
    let kinds = service.get("/metrics.json").json()["kinds"].clone();
    figures(&kinds, |kind| {
        let tiers = [
            "hits_local",
            "hits_shared",
            "hits_stale",
            "hits_outage",
            "coalesced",
        ];
        let hits = tiers.iter().filter_map(|tier| kind[tier].as_u64()).sum();
        [hits, kind["misses"].as_u64()?].into()
    })
}

/// What the page of one process shows of the fleet.
fn of_page(service: &Service) -> Figures {
    let data = service.get("/cache/data.json?of=fleet&range=1h").json();
    assert_eq!(data["of"], "fleet", "{data:#}");
    figures(&data["kinds"], |kind| {
        [kind["hits"].as_u64()?, kind["counters"]["misses"].as_u64()?].into()
    })
}

/// What `cache stats` prints.
fn of_terminal(redis: &RedisServer) -> Figures {
    let printed = program(CACHE, Some(&redis.url()))
        .args(["--namespace", "shifts", "stats", "--json", "--since", "1h"])
        .stderr(Stdio::inherit())
        .output()
        .expect("it can be started");
    assert!(printed.status.success(), "{printed:?}");
    let stats: Value = serde_json::from_slice(&printed.stdout).expect("JSON");
    figures(&stats["kinds"], |kind| {
        [kind["hits"].as_u64()?, kind["misses"].as_u64()?].into()
    })
}

/// What Prometheus makes of what all processes say, when it last asked them.
fn of_prometheus(prometheus: &Prometheus) -> Figures {
    let mut all = Figures::new();
    for (outcomes, is_hit) in [("hit_.*|coalesced", true), ("miss", false)] {
        let query = format!("sum by (kind) (cache_requests_total{{outcome=~\"{outcomes}\"}}) > 0");
        for series in prometheus.query(&query) {
            let asked = all.entry(series.labels["kind"].clone()).or_default();
            let count: u64 = series.value.to_string().parse().expect("a whole number");
            *(if is_hit {
                &mut asked.hits
            } else {
                &mut asked.misses
            }) += count;
        }
    }
    all
}

/// What somebody reads on the page, in the table of the kinds.
fn of_browser(browser: &Browser) -> Figures {
    let rows: Vec<[String; 3]> = browser.run(
        "const table = document.querySelector('#kinds table');
         if (!table) return [];
         const heads = [...table.querySelectorAll('thead th')].map((head) => head.textContent);
         const [calls, miss] = [heads.indexOf('calls'), heads.indexOf('miss')];
         return [...table.querySelectorAll('tbody tr')].map((row) =>
           [row.cells[0], row.cells[calls], row.cells[miss]].map((cell) => cell.textContent));",
    );
    let number = |text: &str| -> u64 {
        // Thousands are apart.
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("{text:?}"))
    };
    let read = rows.iter().map(|[kind, calls, misses]| {
        let misses = number(misses);
        let hits = number(calls) - misses;
        (kind.trim().to_owned(), Asked { hits, misses })
    });
    read.filter(|(_, asked)| *asked != Asked::default())
        .collect()
}

fn figures(kinds: &Value, read: impl Fn(&Value) -> Option<[u64; 2]>) -> Figures {
    let kinds = kinds.as_object().expect("kinds");
    let read = kinds.iter().map(|(name, kind)| {
        let [hits, misses] = read(kind).unwrap_or_else(|| panic!("{name}: {kind:#}"));
        (name.clone(), Asked { hits, misses })
    });
    // What was only written, or looked at past the cache, was not asked for.
    read.filter(|(_, asked)| *asked != Asked::default())
        .collect()
}

fn sum(all: impl IntoIterator<Item = Figures>) -> Figures {
    let mut sum = Figures::new();
    for (kind, asked) in all.into_iter().flatten() {
        *sum.entry(kind).or_default() += asked;
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_tells_of_hits_and_misses_tells_what_the_clients_have_seen() {
    let (redis, (_directory, db)) = (RedisServer::start(), database());
    let url = redis.url();
    let arguments = ["--warm", "0", "--report-every", "1", "--dashboard"];
    let start = || Service::start(SHIFTS, &db, Some(&url), &arguments);
    let services = [start(), start(), start()];
    let all: Vec<&Service> = services.iter().collect();
    let prometheus = Prometheus::start(&all, &repository("docs/prometheus/alerts.yml"));

    for path in ["/cache", "/cache/"] {
        let page = services[0].get(path);
        assert_eq!(
            (page.status, &*page.media),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
    }

    let seen = load(&services);
    let asked = sum([seen.clone()])
        .values()
        .fold(Asked::default(), |mut all, one| {
            all += *one;
            all
        });
    println!("{} hits and {} misses: {seen:#?}", asked.hits, asked.misses);
    assert!(asked.hits > 1_000 && asked.misses > 100, "{asked:?}");

    // Each process by itself, added up.
    assert_eq!(sum(services.iter().map(of_snapshot)), seen);
    // The fleet's figures, once every process has reported: on each page, and in the terminal.
    until("all have reported", async || of_terminal(&redis) == seen).await;
    for service in &services {
        // A page asks Redis every few seconds.
        until("the page knows", async || of_page(service) == seen).await;
    }
    let browser = Browser::start();
    browser.open(&format!("http://{}/cache", services[0].address()));
    browser.click("label:has(#of-fleet)");
    browser.click("label:has([value='1h'])");
    until("the page shows it", async || of_browser(&browser) == seen).await;
    until("Prometheus knows", async || {
        of_prometheus(&prometheus) == seen
    })
    .await;
}
