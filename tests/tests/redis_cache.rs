//! Two nodes of a fleet on one Redis, through what users write.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cache_core::{Cache, Invalidation, cached};
use cache_redis::RedisStore;
use cache_tests::server::{RedisServer, until};

/// A database of one number that counts how often it is asked.
#[derive(Default)]
struct Db {
    value: AtomicU32,
    loads: AtomicU32,
}

impl Db {
    async fn load(&self) -> u32 {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let value = self.value.load(Ordering::Relaxed);
        // Long enough for others to come while it is loading.
        tokio::time::sleep(Duration::from_millis(20)).await;
        value
    }

    fn loads(&self) -> u32 {
        self.loads.load(Ordering::Relaxed)
    }
}

#[cached(kind = "profile", ttl = "10m", tags("user:{id}"), skip(db))]
async fn profile(db: &Db, id: u64) -> Result<(u64, u32), io::Error> {
    Ok((id, db.load().await))
}

fn node(server: &RedisServer) -> Cache {
    let tracked = RedisStore::builder(&server.url()).unwrap().tracking(true);
    with(tracked.build().unwrap())
}

fn with(store: RedisStore) -> Cache {
    Cache::builder()
        .namespace("test")
        .shared(store)
        .try_build()
        .unwrap()
}

async fn get(node: &Cache, db: &Db) -> u32 {
    node.scope(profile(db, 7)).await.unwrap().1
}

#[tokio::test]
async fn what_one_node_loaded_the_other_has_until_it_is_invalidated() {
    let server = RedisServer::start();
    let checked = || RedisStore::builder(&server.url()).unwrap().tracking(false);
    let (one, two) = (
        with(checked().build().unwrap()),
        with(checked().build().unwrap()),
    );
    let db = Db::default();
    assert_eq!((get(&one, &db).await, get(&two, &db).await), (0, 0));
    assert_eq!(db.loads(), 1);
    let entry = "test:e:{profile:profile:7}";
    assert_eq!(server.command::<u8>(&["EXISTS", entry]), 1);

    for round in 1..20 {
        db.value.store(round, Ordering::Relaxed);
        let writer = if round % 2 == 0 { &one } else { &two };
        assert_eq!(
            writer.invalidate_tag("user:7").await.unwrap(),
            Invalidation::Applied
        );
        // In checked mode the other node asks on each call: it has the new value at once.
        assert_eq!((get(&two, &db).await, get(&one, &db).await), (round, round));
        assert_eq!(db.loads(), round + 1);
    }
    for key in server.command::<Vec<String>>(&["KEYS", "*"]) {
        assert!(server.command::<i64>(&["PTTL", &key]) > 0, "{key}");
    }
}

#[tokio::test]
async fn calls_at_one_time_load_once_in_the_fleet() {
    let server = RedisServer::start();
    let nodes = [node(&server), node(&server), node(&server)];
    let db = Arc::new(Db::default());
    let calls: Vec<_> = (0..60)
        .map(|number| {
            let (node, db) = (nodes[number % nodes.len()].clone(), db.clone());
            tokio::spawn(async move { get(&node, &db).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 0);
    }
    assert_eq!(db.loads(), 1);
}

#[tokio::test]
async fn without_redis_calls_get_what_the_function_returns() {
    let mut server = RedisServer::start();
    let (one, two) = (node(&server), node(&server));
    let db = Db::default();
    get(&one, &db).await;
    server.kill();
    db.value.store(1, Ordering::Relaxed);
    one.invalidate_tag("user:7").await.unwrap();
    assert_eq!(get(&one, &db).await, 1);
    server.restart();
    until("it is shared again", async || {
        get(&one, &db).await;
        get(&two, &db).await;
        let before = db.loads();
        assert_eq!((get(&one, &db).await, get(&two, &db).await), (1, 1));
        db.loads() == before
    })
    .await;
    assert_eq!(one.health().queued, 0);
}
