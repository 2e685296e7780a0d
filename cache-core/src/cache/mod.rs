//! The handle users hold: installing, scoping, invalidating, reading the metrics.

mod builder;
pub(crate) mod scope;
mod transaction;

use std::fmt;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub use builder::CacheBuilder;
pub(crate) use scope::with_current;
use scope::{Entered, INSTALLED, Scope, Scoped};
pub(crate) use transaction::Transaction;

use crate::engine::{Engine, Inspection, Invalidation, Journal, Targets};
use crate::kind::Kind;
use crate::metrics::{Fleet, Minute, Snapshot};
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
        Scoped::new(self.as_scope(), future)
    }

    /// Has every cached function that `run` calls on this thread use this cache.
    pub fn scope_blocking<T>(&self, run: impl FnOnce() -> T) -> T {
        let _entered = Entered::new(self.as_scope());
        run()
    }

    fn as_scope(&self) -> Scope {
        Scope {
            cache: self.clone(),
            transaction: None,
        }
    }

    /// Invalidates every entry that carries the tag.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] when the tag's text is not allowed. A store that cannot be reached is no
    /// error: the invalidation is kept, and `Queued` says so.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<Invalidation> {
        Ok(self.engine.invalidate(of_tag(tag)?).await)
    }

    /// Invalidates every entry that carries one of the tags, as made by [`Tag::new`] or
    /// [`Tag::escaped`].
    pub async fn invalidate_tags(&self, tags: impl IntoIterator<Item = Tag>) -> Invalidation {
        self.engine.invalidate(targets(tags)).await
    }

    /// Invalidates the entry at a key, as a companion's `key(..)` makes it.
    pub async fn invalidate_key(&self, key: Key) -> Invalidation {
        self.engine.invalidate(self.of_key(key)).await
    }

    /// Invalidates everything of a kind.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] when no kind can have this name.
    pub async fn invalidate_kind(&self, kind: &str) -> Result<Invalidation> {
        Ok(self.engine.invalidate(of_kind(kind)?).await)
    }

    /// Invalidates everything in the namespace.
    pub async fn clear(&self) -> Invalidation {
        self.engine.invalidate(everything()).await
    }

    /// [`invalidate_tag`](Self::invalidate_tag) from plain code: waits on this thread, unless it is the
    /// cache's own ([`Invalidation::Started`]).
    pub fn invalidate_tag_blocking(&self, tag: &str) -> Result<Invalidation> {
        Ok(self.engine.invalidate_blocking(of_tag(tag)?))
    }

    /// [`invalidate_kind`](Self::invalidate_kind) from plain code: waits on this thread, unless it is the
    /// cache's own.
    pub fn invalidate_kind_blocking(&self, kind: &str) -> Result<Invalidation> {
        Ok(self.engine.invalidate_blocking(of_kind(kind)?))
    }

    /// [`invalidate_tags`](Self::invalidate_tags) from plain code: waits on this thread, unless it is the
    /// cache's own.
    pub fn invalidate_tags_blocking(&self, tags: impl IntoIterator<Item = Tag>) -> Invalidation {
        self.engine.invalidate_blocking(targets(tags))
    }

    /// [`invalidate_key`](Self::invalidate_key) from plain code: waits on this thread, unless it is the
    /// cache's own.
    pub fn invalidate_key_blocking(&self, key: Key) -> Invalidation {
        self.engine.invalidate_blocking(self.of_key(key))
    }

    /// [`clear`](Self::clear) from plain code: waits on this thread, unless it is the cache's own.
    pub fn clear_blocking(&self) -> Invalidation {
        self.engine.invalidate_blocking(everything())
    }

    fn of_key(&self, key: Key) -> Targets {
        Targets::key(self.engine.completed(key))
    }

    /// Switches a kind off, or on again: while it is off, its functions run on each call, and neither
    /// read nor store. Invalidations are obeyed meanwhile, so that switching it on again serves nothing
    /// that was invalidated. What a policy or an attribute switches off stays off.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use cache_core::{Cache, cached};
    ///
    /// #[cached(kind = "switched")]
    /// async fn doubled(number: u64) -> u64 {
    ///     number * 2
    /// }
    ///
    /// let cache = Cache::builder().build();
    /// cache.scope(async {
    ///     cache.set_kind_enabled("switched", false)?;
    ///     doubled(2).await;
    ///     doubled(2).await;
    ///     cache.set_kind_enabled("switched", true)?;
    ///     Ok::<(), cache_core::Error>(())
    /// }).await?;
    /// assert_eq!(cache.snapshot().kinds["switched"].bypassed, 2);
    /// # Ok::<(), cache_core::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] when no kind can have this name.
    pub fn set_kind_enabled(&self, kind: &str, enabled: bool) -> Result<()> {
        let kind = Kind::new(kind)?;
        self.engine.switch(kind.as_str(), enabled);
        Ok(())
    }

    /// All figures at this moment.
    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot()
    }

    /// The figures of all nodes that share the store, minute by minute, for the minutes given: how many
    /// of them since the Unix epoch. Each node reports a few times a minute, so the last minute is still
    /// growing. They are kept for a day.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use cache_core::Cache;
    ///
    /// let cache = Cache::builder().build();
    /// let now = cache.minute();
    /// match cache.fleet(now - 59..=now).await {
    ///     Ok(fleet) => println!("{}", fleet.sum()),
    ///     Err(error) => println!("{error}"), // as here: it has no shared tier
    /// }
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] where there is no shared tier, or one that keeps no such figures; and
    /// why the store could not answer.
    pub async fn fleet(&self, minutes: RangeInclusive<Minute>) -> Result<Fleet> {
        self.engine.fleet(minutes).await
    }

    /// The minute that it is, for [`fleet`](Self::fleet), by this machine's clock.
    pub fn minute(&self) -> Minute {
        self.engine.env.wall().as_secs() / 60
    }

    /// Reports what this node has counted to the store, for [`fleet`](Self::fleet), now. It does so by
    /// itself a few times a minute.
    ///
    /// # Errors
    ///
    /// Why the store did not take it. Nothing is lost: it is reported again with the next one, and counts
    /// once even if it had arrived.
    pub async fn report(&self) -> Result<()> {
        self.engine.report(false).await
    }

    /// Reports for the last time, and takes this node off the fleet's list: the last thing to do before
    /// a process ends as it should. One that is killed loses what it has counted since its last report,
    /// and is listed as missing. The cache goes on working.
    ///
    /// # Errors
    ///
    /// As for [`report`](Self::report).
    pub async fn shutdown(&self) -> Result<()> {
        self.engine.report(true).await
    }

    /// What is stored at a key, in both tiers, without its value; as dashboards show it.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use cache_core::{Cache, cached};
    ///
    /// #[cached(kind = "inspected", ttl = "1m")]
    /// async fn doubled(number: u64) -> u64 {
    ///     number * 2
    /// }
    ///
    /// let cache = Cache::builder().build();
    /// cache.scope(doubled(2)).await;
    /// let found = cache.inspect(&"inspected:doubled:2".parse()?).await;
    /// assert!(found.local.is_some_and(|entry| entry.fresh_ms > 50_000));
    /// # Ok::<(), cache_core::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn inspect(&self, key: &Key) -> Inspection {
        self.engine.inspect(key, false).await
    }

    /// The same with the value, as a text much like JSON, of at most 64 KiB. Who may see it is for the
    /// caller to decide.
    pub async fn inspect_with_value(&self, key: &Key) -> Inspection {
        self.engine.inspect(key, true).await
    }

    /// What state the tiers are in, as far as is known without asking.
    pub fn health(&self) -> Health {
        let engine = &self.engine;
        Health {
            shared: engine.store.as_ref().map(|store| store.describe()),
            usable: engine.store.is_some() && engine.outage.usable(),
            trusted: engine.store.is_some() && engine.trusts_local(engine.env.coarse()),
            queued: engine.outage.queued(),
            journal_behind: engine.journal.as_ref().is_some_and(Journal::is_behind),
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
    /// Whether calls use it at the moment: it is there, and the breaker is closed.
    pub usable: bool,
    /// Whether local values are served without asking it at the moment, because it tells of every
    /// change.
    pub trusted: bool,
    /// How many tags and keys are kept to be invalidated when it is back.
    pub queued: usize,
    /// Whether the [`journal`](CacheBuilder::journal) lacks some of them, because its disk fails.
    pub journal_behind: bool,
}

fn of_tag(tag: &str) -> Result<Targets> {
    Ok(Targets::tag(&Tag::new(tag)?))
}

fn of_kind(kind: &str) -> Result<Targets> {
    Ok(Targets::tag(&Tag::of_kind(Kind::new(kind)?.as_str())))
}

fn everything() -> Targets {
    Targets::tag(&Tag::namespace())
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
