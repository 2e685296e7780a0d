//! Where Redis is and how to get there: what users set, checked before anything is connected.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cache_core::Result;

use crate::store::RedisStore;
use address::Address;
use tls::Authority;

mod address;
mod endpoint;
mod environment;
mod hygiene;
mod replicas;
mod tls;

pub(crate) use address::Target;
pub(crate) use endpoint::Endpoint;
pub(crate) use replicas::Replicas;
pub use tls::Roots;

/// How a [`RedisStore`] reaches its server. Options are set by value; nothing is connected yet.
///
/// ```no_run
/// use std::time::Duration;
/// use cache_redis::{RedisConfig, Roots};
///
/// # fn main() -> Result<(), cache_core::Error> {
/// let store = RedisConfig::new("rediss://cache.internal:6380/0")?
///     .connect_timeout(Duration::from_secs(1))
///     .roots(Roots::Webpki)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is built"]
pub struct RedisConfig {
    address: Address,
    source: &'static str,
    connect_timeout: Duration,
    ping_timeout: Duration,
    heartbeat: Duration,
    tracking: bool,
    connections: usize,
    replicas: Option<Replicas>,
    report_every: Duration,
    roots: Roots,
    authority: Option<Authority>,
    identity: Option<tls::Identity>,
}

impl RedisConfig {
    /// A configuration from a URL.
    ///
    /// `redis://`, or `rediss://` for TLS (with the feature `tls`), then `user:password@` where needed (percent-encoded),
    /// `host`, `:6379`, and `/0`, the database. `unix:///path/to/socket?db=0` is a socket. A
    /// certificate is always verified. `valkey://` and `valkeys://` mean the same as `redis://` and
    /// `rediss://`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](cache_core::ErrorKind::Config), saying what to write instead, and never
    /// showing the password: for quotes, spaces or a variable's name that were pasted along, a missing
    /// or foreign scheme, a missing host, a bad port or database, a special character that is not percent-encoded, and
    /// `redis://` to a host that only speaks TLS.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self::of(address::parse(url)?, "url"))
    }

    /// A configuration from the environment: `UPSTASH_REDIS_URL`, then `REDIS_URL`, then
    /// `REDIS_HOST`, `REDIS_PORT`, `REDIS_USERNAME`, `REDIS_PASSWORD` and `REDIS_DB` if any of them
    /// is set, then `redis://127.0.0.1:6379`. An empty variable counts as unset.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); the text begins with the variable's name.
    pub fn from_env() -> Result<Self> {
        // Text that is not Unicode is as wrong as any other, not unset.
        Self::from_vars(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// The same from variables given by a function.
    ///
    /// ```
    /// use cache_redis::RedisConfig;
    ///
    /// let config = RedisConfig::from_vars(|name| match name {
    ///     "REDIS_HOST" => Some("cache.internal".to_owned()),
    ///     _ => None,
    /// })?;
    /// assert_eq!(config.describe(), "redis://cache.internal:6379/0");
    /// assert_eq!(config.source(), "REDIS_HOST");
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn from_vars(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let (address, source) = environment::read(variable)?;
        Ok(Self::of(address, source))
    }

    fn of(address: Address, source: &'static str) -> Self {
        Self {
            address,
            source,
            connect_timeout: Duration::from_secs(2),
            ping_timeout: Duration::from_secs(1),
            heartbeat: Duration::from_secs(1),
            tracking: true,
            connections: 1,
            replicas: None,
            report_every: Duration::from_secs(15),
            roots: Roots::System,
            authority: None,
            identity: None,
        }
    }

    /// How long one attempt to connect may take, from the name's resolution to Redis's greeting.
    /// Default: 2 s.
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// How long Redis may take to answer a PING before the connection is given up and replaced. One
    /// is sent by [`probe`](cache_core::store::Store::probe), and whenever a call was dropped before
    /// its answer came. Default: 1 s.
    pub fn ping_timeout(mut self, ping_timeout: Duration) -> Self {
        self.ping_timeout = ping_timeout;
        self
    }

    /// How often Redis is asked for a sign of life, from one PING's sending to the next one's, and
    /// how long it may take to answer: `timeout` is [`ping_timeout`](Self::ping_timeout) by another
    /// name. Their sum is the longest that a node can serve a local value that another node has
    /// invalidated, if the network or the node itself stands still: it is counted from the sending
    /// of the last PING that was answered. Default: 1 s and 1 s.
    pub fn heartbeat(mut self, interval: Duration, timeout: Duration) -> Self {
        self.heartbeat = interval;
        self.ping_timeout = timeout;
        self
    }

    /// Whether Redis is asked to tell of changes (RESP3 `CLIENT TRACKING`), so that local hits need
    /// not ask it. It takes Redis 7.0.5 or later, or 6.2.14 and what follows in that line, and a user
    /// who may run `CLIENT TRACKING`; otherwise, and with `false`, each call asks in one round trip
    /// whether the local value still stands (or trusts it for as long as
    /// [`local_trust`](cache_core::CacheBuilder::local_trust) says). With `true`, another node sees an
    /// invalidation as soon as it has handled Redis's push, and at the latest after the
    /// [`heartbeat`](Self::heartbeat)'s bound, where with `false` its next call does; a kind that
    /// can't wait for that is [`Consistency::Strict`](cache_core::Consistency). Default: `true`.
    pub fn tracking(mut self, tracking: bool) -> Self {
        self.tracking = tracking;
        self
    }

    /// How many connections read and fill side by side, so that small values need not wait behind
    /// large ones. Keys are spread over them. 1 to 64. Default: 1.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How many replicas must have a removal or an invalidation before it counts as applied, and how
    /// long they may take: each is followed by Redis's `WAIT count timeout`. With fewer it is an
    /// error, so that the cache queues it and sends it again, and does not use the shared tier until
    /// it has been acknowledged: with the replicas gone, functions run instead. Then a failover to
    /// one of them brings nothing back that was invalidated (docs/failover.md says what holds
    /// without).
    ///
    /// `timeout` is at least 1 ms and less than [`ping_timeout`](Self::ping_timeout); the cache's
    /// `store_timeout` should be longer still, since it bounds all of the call. Invalidations of one
    /// node wait for one another. The user needs `+wait`. Default: none is waited for.
    pub fn replicas(mut self, count: u32, timeout: Duration) -> Self {
        self.replicas = Some(Replicas { count, timeout });
        self
    }

    /// How often the cache adds what it has counted to the figures of the fleet, which
    /// [`Cache::fleet`](cache_core::Cache::fleet) reads: a pipeline of one small script for each kind
    /// that was used meanwhile, and two more. A node that is killed loses what it has counted since its
    /// last report, and is missing after three of these intervals. At least 1 s, or
    /// [`Duration::ZERO`]: nothing is ever reported, and the figures of the other nodes can be read all
    /// the same. The user needs `+hget +hset +hincrby +hdel +hrandfield +pexpireat +time`; without
    /// them, everything else works. Default: 15 s.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use cache_core::Cache;
    /// use cache_redis::RedisConfig;
    ///
    /// # async fn run() -> Result<(), cache_core::Error> {
    /// let store = RedisConfig::from_env()?.report_every(Duration::from_secs(5)).build()?;
    /// let cache = Cache::builder().namespace("shifts").shared(store).try_build()?;
    /// // What all nodes have counted in the last hour, and which of them are missing.
    /// let now = cache.minute();
    /// let fleet = cache.fleet(now - 59..=now).await?;
    /// println!("{}", fleet.sum());
    /// for node in fleet.missing() {
    ///     println!("{} of {} is missing", node.process, node.host);
    /// }
    /// // The last thing to do: reports the rest, and takes this node off the list.
    /// cache.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn report_every(mut self, report_every: Duration) -> Self {
        self.report_every = report_every;
        self
    }

    /// Which certificate authorities are trusted where no
    /// [`ca_certificate`](Self::ca_certificate) is given. Default: [`Roots::System`].
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// A private certificate authority, as PEM text with one or more certificates. It is trusted
    /// instead of the usual ones. Default: none.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(Authority::Pem(pem.into()));
        self
    }

    /// The same from a file, which [`build`](Self::build) reads. Default: none.
    pub fn ca_certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authority = Some(Authority::File(path.into()));
        self
    }

    /// A certificate chain and its key, both as PEM text, for servers that ask who is calling.
    /// Default: none.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.identity = Some(tls::Identity::new(certificate.into(), key.into()));
        self
    }

    /// The user, as it is: nothing is percent-decoded. Default: the URL's, or Redis's `default`.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.address.username = Some(username.into());
        self
    }

    /// The password, as it is: nothing is percent-decoded. Default: the URL's.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.address.password = Some(password.into());
        self
    }

    /// Which variable it was taken from: `"REDIS_URL"`; `"url"` where it was given as a text, and
    /// `"default"` where nothing was set.
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// The URL without its password: `redis://app:***@cache.internal:6379/0`.
    pub fn describe(&self) -> String {
        self.address.to_string()
    }

    /// A store on this configuration. Reads certificates where they are needed; connects nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](cache_core::ErrorKind::Config) for certificates that can't be read, or that
    /// make no sense without TLS, and for a number or a time that is out of range.
    pub fn build(self) -> Result<RedisStore> {
        Ok(RedisStore::of(self.endpoint()?))
    }

    #[cfg(feature = "fuzzing")]
    pub(crate) fn has_password(&self) -> bool {
        self.address.password.is_some()
    }

    #[cfg(feature = "fuzzing")]
    pub(crate) fn is_at_the_same_address(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &self.describe())
            .field("source", &self.source)
            .field("connect_timeout", &self.connect_timeout)
            .field("ping_timeout", &self.ping_timeout)
            .field("heartbeat", &self.heartbeat)
            .field("tracking", &self.tracking)
            .field("connections", &self.connections)
            .field("replicas", &self.replicas)
            .field("report_every", &self.report_every)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
