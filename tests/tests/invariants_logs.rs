//! What fails again and again is said once in ten seconds, and counted each time. One test, since a
//! process has one listener.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async, clippy::unused_self)]

use std::time::Duration;

use cache_core::memory::{MemoryServer, Trouble};
use cache_core::{Cache, Env, ManualClock, cached};
use cache_tests::logs::Logs;
use cache_tests::world::Here;

#[cached(kind = "logged", ttl = "1h")]
async fn get(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn the_same_complaint_is_logged_once_in_ten_seconds() {
    let logs = Logs::install();
    let clock = ManualClock::new();
    let env = Env::system().with_clock(clock.clone()).with_spawn(Here);
    let server = MemoryServer::new(env.clone());
    let cache = Cache::builder()
        .env(env)
        .shared(server.checked_store())
        .build();
    // Refused writes open no breaker, so each call fails anew.
    server.trouble(Trouble::ReadOnly);
    for id in 1..100 {
        assert_eq!(cache.scope(get(id)).await, id);
    }
    assert_eq!(logs.about("takes no writes").len(), 1);
    assert!(cache.snapshot().kinds["logged"].store_errors >= 99);
    clock.advance(Duration::from_secs(11));
    cache.scope(get(200)).await;
    assert_eq!(logs.about("takes no writes").len(), 2);
}
