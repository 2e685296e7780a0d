//! The server under examination: the connections to it, and what is known by now.

use std::time::Duration;

use cache_core::Env;
use redis::{Cmd, Value, cmd};
use tokio::sync::mpsc::UnboundedReceiver;

use super::connect::Connected;
use crate::cli::session::{Raw, Session, bytes};
use crate::cli::text::hex;
use crate::config::Endpoint;
use crate::dial::{Tracking, dial};
use crate::failure::Failure;

/// The checks that need a connection, in order.
pub(super) const STEPS: [&str; 9] = [
    "ping", "server", "rights", "write", "memory", "tracking", "latency", "clock", "fleet",
];

pub(super) struct Patient {
    pub(super) endpoint: Endpoint,
    pub(super) env: Env,
    pub(super) raw: Raw,
    pub(super) tracking: Tracking,
    /// Names in our namespace that Redis says have changed.
    pub(super) told: UnboundedReceiver<Vec<u8>>,
    pub(super) timeout: Duration,
    namespace: String,
    id: String,
}

impl Patient {
    pub(super) fn new(
        session: &Session,
        endpoint: Endpoint,
        env: Env,
        connected: Connected,
    ) -> Self {
        let Connected {
            raw,
            tracking,
            told,
        } = connected;
        Self {
            id: hex(&env.draw_wide()),
            timeout: session.timeout(),
            namespace: session.namespace().to_owned(),
            endpoint,
            env,
            raw,
            tracking,
            told,
        }
    }

    /// A key that nobody else has. Keys of one examination are in one slot.
    pub(super) fn key(&self, what: &str) -> String {
        format!("{}:d:{{{}}}{what}", self.namespace, self.id)
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The user that the server takes us for, as far as it was given.
    pub(super) fn user(&self) -> &str {
        self.endpoint.username.as_deref().unwrap_or("default")
    }

    /// A text that the server answers with; nothing where it won't.
    pub(super) async fn text(&mut self, command: &Cmd) -> Result<Option<String>, Failure> {
        let mut commands = redis::Pipeline::with_capacity(1);
        commands.add_command(command.clone());
        let answers = self.raw.all(&commands).await?;
        Ok(answers
            .first()
            .filter(|answer| !matches!(answer, Value::ServerError(_)))
            .and_then(bytes)
            .map(|text| String::from_utf8_lossy(text).into_owned()))
    }

    /// A setting of the server; nothing where it won't say.
    pub(super) async fn setting(&mut self, name: &str) -> Option<String> {
        let answer = self.raw.one(cmd("CONFIG").arg("GET").arg(name)).await;
        let value = match answer.ok()? {
            Value::Map(pairs) => pairs.into_iter().next()?.1,
            Value::Array(parts) => parts.into_iter().nth(1)?,
            _ => return None,
        };
        Some(String::from_utf8_lossy(bytes(&value)?).into_owned())
    }

    /// Another connection.
    pub(super) async fn another(&self) -> Result<Raw, Failure> {
        let dialled = dial(&self.endpoint, &self.env, None).await?;
        Ok(Raw::new(dialled, &self.endpoint, self.timeout))
    }
}

/// A field of what INFO says.
pub(super) fn field<'a>(information: &'a str, name: &str) -> Option<&'a str> {
    information.lines().find_map(|line| {
        let (found, value) = line.trim_end().split_once(':')?;
        (found == name && !value.is_empty()).then_some(value)
    })
}
