//! Redis saying what Redis never says: each time the caller gets what the function returns, it is
//! counted, the connection is replaced, and nothing that was read before is served unasked.

use std::time::{Duration, Instant};

use cache_core::{Cache, Invalidation, cached};
use cache_redis::RedisStore;
use cache_tests::impostor::Impostor;
use cache_tests::server::{RedisServer, until};
use cache_tests::source::Source;
use tokio::task::{JoinSet, LocalSet};

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"), skip(source))]
async fn profile(source: &Source, id: u64) -> u64 {
    source.load().await + id
}

/// What is local before each of them.
const WARM: u64 = 0;

struct Scene {
    server: RedisServer,
    impostor: Impostor,
    node: Cache,
    source: Source,
}

impl Scene {
    async fn start() -> Self {
        // The machine may be busy: nothing but nonsense ends a connection.
        Self::patient(Duration::from_secs(2)).await
    }

    /// One that waits so long for a sign of life.
    async fn patient(ping_timeout: Duration) -> Self {
        let server = RedisServer::start();
        let impostor = Impostor::start(server.port()).await;
        let store = RedisStore::builder(&impostor.url())
            .unwrap()
            .tracking(true)
            .heartbeat(Duration::from_millis(150), ping_timeout)
            // Lies are told to calls: a report's scripts may have as many words.
            .report_every(Duration::ZERO)
            .build();
        let node = Cache::builder()
            .namespace("test")
            .shared(store.unwrap())
            .store_timeout(TIMEOUT)
            .replay_window(Duration::ZERO)
            .try_build()
            .unwrap();
        // The other connection is there, too.
        node.invalidate_tag("user:0").await.unwrap();
        Self {
            server,
            impostor,
            node,
            source: Source::new(1),
        }
    }

    async fn get(&self, id: u64) -> u64 {
        self.node.scope(profile(&self.source, id)).await
    }

    /// Until a value is local, and everything works.
    async fn warm(&self) {
        until("local hits are back", async || {
            assert_eq!(self.get(WARM).await, 1);
            let before = self.local_hits();
            assert_eq!(self.get(WARM).await, 1);
            let health = self.node.health();
            health.usable && health.trusted && health.queued == 0 && self.local_hits() == before + 1
        })
        .await;
    }

    fn local_hits(&self) -> u64 {
        let snapshot = self.node.snapshot();
        snapshot
            .kinds
            .get("profile")
            .map_or(0, |kind| kind.hits_local)
    }

    fn distrusted(&self) -> u64 {
        self.node.snapshot().distrusted
    }
}

/// When what never comes is given up.
const SOON: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_secs(2);

type About = fn(&[String]) -> bool;

/// A command by its name. Scripts are told by how many words they take.
const READ_ENTRY: About = |words| words[0] == "GETRANGE";
const LEFT: About = |words| words[0] == "PTTL";
const STAMPS: About = |words| words[0] == "MGET";
const LEASE: About = |words| words[0] == "SET" && words[1].starts_with("TEST:L:");
const STAMP: About = |words| words[0] == "SET" && words[1].starts_with("TEST:T:");
const LEASE_SCRIPT: About = |words| words[0].starts_with("EVAL") && words.len() == 10;
const STAMP_SCRIPT: About = |words| words[0].starts_with("EVAL") && words.len() == 7;
const FILL: About = |words| words[0].starts_with("EVAL") && words.len() == 8;
const READ_LEASE: About = |words| words[0] == "GET";
const PING: About = |words| words[0] == "PING";
const UNLINK: About = |words| words[0] == "UNLINK";

/// All that a miss asks.
const ASKED: [About; 9] = [
    READ_ENTRY,
    LEFT,
    STAMPS,
    LEASE,
    STAMP,
    LEASE_SCRIPT,
    STAMP_SCRIPT,
    FILL,
    READ_LEASE,
];

/// What is an answer to none of them.
const NEVER: [&str; 12] = [
    "+PONG\r\n",
    "*1\r\n*1\r\n*1\r\n:1\r\n",
    "%1\r\n+a\r\n:1\r\n",
    "#t\r\n",
    ",1.5\r\n",
    "(123456789012345678901234567890\r\n",
    "~1\r\n:1\r\n",
    "=5\r\ntxt:x\r\n",
    ":99999999999999999999\r\n",
    "HTTP/1.1 400 Bad Request\r\n",
    "$x\r\n",
    "|1\r\n+ttl\r\n:1\r\n:1\r\n",
];

#[tokio::test]
async fn answers_that_make_no_sense() {
    let asked = ASKED;
    let mut cases: Vec<(About, String)> = Vec::new();
    for about in asked {
        cases.extend(NEVER.map(|answer| (about, answer.to_owned())));
        cases.push((about, "*1\r\n".repeat(200)));
    }
    let own: [(About, &[&str]); 9] = [
        (READ_ENTRY, &[":1\r\n", "*0\r\n", "+OK\r\n"]),
        (LEFT, &["_\r\n", ":-3\r\n", "$1\r\n1\r\n", "*0\r\n"]),
        (
            STAMPS,
            &[
                "*0\r\n",
                // Of the call's three tags two are known here: one is asked for.
                "*2\r\n_\r\n_\r\n",
                "*9\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n",
                "*2\r\n:1\r\n_\r\n",
                "_\r\n",
            ],
        ),
        (LEASE, &[":1\r\n", "*0\r\n"]),
        (STAMP, &[":1\r\n", "*0\r\n"]),
        (
            LEASE_SCRIPT,
            &[
                ":0\r\n",
                "*0\r\n",
                "*1\r\n:7\r\n",
                "*2\r\n:1\r\n:-5\r\n",
                "*2\r\n:0\r\n:0\r\n",
                "*2\r\n:2\r\n$3\r\nabc\r\n",
                "*1\r\n$1\r\n0\r\n",
            ],
        ),
        (STAMP_SCRIPT, &[":2\r\n", ":-1\r\n", "_\r\n"]),
        (FILL, &[":2\r\n", ":-1\r\n", "$1\r\n1\r\n"]),
        (READ_LEASE, &[":1\r\n", "*0\r\n"]),
    ];
    for (about, answers) in own {
        cases.extend(answers.iter().map(|&answer| (about, answer.to_owned())));
    }
    // One byte more than a lease's reading back of the id asks for.
    cases.push((FILL, ":1\r\n$17\r\n12345678901234567\r\n".to_owned()));

    // Each has the connection made again: several at a time.
    let (local, mut scenes) = (LocalSet::new(), JoinSet::new());
    for part in cases.chunks(cases.len().div_ceil(4)) {
        let part = part.to_vec();
        let told = async move {
            let scene = Scene::start().await;
            for (id, (about, answer)) in (1..).zip(part) {
                scene.tell(id, about, &answer).await;
            }
        };
        scenes.spawn_local_on(told, &local);
    }
    let ended = async {
        while let Some(ended) = scenes.join_next().await {
            ended.unwrap();
        }
    };
    local.run_until(ended).await;
}

impl Scene {
    /// Has a call run into such an answer.
    async fn tell(&self, id: u64, about: About, answer: &str) {
        self.warm().await;
        let (before, connections) = (self.distrusted(), self.impostor.connections());
        self.prepare(id, about);
        self.impostor.lie(about, answer);
        assert_eq!(self.get(id).await, id + 1, "{answer:?}");
        assert!(self.impostor.has_lied(), "{answer:?} was not asked for");
        assert_eq!(self.distrusted(), before + 1, "{answer:?}");
        self.asks_again(answer).await;
        self.warm().await;
        assert_eq!(self.impostor.connections(), connections + 1, "{answer:?}");
    }

    /// Scripts are asked where something is unusual: a stamp that is none.
    fn prepare(&self, id: u64, about: About) {
        let is_script = [7, 10].map(|length| about(&vec!["EVALSHA".to_owned(); length]));
        // What is in the lease's place is asked for by itself only beside them.
        if is_script.contains(&true) || about(&["GET".to_owned()]) {
            let stamp = format!("test:t:user:{id}");
            self.server.command::<()>(&["SET", &stamp, "none"]);
        }
    }

    /// That what was local is not served unasked.
    async fn asks_again(&self, answer: &str) {
        let local = self.local_hits();
        assert_eq!(self.get(WARM).await, 1);
        assert_eq!(self.local_hits(), local, "{answer:?}: served unasked");
    }
}

#[tokio::test]
async fn an_invalidation_that_is_answered_with_nonsense_was_not_applied() {
    let scene = Scene::start().await;
    for answer in NEVER
        .into_iter()
        .chain([":3\r\n", ":-1\r\n", "+OK\r\n", "_\r\n"])
    {
        scene.warm().await;
        let (before, connections) = (scene.distrusted(), scene.impostor.connections());
        scene.impostor.lie(UNLINK, answer);
        let outcome = scene.node.invalidate_tag("user:0").await.unwrap();
        assert_eq!(outcome, Invalidation::Queued, "{answer:?}");
        assert_eq!(scene.distrusted(), before + 1, "{answer:?}");
        scene.asks_again(answer).await;
        scene.warm().await;
        assert_eq!(scene.impostor.connections(), connections + 1, "{answer:?}");
    }
}

/// An answer that is missing makes the next one its own, and so on: an invalidation would count as
/// applied before it was.
#[tokio::test]
async fn answers_that_do_not_come_shift_none_of_the_others() {
    let scene = Scene::patient(SOON).await;
    for (id, about) in (1..).zip(ASKED) {
        scene.warm().await;
        scene.prepare(id, about);
        scene.impostor.lie(about, "");
        let begun = Instant::now();
        assert_eq!(scene.get(id).await, id + 1);
        println!("{id}: {:?}", begun.elapsed());
        assert!(begun.elapsed() < 2 * TIMEOUT);
        assert!(scene.impostor.has_lied());
        // Whoever comes next may be told what is another's.
        for again in 100..105 {
            assert_eq!(scene.get(id * 1000 + again).await, id * 1000 + again + 1);
        }
    }
    for _ in 0..3 {
        scene.warm().await;
        let connections = scene.impostor.connections();
        scene.impostor.lie(UNLINK, "");
        let outcome = scene.node.invalidate_tag("user:0").await.unwrap();
        assert_eq!(outcome, Invalidation::Queued);
        scene.warm().await;
        assert!(scene.impostor.connections() > connections);
    }
}

#[tokio::test]
async fn a_sign_of_life_that_is_none() {
    let scene = Scene::start().await;
    for answer in NEVER[1..]
        .iter()
        .copied()
        .chain([":1\r\n", "+OK\r\n", "_\r\n"])
    {
        scene.warm().await;
        let (before, connections) = (scene.distrusted(), scene.impostor.connections());
        // Nobody calls: the heartbeat runs into it.
        scene.impostor.lie(PING, answer);
        until("it is counted", async || scene.distrusted() == before + 1).await;
        scene.asks_again(answer).await;
        scene.warm().await;
        assert_eq!(scene.impostor.connections(), connections + 1, "{answer:?}");
    }
}

#[tokio::test]
async fn lengths_that_nothing_has_take_no_memory() {
    const MIB: usize = 1 << 20;
    let scene = Scene::patient(SOON).await;
    let lengths = [
        "*1000000000",
        "$400000000000",
        "%1000000000",
        "~2147483647",
        "*9223372036854775807",
    ];
    for (id, length) in (1..).zip(lengths) {
        for (about, id) in [
            (READ_ENTRY, id),
            (STAMPS, 100 + id),
            (LEASE, 200 + id),
            (LEASE_SCRIPT, 300 + id),
        ] {
            scene.warm().await;
            scene.prepare(id, about);
            let before = resident();
            scene.impostor.lie(about, format!("{length}\r\n"));
            assert_eq!(scene.get(id).await, id + 1);
            assert!(scene.impostor.has_lied());
            scene.warm().await;
            let grown = resident().saturating_sub(before);
            assert!(grown < 64 * MIB, "{length}: {} MiB", grown / MIB);
        }
    }
}

/// How many bytes of memory this process has in use; zero where the system does not say.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

#[tokio::test]
async fn pushes_that_make_no_sense() {
    let scene = Scene::start().await;
    for push in [
        ">1\r\n$10\r\ninvalidate\r\n",
        ">2\r\n$10\r\ninvalidate\r\n:1\r\n",
        ">2\r\n$10\r\ninvalidate\r\n$8\r\ntest:t:a\r\n",
        ">2\r\n$10\r\ninvalidate\r\n*1\r\n:1\r\n",
        ">2\r\n$10\r\ninvalidate\r\n*1\r\n*1\r\n$8\r\ntest:t:a\r\n",
        ">2\r\n$10\r\ninvalidate\r\n%0\r\n",
        ">3\r\n$10\r\ninvalidate\r\n_\r\n_\r\n",
        ">0\r\n",
        ">1\r\n:1\r\n",
        ">-1\r\n",
        ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
        ">2\r\n$2\r\n\u{fffd}\r\n*0\r\n",
        "garbage\r\n",
    ] {
        scene.warm().await;
        let (before, connections) = (scene.distrusted(), scene.impostor.connections());
        scene.impostor.say(push);
        until("it is counted", async || scene.distrusted() == before + 1).await;
        scene.asks_again(push).await;
        scene.warm().await;
        assert_eq!(scene.impostor.connections(), connections + 1, "{push:?}");
    }
}

#[tokio::test]
async fn pushes_about_something_else() {
    let scene = Scene::start().await;
    scene.warm().await;
    let (before, local) = (scene.server.commands(), scene.local_hits());
    for push in [
        ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n",
        ">2\r\n$6\r\nfuture\r\n:1\r\n",
        ">2\r\n$10\r\ninvalidate\r\n*0\r\n",
        ">2\r\n$10\r\ninvalidate\r\n*2\r\n$5\r\nother\r\n$2\r\n\r\r\r\n",
    ] {
        scene.impostor.say(push);
    }
    // What is said later is heard later.
    let flushed = ">2\r\n$10\r\ninvalidate\r\n_\r\n";
    assert_eq!((scene.get(WARM).await, scene.local_hits()), (1, local + 1));
    assert_eq!(scene.server.commands(), before);
    scene.impostor.say(flushed);
    until("the last one is heard", async || {
        let before = scene.server.commands();
        scene.get(WARM).await;
        scene.server.commands() > before
    })
    .await;
    assert_eq!(scene.distrusted(), 0);
    assert_eq!(scene.impostor.connections(), 2);
}

#[tokio::test]
async fn a_handshake_that_makes_no_sense() {
    const HELLO: About = |words| words[0] == "HELLO";
    const TRACKING: About = |words| words.starts_with(&["CLIENT".into(), "TRACKING".into()]);
    let scene = Scene::start().await;
    // redis-rs takes any HELLO that is no error.
    let garbage = "HTTP/1.1 400 Bad Request\r\n";
    for (about, answer) in [
        (HELLO, garbage),
        (TRACKING, garbage),
        (TRACKING, ":1\r\n"),
        (TRACKING, "*0\r\n"),
        (TRACKING, "_\r\n"),
    ] {
        scene.warm().await;
        let before = scene.distrusted();
        scene.impostor.lie(about, answer);
        let words = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
        scene.server.command::<u64>(&words);
        until("it was asked", async || {
            assert_eq!(scene.get(WARM).await, 1);
            scene.impostor.has_lied()
        })
        .await;
        scene.warm().await;
        assert_eq!(scene.distrusted(), before + 1, "{answer:?}");
    }
}
