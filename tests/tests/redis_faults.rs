//! A cache with tracking and everything that can go wrong with its Redis: callers get what the function
//! returns, in time; nothing stale after `Applied`; `Queued` where it was not; and then hits again.

use std::time::{Duration, Instant};

use cache_core::{Cache, Invalidation, cached};
use cache_redis::{RedisConfig, RedisStore};
use cache_tests::proxy::Proxy;
use cache_tests::server::{RedisServer, free_port, until};
use cache_tests::source::Source;

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"), skip(source))]
async fn profile(source: &Source, id: u64) -> u64 {
    assert!(id == HOT || id >= 100);
    source.load().await
}

const TIMEOUT: Duration = Duration::from_millis(500);
/// What a call may take where the store does not answer: the machine may be busy.
const LIMIT: Duration = Duration::from_secs(2);
/// The bound of invariant 1, with the heartbeat of these nodes.
const BOUND: Duration = Duration::from_secs(1);
/// What is called all the time.
const HOT: u64 = 7;

/// What goes wrong, how it ends, and what an invalidation says meanwhile: nothing is asked of what is
/// over at once, or in time on some machines only.
struct Fault {
    name: &'static str,
    begin: fn(&Scene),
    end: fn(&Scene),
    says: Option<Invalidation>,
}

const QUEUED: Option<Invalidation> = Some(Invalidation::Queued);
const APPLIED: Option<Invalidation> = Some(Invalidation::Applied);

struct Scene {
    server: RedisServer,
    proxy: Proxy,
    /// Suffers: it comes through the proxy, as a user of its own.
    node: Cache,
    /// Comes directly, as everybody may.
    other: Cache,
    source: Source,
}

fn cache(config: RedisConfig) -> Cache {
    let config = config
        .tracking(true)
        .connect_timeout(Duration::from_secs(1))
        .heartbeat(BOUND / 4, BOUND * 3 / 4);
    Cache::builder()
        .namespace("test")
        .shared(config.build().unwrap())
        .store_timeout(TIMEOUT)
        .try_build()
        .unwrap()
}

impl Scene {
    async fn start() -> Self {
        let server = RedisServer::start();
        server.command::<()>(&["ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all"]);
        let proxy = Proxy::start(server.port()).await;
        let app = RedisStore::builder(&proxy.url()).unwrap();
        let node = cache(app.username("app").password("pw"));
        let other = cache(RedisStore::builder(&server.url()).unwrap());
        Self {
            server,
            proxy,
            node,
            other,
            source: Source::new(1),
        }
    }

    fn redis(&self, words: &[&str]) {
        self.server.command::<redis::Value>(words);
    }

    /// Changes what the user may, and has it come again.
    fn rights(&self, rules: &[&str]) {
        self.redis(&[&["ACL", "SETUSER", "app"], rules].concat());
    }

    fn kill(&self) {
        self.redis(&["CLIENT", "KILL", "USER", "app"]);
    }

    /// Calls, and asks for the answer in time.
    async fn get(&self, node: &Cache, id: u64) -> u64 {
        let begun = Instant::now();
        let value = node.scope(profile(&self.source, id)).await;
        let took = begun.elapsed();
        assert!(took < LIMIT, "{took:?}");
        value
    }

    /// Until each answers with the newest value, without asking, and nothing waits to be applied.
    async fn hits_are_back(&self) {
        for node in [&self.node, &self.other] {
            until("local hits are back", async || {
                let local = local_hits(node);
                let value = self.get(node, HOT).await;
                // Nobody was told of the invalidation while it was queued.
                let is_new = value == self.source.value();
                let is_local = local_hits(node) == local + 1;
                let health = node.health();
                health.usable && health.trusted && health.queued == 0 && is_new && is_local
            })
            .await;
        }
    }

    /// Invalidates on the node that suffers.
    async fn invalidate(&self) -> Invalidation {
        self.invalidate_on(&self.node, &self.other).await
    }

    /// Changes the value, invalidates on one node, and sees that it holds: there at once, and, if it
    /// was applied, on the other one within the bound.
    async fn invalidate_on(&self, one: &Cache, other: &Cache) -> Invalidation {
        self.source.set(self.source.value() + 1);
        let new = self.source.value();
        let outcome = one.invalidate_tag("user:7").await.unwrap();
        let since = Instant::now();
        for _ in 0..3 {
            assert_eq!(self.get(one, HOT).await, new, "after {outcome:?}");
        }
        if outcome == Invalidation::Queued {
            return outcome;
        }
        loop {
            let began = since.elapsed();
            if self.get(other, HOT).await == new {
                return outcome;
            }
            assert!(began < BOUND, "stale {began:?} after it was applied");
        }
    }
}

fn local_hits(node: &Cache) -> u64 {
    let snapshot = node.snapshot();
    snapshot
        .kinds
        .get("profile")
        .map_or(0, |kind| kind.hits_local)
}

async fn suffer(faults: &[Fault]) {
    for fault in faults {
        println!("{}", fault.name);
        let mut scene = Scene::start().await;
        scene.hits_are_back().await;
        let old = scene.source.value();
        (fault.begin)(&scene);
        scene.source.set(old + 1);
        for id in 100..105 {
            assert_eq!(scene.get(&scene.node, id).await, old + 1, "{}", fault.name);
            let hot = scene.get(&scene.node, HOT).await;
            assert!(hot == old || hot == old + 1, "{}: {hot}", fault.name);
        }
        // Where it can be applied there, it holds here, whatever this node is told.
        scene.invalidate_on(&scene.other, &scene.node).await;
        let outcome = scene.invalidate().await;
        assert!(
            fault.says.is_none_or(|says| says == outcome),
            "{}: {outcome:?}",
            fault.name
        );
        (fault.end)(&scene);
        until("it is healed", async || {
            // What is queued is not forgotten, however often the answer is asked for.
            assert_eq!(scene.get(&scene.node, HOT).await, scene.source.value());
            scene.node.health().usable
        })
        .await;
        scene.hits_are_back().await;
        assert_eq!(
            scene.invalidate().await,
            Invalidation::Applied,
            "{}",
            fault.name
        );
        scene.hits_are_back().await;
        let snapshot = scene.node.snapshot();
        assert_eq!(snapshot.distrusted, 0, "{}", fault.name);
        let profile = &snapshot.kinds["profile"];
        println!(
            "    {} loads, {} store errors",
            profile.loads, profile.store_errors
        );
        scene.server.kill();
    }
}

fn nothing(_: &Scene) {}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_stop() {
    suffer(&[
        Fault {
            name: "SIGSTOP",
            begin: |scene| scene.server.pause(),
            end: |scene| scene.server.resume(),
            says: QUEUED,
        },
        Fault {
            name: "CLIENT PAUSE of everything",
            begin: |scene| scene.redis(&["CLIENT", "PAUSE", "6000", "ALL"]),
            end: nothing,
            says: QUEUED,
        },
        Fault {
            name: "CLIENT PAUSE of writes",
            begin: |scene| scene.redis(&["CLIENT", "PAUSE", "600000", "WRITE"]),
            end: |scene| scene.redis(&["CLIENT", "UNPAUSE"]),
            says: QUEUED,
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed() {
    let mut scene = Scene::start().await;
    for _ in 0..3 {
        scene.hits_are_back().await;
        scene.server.kill();
        scene.source.set(scene.source.value() + 1);
        for id in 100..105 {
            assert_eq!(scene.get(&scene.node, id).await, scene.source.value());
        }
        assert_eq!(scene.invalidate().await, Invalidation::Queued);
        scene.server.restart();
        scene.rights(&["on", ">pw", "~*", "&*", "+@all"]);
        scene.hits_are_back().await;
        assert_eq!(scene.invalidate().await, Invalidation::Applied);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks() {
    suffer(&[
        Fault {
            name: "slow answers",
            begin: |scene| scene.proxy.slow(true),
            end: |scene| scene.proxy.slow(false),
            says: None,
        },
        Fault {
            name: "answers later than anybody waits",
            begin: |scene| scene.proxy.delay(2 * TIMEOUT),
            end: |scene| scene.proxy.delay(Duration::ZERO),
            says: QUEUED,
        },
        Fault {
            name: "a cut",
            begin: |scene| scene.proxy.cut(),
            end: nothing,
            says: None,
        },
        Fault {
            name: "cut off",
            begin: |scene| {
                // Nobody listens there.
                scene.proxy.switch(1);
                scene.proxy.cut();
            },
            end: |scene| scene.proxy.switch(scene.server.port()),
            says: QUEUED,
        },
        Fault {
            name: "a black hole",
            begin: |scene| scene.proxy.black_hole(true),
            end: |scene| scene.proxy.black_hole(false),
            says: QUEUED,
        },
        Fault {
            name: "CLIENT KILL",
            begin: Scene::kill,
            end: nothing,
            says: None,
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_refuse() {
    fn memory(scene: &Scene, policy: &str, most: &str) {
        scene.redis(&["CONFIG", "SET", "maxmemory-policy", policy]);
        scene.redis(&["CONFIG", "SET", "maxmemory", most]);
    }
    suffer(&[
        Fault {
            name: "full, and nothing may go",
            begin: |scene| memory(scene, "noeviction", "1"),
            end: |scene| memory(scene, "noeviction", "0"),
            says: APPLIED,
        },
        Fault {
            name: "full, and everything goes",
            begin: |scene| memory(scene, "allkeys-lru", "1"),
            end: |scene| memory(scene, "noeviction", "0"),
            says: APPLIED,
        },
        Fault {
            name: "REPLICAOF",
            begin: |scene| {
                let port = free_port().to_string();
                scene.redis(&["REPLICAOF", "127.0.0.1", &port]);
            },
            end: |scene| scene.redis(&["REPLICAOF", "NO", "ONE"]),
            says: QUEUED,
        },
        Fault {
            name: "SCRIPT FLUSH",
            begin: |scene| scene.redis(&["SCRIPT", "FLUSH"]),
            end: nothing,
            says: APPLIED,
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_without_rights() {
    suffer(&[
        Fault {
            name: "no scripts",
            begin: |scene| scene.rights(&["-@scripting"]),
            end: |scene| scene.rights(&["+@all"]),
            says: APPLIED,
        },
        Fault {
            name: "no writes",
            begin: |scene| scene.rights(&["-@write"]),
            end: |scene| scene.rights(&["+@all"]),
            says: QUEUED,
        },
        Fault {
            name: "no entries and no leases",
            begin: |scene| scene.rights(&["resetkeys", "~test:t:*"]),
            end: |scene| scene.rights(&["~*"]),
            says: APPLIED,
        },
        Fault {
            name: "no stamps",
            begin: |scene| scene.rights(&["resetkeys", "~test:e:*", "~test:l:*"]),
            end: |scene| scene.rights(&["~*"]),
            says: QUEUED,
        },
        Fault {
            name: "no CLIENT TRACKING",
            begin: |scene| {
                scene.rights(&["-client"]);
                scene.kill();
            },
            end: |scene| {
                scene.rights(&["+@all"]);
                scene.kill();
            },
            says: None,
        },
        Fault {
            name: "no PING",
            begin: |scene| scene.rights(&["-ping"]),
            end: |scene| scene.rights(&["+@all"]),
            says: APPLIED,
        },
        Fault {
            name: "another password",
            begin: |scene| {
                scene.rights(&["resetpass", ">other"]);
                scene.kill();
            },
            end: |scene| scene.rights(&["resetpass", ">pw"]),
            says: QUEUED,
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_over_everything() {
    fn spoil(scene: &Scene, part: &str, words: &[&str]) {
        let keys: Vec<String> = scene.server.command(&["KEYS", &format!("test:{part}:*")]);
        let lease = vec!["test:l:{profile:profile:7}".to_owned()];
        for key in if part == "l" { lease } else { keys } {
            scene.redis(&["DEL", &key]);
            scene.redis(&[&words[..1], &[&key], &words[1..]].concat());
        }
    }
    suffer(&[
        Fault {
            name: "text over entries",
            begin: |scene| spoil(scene, "e", &["SET", "a text that is none of an entry's"]),
            end: nothing,
            says: APPLIED,
        },
        Fault {
            name: "text over stamps",
            begin: |scene| spoil(scene, "t", &["SET", "x"]),
            end: nothing,
            says: APPLIED,
        },
        Fault {
            name: "text over a lease",
            begin: |scene| spoil(scene, "l", &["SET", "x"]),
            end: nothing,
            says: APPLIED,
        },
        Fault {
            name: "lists over entries",
            begin: |scene| spoil(scene, "e", &["RPUSH", "a", "b"]),
            end: nothing,
            says: APPLIED,
        },
        Fault {
            name: "lists over stamps",
            begin: |scene| spoil(scene, "t", &["RPUSH", "a", "b"]),
            end: nothing,
            says: APPLIED,
        },
        Fault {
            name: "a list over a lease",
            begin: |scene| spoil(scene, "l", &["RPUSH", "a", "b"]),
            end: nothing,
            says: APPLIED,
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tls_certificate_that_expires() {
    let server = RedisServer::options().tls().start();
    let proxy = Proxy::start(server.port()).await;
    let secure = RedisStore::builder(&server.tls_url()).unwrap();
    let scene = Scene {
        node: cache(secure.ca_certificate(server.authority())),
        other: cache(RedisStore::builder(&server.url()).unwrap()),
        server,
        proxy,
        source: Source::new(1),
    };
    scene.hits_are_back().await;
    // What is connected stays so: it is found out at the next connection.
    scene.server.expire_certificate(true);
    scene.redis(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until("it is out of reach", async || {
        assert_eq!(scene.get(&scene.node, HOT).await, 1);
        !scene.node.health().trusted
    })
    .await;
    let error = scene.node.check_shared().await.unwrap_err();
    assert!(error.to_string().contains("not valid"), "{error}");
    assert_eq!(scene.invalidate().await, Invalidation::Queued);
    scene.server.expire_certificate(false);
    scene.hits_are_back().await;
    assert_eq!(scene.invalidate().await, Invalidation::Applied);
}
