//! Every store passes the one suite.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::time::Duration;

use cache_core::memory::MemoryServer;
use cache_core::store::Store;
use cache_core::{Env, ManualClock};
use cache_redis::RedisStore;
use cache_tests::conformance::{self, Server};
use cache_tests::server::RedisServer;

struct Memory {
    server: MemoryServer,
    clock: ManualClock,
    tracked: bool,
}

impl Memory {
    fn new(tracked: bool) -> Self {
        let clock = ManualClock::new();
        Self {
            server: MemoryServer::new(Env::system().with_clock(clock.clone()))
                .report_every(Duration::from_secs(15)),
            clock,
            tracked,
        }
    }
}

impl Server for Memory {
    fn client(&self) -> Box<dyn Store> {
        Box::new(if self.tracked {
            self.server.store()
        } else {
            self.server.checked_store()
        })
    }

    fn env(&self) -> Env {
        Env::system().with_clock(self.clock.clone())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn plant(&self, namespace: &str, key: &str, bytes: &[u8]) {
        let key = format!("{namespace}:{key}");
        self.server.plant(&key, bytes, Duration::from_mins(1));
    }

    fn life(&self, namespace: &str, key: &str) -> Option<Duration> {
        let key = format!("{namespace}:{key}");
        self.server.life(&key)
    }
}

struct Redis(RedisServer);

impl Server for Redis {
    fn client(&self) -> Box<dyn Store> {
        Box::new(RedisStore::new(&self.0.url()).expect("a good URL"))
    }

    fn env(&self) -> Env {
        Env::system()
    }

    // Redis lives by a clock of its own: the one wait there is no other way for.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn plant(&self, namespace: &str, key: &str, bytes: &[u8]) {
        let mut connection = redis::Client::open(self.0.url())
            .and_then(|client| client.get_connection())
            .expect("the server answers");
        redis::cmd("SET")
            .arg(format!("{namespace}:e:{{{key}}}"))
            .arg(bytes)
            .exec(&mut connection)
            .expect("the server takes it");
    }

    fn life(&self, namespace: &str, key: &str) -> Option<Duration> {
        let left: i64 = self
            .0
            .command(&["PTTL", &format!("{namespace}:e:{{{key}}}")]);
        u64::try_from(left).ok().map(Duration::from_millis)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracked_store_in_memory() {
    conformance::run(&Memory::new(true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checked_store_in_memory() {
    conformance::run(&Memory::new(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_redis() {
    conformance::run(&Redis(RedisServer::start())).await;
}
