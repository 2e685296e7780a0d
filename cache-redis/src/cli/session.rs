//! What the commands work with: the place as it was given, a cache on it, and a connection of their
//! own for what a cache does not do.

use std::future::Future;
use std::ops::RangeInclusive;
use std::time::Duration;

use cache_core::metrics::{Fleet, Minute};
use cache_core::{Cache, Env, ErrorKind};
use redis::{Cmd, Pipeline, Value};

use super::args::Place;
use super::ending::Trouble;
use super::heard::{Cause, Heard};
use super::out::Out;
use super::scan;
use crate::RedisConfig;
use crate::config::Endpoint;
use crate::dial::{Dialled, dial};
use crate::failure::{Failure, Secrets};
use crate::wire::Wire;

/// The namespace of a cache that was given none.
const NAMESPACE: &str = "cache";

/// Where the commands work.
pub(super) struct Session {
    place: Place,
    namespace: String,
}

/// Words for a source that is no variable.
pub(super) fn source(config: &RedisConfig) -> &'static str {
    match config.source() {
        "url" => "--url",
        "default" => "no variable is set, so the default",
        variable => variable,
    }
}

impl Session {
    pub(super) fn new(place: Place) -> Result<Self, Trouble> {
        let variable = || {
            let value = std::env::var_os("CACHE_NAMESPACE")?;
            (!value.is_empty()).then(|| value.to_string_lossy().into_owned())
        };
        let given = place.namespace.clone().or_else(variable);
        let namespace = given.unwrap_or_else(|| NAMESPACE.to_owned());
        if let Some(fault) = Cache::builder().namespace(&namespace).build().fault() {
            return Err(Trouble::usage(fault.to_string()));
        }
        Ok(Self { place, namespace })
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn timeout(&self) -> Duration {
        self.place.timeout
    }

    /// The same place, another namespace.
    pub(super) fn within(&self, namespace: &str) -> Result<Self, Trouble> {
        let place = Place {
            url: self.place.url.clone(),
            namespace: Some(namespace.to_owned()),
            ca_certificate: self.place.ca_certificate.clone(),
            timeout: self.place.timeout,
        };
        Self::new(place)
    }

    /// Whether the namespace was named, rather than taken for granted.
    pub(super) fn is_namespace_given(&self) -> bool {
        self.place.namespace.is_some()
    }

    /// Where Redis is, as the library would read it.
    pub(super) fn config(&self) -> cache_core::Result<RedisConfig> {
        let config = match &self.place.url {
            Some(url) => RedisConfig::new(url).map_err(|error| {
                cache_core::Error::new(ErrorKind::Config, format!("--url: {error}"))
            })?,
            None => RedisConfig::from_env()?,
        };
        let config = config
            .connect_timeout(self.place.timeout)
            .ping_timeout(self.place.timeout.max(Duration::from_millis(10)));
        Ok(match &self.place.ca_certificate {
            Some(path) => config.ca_certificate_file(path),
            None => config,
        })
    }

    /// A cache like those of the fleet, on its namespace. Nothing it reads is kept, so it need not be
    /// told of changes.
    pub(super) fn cache(&self) -> Result<(Cache, Cause), Trouble> {
        let wrong = |error: cache_core::Error| Trouble::usage(error.to_string());
        let store = self.config().map_err(wrong)?.tracking(false);
        let (heard, cause) = Heard::new(store.build().map_err(wrong)?);
        let cache = Cache::builder()
            .namespace(&self.namespace)
            .store_timeout(self.place.timeout.max(Duration::from_millis(1)))
            .shared(heard);
        Ok((cache.try_build().map_err(wrong)?, cause))
    }

    /// A connection.
    pub(super) async fn raw(&self) -> Result<Raw, Trouble> {
        let wrong = |error: cache_core::Error| Trouble::usage(error.to_string());
        let endpoint = self.config().map_err(wrong)?.endpoint().map_err(wrong)?;
        let env = Env::system();
        let dialled = dial(&endpoint, &env, None).await;
        let dialled = dialled.map_err(|failure| failure.at(&endpoint.described))?;
        Ok(Raw::new(dialled, &endpoint, self.place.timeout))
    }

    /// An answer, if it comes in time.
    pub(super) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, cache_core::Error>>,
    ) -> Result<T, Trouble> {
        match tokio::time::timeout(self.place.timeout, answer).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(late(self.place.timeout)),
        }
    }

    pub(super) async fn fleet(
        &self,
        cache: &Cache,
        minutes: RangeInclusive<Minute>,
    ) -> Result<Fleet, Trouble> {
        self.in_time(cache.fleet(minutes)).await
    }

    /// Whether nothing is in the namespace, as far as can be seen without looking at all keys there are.
    pub(super) async fn is_empty(&self) -> Result<bool, Trouble> {
        let mut raw = self.raw().await?;
        let pattern = format!("{}:*", self.namespace);
        Ok(!scan::finds_any(&mut raw, pattern).await?)
    }

    /// Says which namespaces there are, where this one has turned out empty. It is a hint: where they
    /// can't be seen, it says that.
    pub(super) async fn suggest(&self, out: &mut Out) {
        let namespace = &self.namespace;
        let seen = async {
            let mut raw = self.raw().await?;
            Ok::<_, Trouble>((scan::namespaces(&mut raw).await?, raw.described))
        };
        let ((found, whole), place) = match seen.await {
            Ok(seen) => seen,
            Err(trouble) => {
                out.hint(&format!(
                    "nothing in namespace {namespace}; which others there are can't be seen: {trouble}"
                ));
                return;
            }
        };
        let others: Vec<&str> = found
            .iter()
            .map(String::as_str)
            .filter(|name| name != namespace)
            .collect();
        out.hint(&if others.is_empty() {
            let part = if whole { "" } else { " among the first keys" };
            format!("nothing in namespace {namespace}, and no other cache{part} in {place}")
        } else {
            let shown = others[..others.len().min(20)].join(", ");
            let more = if whole { "" } else { ", perhaps others" };
            format!(
                "nothing in namespace {namespace}; in {place} there is {shown}{more}: name one with \
                 --namespace or CACHE_NAMESPACE"
            )
        });
    }
}

fn late(timeout: Duration) -> Trouble {
    Trouble::failed(format!(
        "no answer from Redis within {timeout:?}: allow more with --timeout"
    ))
}

/// A connection of the program's own.
pub(super) struct Raw {
    connection: Wire,
    secrets: Secrets,
    timeout: Duration,
    pub(super) described: String,
}

impl Raw {
    pub(super) fn new(dialled: Dialled, endpoint: &Endpoint, timeout: Duration) -> Self {
        tokio::spawn(dialled.driver);
        Self {
            connection: dialled.connection,
            secrets: endpoint.secrets.clone(),
            timeout,
            described: endpoint.described.clone(),
        }
    }

    /// Sends commands in one go, and returns an answer for each: errors of the server among them.
    pub(super) async fn all(&mut self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let asked = self.connection.send_packed_commands(commands);
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(values)) if values.len() == commands.len() => Ok(values),
            Ok(Ok(_)) => Err(Failure::strange(
                "the server's answers don't match the commands",
            )),
            Ok(Err(error)) => Err(Failure::of_client(&error, &self.secrets)),
            Err(_) => Err(Failure::unavailable(format!(
                "no answer from Redis within {:?}: allow more with --timeout",
                self.timeout
            ))),
        }
    }

    /// Sends one, and returns its answer; an error of the server is one.
    pub(super) async fn one(&mut self, command: &Cmd) -> Result<Value, Failure> {
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(command.clone());
        let value = self.all(&commands).await?.pop().unwrap_or(Value::Nil);
        self.judged(value)
    }

    /// An answer, or what the server had against the question.
    pub(super) fn judged(&self, value: Value) -> Result<Value, Failure> {
        match value {
            Value::ServerError(error) => Err(Failure::of_server(&error, &self.secrets)),
            value => Ok(value),
        }
    }
}

/// The bytes of an answer that is a string of whatever sort.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.as_bytes()),
        Value::Okay => Some(b"OK"),
        _ => None,
    }
}
