//! Servers that can't tell of changes, or won't: each call asks, and it is said once.

use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use cache_tests::logs::Logs;
use cache_tests::server::{RedisServer, until};
use cache_tests::source::Source;

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"), skip(source))]
async fn profile(source: &Source, id: u64) -> u64 {
    assert_eq!(id, 7, "the tests ask for one");
    source.load().await
}

#[tokio::test]
async fn they_are_asked_on_each_call_and_it_is_said_once() {
    let logs = Logs::install();
    // HELLO can't be denied to a user, but it can be missing, as it is before Redis 6.
    let old = RedisServer::options().arguments(["--rename-command", "HELLO", ""]);
    for (server, user, denied, why) in [
        (
            RedisServer::start(),
            "trackless",
            // Denying a part of a command is known since 7.0 only.
            "-client",
            "to run the 'client",
        ),
        (old.start(), "helloless", "-publish", "no RESP3"),
    ] {
        let said = || {
            let lines = logs.about("can't tell of changes");
            lines.iter().filter(|line| line.contains(why)).count()
        };
        server.command::<()>(&[
            "ACL", "SETUSER", user, "on", ">pw", "~*", "&*", "+@all", denied,
        ]);
        let store = RedisStore::builder(&server.url())
            .unwrap()
            .tracking(true)
            // Reports would be among the commands that are counted.
            .report_every(std::time::Duration::ZERO)
            .username(user)
            .password("pw");
        let node = Cache::builder()
            .namespace(user)
            .shared(store.build().unwrap())
            .try_build()
            .unwrap();
        let source = Source::new(1);
        for round in 1..4 {
            source.set(round);
            node.invalidate_tag("user:7").await.unwrap();
            for _ in 0..3 {
                assert_eq!(node.scope(profile(&source, 7)).await, round);
            }
            assert!(!node.health().trusted, "{user}");
            let before = server.commands();
            assert_eq!(node.scope(profile(&source, 7)).await, round);
            assert!(server.commands() > before, "it asks");
            server.command::<u64>(&["CLIENT", "KILL", "USER", user]);
            until("it is shared again", async || {
                let before = source.loads();
                node.scope(profile(&source, 7)).await;
                node.health().usable && source.loads() == before
            })
            .await;
        }
        assert_eq!(said(), 1, "{:?}", logs.about(""));
    }
}
