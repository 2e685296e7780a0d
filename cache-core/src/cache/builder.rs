//! What a cache is to be: settings by value, checked when it is built.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Cache;
use crate::engine::{Engine, Journal, Parts};
use crate::env::Env;
use crate::kind::check_namespace;
use crate::policy::{Policies, Policy};
use crate::store::Store;
use crate::{Error, ErrorKind, Result};

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
    local_trust: Duration,
    journal: Option<PathBuf>,
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
            local_trust: Duration::ZERO,
            journal: None,
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
    /// This takes the feature `policy-file`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the file cannot be read, or what is in it is not a policy: the
    /// text names the file, the line and what would be right. Without the feature, always.
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

    /// Reads policies from TOML text, as [`policies_file`](Self::policies_file) does, with the feature
    /// `policy-file`.
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

    /// How long a call waits for the shared tier itself, over all it asks of it; it starts anew after
    /// the call has waited for another's load, which [`Policy::wait`] bounds. At least a millisecond.
    /// Default: 250 ms.
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

    /// How long a local value is served without asking where the shared tier can't tell of changes: a
    /// Redis without `CLIENT TRACKING`, say. Another node's invalidation is noticed that much later.
    /// Means nothing where it does tell. Default: zero; each call asks, in one round trip.
    pub fn local_trust(mut self, span: Duration) -> Self {
        self.local_trust = span;
        self
    }

    /// A file for the invalidations that are queued while the shared tier can't be reached, so that
    /// the process may crash meanwhile: the next one with the same journal applies them before it
    /// uses the shared tier. Without it, what was `Queued` goes with the process, and the shared tier
    /// has the old values until they expire.
    ///
    /// An invalidation is on the disk before it returns `Queued`. A disk that fails later or takes
    /// longer than the [`store_timeout`](Self::store_timeout) holds nobody up: it is logged once in a
    /// while and counted, and the invalidation is queued in memory.
    ///
    /// Name a file on a local disk that outlives the process, one for each process: two with one
    /// journal are refused, and so is a file of another namespace or of something else. Next to it,
    /// `<path>.lock` is kept and `<path>.new` comes and goes. They hold keys and tags, so they are
    /// made for their owner only (mode 0600). Nothing is touched where there is no shared tier.
    /// Default: none.
    ///
    /// ```no_run
    /// # fn build(store: impl cache_core::store::Store) -> Result<(), cache_core::Error> {
    /// use cache_core::Cache;
    ///
    /// let cache = Cache::builder()
    ///     .namespace("shifts")
    ///     .shared(store)
    ///     .journal("/var/lib/shifts/cache.journal")
    ///     .try_build()?;
    /// # drop(cache);
    /// # Ok(())
    /// # }
    /// ```
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.journal = Some(path.into());
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
            local_trust: Duration::ZERO,
            journal: None,
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
        // Without a shared tier nothing is ever queued.
        let journal = match (&self.journal, &self.store) {
            (Some(path), Some(_)) => Some(Journal::open(path, &self.namespace, &self.env)?),
            _ => None,
        };
        let engine = Engine::new(Parts {
            env: self.env,
            namespace: self.namespace,
            store: self.store,
            policies: self.policies,
            enabled: self.enabled,
            capacity: self.capacity,
            store_timeout: self.store_timeout,
            replay_window: self.replay_window,
            local_trust: self.local_trust,
            journal,
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
