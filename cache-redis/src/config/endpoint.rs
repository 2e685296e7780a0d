//! A configuration whose options have been checked, one against the other.

use std::time::Duration;

use cache_core::{Error, ErrorKind, Result};

use super::address::{Address, Target};
use super::replicas::Replicas;
use super::{RedisConfig, tls};
use crate::failure::Secrets;

/// A checked configuration, ready to be dialled.
pub(crate) struct Endpoint {
    pub(crate) described: String,
    pub(crate) source: &'static str,
    pub(crate) secrets: Secrets,
    pub(crate) target: Target,
    pub(crate) tls: Option<tls::Connector>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) tracking: bool,
    pub(crate) connections: usize,
    pub(crate) replicas: Option<Replicas>,
    pub(crate) report_every: Option<Duration>,
}

impl Endpoint {
    /// How long what was read is good without a further sign of life: B of invariant 1.
    pub(crate) fn bound(&self) -> Duration {
        self.heartbeat.saturating_add(self.ping_timeout)
    }
}

impl RedisConfig {
    pub(crate) fn endpoint(self) -> Result<Endpoint> {
        let described = self.describe();
        for (name, value) in [
            ("heartbeat", self.heartbeat),
            ("ping_timeout", self.ping_timeout),
        ] {
            if value < SHORTEST {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("{name} of {value:?} is too short: write at least {SHORTEST:?}"),
                ));
            }
        }
        if !(1..=MOST_CONNECTIONS).contains(&self.connections) {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "connections({}) is out of range: write 1 to {MOST_CONNECTIONS}",
                    self.connections
                ),
            ));
        }
        if !self.report_every.is_zero() && self.report_every < MOST_OFTEN {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "report_every of {:?} is too short: write at least {MOST_OFTEN:?}, or \
                     Duration::ZERO to report nothing",
                    self.report_every
                ),
            ));
        }
        if let Some(replicas) = &self.replicas {
            replicas.check(self.ping_timeout)?;
        }
        let tls = if self.address.is_tls() {
            Some(tls::client(self.roots, self.authority, self.identity)?)
        } else if self.authority.is_some() || self.identity.is_some() {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "{described} is not encrypted, so its certificates would not be used: write \
                     rediss:// (with two s)"
                ),
            ));
        } else {
            None
        };
        let Address {
            target,
            username,
            password,
            database,
        } = self.address;
        Ok(Endpoint {
            described,
            source: self.source,
            secrets: Secrets::new(password.as_deref()),
            target,
            tls,
            username,
            password,
            database,
            connect_timeout: self.connect_timeout,
            ping_timeout: self.ping_timeout,
            heartbeat: self.heartbeat,
            tracking: self.tracking,
            connections: self.connections,
            replicas: self.replicas,
            report_every: (!self.report_every.is_zero()).then_some(self.report_every),
        })
    }
}

/// A PING more often than this would be a load of its own.
const SHORTEST: Duration = Duration::from_millis(10);
/// Reports more often than this would be one, too.
const MOST_OFTEN: Duration = Duration::from_secs(1);
const MOST_CONNECTIONS: usize = 64;
