//! redis-rs, bare: what a cache on it can't be faster than, unless it asks more cleverly. Values are
//! encoded as ours are, and decoded by the caller.

use std::future::pending;
use std::sync::Arc;
use std::thread;

use ::redis::aio::MultiplexedConnection;
use ::redis::cmd;
use bincode::config;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::{Asked, Contestant, TTL, Value};
use crate::Result;

/// One connection with the settings it has by default.
#[derive(Clone)]
pub struct Bare {
    connection: MultiplexedConnection,
}

impl Bare {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When Redis can't be reached.
    pub async fn connected(url: &str) -> Result<Self> {
        let client = ::redis::Client::open(url)?;
        Ok(Self {
            connection: client.get_multiplexed_async_connection().await?,
        })
    }

    /// Connects on a thread that does nothing but read and write, as ours does: whose runtime the callers' is,
    /// and what becomes of it, is nothing to it.
    ///
    /// # Errors
    ///
    /// As [`connected`](Self::connected).
    pub async fn connected_aside(url: &str) -> Result<Self> {
        let (tell, told) = oneshot::channel();
        let url = url.to_owned();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    let is_asked_for = tell.send(Self::connected(&url).await).is_ok();
                    if is_asked_for {
                        pending::<()>().await;
                    }
                }),
                Err(error) => drop(tell.send(Err(error.into()))),
            }
        });
        told.await?
    }

    /// The connection.
    pub fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Reads one value.
    ///
    /// # Errors
    ///
    /// When Redis fails, or what it has is no value.
    pub async fn read(&self, key: &str) -> Result<Option<Value>> {
        let mut connection = self.connection();
        let bytes: Option<Vec<u8>> = cmd("GET").arg(key).query_async(&mut connection).await?;
        bytes.map(|bytes| decoded(&bytes)).transpose()
    }

    /// Stores one.
    ///
    /// # Errors
    ///
    /// When Redis fails.
    pub async fn write(&self, key: &str, value: &Value) -> Result<()> {
        let mut connection = self.connection();
        let bytes = bincode::serde::encode_to_vec(value, config::standard())?;
        cmd("SET")
            .arg(key)
            .arg(bytes)
            .arg("PX")
            .arg(TTL.as_millis().to_string())
            .query_async::<()>(&mut connection)
            .await?;
        Ok(())
    }

    async fn got(self, asked: Asked) -> Result<Arc<Value>> {
        let key = format!("bare:{}:{}", asked.id, asked.size);
        if let Some(value) = self.read(&key).await? {
            return Ok(Arc::new(value));
        }
        let value = asked.load();
        self.write(&key, &value).await?;
        Ok(value)
    }

    /// An entry, and beside it what two stamps would be: eight bytes each, compared with nothing.
    async fn got_three(self, asked: Asked) -> Result<Arc<Value>> {
        let Asked { id, size } = asked;
        let keys = [
            format!("bare:{id}:{size}"),
            format!("bare:row:{id}"),
            format!("bare:size:{size}"),
        ];
        let mut connection = self.connection();
        let found: [Option<Vec<u8>>; 3] =
            cmd("MGET").arg(&keys).query_async(&mut connection).await?;
        if let [Some(bytes), Some(_), Some(_)] = found {
            return Ok(Arc::new(decoded(&bytes)?));
        }
        let value = asked.load();
        self.write(&keys[0], &value).await?;
        for key in &keys[1..] {
            cmd("SET")
                .arg(key)
                .arg(&[7_u8; 8])
                .query_async::<()>(&mut connection)
                .await?;
        }
        Ok(value)
    }

    /// As a contestant that gets one key.
    pub fn get(self, name: &'static str) -> Contestant {
        Contestant::new(name, move |asked| self.clone().got(asked))
    }

    /// As one that gets three at once.
    pub fn get_three(self, name: &'static str) -> Contestant {
        Contestant::new(name, move |asked| self.clone().got_three(asked))
    }
}

/// The value that these bytes are.
///
/// # Errors
///
/// When they are none.
pub(super) fn decoded(bytes: &[u8]) -> Result<Value> {
    Ok(bincode::serde::decode_from_slice(bytes, config::standard())?.0)
}
