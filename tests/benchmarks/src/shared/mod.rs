//! Who is compared at calls that Redis answers: ours, `cached` with its asynchronous Redis store, and
//! redis-rs bare. All hand out `Arc<Value>`.

mod bare;
mod memoized;
mod ours;
mod rows;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

pub use bare::Bare;
pub use rows::{Batch, batches, slow};

use crate::{Result, loaded};

/// What is cached: so many bytes, encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    pub id: u64,
    pub text: String,
}

impl Value {
    /// Of about so many bytes as bincode has it: a byte or more for the number, and one or more for
    /// the length.
    pub fn of(id: u64, size: usize) -> Self {
        Self {
            id,
            text: "x".repeat(size.saturating_sub(4)),
        }
    }
}

/// How long values last.
const TTL: Duration = Duration::from_hours(1);

/// The names of those that a target speaks of.
pub mod names {
    pub const OURS: &str = "**`#[cached]`**";
    pub const OURS_TAGGED: &str = "**`#[cached]`**, two tags";
    pub const CACHED: &str = "cached `#[concurrent_cached]`, its AsyncRedisCache";
    pub const GET: &str = "redis-rs `GET` and decode, one connection";
    pub const MGET: &str = "redis-rs `MGET` of three and decode, one connection";
    pub const MGET_ALL: &str = "redis-rs `MGET` of 100, and one load; nothing is stored";
    pub const ASKED: &str = "redis-rs, what ours asks before it loads in two pipelines, and one load; nothing is stored";
    pub const GET_ASIDE: &str = "redis-rs `GET` and decode, read on a thread of its own";
    pub const MGET_ASIDE: &str = "redis-rs `MGET` of three and decode, read on a thread of its own";
}

/// What is asked for: which value, and how large.
#[derive(Clone, Copy)]
pub struct Asked {
    pub id: u64,
    pub size: usize,
}

impl Asked {
    fn load(self) -> Arc<Value> {
        loaded(Arc::new(Value::of(self.id, self.size)))
    }
}

type Calling = Pin<Box<dyn Future<Output = Result<u64>> + Send>>;

/// Somebody whose calls Redis answers.
pub struct Contestant {
    pub name: &'static str,
    /// One caller: makes calls for these keys, one after the other, round and round, until then; how
    /// many it made.
    run: Box<dyn Fn(Round) -> Calling + Send + Sync>,
}

/// What one caller is to do.
#[derive(Clone, Copy)]
pub struct Round {
    pub size: usize,
    /// Its keys: from this one on,
    pub first: u64,
    /// each so far from the one before,
    pub step: u64,
    /// below this one.
    pub end: u64,
    /// When it is enough,
    pub until: Instant,
    /// and how many calls it makes at least.
    pub least: u64,
}

impl Contestant {
    /// One whose call is this.
    pub fn new<F>(
        name: &'static str,
        call: impl Fn(Asked) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Arc<Value>>> + Send,
    {
        let run = Box::new(move |round: Round| -> Calling {
            let call = call.clone();
            Box::pin(async move {
                let mut calls = 0;
                loop {
                    for id in (round.first..round.end).step_by(round.step.try_into().unwrap_or(1)) {
                        let asked = Asked {
                            id,
                            size: round.size,
                        };
                        let value = call(asked).await?;
                        if value.id != id || value.text.len() + 4 != round.size {
                            return Err(format!("{name}: {id} is another's value").into());
                        }
                        calls += 1;
                        if calls >= round.least && Instant::now() >= round.until {
                            return Ok(calls);
                        }
                    }
                }
            })
        });
        Self { name, run }
    }

    /// Lets so many callers make calls for so long, each for keys of its own; how many calls there
    /// were a second.
    ///
    /// # Errors
    ///
    /// When a call fails, or has another value than its own.
    #[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
    pub async fn calls(&self, callers: u64, keys: u64, size: usize, span: Duration) -> Result<f64> {
        let began = Instant::now();
        let mut running = JoinSet::new();
        for first in 0..callers {
            running.spawn((self.run)(Round {
                size,
                first,
                step: callers,
                end: keys,
                until: began + span,
                least: keys / callers,
            }));
        }
        let calls = running.join_all().await.into_iter().sum::<Result<u64>>()?;
        Ok(calls as f64 / began.elapsed().as_secs_f64())
    }
}

impl Contestant {
    /// Makes one call; how long it took.
    ///
    /// # Errors
    ///
    /// As [`calls`](Self::calls).
    pub async fn once(&self, asked: Asked) -> Result<Duration> {
        let began = Instant::now();
        (self.run)(Round {
            size: asked.size,
            first: asked.id,
            step: 1,
            end: asked.id + 1,
            until: began,
            least: 1,
        })
        .await?;
        Ok(began.elapsed())
    }
}

/// What all of them run on: as many threads as there are processors, as `#[tokio::main]` has it.
///
/// # Errors
///
/// When there can be none.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// Without tags; ours first.
///
/// # Errors
///
/// When Redis can't be reached.
pub async fn plain(url: &str) -> Result<Vec<Contestant>> {
    Ok(vec![
        ours::plain(),
        memoized::plain(url).await?,
        Bare::connected(url).await?.get(names::GET),
        Bare::connected_aside(url).await?.get(names::GET_ASIDE),
    ])
}

/// With two tags, where there are any; ours first.
///
/// # Errors
///
/// As [`plain`].
pub async fn tagged(url: &str) -> Result<Vec<Contestant>> {
    Ok(vec![
        ours::tagged(),
        ours::strict(),
        memoized::plain(url).await?,
        Bare::connected(url).await?.get_three(names::MGET),
        Bare::connected_aside(url)
            .await?
            .get_three(names::MGET_ASIDE),
    ])
}

/// For misses; ours first, with two tags.
///
/// # Errors
///
/// As [`plain`].
pub async fn missing(url: &str) -> Result<Vec<Contestant>> {
    Ok(vec![
        ours::tagged(),
        memoized::plain(url).await?,
        Bare::connected(url)
            .await?
            .get("redis-rs `GET`, then `SET`"),
    ])
}

/// The kinds that case 4, 5 and 8 are about: with nothing kept in the process.
const NOT_HERE: [&str; 4] = ["plain", "tagged", "strict", "rows"];

/// Has ours use this Redis, in the whole process. A machine that stalls is no outage here: its calls
/// are to wait, as those of the others do.
///
/// # Errors
///
/// When the cache was installed before.
pub fn install(url: &str) -> Result<()> {
    let store = cache_redis::RedisStore::new(url)?;
    let builder = cache_core::Cache::builder()
        .shared(store)
        .store_timeout(Duration::from_secs(5));
    let not_here = |builder: cache_core::CacheBuilder, kind: &&str| {
        builder.policy(kind, cache_core::Policy::new().local(false))
    };
    NOT_HERE
        .iter()
        .fold(builder, not_here)
        .try_build()?
        .install()?;
    Ok(())
}
