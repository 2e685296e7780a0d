//! The functions that are cached in the simulated world, written as users write them, and the
//! database they load from.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{Cache, Invalidation, Key, cached, invalidates, updates};
use serde::{Deserialize, Serialize};

use super::executor::Executor;
use super::history::{History, What};
use super::judge::Came;
use super::keys::{LABELLED, SimKey, Target, beside};

/// What is loaded: which key, which version, by which load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Value {
    /// The key.
    pub(super) key: usize,
    /// The version it had when it was read.
    pub(super) version: u64,
    /// The load's number.
    pub(super) load: u64,
}

impl Value {
    /// What it is tagged with.
    fn label(&self) -> u64 {
        SimKey(self.key).label()
    }
}

/// The same, of a type that can't be read back, and so can't be traced: its values stay local.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub(super) struct Loose(Value);

impl TryFrom<Value> for Loose {
    type Error = &'static str;

    fn try_from(_: Value) -> Result<Self, Self::Error> {
        Err("a loose value is never read back")
    }
}

impl From<Loose> for Value {
    fn from(loose: Loose) -> Self {
        loose.0
    }
}

/// The load whose value an entry holds, which is the last of its numbers. The payload is at the end,
/// after its length, in bincode's variable-length numbers.
#[must_use]
pub(super) fn load_of(entry: &[u8]) -> Option<u64> {
    let payload = (3..=32_u32).find_map(|length| {
        let (rest, payload) = entry.split_at_checked(entry.len().checked_sub(length as usize)?)?;
        rest.ends_with(&length.to_le_bytes()).then_some(payload)
    })?;
    let mut rest = payload;
    let mut number = || {
        let (first, after) = rest.split_first()?;
        let wide = match first {
            251 => 2,
            252 => 4,
            253 => 8,
            small => {
                rest = after;
                return Some(u64::from(*small));
            }
        };
        let (bytes, after) = after.split_at_checked(wide)?;
        rest = after;
        let mut number = [0; 8];
        number[..wide].copy_from_slice(bytes);
        Some(u64::from_le_bytes(number))
    };
    let (_key, _version) = (number()?, number()?);
    number()
}

/// A load's failure, with the number of the call whose load it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure(pub u64);

/// How a load will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum End {
    Value,
    Failure,
    Panic,
}

/// What a body needs: the database, and what this load will do.
pub(super) struct Source {
    /// The run's executor.
    pub(super) executor: Arc<Executor>,
    /// The run's history, which holds the database.
    pub(super) history: Arc<History>,
    /// The call's number.
    pub(super) call: u64,
    /// What is loaded.
    pub(super) key: SimKey,
    /// How long it takes until the database is read, and from then on.
    pub(super) takes: [Duration; 2],
    /// How it ends.
    pub(super) end: End,
}

/// Notes that a load has ended, if only by being dropped.
struct Loading<'a> {
    source: &'a Source,
    load: u64,
    began: Duration,
    came: Came,
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let Self {
            source,
            load,
            began,
            came,
        } = self;
        source.history.load_ends(source.call, *load, *began, *came);
    }
}

impl Source {
    async fn load(&self) -> Result<Value, Failure> {
        let mut loading = Loading {
            source: self,
            load: self.history.load_begins(self.call, self.key, What::Load),
            began: self.executor.now(),
            came: Came::Nothing,
        };
        self.pause(self.takes[0]).await;
        let version = self.history.version(self.key);
        self.pause(self.takes[1]).await;
        match self.end {
            End::Value => {
                loading.came = Came::Value(self.key, version, loading.load);
                Ok(Value {
                    key: self.key.0,
                    version,
                    load: loading.load,
                })
            }
            End::Failure => {
                loading.came = Came::Failed(self.call);
                Err(Failure(self.call))
            }
            End::Panic => {
                loading.came = Came::Panicked;
                drop(loading);
                // Without the hook that would print it.
                resume_unwind(Box::new("a simulated panic"))
            }
        }
    }

    async fn pause(&self, duration: Duration) {
        if !duration.is_zero() {
            self.executor.sleep(duration).await;
        }
    }

    /// What a put stores: the version of this moment.
    fn value_now(&self) -> Value {
        let load = self.history.load_begins(self.call, self.key, What::Put);
        let version = self.history.version(self.key);
        let came = Came::Value(self.key, version, load);
        let now = self.executor.now();
        self.history.load_ends(self.call, load, now, came);
        Value {
            key: self.key.0,
            version,
            load,
        }
    }

    /// Calls the function of the key.
    pub(super) async fn call(&self) -> Result<Value, Failure> {
        let (id, group) = (self.key.id(), self.key.group());
        match self.key.kind() {
            0 => alpha(self, id, group).await,
            1 => beta(self, id, group).await,
            LABELLED => delta(self, id, group).await,
            _ => gamma(self, id, group).await.map(|loose| loose.0),
        }
    }

    /// Loads and stores, whatever is there.
    pub(super) async fn refresh(&self) -> Result<Value, Failure> {
        let (id, group) = (self.key.id(), self.key.group());
        match self.key.kind() {
            0 => alpha::refresh(self, id, group).await,
            1 => beta::refresh(self, id, group).await,
            LABELLED => delta::refresh(self, id, group).await,
            _ => gamma::refresh(self, id, group).await.map(|loose| loose.0),
        }
    }

    /// What is cached.
    pub(super) async fn peek(&self) -> Option<Result<Value, Failure>> {
        let (id, group) = (self.key.id(), self.key.group());
        match self.key.kind() {
            0 => alpha::peek(id, group).await,
            1 => beta::peek(id, group).await,
            LABELLED => delta::peek(id, group).await,
            _ => gamma::peek(id, group)
                .await
                .map(|loose| loose.map(|loose| loose.0)),
        }
    }

    /// Stores the version of this moment.
    pub(super) async fn put(&self) -> bool {
        let (id, group) = (self.key.id(), self.key.group());
        let value = self.value_now();
        match self.key.kind() {
            0 => alpha::put(id, group, Ok(value)).await,
            1 => beta::put(id, group, Ok(value)).await,
            LABELLED => delta::put(id, group, Ok(value)).await,
            _ => gamma::put(id, group, Ok(Loose(value))).await,
        }
    }
}

#[cached(kind = "alpha", tags("user:{id}", "group:{group}"), skip(source))]
async fn alpha(source: &Source, id: u64, group: u64) -> Result<Value, Failure> {
    let _ = (id, group);
    source.load().await
}

#[cached(kind = "beta", tags("user:{id}", "group:{group}"), skip(source))]
async fn beta(source: &Source, id: u64, group: u64) -> Result<Value, Failure> {
    let _ = (id, group);
    source.load().await
}

#[cached(kind = "gamma", tags("user:{id}", "group:{group}"), skip(source))]
async fn gamma(source: &Source, id: u64, group: u64) -> Result<Loose, Failure> {
    let _ = (id, group);
    source.load().await.map(Loose)
}

#[cached(
    kind = "delta",
    tags("user:{id}", "group:{group}"),
    tags_with = |value| ["label:{value.label()}"],
    skip(source)
)]
async fn delta(source: &Source, id: u64, group: u64) -> Result<Value, Failure> {
    let _ = (id, group);
    source.load().await
}

/// A write whose value becomes the cached one: the commit is somewhere in the middle.
pub(super) struct Write {
    /// The write's own call, its time and its end.
    pub(super) source: Source,
    /// Whether it looks at what it will change, in a call of its own, as which node.
    pub(super) looks: Option<usize>,
}

/// Ends a call within a write, if only by being dropped.
struct Look<'a> {
    history: &'a History,
    call: u64,
    came: Came,
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        // Whether what it got was for want of the store, nobody asks here.
        self.history.call_ends(self.call, self.came, true);
    }
}

impl Write {
    /// Writes. What it ends at the latest when it returns, it adds to `ends`.
    async fn run(&self, ends: &mut Vec<(SimKey, u64)>) -> Result<Value, Failure> {
        let Source {
            history, call, key, ..
        } = &self.source;
        let _stirs = Stirs(history, beside(*key).collect());
        let mut loading = Loading {
            source: &self.source,
            load: history.load_begins(*call, *key, What::Write),
            began: self.source.executor.now(),
            came: Came::Nothing,
        };
        if let Some(node) = self.looks {
            let mut look = Look {
                history,
                call: history.call_begins(node, *key, "call"),
                came: Came::Nothing,
            };
            let source = Source {
                executor: Arc::clone(&self.source.executor),
                history: Arc::clone(history),
                call: look.call,
                end: End::Value,
                ..self.source
            };
            look.came = match source.call().await {
                Ok(value) => Came::Value(SimKey(value.key), value.version, value.load),
                Err(Failure(call)) => Came::Failed(call),
            };
        }
        self.source.pause(self.source.takes[0]).await;
        if self.source.end == End::Failure {
            loading.came = Came::Failed(*call);
            return Err(Failure(*call));
        }
        let (version, written) = history.write_one(*call, *key);
        *ends = written;
        self.source.pause(self.source.takes[1]).await;
        if self.source.end == End::Panic {
            loading.came = Came::Panicked;
            drop(loading);
            resume_unwind(Box::new("a simulated panic"))
        }
        loading.came = Came::Value(*key, version, loading.load);
        Ok(Value {
            key: key.0,
            version,
            load: loading.load,
        })
    }

    /// Writes, and has the function's value be what was written.
    pub(super) async fn save(&self, ends: &mut Vec<(SimKey, u64)>) -> Result<Value, Failure> {
        let (id, group) = (self.source.key.id(), self.source.key.group());
        match self.source.key.kind() {
            0 => save_alpha(self, ends, id, group).await,
            1 => save_beta(self, ends, id, group).await,
            LABELLED => save_delta(self, ends, id, group).await,
            _ => save_gamma(self, ends, id, group).await.map(|loose| loose.0),
        }
    }
}

#[updates(alpha(id, group))]
async fn save_alpha(
    write: &Write,
    ends: &mut Vec<(SimKey, u64)>,
    id: u64,
    group: u64,
) -> Result<Value, Failure> {
    let _ = (id, group);
    write.run(ends).await
}

#[updates(beta(id, group))]
async fn save_beta(
    write: &Write,
    ends: &mut Vec<(SimKey, u64)>,
    id: u64,
    group: u64,
) -> Result<Value, Failure> {
    let _ = (id, group);
    write.run(ends).await
}

#[updates(gamma(id, group))]
async fn save_gamma(
    write: &Write,
    ends: &mut Vec<(SimKey, u64)>,
    id: u64,
    group: u64,
) -> Result<Loose, Failure> {
    let _ = (id, group);
    write.run(ends).await.map(Loose)
}

#[updates(delta(id, group))]
async fn save_delta(
    write: &Write,
    ends: &mut Vec<(SimKey, u64)>,
    id: u64,
    group: u64,
) -> Result<Value, Failure> {
    let _ = (id, group);
    write.run(ends).await
}

/// A write, as users write one: the commit is somewhere in the middle.
#[invalidates(tags("user:{id}"))]
pub(super) async fn save_user(
    executor: &Arc<Executor>,
    history: &History,
    id: u64,
    takes: [Duration; 2],
) {
    let _stirs = Stirs(history, Target::User(id).keys().collect());
    executor.sleep(takes[0]).await;
    history.write(Target::User(id));
    executor.sleep(takes[1]).await;
}

/// What a write invalidates takes effect on its node as its body ends, and not only on the server.
struct Stirs<'a>(&'a History, Vec<SimKey>);

impl Drop for Stirs<'_> {
    fn drop(&mut self) {
        self.0.stir(&self.1);
    }
}

/// The key as the library names it.
///
/// # Panics
///
/// Never: two numbers make a key.
#[must_use]
pub(super) fn key_of(key: SimKey) -> Key {
    let (id, group) = (key.id(), key.group());
    match key.kind() {
        0 => alpha::key(id, group),
        1 => beta::key(id, group),
        LABELLED => delta::key(id, group),
        _ => gamma::key(id, group),
    }
    .expect("two numbers make a key")
}

/// Invalidates through the library; says whether it was applied.
pub(super) async fn invalidate(cache: &Cache, target: Target) -> bool {
    let outcome = match target {
        Target::User(id) => cache.invalidate_tag(&format!("user:{id}")).await,
        Target::Group(group) => cache.invalidate_tag(&format!("group:{group}")).await,
        Target::Label(label) => cache.invalidate_tag(&format!("label:{label}")).await,
        Target::Key(key) => Ok(cache.invalidate_key(key_of(key)).await),
        Target::Kind(kind) => cache.invalidate_kind(super::keys::KINDS[kind]).await,
        Target::All => Ok(cache.clear().await),
    };
    matches!(outcome, Ok(Invalidation::Applied))
}
