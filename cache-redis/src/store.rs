//! The [`Store`] on Redis: each method is one pipeline of single-slot parts, answered part by part.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cache_core::store::{
    Attachment, Begin, Beginning, BoxFuture, Coherence, Fill, Found, Read, Reading, Store, Token,
    Turn,
};
use cache_core::{Env, Error, ErrorKind, Result};
use redis::{Pipeline, Value};

use crate::config::{Endpoint, RedisConfig};
use crate::connection::{Link, Role};
use crate::failure::Failure;
use crate::keys::{ID, Keys, id_of, stamp_text, token_text};
use crate::reply::{Replies, is_no_script};
use crate::scripts::{self, Sending};

/// The shared tier on one Redis, 6.2 or later.
///
/// It keeps two connections, made at the first call that needs each and made again by themselves
/// when they are lost: one for everything that reads, one for removals and invalidations. Its calls
/// have no deadline of their own; one that is dropped before its answer came has the connection
/// checked by a PING, and replaced if that stays unanswered.
///
/// [`probe`](Store::probe) says that both connections are there and answer. It does not say that
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
    data: Link,
    invalidation: Link,
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

    /// Sends what `build` makes; where a script turns out to be missing, sends it all once more,
    /// with the scripts in full and with new random numbers (guard G15). Every part bears that: it
    /// reads, or makes a stamp where none is, or asks for a lease that is the caller's already.
    async fn run(
        &self,
        link: &Link,
        build: impl Fn(Sending) -> Pipeline,
    ) -> Result<Replies<'_>, Failure> {
        let mut values = link.call(&build(Sending::Digest)).await?;
        if values.iter().any(is_no_script) {
            values = link.call(&build(Sending::Source)).await?;
        }
        Ok(self.replies(values))
    }

    /// Names the place in an error: a program may have several.
    fn told<T>(&self, outcome: Result<T, Failure>) -> Result<T> {
        outcome.map_err(|failure| failure.at(&self.endpoint.described).into())
    }

    fn replies(&self, values: Vec<Value>) -> Replies<'_> {
        Replies::new(values, &self.endpoint.secrets)
    }

    async fn read_now(&self, request: &Read<'_>) -> Result<Reading, Failure> {
        let Attached { keys, data, .. } = self.attached()?;
        let entry = keys.entry(request.key);
        if let Some(known) = request.known {
            let mut commands = Pipeline::new();
            range(&mut commands, &entry, ID.start, ID.end - 1);
            stamps(&mut commands, keys, request.tags);
            let mut replies = self.replies(data.call(&commands).await?);
            let id = replies.bytes()?.unwrap_or_default();
            let stamps = replies.stamps(request.tags.len())?;
            if id == known.0 {
                return Ok(Reading::new(Found::Known, stamps));
            }
        }

        // One byte more than allowed tells what is too large, without any of it being sent in full.
        let limit = request.limit.min(LONGEST);
        let mut commands = Pipeline::new();
        range(&mut commands, &entry, 0, limit);
        // Once more, even where they were read above: stamps are only good if read after the entry.
        stamps(&mut commands, keys, request.tags);
        let mut replies = self.replies(data.call(&commands).await?);
        let known = request.known.as_ref().map(|id| id.0.as_slice());
        let found = replies.entry(limit, known)?;
        let stamps = replies.stamps(request.tags.len())?;
        let found = match found {
            Some(found) => found,
            None => Found::TooLarge(self.size(data, &entry, limit).await?),
        };
        Ok(Reading::new(found, stamps))
    }

    /// How large an entry is that is larger than `limit`.
    async fn size(&self, data: &Link, entry: &str, limit: usize) -> Result<usize, Failure> {
        let mut commands = Pipeline::new();
        commands.cmd("STRLEN").arg(entry);
        let size = self.replies(data.call(&commands).await?).integer()?;
        // It may have been replaced meanwhile; that it was too large stays true.
        Ok(usize::try_from(size)
            .unwrap_or_default()
            .max(limit.saturating_add(1)))
    }

    async fn begin_now(&self, request: &Begin<'_>) -> Result<Beginning, Failure> {
        let Attached {
            keys, env, data, ..
        } = self.attached()?;
        let (entry, lease) = (keys.entry(request.key), keys.lease(request.key));
        let token = token_text(request.token);
        let seen = request.seen.as_ref().map_or(&[][..], |id| &id.0);
        let life = millis(request.life);
        let mut replies = self
            .run(data, |sending| {
                let mut commands = Pipeline::new();
                scripts::LEASE
                    .start(&mut commands, sending, &[&*entry, &*lease])
                    .arg(&token)
                    .arg(millis(request.lease))
                    .arg(u8::from(request.force))
                    .arg(seen)
                    .arg(request.limit.min(LONGEST));
                for tag in request.tags {
                    let fresh = env.draw().max(1);
                    scripts::STAMP
                        .start(&mut commands, sending, &[keys.stamp(tag)])
                        .arg(stamp_text(fresh))
                        .arg(life.saturating_mul(2))
                        .arg(life);
                }
                // Read back, in this order (guard G2).
                commands.cmd("GET").arg(&lease);
                stamps(&mut commands, keys, request.tags);
                commands
            })
            .await?;
        let turn = replies.turn()?;
        let rest = (|| {
            for _ in request.tags {
                replies.integer()?;
            }
            let holder = replies.bytes()?;
            Ok((holder, replies.stamps(request.tags.len())?))
        })();
        match rest {
            // It was taken, and taken away again at once: what holds now is best asked anew.
            Ok((holder, stamps))
                if turn == Turn::Granted && holder.as_deref() != Some(token.as_bytes()) =>
            {
                Ok(Beginning::new(Turn::Held(Duration::ZERO), stamps))
            }
            Ok((_, stamps)) => Ok(Beginning::new(turn, stamps)),
            Err(failure) => {
                if turn == Turn::Granted {
                    // Nobody will load under it: others need not wait for its end.
                    let _ = self.release_now(request.key, request.token).await;
                }
                Err(failure)
            }
        }
    }

    async fn fill_now(&self, request: &Fill<'_>) -> Result<bool, Failure> {
        let Attached { keys, data, .. } = self.attached()?;
        let (entry, lease) = (keys.entry(request.key), keys.lease(request.key));
        let token = token_text(request.token);
        let mut replies = self
            .run(data, |sending| {
                let mut commands = Pipeline::new();
                scripts::FILL
                    .start(&mut commands, sending, &[&*entry, &*lease])
                    .arg(&token)
                    .arg(request.bytes)
                    .arg(millis(request.life));
                // Read back (guard G3).
                range(&mut commands, &entry, ID.start, ID.end - 1);
                commands
            })
            .await?;
        let stored = replies.integer()? == 1;
        let id = replies.bytes()?.unwrap_or_default();
        Ok(stored && Some(&*id) == id_of(request.bytes))
    }

    async fn renew_now(&self, key: &str, token: Token, lease: Duration) -> Result<bool, Failure> {
        let Attached { keys, data, .. } = self.attached()?;
        let (key, token) = (keys.lease(key), token_text(token));
        let mut replies = self
            .run(data, |sending| {
                let mut commands = Pipeline::new();
                scripts::RENEW
                    .start(&mut commands, sending, &[&*key])
                    .arg(&token)
                    .arg(millis(lease));
                commands.cmd("GET").arg(&key);
                commands
            })
            .await?;
        let renewed = replies.integer()? == 1;
        Ok(renewed && replies.bytes()?.as_deref() == Some(token.as_bytes()))
    }

    async fn release_now(&self, key: &str, token: Token) -> Result<(), Failure> {
        let Attached { keys, data, .. } = self.attached()?;
        let (key, token) = (keys.lease(key), token_text(token));
        let replies = self
            .run(data, |sending| {
                let mut commands = Pipeline::new();
                scripts::RELEASE
                    .start(&mut commands, sending, &[&*key])
                    .arg(&token);
                commands
            })
            .await?;
        replies.done()
    }

    async fn remove_now(&self, names: &[String]) -> Result<(), Failure> {
        let Attached { keys, .. } = self.attached()?;
        let mut commands = Pipeline::with_capacity(names.len());
        for name in names {
            commands
                .cmd("UNLINK")
                .arg(keys.entry(name))
                .arg(keys.lease(name));
        }
        self.unlink(&commands).await
    }

    async fn invalidate_now(&self, tags: &[String]) -> Result<(), Failure> {
        let Attached { keys, .. } = self.attached()?;
        let mut commands = Pipeline::with_capacity(tags.len());
        for tag in tags {
            commands.cmd("UNLINK").arg(keys.stamp(tag));
        }
        self.unlink(&commands).await
    }

    async fn unlink(&self, commands: &Pipeline) -> Result<(), Failure> {
        if commands.is_empty() {
            return Ok(());
        }
        let values = self.attached()?.invalidation.call(commands).await?;
        self.replies(values).done()
    }

    async fn probe_now(&self) -> Result<(), Failure> {
        let Attached {
            data, invalidation, ..
        } = self.attached()?;
        data.probe().await?;
        invalidation.probe().await
    }
}

impl Store for RedisStore {
    fn attach(&self, attachment: Attachment) -> Result<()> {
        let link = |role| {
            Link::new(
                role,
                self.endpoint.clone(),
                attachment.env.clone(),
                attachment.observer.clone(),
            )
        };
        self.attached
            .set(Attached {
                keys: Keys::new(attachment.namespace.clone()),
                env: attachment.env.clone(),
                data: link(Role::Data),
                invalidation: link(Role::Invalidation),
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

    fn coherence(&self) -> Coherence {
        Coherence::Checked
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
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("url", &self.endpoint.described)
            .field("source", &self.endpoint.source)
            .finish_non_exhaustive()
    }
}

/// Redis's own bound on a string, far below where its numbers end.
const LONGEST: usize = 512 << 20;

/// Asks for the bytes from `first` to `last`, both included.
fn range(commands: &mut Pipeline, entry: &str, first: usize, last: usize) {
    commands.cmd("GETRANGE").arg(entry).arg(first).arg(last);
}

/// Asks for stamps. Missing ones, and keys of another type, are nil.
fn stamps(commands: &mut Pipeline, keys: &Keys, tags: &[String]) {
    if tags.is_empty() {
        return;
    }
    let command = commands.cmd("MGET");
    for tag in tags {
        command.arg(keys.stamp(tag));
    }
}

/// An expiry in Redis's words: at least one millisecond, and at most a century, beyond which Redis
/// refuses it.
fn millis(duration: Duration) -> u64 {
    const CENTURY: u128 = 100 * 365 * 24 * 60 * 60 * 1000;
    u64::try_from(duration.as_millis().clamp(1, CENTURY)).unwrap_or(1)
}
