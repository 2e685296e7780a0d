//! Users' own code that the cache runs at odd moments, and that calls cached functions there: the `Drop`
//! of a value, the expression of a `ttl`, a task on the cache's own thread.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cache_core::{Cache, Env, Error, Invalidation, cached, invalidates};
use cache_redis::RedisStore;
use cache_tests::server::RedisServer;
use serde::{Deserialize, Serialize};

/// Runs `run` on a thread of its own, which must come to an end.
fn ends<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(run()));
    told.recv_timeout(Duration::from_mins(1))
        .expect("a cached function waits for a lock of the cache's own")
}

static SMALL: LazyLock<Cache> = LazyLock::new(|| Cache::builder().capacity(64 << 10).build());

/// Calls a cached function when it is dropped.
#[derive(Clone, Serialize, Deserialize)]
struct Parting(Vec<u8>);

impl Drop for Parting {
    fn drop(&mut self) {
        static DROPS: AtomicU64 = AtomicU64::new(0);
        let drops = DROPS.fetch_add(1, Ordering::Relaxed);
        assert_eq!(remembered(drops % 300), drops % 300);
    }
}

#[cached(kind = "parting", cache = SMALL)]
fn parting(id: u64) -> Parting {
    Parting(vec![id.to_le_bytes()[0]; 2_000])
}

#[cached(kind = "remembered", cache = SMALL)]
fn remembered(id: u64) -> u64 {
    id
}

#[test]
fn a_value_may_call_cached_functions_when_it_is_dropped() {
    ends(|| -> Result<(), Error> {
        for id in 0..400 {
            assert_eq!(parting(id).0.len(), 2_000);
            parting::refresh(id);
            if id % 3 == 0 {
                parting::invalidate(id)?;
            }
        }
        Ok(())
    })
    .expect("numbers make keys");
    let kinds = SMALL.snapshot().kinds;
    assert!(kinds["parting"].evictions > 0, "some made room");
    assert!(kinds["remembered"].misses > 0, "some were dropped");
}

#[cached(kind = "lifetime", ttl = "1h")]
fn lifetime() -> Duration {
    Duration::from_mins(1)
}

#[cached(kind = "configured", ttl = lifetime())]
fn configured(id: u64) -> u64 {
    id
}

#[test]
fn a_ttl_may_come_from_a_cached_function() {
    let cache = Cache::builder().build();
    let of = cache.clone();
    ends(move || of.scope_blocking(|| assert_eq!((configured(7), configured(7)), (7, 7))));
    assert_eq!(cache.snapshot().kinds["configured"].hits(), 1);
}

#[cached(kind = "plain", ttl = "1h", cache = cache, key(id))]
fn plain(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[invalidates(kind = "plain", cache = cache)]
fn change(cache: &Cache) {
    let _ = cache;
}

#[test]
fn the_cache_s_own_thread_never_waits_for_itself() -> Result<(), Error> {
    let server = RedisServer::start();
    let cache = Cache::builder()
        .shared(RedisStore::new(&server.url())?)
        .try_build()?;
    assert_eq!(plain(&cache, 7), 7);
    ends(move || {
        let (tell, told) = mpsc::channel();
        let of = cache.clone();
        Env::system().spawn(async move {
            let seen = (plain(&of, 8), plain::peek(&of, 7));
            change(&of);
            let _ = tell.send(seen);
        });
        let seen = told.recv_timeout(Duration::from_secs(30));
        assert_eq!(seen, Ok((8, None)), "it runs past the cache");
        // It still drives what others wait for.
        let invalidated = cache.invalidate_kind_blocking("plain");
        assert_eq!(invalidated.ok(), Some(Invalidation::Applied));
    });
    Ok(())
}
