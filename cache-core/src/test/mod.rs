//! For the tests of programs that cache: a cache of one's own for each test, with a clock that is moved
//! by hand and a shared tier that fails when told to. With the feature `test-util` only.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use std::time::Duration;
//! use cache_core::{assert_hits, assert_loads, cached};
//! use cache_core::test::{self, Fault, Op};
//!
//! #[cached(kind = "rate", ttl = "1h")]
//! async fn rate(currency: &str) -> u32 {
//!     currency.len() as u32
//! }
//!
//! test::isolated(async |cache| {
//!     rate("EUR").await;
//!     rate("EUR").await;
//!     assert_hits!(cache, "rate", 1);
//!
//!     cache.clock().advance(Duration::from_secs(3600));
//!     rate("EUR").await;
//!     assert_loads!(cache, "rate", 2);
//!
//!     cache.faults().set(Op::Read, Fault::Fail);
//!     assert_eq!(rate("USD").await, 3); // the function runs, whatever becomes of the store
//! })
//! .await;
//! # }
//! ```
//!
//! Tests may run at one time: none sees what another one caches, counts, or breaks.

mod faults;
mod figures;

use std::ops::Deref;

pub use self::faults::{Fault, Faults, Faulty, Op};
pub use self::figures::{Figure, check};
pub use crate::{assert_hits, assert_loads, assert_misses};

use crate::memory::{MemoryServer, MemoryStore};
use crate::{Cache, CacheBuilder, Env, ManualClock};

/// A cache for one test. It is used where a [`Cache`] is: `cache.scope(..)`, `cache.snapshot()`,
/// `#[cached(cache = ..)]`.
///
/// Its shared tier is in memory and tells of every change, as a Redis with tracking does.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use cache_core::{Policy, assert_loads, cached};
/// use cache_core::test::TestCache;
///
/// #[cached(kind = "answer")]
/// async fn answer() -> u32 {
///     42
/// }
///
/// let cache = TestCache::with(|builder| builder.policy("answer", Policy::new().enabled(false)));
/// cache.scope(async {
///     answer().await;
///     answer().await;
/// })
/// .await;
/// assert_loads!(cache, "answer", 0); // past the cache, nothing is counted as a load
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TestCache {
    cache: Cache,
    clock: ManualClock,
    server: MemoryServer,
    faults: Faults,
}

impl TestCache {
    /// A cache with the defaults, whose clock stands still.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// A cache that is set up as the program's is: `set_up` adds what it needs to the builder, such as
    /// policies. What it says of the shared tier and of the clock is replaced.
    ///
    /// # Panics
    ///
    /// When a setting is wrong, with what would be right.
    #[must_use]
    pub fn with(set_up: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Self {
        let clock = ManualClock::new();
        let env = Env::system().with_clock(clock.clone());
        let server = MemoryServer::new(env.clone());
        let faults = Faults::new(env.clone());
        let builder = set_up(Cache::builder().namespace("test"));
        Self {
            cache: node(builder, env, &server, &faults),
            clock,
            server,
            faults,
        }
    }

    /// Another process, as it were: a cache with the defaults that shares the shared tier, its faults
    /// and the clock with this one.
    #[must_use]
    pub fn other_node(&self) -> Cache {
        let env = Env::system().with_clock(self.clock.clone());
        let builder = Cache::builder().namespace("test");
        node(builder, env, &self.server, &self.faults)
    }

    /// The clock: nothing ends before it is [moved](ManualClock::advance).
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// What goes wrong with the shared tier. At first, nothing does.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The shared tier itself, to be flushed or looked into.
    pub fn server(&self) -> &MemoryServer {
        &self.server
    }
}

fn node(builder: CacheBuilder, env: Env, server: &MemoryServer, faults: &Faults) -> Cache {
    let store: Faulty<MemoryStore> = faults.around(server.store());
    let cache = builder.shared(store).env(env).build();
    if let Some(fault) = cache.fault() {
        panic!("the cache of a test can't be built: {fault}");
    }
    cache
}

impl Default for TestCache {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for TestCache {
    type Target = Cache;

    fn deref(&self) -> &Cache {
        &self.cache
    }
}

impl AsRef<Cache> for TestCache {
    fn as_ref(&self) -> &Cache {
        &self.cache
    }
}

/// Runs a test with a cache of its own, which every cached function it calls uses. Tasks it spawns
/// don't: `cache.scope(..)` around their futures does it.
pub async fn isolated<T>(test: impl AsyncFnOnce(&TestCache) -> T) -> T {
    let cache = TestCache::new();
    cache.scope(test(&cache)).await
}

/// [`isolated`] for plain code: every cached function that is called on this thread uses the cache.
pub fn isolated_blocking<T>(test: impl FnOnce(&TestCache) -> T) -> T {
    let cache = TestCache::new();
    cache.scope_blocking(|| test(&cache))
}
