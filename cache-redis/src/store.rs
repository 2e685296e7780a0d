//! The [`Store`] on Redis: each method is one pipeline of single-slot parts, answered part by part.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cache_core::metrics::{Fleet, Minute, Report};
use cache_core::store::{
    Attachment, Begin, Beginning, BoxFuture, Fill, Read, Reading, Store, Token, Update, Updated,
};
use cache_core::{Env, Error, ErrorKind, Result};
use tokio::sync::Semaphore;

use crate::coherence::Coherence;
use crate::config::{Endpoint, RedisConfig};
use crate::connection::{Link, Role};
use crate::failure::Failure;
use crate::keys::Keys;

mod calls;
mod figures;
mod lead;
mod wants;

/// How many may read the fleet's figures at a time.
const READERS: usize = 4;

/// The shared tier on one Redis, 6.2 or later.
///
/// It keeps two connections, made at the first call that needs each and made again by themselves
/// when they are lost: one for everything that reads (or
/// [several](RedisConfig::connections)), one for removals and invalidations, over which it also reports
/// what was counted ([`RedisConfig::report_every`]). A third is there for as long as somebody reads the
/// figures of the fleet. Over the first, Redis
/// tells of every change to what was read, so that local values can be served without asking; see
/// [`RedisConfig::tracking`] for where it can't, and [`RedisConfig::heartbeat`] for how late it can
/// be noticed that it does not. `SWAPDB` is the one change that Redis tells nobody of. Its calls
/// have no deadline of their own; one that is dropped before its answer came has the connection
/// checked by a PING, and replaced if that stays unanswered.
///
/// [`probe`](Store::probe) says that all connections are there and answer. It does not say that
/// Redis takes writes: a full or a read-only one serves reads, and refuses the rest with
/// [`ErrorKind::Rejected`].
///
/// ```no_run
/// use cache_redis::RedisStore;
///
/// # fn main() -> Result<(), cache_core::Error> {
/// let store = RedisStore::new("rediss://app:secret@cache.internal:6380/0")?;
/// # Ok(())
/// # }
/// ```
pub struct RedisStore {
    endpoint: Arc<Endpoint>,
    attached: OnceLock<Attached>,
}

struct Attached {
    keys: Keys,
    env: Env,
    /// A key's commands all use one of them, so that its pushes and its replies are in one order.
    data: Box<[Link]>,
    invalidation: Link,
    /// How many reports in a row a read-only server has refused.
    refusals: AtomicU32,
    readers: Arc<Semaphore>,
    /// Whether the server has run a script.
    scripted: AtomicBool,
    lasting: wants::Lasting,
}

impl Attached {
    /// The connection of a key.
    fn data(&self, key: &str) -> &Link {
        if let [only] = &*self.data {
            return only;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(key.as_bytes());
        let connections = u64::try_from(self.data.len()).unwrap_or(1);
        let number = usize::try_from(hasher.finish() % connections).unwrap_or_default();
        &self.data[number]
    }
}

impl RedisStore {
    /// A store on the Redis the environment names; see [`RedisConfig::from_env`]. Which variable it
    /// was is logged, and told by [`source`](Self::source).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the variable holds something that can't be right; the text says
    /// what to write instead.
    pub fn from_env() -> Result<Self> {
        let store = RedisConfig::from_env()?.build()?;
        tracing::info!(
            source = store.source(),
            url = %store.endpoint.described,
            "the shared tier is on Redis"
        );
        Ok(store)
    }

    /// A store on the Redis at `url`; see [`RedisConfig::new`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when it can't be right; the text says what to write instead.
    pub fn new(url: &str) -> Result<Self> {
        RedisConfig::new(url)?.build()
    }

    /// The options for a store on the Redis at `url`; [`RedisConfig::build`] makes the store.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn builder(url: &str) -> Result<RedisConfig> {
        RedisConfig::new(url)
    }

    /// Where the address came from: the variable's name, `"url"`, or `"default"`.
    pub fn source(&self) -> &'static str {
        self.endpoint.source
    }

    pub(crate) fn of(endpoint: Endpoint) -> Self {
        Self {
            endpoint: Arc::new(endpoint),
            attached: OnceLock::new(),
        }
    }

    fn attached(&self) -> Result<&Attached, Failure> {
        self.attached.get().ok_or_else(|| {
            Failure::new(
                ErrorKind::Config,
                "the store is not attached: give it to a cache before it is used",
            )
        })
    }

    /// Names the place in an error: a program may have several.
    fn told<T>(&self, outcome: Result<T, Failure>) -> Result<T> {
        outcome.map_err(|failure| failure.at(&self.endpoint.described).into())
    }
}

impl Store for RedisStore {
    fn attach(&self, attachment: Attachment) -> Result<()> {
        let keys = Keys::new(attachment.namespace.clone());
        let connections = self.endpoint.connections;
        let coherence = Arc::new(Coherence::new(
            attachment.observer.clone(),
            keys.clone(),
            connections + 1,
        ));
        let link = |role, number| {
            Link::new(
                role,
                self.endpoint.clone(),
                attachment.env.clone(),
                coherence.clone(),
                number,
            )
        };
        self.attached
            .set(Attached {
                keys,
                env: attachment.env.clone(),
                data: (0..connections)
                    .map(|number| link(Role::Data, number))
                    .collect(),
                invalidation: link(Role::Invalidation, connections),
                refusals: AtomicU32::new(0),
                readers: Arc::new(Semaphore::new(READERS)),
                scripted: AtomicBool::new(false),
                lasting: wants::Lasting::default(),
            })
            .map_err(|_| {
                Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "the store on {} belongs to a cache already: make one store for each cache",
                        self.endpoint.described
                    ),
                )
            })
    }

    fn read<'a>(&'a self, request: Read<'a>) -> BoxFuture<'a, Result<Reading>> {
        Box::pin(async move { self.told(self.read_now(&request).await) })
    }

    fn begin<'a>(&'a self, request: Begin<'a>) -> BoxFuture<'a, Result<Beginning>> {
        Box::pin(async move { self.told(self.begin_now(&request).await) })
    }

    fn fill<'a>(&'a self, request: Fill<'a>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { self.told(self.fill_now(&request).await) })
    }

    fn update<'a>(&'a self, request: Update<'a>) -> BoxFuture<'a, Result<Updated>> {
        Box::pin(async move { self.told(self.update_now(&request).await) })
    }

    fn renew<'a>(
        &'a self,
        key: &'a str,
        token: Token,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { self.told(self.renew_now(key, token, lease).await) })
    }

    fn release<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.told(self.release_now(key, token).await) })
    }

    fn remove<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.told(self.remove_now(keys).await) })
    }

    fn invalidate<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.told(self.invalidate_now(tags).await) })
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.told(self.probe_now().await) })
    }

    fn describe(&self) -> String {
        self.endpoint.described.clone()
    }

    fn report_every(&self) -> Option<Duration> {
        self.endpoint.report_every
    }

    fn report<'a>(&'a self, report: &'a Report) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.told(self.report_now(report).await) })
    }

    fn fleet(&self, minutes: RangeInclusive<Minute>) -> BoxFuture<'_, Result<Fleet>> {
        Box::pin(async move { self.told(self.fleet_now(minutes).await) })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("url", &self.endpoint.described)
            .field("source", &self.endpoint.source)
            .finish_non_exhaustive()
    }
}
