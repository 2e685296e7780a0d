//! Reads the fleet's figures, over a connection that is made for it and gone with it.
//!
//! Not over one of those that serve calls: where Redis tells of changes, it would note every key that is
//! read here, and then tell of each report of each node; an invalidation, or a small value, would wait
//! behind a day of figures. And not over one that is kept: people look now and then, and making it
//! anew costs less than watching over one that nobody uses.

use std::ops::RangeInclusive;
use std::pin::pin;

use cache_core::metrics::{Fleet, Minute};
use cache_core::{Env, ErrorKind};
use redis::{Pipeline, Value};

use super::counts::{self, MOST_FIELDS};
use super::{KEPT, WHOLE, millis, node};
use crate::config::Endpoint;
use crate::dial::dial;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::traffic::Traffic;
use crate::wire::Wire;

/// Hashes that are asked for at a time: neither Redis nor the driver is busy with them for long.
const AT_ONCE: usize = 16;
/// More nodes than this are not listed.
const MOST_NODES: usize = 10_000;

/// The figures of these minutes, and the nodes. To be awaited in a task of [`Env::spawn`], as
/// [`dial`] is.
pub(crate) async fn read(
    endpoint: &Endpoint,
    env: &Env,
    keys: &Keys,
    minutes: RangeInclusive<Minute>,
) -> Result<Fleet, Failure> {
    let (first, last) = minutes.clone().into_inner();
    if last.saturating_sub(first) >= Fleet::MOST_MINUTES {
        return Err(Failure::new(
            ErrorKind::Config,
            format!(
                "the minutes {first} to {last} are too many to be read at once: ask for at most {}, \
                 since figures are kept for a day",
                Fleet::MOST_MINUTES
            ),
        ));
    }
    let dialled = dial(endpoint, env, None).await?;
    let mut reader = Reader {
        connection: dialled.connection,
        traffic: &dialled.traffic,
        endpoint,
        env,
    };
    tokio::select! {
        fleet = reader.fleet(keys, minutes) => fleet,
        () = dialled.driver => Err(Failure::unavailable("the server closed the connection")),
    }
}

struct Reader<'a> {
    connection: Wire,
    traffic: &'a Traffic,
    endpoint: &'a Endpoint,
    env: &'a Env,
}

impl Reader<'_> {
    async fn fleet(
        &mut self,
        keys: &Keys,
        minutes: RangeInclusive<Minute>,
    ) -> Result<Fleet, Failure> {
        let mut fleet = Fleet::default();
        let mut kinds = Vec::new();
        let minutes: Vec<Minute> = minutes.collect();
        for minutes in minutes.chunks(AT_ONCE) {
            let names = minutes.iter().map(|minute| keys.figures(WHOLE, *minute));
            let answers = self.hashes(names, MOST_FIELDS).await?;
            for (minute, answer) in minutes.iter().zip(answers) {
                let fields = counts::fields(answer, &self.endpoint.secrets)?;
                if let Some((figures, named)) = counts::whole(fields) {
                    fleet.minutes.insert(*minute, figures);
                    kinds.extend(named.into_iter().map(|kind| (*minute, kind)));
                }
            }
        }
        for kinds in kinds.chunks(AT_ONCE) {
            let names = kinds
                .iter()
                .map(|(minute, kind)| keys.figures(kind.as_str(), *minute));
            let answers = self.hashes(names, MOST_FIELDS).await?;
            for ((minute, kind), answer) in kinds.iter().zip(answers) {
                let figures = counts::kind(counts::fields(answer, &self.endpoint.secrets)?);
                if let (Some(whole), false) = (fleet.minutes.get_mut(minute), figures.is_empty()) {
                    whole.kinds.insert(kind.as_str().to_owned(), figures);
                }
            }
        }
        self.nodes(keys, &mut fleet).await?;
        Ok(fleet)
    }

    /// The nodes, and the time.
    async fn nodes(&mut self, keys: &Keys, fleet: &mut Fleet) -> Result<(), Failure> {
        let mut answers = self.hashes([keys.nodes()].into_iter(), MOST_NODES).await?;
        let mut commands = Pipeline::new();
        // Asked last: no node was seen later.
        commands.cmd("TIME");
        answers.extend(self.call(&commands).await?);
        let mut answers = answers.into_iter();
        let nodes = answers.next().unwrap_or(Value::Nil);
        fleet.now_ms = self.time(&answers.next().unwrap_or(Value::Nil))?;
        let oldest = fleet.now_ms.saturating_sub(millis(KEPT));
        fleet.nodes = counts::fields(nodes, &self.endpoint.secrets)?
            .into_iter()
            .filter_map(|(id, text)| node::read(&id, &text))
            .filter(|node| node.seen_ms >= oldest)
            .collect();
        fleet.nodes.sort_by_key(|node| (node.started_ms, node.id));
        Ok(())
    }

    /// Hashes with all of their fields, up to so many: HGETALL knows no bound.
    async fn hashes(
        &mut self,
        names: impl Iterator<Item = String>,
        most: usize,
    ) -> Result<Vec<Value>, Failure> {
        let mut commands = Pipeline::new();
        for name in names {
            commands
                .cmd("HRANDFIELD")
                .arg(name)
                .arg(most)
                .arg("WITHVALUES");
        }
        self.call(&commands).await
    }

    /// Sends commands. It ends where Redis says nothing for as long as it may take to answer a PING.
    async fn call(&mut self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        let timeout = self.endpoint.ping_timeout;
        let mut answers = pin!(self.connection.send_packed_commands(commands));
        let mut heard = self.traffic.heard();
        loop {
            tokio::select! {
                answers = answers.as_mut() => {
                    return answers
                        .map_err(|error| Failure::of_client(&error, &self.endpoint.secrets));
                }
                () = self.env.sleep(timeout) => {
                    let now = self.traffic.heard();
                    if now == heard {
                        return Err(Failure::new(
                            ErrorKind::Timeout,
                            format!("no answer about the fleet's figures within {timeout:?}"),
                        ));
                    }
                    heard = now;
                }
            }
        }
    }

    /// Redis's clock, in milliseconds since the Unix epoch.
    fn time(&self, answer: &Value) -> Result<u64, Failure> {
        let number = |value: &Value| match value {
            Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse::<u64>().ok(),
            _ => None,
        };
        let time = match answer {
            Value::ServerError(error) => {
                return Err(Failure::of_server(error, &self.endpoint.secrets));
            }
            Value::Array(parts) => match parts.as_slice() {
                [seconds, micros] => number(seconds).zip(number(micros)),
                _ => None,
            },
            _ => None,
        };
        time.and_then(|(seconds, micros)| seconds.checked_mul(1000)?.checked_add(micros / 1000))
            .ok_or_else(|| Failure::strange("Redis was asked for the time and told something else"))
    }
}
