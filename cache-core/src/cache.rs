//! The handle users hold: building, installing, scoping, invalidating, reading the metrics.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::driver::block_on;
use crate::engine::{Engine, Invalidation, Parts, Targets};
use crate::env::Env;
use crate::kind::{Kind, check_namespace};
use crate::metrics::Snapshot;
use crate::policy::{Policies, Policy};
use crate::store::Store;
use crate::tag::Tag;
use crate::{Error, ErrorKind, Key, Result};

/// A cache: a local tier, and the shared tier where one was given. Cloning is cheap and shares it.
///
/// Cached functions use the innermost of: the attribute's `cache = ..`, the [`scope`](Self::scope)
/// around the call, the [installed](Self::install) cache, and one in this process with the defaults
/// below where nothing was installed.
///
/// ```
/// use std::time::Duration;
/// use cache_core::{Cache, Policy};
///
/// # fn main() -> Result<(), cache_core::Error> {
/// Cache::builder()
///     .namespace("shifts")
///     .policy("settings", Policy::new().ttl(Duration::from_secs(7200)))
///     .build()
///     .install()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    pub(crate) engine: Arc<Engine>,
    /// What was wrong with what it was built from: then it is switched off.
    fault: Option<Arc<Error>>,
}

static INSTALLED: OnceLock<Cache> = OnceLock::new();
static EMBEDDED: LazyLock<Cache> = LazyLock::new(|| Cache::builder().build());

thread_local! {
    static SCOPES: RefCell<Vec<Cache>> = const { RefCell::new(Vec::new()) };
}

impl Cache {
    /// A cache to be built.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }

    /// The cache that a cached function called here uses.
    pub fn current() -> Self {
        with_current(None, |_, cache| cache.clone())
    }

    /// Makes this the cache of the process.
    ///
    /// Call it once, first thing in `main`: what was cached before stays in the cache that was used
    /// before.
    ///
    /// # Errors
    ///
    /// What was wrong with the builder's settings, each named with what would be right; and
    /// [`ErrorKind::Conflict`] when a cache is installed already.
    pub fn install(self) -> Result<()> {
        if let Some(fault) = self.fault {
            return Err(Error::new(fault.kind(), fault.to_string()));
        }
        INSTALLED.set(self).map_err(|_| {
            Error::new(
                ErrorKind::Conflict,
                "a cache is installed already: install one, first thing in main; in tests, use \
                 cache.scope(..) instead",
            )
        })
    }

    /// Has every cached function inside `future` use this cache. Tasks spawned inside don't.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use cache_core::{Cache, cached};
    ///
    /// #[cached(kind = "doubled", ttl = "1m")]
    /// async fn doubled(number: u64) -> u64 {
    ///     number * 2
    /// }
    ///
    /// let cache = Cache::builder().build();
    /// cache.scope(async {
    ///     assert_eq!(doubled(2).await, 4);
    ///     assert_eq!(doubled(2).await, 4);
    /// }).await;
    /// assert_eq!(cache.snapshot().kinds["doubled"].hits(), 1);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        Scoped {
            cache: self.clone(),
            future: Box::pin(future),
        }
    }

    /// Has every cached function that `run` calls on this thread use this cache.
    pub fn scope_blocking<T>(&self, run: impl FnOnce() -> T) -> T {
        let _entered = Entered::new(self.clone());
        run()
    }

    /// Invalidates every entry that carries the tag.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] when the tag's text is not allowed. A store that cannot be reached is no
    /// error: the invalidation is kept, and `Queued` says so.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<Invalidation> {
        let tag = Tag::new(tag)?;
        Ok(self.engine.invalidate(Targets::tag(&tag)).await)
    }

    /// Invalidates every entry that carries one of the tags, as made by [`Tag::new`] or
    /// [`Tag::escaped`].
    pub async fn invalidate_tags(&self, tags: impl IntoIterator<Item = Tag>) -> Invalidation {
        self.engine.invalidate(targets(tags)).await
    }

    /// Invalidates the entry at a key, as a companion's `key(..)` makes it.
    pub async fn invalidate_key(&self, key: Key) -> Invalidation {
        self.engine.invalidate(Targets::key(key)).await
    }

    /// Invalidates everything of a kind.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] when no kind can have this name.
    pub async fn invalidate_kind(&self, kind: &str) -> Result<Invalidation> {
        let tag = Tag::of_kind(Kind::new(kind)?.as_str());
        Ok(self.engine.invalidate(Targets::tag(&tag)).await)
    }

    /// Invalidates everything in the namespace.
    pub async fn clear(&self) -> Invalidation {
        self.engine
            .invalidate(Targets::tag(&Tag::namespace()))
            .await
    }

    /// [`invalidate_tag`](Self::invalidate_tag) from plain code: waits on this thread.
    pub fn invalidate_tag_blocking(&self, tag: &str) -> Result<Invalidation> {
        block_on(self.invalidate_tag(tag))
    }

    /// [`invalidate_kind`](Self::invalidate_kind) from plain code: waits on this thread.
    pub fn invalidate_kind_blocking(&self, kind: &str) -> Result<Invalidation> {
        block_on(self.invalidate_kind(kind))
    }

    /// All figures at this moment.
    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot()
    }

    /// What state the tiers are in, as far as is known without asking.
    pub fn health(&self) -> Health {
        let engine = &self.engine;
        Health {
            shared: engine.store.as_ref().map(|store| store.describe()),
            usable: engine.store.is_some() && engine.outage.usable(),
            trusted: engine.store.is_some() && engine.trusts_local(engine.env.coarse()),
            queued: engine.outage.queued(),
        }
    }

    /// Asks the shared tier whether it answers, within the store timeout.
    ///
    /// # Errors
    ///
    /// Why it does not; [`ErrorKind::Unavailable`] where there is none.
    pub async fn check_shared(&self) -> Result<()> {
        self.engine.check_store().await
    }

    /// What was wrong with what this cache was built from. Such a cache is switched off: functions
    /// run on each call.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_deref()
    }
}

impl AsRef<Self> for Cache {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("namespace", &self.engine.namespace)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

/// The state of a cache's tiers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// What and where the shared tier is, without secrets; `None` where there is none.
    pub shared: Option<String>,
    /// Whether calls use it at the moment.
    pub usable: bool,
    /// Whether local values are served without asking it at the moment, because it tells of every
    /// change.
    pub trusted: bool,
    /// How many invalidations are kept for when it is back.
    pub queued: usize,
}

/// What a cache is to be. Every setting has a default.
#[must_use = "a builder does nothing until it is built"]
pub struct CacheBuilder {
    namespace: String,
    store: Option<Arc<dyn Store>>,
    policies: Policies,
    enabled: bool,
    capacity: usize,
    store_timeout: Duration,
    replay_window: Duration,
    env: Env,
    faults: Vec<Error>,
}

impl Default for CacheBuilder {
    fn default() -> Self {
        Self {
            namespace: "cache".to_owned(),
            store: None,
            policies: Policies::default(),
            enabled: true,
            capacity: 64 << 20,
            store_timeout: Duration::from_millis(250),
            replay_window: Duration::from_secs(5),
            env: Env::system(),
            faults: Vec::new(),
        }
    }
}

impl CacheBuilder {
    /// What all keys in the shared tier begin with: services that share a Redis and not their
    /// values need two. One to 64 of `A-Z a-z 0-9 _ . -`. Default: `"cache"`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        if let Err(error) = check_namespace(&self.namespace) {
            self.faults.push(error);
        }
        self
    }

    /// The shared tier. Default: none; values stay in this process.
    pub fn shared(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// The policy of a kind, which wins over what the attribute says. Default: none.
    pub fn policy(mut self, kind: &str, policy: Policy) -> Self {
        if let Err(error) = self.policies.set(kind, policy) {
            self.faults.push(error);
        }
        self
    }

    /// Reads policies from a TOML file, so that operators tune without a build:
    ///
    /// ```toml
    /// [kinds.shift_data]
    /// ttl = "15m"
    ///
    /// [kinds.settings]
    /// enabled = false
    /// ```
    ///
    /// A kind that is named twice has the later policy. Default: none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the file cannot be read, or what is in it is not a policy: the
    /// text names the file, the line and what would be right.
    pub fn policies_file(mut self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let toml = std::fs::read_to_string(path).map_err(|error| {
            Error::new(
                ErrorKind::Config,
                format!("{}: the policy file can't be read: {error}", path.display()),
            )
            .with_source(error)
        })?;
        self.policies.read(&toml, &path.display().to_string())?;
        Ok(self)
    }

    /// Reads policies from TOML text, as [`policies_file`](Self::policies_file) does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn policies_toml(mut self, toml: &str) -> Result<Self> {
        self.policies.read(toml, "policies")?;
        Ok(self)
    }

    /// Whether anything is cached at all. Default: `true`.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The most bytes the local tier takes, estimated. At least 64 KiB. Default: 64 MiB.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        if bytes < 64 << 10 {
            self.faults.push(Error::new(
                ErrorKind::Config,
                format!(
                    "capacity({bytes}) is too small for a local tier: write at least 65536 (bytes), \
                     or enabled(false) to cache nothing"
                ),
            ));
        }
        self
    }

    /// How long a call waits for the shared tier, in all. At least a millisecond. Default: 250 ms.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        if timeout < Duration::from_millis(1) {
            self.faults.push(Error::new(
                ErrorKind::Config,
                format!("store_timeout({timeout:?}) lets no store answer: write at least 1 ms"),
            ));
        }
        self
    }

    /// After a connection to the shared tier is lost, the invalidations of this long before are
    /// applied again before it is used: a failover may have lost what was acknowledged. Zero applies
    /// none again. Default: 5 s.
    pub fn replay_window(mut self, window: Duration) -> Self {
        self.replay_window = window;
        self
    }

    /// Time, random numbers and tasks, for tests. Default: [`Env::system`].
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Builds the cache.
    ///
    /// A setting that makes no sense leaves the cache switched off: functions run on each call,
    /// [`Cache::fault`] says why, and [`Cache::install`] refuses. See [`try_build`](Self::try_build).
    pub fn build(self) -> Cache {
        let fault = match self.try_parts() {
            Ok(cache) => return cache,
            Err(fault) => fault,
        };
        tracing::error!("the cache is switched off: {fault}");
        let engine = Engine::new(Parts {
            env: Env::system(),
            namespace: "off".to_owned(),
            store: None,
            policies: Policies::default(),
            enabled: false,
            capacity: 0,
            store_timeout: Duration::ZERO,
            replay_window: Duration::ZERO,
        });
        match engine {
            Ok(engine) => Cache {
                engine,
                fault: Some(Arc::new(fault)),
            },
            // Without a store there is nothing to attach, and so nothing that can fail.
            Err(_) => unreachable!("an engine without a store can't fail"),
        }
    }

    /// Builds the cache.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense: its value, its place, and what would be right.
    pub fn try_build(self) -> Result<Cache> {
        self.try_parts()
    }

    fn try_parts(mut self) -> Result<Cache> {
        if !self.faults.is_empty() {
            return Err(self.faults.remove(0));
        }
        let engine = Engine::new(Parts {
            env: self.env,
            namespace: self.namespace,
            store: self.store,
            policies: self.policies,
            enabled: self.enabled,
            capacity: self.capacity,
            store_timeout: self.store_timeout,
            replay_window: self.replay_window,
        })?;
        Ok(Cache {
            engine,
            fault: None,
        })
    }
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("namespace", &self.namespace)
            .field("shared", &self.store.as_ref().map(|store| store.describe()))
            .finish_non_exhaustive()
    }
}

fn targets(tags: impl IntoIterator<Item = Tag>) -> Targets {
    Targets {
        tags: tags
            .into_iter()
            .map(|tag| tag.as_str().to_owned())
            .collect(),
        keys: Vec::new(),
    }
}

/// Runs `run` with the cache that applies here.
pub(crate) fn with_current<T>(
    cache: Option<&Cache>,
    run: impl FnOnce(&Arc<Engine>, &Cache) -> T,
) -> T {
    if let Some(cache) = cache {
        return run(&cache.engine, cache);
    }
    // Cloned, so that nothing is borrowed while `run` runs: it may enter a scope of its own.
    let scoped = SCOPES.try_with(|scopes| scopes.borrow().last().cloned());
    if let Ok(Some(cache)) = scoped {
        return run(&cache.engine, &cache);
    }
    let cache = INSTALLED.get().unwrap_or_else(|| &EMBEDDED);
    run(&cache.engine, cache)
}

/// A future that has a cache for the time it is polled.
struct Scoped<F> {
    cache: Cache,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = Entered::new(self.cache.clone());
        self.future.as_mut().poll(context)
    }
}

/// A scope on this thread; left when dropped, in a panic too.
struct Entered;

impl Entered {
    fn new(cache: Cache) -> Self {
        SCOPES.with(|scopes| scopes.borrow_mut().push(cache));
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = SCOPES.with(|scopes| scopes.borrow_mut().pop());
        drop(left);
    }
}
