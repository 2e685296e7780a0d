//! What each call sends, and what it makes of the answers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cache_core::store::{Found, Read, Reading, Stamp, Token, Update, Updated};
use redis::{Pipeline, Value};

use super::{Attached, RedisStore};
use crate::config::Replicas;
use crate::connection::{Blame, Link};
use crate::failure::Failure;
use crate::keys::{ID, Keys, stamp_text, token_text};
use crate::reply::{Replies, is_no_script};
use crate::scripts::{self, Sending};
use crate::wire::Packed;

impl RedisStore {
    /// Sends what `build` makes; where a script turns out to be missing, sends it all once more,
    /// with the scripts in full and with new random numbers (guard G15). Every part bears that: it
    /// reads, or makes a stamp where none is, or asks for a lease that is the caller's already. `update`
    /// does not, and needs not: it is one script, which has run or has not.
    pub(super) async fn run<C>(
        &self,
        link: &Link,
        mut build: impl FnMut(Sending) -> C,
    ) -> Result<Replies<'_>, Failure>
    where
        C: Into<Packed>,
    {
        let mut answers = link.ask(build(Sending::Digest).into()).await?;
        if answers.0.iter().any(is_no_script) {
            answers = link.ask(build(Sending::Source).into()).await?;
        }
        if answers.0.iter().any(|v| matches!(v, Value::ServerError(_))) {
            // Scripts may be refused by now: leases that only scripts give up are not to be taken without.
            self.attached()?.scripted.store(false, Ordering::Relaxed);
        }
        Ok(self.replies(answers))
    }

    pub(super) fn replies(&self, (values, blame): (Vec<Value>, Blame)) -> Replies<'_> {
        Replies::new(values, blame, &self.endpoint.secrets)
    }

    pub(super) async fn read_now(&self, request: &Read<'_>) -> Result<Reading, Failure> {
        let attached = self.attached()?;
        let (keys, data) = (&attached.keys, attached.data(request.key));
        if let Some(known) = request.known {
            let mut commands = lookup(request);
            keys.range(&mut commands, request.key, ID.start, ID.end - 1);
            rest(&mut commands, keys, request);
            let mut replies = self.replies(data.ask(commands).await?);
            let id = replies.bytes(ID.len())?.unwrap_or_default();
            let left = told(request, &mut replies)?;
            let stamps = replies.stamps(request.tags.len())?;
            if id == known.0 {
                return Ok(Reading::new(Found::Known, stamps).left(left));
            }
        }

        // One byte more than allowed tells what is too large, without any of it being sent in full.
        let limit = request.limit.min(LONGEST);
        let mut commands = lookup(request);
        keys.range(&mut commands, request.key, 0, limit);
        // Replaced in between, it has more left than what was read; but then that is told, before
        // this very answer.
        rest(&mut commands, keys, request);
        let mut replies = self.replies(data.ask(commands).await?);
        let known = request.known.as_ref().map(|id| id.0.as_slice());
        let found = replies.entry(limit, known)?;
        let left = told(request, &mut replies)?;
        let stamps = replies.stamps(request.tags.len())?;
        let found = match found {
            Some(found) => found,
            None => Found::TooLarge(self.size(data, &keys.entry(request.key), limit).await?),
        };
        let left = left.filter(|_| found != Found::Nothing);
        Ok(Reading::new(found, stamps).left(left))
    }

    /// How large an entry is that is larger than `limit`.
    async fn size(&self, data: &Link, entry: &str, limit: usize) -> Result<usize, Failure> {
        let mut commands = Pipeline::new();
        commands.cmd("STRLEN").arg(entry);
        let size = self
            .replies(data.call(&commands).await?)
            .integer(0..=i64::MAX)?;
        // It may have been replaced meanwhile; that it was too large stays true.
        Ok(usize::try_from(size)
            .unwrap_or_default()
            .max(limit.saturating_add(1)))
    }

    pub(super) async fn update_now(&self, request: &Update<'_>) -> Result<Updated, Failure> {
        let attached = self.attached()?;
        let Attached { keys, env, .. } = attached;
        let data = attached.data(request.key);
        let (entry, lease) = (keys.entry(request.key), keys.lease(request.key));
        let token = token_text(request.token);
        let kept = request.kept.min(request.tags.len());
        let names: Vec<String> = [entry.clone(), lease]
            .into_iter()
            .chain(request.tags.iter().map(|tag| keys.stamp(tag)))
            .collect();
        let mut made: Vec<Stamp> = Vec::new();
        let mut replies = self
            .run(data, |sending| {
                // Guard G15: a sending of which nothing has run is followed by one with new numbers.
                made = request.tags[kept..]
                    .iter()
                    .map(|_| env.draw().max(1))
                    .collect();
                let mut commands = Pipeline::new();
                let script = scripts::UPDATE.start(&mut commands, sending, &names);
                script
                    .arg(&token)
                    .arg(kept)
                    .arg(millis(request.life).saturating_mul(2));
                for (_, noted, _) in request.noted() {
                    // What is no stamp matches none.
                    script.arg(noted.map(stamp_text).unwrap_or_default());
                }
                for fresh in &made {
                    script.arg(stamp_text(*fresh));
                }
                // Read back (guard G2): the node's own write has ended what it was told about them.
                range(&mut commands, &entry, ID.start, ID.end - 1);
                stamps(&mut commands, keys, &request.tags[kept..]);
                commands
            })
            .await?;
        let matched = replies.flag()?;
        replies.bytes(ID.len())?;
        let back = replies.stamps(made.len())?;
        if !matched {
            return Ok(Updated::refused());
        }
        let made = made.iter().zip(back).map(|(made, back)| {
            // Removed at once, and made again by somebody else, it would be newer than the write.
            back.filter(|back| back == made)
        });
        let kept = request.stamps.iter().take(kept).copied().map(Some);
        Ok(Updated::matched(kept.chain(made).collect()))
    }

    pub(super) async fn renew_now(
        &self,
        key: &str,
        token: Token,
        lease: Duration,
    ) -> Result<bool, Failure> {
        let attached = self.attached()?;
        let (keys, data) = (&attached.keys, attached.data(key));
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
        let renewed = replies.flag()?;
        Ok(renewed && replies.bytes(LONGEST)?.as_deref() == Some(token.as_bytes()))
    }

    pub(super) async fn release_now(&self, key: &str, token: Token) -> Result<(), Failure> {
        let attached = self.attached()?;
        let (keys, data) = (&attached.keys, attached.data(key));
        let (key, token) = (keys.lease(key), token_text(token));
        let mut replies = self
            .run(data, |sending| {
                let mut commands = Pipeline::new();
                scripts::RELEASE
                    .start(&mut commands, sending, &[&*key])
                    .arg(&token);
                commands
            })
            .await?;
        replies.integer(0..=1)?;
        Ok(())
    }

    pub(super) async fn remove_now(&self, names: &[String]) -> Result<(), Failure> {
        let Attached { keys, .. } = self.attached()?;
        let mut commands = Pipeline::with_capacity(names.len());
        for name in names {
            commands
                .cmd("UNLINK")
                .arg(keys.entry(name))
                .arg(keys.lease(name));
        }
        self.unlink(commands).await
    }

    pub(super) async fn invalidate_now(&self, tags: &[String]) -> Result<(), Failure> {
        let Attached { keys, .. } = self.attached()?;
        let mut commands = Pipeline::with_capacity(tags.len());
        for tag in tags {
            commands.cmd("UNLINK").arg(keys.stamp(tag));
        }
        self.unlink(commands).await
    }

    async fn unlink(&self, mut commands: Pipeline) -> Result<(), Failure> {
        if commands.is_empty() {
            return Ok(());
        }
        let unlinks = commands.len();
        if let Some(Replicas { count, timeout }) = self.endpoint.replicas {
            // Also where the keys were gone: it waits for all that was written before, such as by
            // the sending that was not acknowledged.
            commands.cmd("WAIT").arg(count).arg(millis(timeout));
        }
        let answers = self.attached()?.invalidation.call(&commands).await?;
        let mut replies = self.replies(answers);
        for _ in 0..unlinks {
            // Each names two keys at most.
            replies.integer(0..=2)?;
        }
        let Some(Replicas { count, timeout }) = self.endpoint.replicas else {
            return Ok(());
        };
        let acknowledged = replies.integer(0..=i64::MAX)?;
        if acknowledged < i64::from(count) {
            return Err(Failure::unavailable(format!(
                "an invalidation was acknowledged by {acknowledged} of {count} replicas within \
                 {timeout:?}: see that they are connected (INFO replication), or ask for fewer"
            )));
        }
        Ok(())
    }

    pub(super) async fn probe_now(&self) -> Result<(), Failure> {
        let Attached {
            data, invalidation, ..
        } = self.attached()?;
        for link in data {
            link.probe().await?;
        }
        invalidation.probe().await
    }
}

/// Redis's own bound on a string, far below where its numbers end.
pub(super) const LONGEST: usize = 512 << 20;

/// Room for what a lookup asks.
fn lookup(request: &Read<'_>) -> Packed {
    let tags: usize = request.tags.iter().map(|tag| tag.len() + 64).sum();
    Packed::with_capacity(2 * request.key.len() + 256 + tags)
}

/// What a lookup asks beside the entry: how long that has left, and stamps, even where they were read
/// before: they are only good if read after the entry.
fn rest(commands: &mut Packed, keys: &Keys, request: &Read<'_>) {
    if request.left {
        keys.pttl(commands, request.key);
    }
    if !request.tags.is_empty() {
        commands.command("MGET", request.tags.len());
        for tag in request.tags {
            keys.name_stamp(commands, tag);
        }
    }
}

/// How long the entry has left, where that was asked.
fn told(request: &Read<'_>, replies: &mut Replies<'_>) -> Result<Option<Duration>, Failure> {
    if request.left {
        replies.left()
    } else {
        Ok(None)
    }
}

/// Asks for the bytes from `first` to `last`, both included.
pub(super) fn range(commands: &mut Pipeline, entry: &str, first: usize, last: usize) {
    commands.cmd("GETRANGE").arg(entry).arg(first).arg(last);
}

/// Asks for stamps. Missing ones, and keys of another type, are nil.
pub(super) fn stamps(commands: &mut Pipeline, keys: &Keys, tags: &[String]) {
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
pub(super) fn millis(duration: Duration) -> u64 {
    const CENTURY: u128 = 100 * 365 * 24 * 60 * 60 * 1000;
    u64::try_from(duration.as_millis().clamp(1, CENTURY)).unwrap_or(1)
}
