//! The worlds that what always holds must hold in: one process, several nodes that are told, several
//! that ask each time, several on a real Redis.

use cache_core::memory::MemoryServer;
use cache_core::store::BoxFuture;
use cache_core::{Cache, Env, Spawn};
use cache_redis::RedisStore;

use crate::server::RedisServer;

/// Caches that share what they share.
pub struct World {
    /// For messages.
    pub name: &'static str,
    /// One per node.
    pub caches: Vec<Cache>,
    /// Whether a node is told at once what another one has invalidated.
    pub told: bool,
    /// Kept alive as long as the caches.
    pub redis: Option<RedisServer>,
}

impl World {
    /// One node without a shared tier.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            name: "embedded",
            caches: vec![Cache::builder().build()],
            told: true,
            redis: None,
        }
    }

    /// Nodes whose store tells them of changes.
    #[must_use]
    pub fn tracked(nodes: usize) -> Self {
        let server = MemoryServer::new(Env::system());
        Self {
            name: "tracked",
            caches: (0..nodes)
                .map(|_| Cache::builder().shared(server.store()).build())
                .collect(),
            told: true,
            redis: None,
        }
    }

    /// Nodes whose store is asked on each call.
    #[must_use]
    pub fn checked(nodes: usize) -> Self {
        let server = MemoryServer::new(Env::system());
        Self {
            name: "checked",
            caches: (0..nodes)
                .map(|_| Cache::builder().shared(server.checked_store()).build())
                .collect(),
            told: false,
            redis: None,
        }
    }

    /// Nodes on a real, private Redis that is asked on each call.
    ///
    /// # Panics
    ///
    /// When it can't be had.
    #[must_use]
    pub fn redis(nodes: usize) -> Self {
        let server = RedisServer::start();
        let cache = |_| {
            let store =
                RedisStore::builder(&server.url()).and_then(|url| url.tracking(false).build());
            let store = store.expect("a good URL");
            // Generous, since the machine may be busy with other tests.
            let timeout = std::time::Duration::from_secs(5);
            Cache::builder()
                .shared(store)
                .store_timeout(timeout)
                .build()
        };
        Self {
            name: "redis",
            caches: (0..nodes).map(cache).collect(),
            told: false,
            redis: Some(server),
        }
    }

    /// One of each.
    #[must_use]
    pub fn all(nodes: usize) -> Vec<Self> {
        vec![
            Self::embedded(),
            Self::tracked(nodes),
            Self::checked(nodes),
            Self::redis(nodes),
        ]
    }
}

/// Runs a cache's tasks on the test's own runtime, so that nothing goes on behind its back: where time
/// stands still, [`settle`] is all it takes. For tests inside of a tokio runtime.
pub struct Here;

impl Spawn for Here {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

/// Polls a future at most so often, then drops it.
pub async fn polled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        let polled = future.as_mut().poll(context).map(Some);
        if polled.is_pending() && left == 0 {
            return std::task::Poll::Ready(None);
        }
        polled
    })
    .await
}

/// Lets every task of a current-thread runtime run until it waits for something else.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
