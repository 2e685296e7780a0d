//! What ends local hits when nothing can be told: a server that stands still, a network that swallows
//! everything, a node whose own runtime is blocked; and connections that are lost and made again.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use cache_core::store::BoxFuture;
use cache_core::{Cache, CacheBuilder, Env, Invalidation, Spawn, cached};
use cache_redis::{RedisConfig, RedisStore};
use cache_tests::proxy::Proxy;
use cache_tests::server::{RedisServer, until};
use cache_tests::source::Source;

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"), skip(source))]
async fn profile(source: &Source, id: u64) -> u64 {
    assert_eq!(id, 7, "the tests ask for one");
    source.load().await
}

const INTERVAL: Duration = Duration::from_millis(150);
const TIMEOUT: Duration = Duration::from_millis(250);
/// The bound of invariant 1.
const BOUND: Duration = Duration::from_millis(400);

fn config(url: &str) -> RedisConfig {
    RedisStore::builder(url)
        .unwrap()
        .connect_timeout(Duration::from_millis(300))
        .tracking(true)
        .heartbeat(INTERVAL, TIMEOUT)
        // Reports would be among the commands that are counted.
        .report_every(Duration::ZERO)
}

fn node_in(env: Env, url: &str) -> Cache {
    built(url, |builder| builder.env(env))
}

fn built(url: &str, options: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Cache {
    let builder = Cache::builder()
        .namespace("test")
        .shared(config(url).build().unwrap());
    options(builder).try_build().unwrap()
}

fn node(url: &str) -> Cache {
    node_in(Env::system(), url)
}

async fn get(node: &Cache, source: &Source) -> u64 {
    node.scope(profile(source, 7)).await
}

/// Calls until the value is served locally: the source has another one already.
async fn warm(node: &Cache, source: &Source, value: u64) {
    until("the value is local", async || {
        source.set(value);
        get(node, source).await;
        source.set(value + 1);
        let served = get(node, source).await == value && node.health().trusted;
        if !served {
            node.clear().await;
        }
        served
    })
    .await;
}

/// Calls until the old value is no longer served; returns how long after `since` the last call began
/// that got it.
async fn last_old(node: &Cache, source: &Source, since: Instant, old: u64) -> Duration {
    let mut last = Duration::ZERO;
    let mut served = 0;
    loop {
        let began = since.elapsed();
        if get(node, source).await == old {
            last = began;
            served += 1;
        } else if began > BOUND {
            println!("{served} old values, the last one {last:?} after");
            return last;
        }
        assert!(
            began < Duration::from_secs(10),
            "still served after {began:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_stands_still_ends_local_hits_within_the_bound() {
    let server = RedisServer::start();
    let node = node(&server.url());
    let source = Source::default();
    for round in 1..4 {
        let value = round * 10;
        warm(&node, &source, value).await;
        server.pause();
        // No PING was answered that was sent after this.
        let since = Instant::now();
        let last = last_old(&node, &source, since, value).await;
        assert!(last > Duration::from_millis(50), "local at first: {last:?}");
        assert!(last < BOUND, "{last:?}");
        assert!(!node.health().trusted);
        server.resume();
        until("it is trusted again", async || {
            get(&node, &source).await;
            node.health().trusted
        })
        .await;
    }
}

#[tokio::test]
async fn a_network_that_swallows_everything_ends_local_hits_within_the_bound() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let (one, other) = (node(&proxy.url()), node(&server.url()));
    let source = Source::default();
    for round in 1..4 {
        let value = round * 10;
        warm(&one, &source, value).await;
        proxy.black_hole(true);
        assert_eq!(
            other.invalidate_tag("user:7").await.unwrap(),
            Invalidation::Applied
        );
        let since = Instant::now();
        let last = last_old(&one, &source, since, value).await;
        assert!(last < BOUND, "{last:?}");
        proxy.black_hole(false);
        until("it is trusted again", async || {
            assert_eq!(get(&one, &source).await, value + 1);
            one.health().trusted
        })
        .await;
    }
}

/// Tasks on a runtime that can be blocked.
struct Blockable(tokio::runtime::Handle);

impl Spawn for Blockable {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }
}

#[tokio::test]
async fn a_blocked_runtime_does_not_prolong_the_bound() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || runtime.block_on(stopped));

    let server = RedisServer::start();
    let one = node_in(
        Env::system().with_spawn(Blockable(handle.clone())),
        &server.url(),
    );
    let other = node(&server.url());
    let source = Source::default();
    warm(&one, &source, 10).await;

    let (unblock, blocked) = mpsc::channel::<()>();
    let (tell, told) = tokio::sync::oneshot::channel();
    handle.spawn(async move {
        let _ = tell.send(());
        let _ = blocked.recv();
    });
    told.await.unwrap();
    assert_eq!(
        other.invalidate_tag("user:7").await.unwrap(),
        Invalidation::Applied
    );
    let last = last_old(&one, &source, Instant::now(), 10).await;
    assert!(last > Duration::from_millis(50), "local at first: {last:?}");
    assert!(last < BOUND, "{last:?}");

    drop(unblock);
    until("it is trusted again", async || {
        assert_eq!(get(&one, &source).await, 11);
        one.health().trusted
    })
    .await;
    drop(one);
    drop(stop);
    let _ = thread.join();
}

#[tokio::test]
async fn what_was_written_while_a_node_was_cut_off_is_seen_by_it() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    // Else what is applied again after the loss would hide what the loss itself must end.
    let one = built(&proxy.url(), |builder| {
        builder.replay_window(Duration::ZERO)
    });
    let other = node(&server.url());
    let source = Source::default();
    for round in 1..6 {
        let value = round * 10;
        warm(&one, &source, value).await;
        // Nobody answers there: the node can't come back before the write is done.
        proxy.switch(1);
        proxy.cut();
        until("the loss is noticed", async || !one.health().trusted).await;
        assert_eq!(
            other.invalidate_tag("user:7").await.unwrap(),
            Invalidation::Applied
        );
        proxy.switch(server.port());
        until("it is trusted again", async || {
            assert_eq!(get(&one, &source).await, value + 1);
            one.health().trusted
        })
        .await;
        assert_eq!(get(&one, &source).await, value + 1);
    }
}

#[tokio::test]
async fn a_connection_made_again_between_two_calls_leaves_nothing_trusted() {
    let server = RedisServer::start();
    // Else what is applied again after the loss would hide what the loss itself must end.
    let node = built(&server.url(), |builder| {
        builder.replay_window(Duration::ZERO)
    });
    let source = Source::default();
    for round in 1..6 {
        let value = round * 10;
        warm(&node, &source, value).await;
        let before = server.command::<Vec<String>>(&["KEYS", "test:*"]);
        assert!(!before.is_empty());
        // In one step for everybody: the push about it has no connection to go over.
        let killed: u64 = redis_pipe(&server);
        assert!(killed > 0);
        // Nobody calls meanwhile: a call would find out by itself.
        until("Redis tells of changes again", async || {
            let list: String = server.command(&["CLIENT", "LIST"]);
            list.split_whitespace()
                .filter_map(|word| word.strip_prefix("flags="))
                .any(|flags| flags.contains('t'))
        })
        .await;
        until("it is trusted again", async || node.health().trusted).await;
        assert_eq!(get(&node, &source).await, value + 1);
    }
}

/// Kills every connection but its own and removes everything, in one transaction.
fn redis_pipe(server: &RedisServer) -> u64 {
    let mut connection = redis::Client::open(server.url())
        .and_then(|client| client.get_connection())
        .unwrap();
    let (killed, _): (u64, String) = redis::pipe()
        .atomic()
        .cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .cmd("FLUSHALL")
        .query(&mut connection)
        .unwrap();
    killed
}

#[tokio::test]
async fn what_still_stands_after_a_loss_is_local_again() {
    let server = RedisServer::start();
    // Else the invalidations with which it got warm would be applied again.
    let node = built(&server.url(), |builder| {
        builder.replay_window(Duration::ZERO)
    });
    let source = Source::default();
    warm(&node, &source, 10).await;
    let entry = || server.command::<Vec<u8>>(&["GET", "test:e:{profile:profile:7}"]);
    let stored = entry();
    for _ in 0..3 {
        server.command::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        until("the loss is noticed", async || !node.health().trusted).await;
        until("it asks nobody again", async || {
            let before = server.commands();
            // A call whose connection breaks gets what the function returns.
            let stands = get(&node, &source).await == 10;
            stands && node.health().trusted && server.commands() == before
        })
        .await;
    }
    assert_eq!(entry(), stored, "nothing was stored again");
}

#[tokio::test]
async fn a_restart_that_forgets_everything_is_not_slept_through() {
    let mut server = RedisServer::start();
    let node = node(&server.url());
    let source = Source::default();
    for round in 1..4 {
        let value = round * 10;
        warm(&node, &source, value).await;
        server.restart();
        let since = Instant::now();
        let last = last_old(&node, &source, since, value).await;
        assert!(last < BOUND, "{last:?}");
    }
}

#[tokio::test]
async fn what_a_failover_forgot_is_invalidated_again() {
    let server = RedisServer::start();
    let node = node(&server.url());
    let source = Source::default();
    let stamp = "test:t:user:7";
    for round in 1..4 {
        warm(&node, &source, round * 10).await;
        let old: String = server.command(&["GET", stamp]);
        assert_eq!(
            node.invalidate_tag("user:7").await.unwrap(),
            Invalidation::Applied
        );
        // A replica that had not heard of it takes over: the stamp is back, and the connection gone.
        server.command::<()>(&["SET", stamp, &old, "PX", "60000"]);
        server.command::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        until("the old stamp is gone again", async || {
            get(&node, &source).await;
            server.command::<Option<String>>(&["GET", stamp]).as_ref() != Some(&old)
        })
        .await;
        assert_eq!(get(&node, &source).await, round * 10 + 1);
    }
}

#[tokio::test]
async fn a_lease_is_given_up_once_redis_can_be_reached_again() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let (one, other) = (node(&proxy.url()), node(&server.url()));
    let source = Source::default();
    // Else nothing is queued when the connection is lost, and the breaker stays closed.
    one.invalidate_tag("user:8").await.unwrap();
    source.hold();
    let loading = {
        let (one, source) = (one.clone(), source.clone());
        tokio::spawn(async move { get(&one, &source).await })
    };
    source.loading(1).await;
    let lease = "test:l:{profile:profile:7}";
    assert_eq!(server.command::<u64>(&["EXISTS", lease]), 1);
    // Nobody answers there: the value can't be stored, and the lease can't be given up.
    proxy.switch(1);
    proxy.cut();
    until("the loss is noticed", async || !one.health().usable).await;
    source.let_go();
    assert_eq!(loading.await.unwrap(), 1);

    proxy.switch(server.port());
    until("it is back in use", async || one.health().usable).await;
    let began = Instant::now();
    assert_eq!(get(&other, &source).await, 1);
    let took = began.elapsed();
    println!("the other node's call took {took:?}");
    // The lease itself lasts for ten seconds.
    assert!(took < Duration::from_secs(4), "{took:?}");
}
