//! What a leader asks: the lease of its key with the stamps of its tags, and after its load that it be stored.
//!
//! `begin` is said in plain commands, which cost Redis a third of what scripts do; whatever is unusual is
//! left to the scripts, which look at everything: docs/decisions/0030-plain-begin.md.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::store::{Begin, Beginning, Fill, Found, Stamp, Turn};
use redis::{Pipeline, Value};

use super::calls::{LONGEST, millis, range, stamps};
use super::{Attached, RedisStore};
use crate::failure::Failure;
use crate::keys::{ID, Keys, id_of, is_token, stamp_text, token_text};
use crate::scripts;
use crate::wire::Packed;

impl RedisStore {
    pub(super) async fn begin_now(&self, request: &Begin<'_>) -> Result<Beginning, Failure> {
        let attached = self.attached()?;
        // A server that runs no scripts is to say so before anything is loaded in vain.
        let mut taken = false;
        if attached.scripted.load(Ordering::Relaxed) {
            match self.begin_plainly(attached, request).await? {
                Plainly::Begun(beginning) => return Ok(beginning),
                Plainly::Unusual { taken: took } => taken = took,
            }
        }
        let beginning = self.begin_in_full(attached, request).await?;
        attached.scripted.store(true, Ordering::Relaxed);
        if taken && beginning.turn != Turn::Granted {
            // It has run out meanwhile, if that can't be asked.
            let _ = self.release_now(request.key, request.token).await;
        }
        Ok(beginning)
    }

    /// Takes the lease if nobody has it, and only then looks whether an entry is there that the caller has
    /// not seen. In the scripts' order it would be the other way round; but in either, whoever holds the lease
    /// has seen after taking it that there is none, and only who holds it fills.
    async fn begin_plainly(
        &self,
        attached: &Attached,
        request: &Begin<'_>,
    ) -> Result<Plainly, Failure> {
        let data = attached.data(request.key);
        let token = token_text(request.token);
        let now = attached.env.now();
        let lasting = attached
            .lasting
            .of(request, now.saturating_add(request.life));
        let commands = asked_plainly(attached, request, (&token, &lasting));
        let unsure = || lasting.iter().filter(|lasting| lasting.is_none());

        let answers = data.ask(commands).await?;
        let taken = matches!(answers.0.first(), Some(Value::Okay));
        if answers.0.iter().any(|v| matches!(v, Value::ServerError(_))) {
            // The scripts know what to make of it, or are told the same.
            return Ok(Plainly::Unusual { taken });
        }
        let mut replies = self.replies(answers);
        replies.done()?;
        let mut made = Vec::with_capacity(lasting.len());
        for _ in unsure() {
            made.push(replies.done()?);
        }
        let id = replies.bytes(ID.len())?.unwrap_or_default();
        // Whatever somebody has put there.
        let holder = replies.bytes(LONGEST)?.unwrap_or_default();
        let held = replies.left()?.filter(|held| !held.is_zero());
        let mut lives = Vec::with_capacity(made.len());
        for _ in unsure() {
            lives.push(replies.left()?);
        }
        let told = replies.stamps(request.tags.len())?;

        let seen = request.seen.as_ref().map(|id| &id.0[..]);
        let appeared = !request.force && id.len() == ID.len() && Some(&*id) != seen;
        // Each is there, and lasts long enough, or is the one that was seen to do so.
        let least = Duration::from_millis(millis(request.life));
        let all_last = lives
            .iter()
            .all(|life| life.is_some_and(|life| life >= least));
        let all_known = told
            .iter()
            .zip(&lasting)
            .all(|(told, lasting)| told.is_some() && (lasting.is_none() || told == lasting));
        if appeared || !all_last || !all_known {
            return Ok(Plainly::Unusual { taken });
        }
        let unsure = request.tags.iter().zip(&told).zip(&lasting);
        let unsure = unsure.filter(|(_, lasting)| lasting.is_none());
        for ((((tag, told), _), life), made) in unsure.zip(&lives).zip(made) {
            // One that was just made is most likely of this value alone.
            if let (false, Some(stamp), Some(life)) = (made, told, life) {
                attached
                    .lasting
                    .note(tag, *stamp, now.saturating_add(*life));
            }
        }
        let turn = if holder == token.as_bytes() {
            Turn::Granted
        } else if taken {
            // It has changed again at once: what holds now is best asked anew, soon.
            Turn::Held(Duration::from_millis(1))
        } else if let (true, Some(held)) = (is_token(&holder), held) {
            Turn::Held(held)
        } else {
            // Gone meanwhile, or nothing that anybody will give up.
            return Ok(Plainly::Unusual { taken });
        };
        Ok(Plainly::Begun(Beginning::new(turn, told)))
    }

    /// Asks by scripts, each of which looks at what is there in one step with what it does.
    async fn begin_in_full(
        &self,
        attached: &Attached,
        request: &Begin<'_>,
    ) -> Result<Beginning, Failure> {
        let Attached { keys, env, .. } = attached;
        let data = attached.data(request.key);
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
                // Read back, in this order (guard G2): only what a command has read is told of, and
                // a script that writes has not.
                range(&mut commands, &entry, ID.start, ID.end - 1);
                commands.cmd("PTTL").arg(&entry);
                commands.cmd("GET").arg(&lease);
                stamps(&mut commands, keys, request.tags);
                commands
            })
            .await?;
        let turn = replies.turn(request.limit.min(LONGEST))?;
        let rest = (|| {
            for _ in request.tags {
                replies.flag()?;
            }
            let back = Back {
                id: replies.bytes(ID.len())?.unwrap_or_default(),
                left: replies.left()?,
                // Whatever somebody has put there.
                holder: replies.bytes(LONGEST)?,
            };
            Ok((back, replies.stamps(request.tags.len())?))
        })();
        match rest {
            // It has changed again at once: what holds now is best asked anew, soon.
            Ok((back, stamps)) if !back.confirms(&turn, &token) => {
                Ok(Beginning::new(Turn::Held(Duration::from_millis(1)), stamps))
            }
            Ok((back, stamps)) => {
                let left = back.left.filter(|_| matches!(turn, Turn::Entry(_)));
                Ok(Beginning::new(turn, stamps).left(left))
            }
            Err(failure) => {
                if turn == Turn::Granted {
                    // Nobody will load under it: others need not wait for its end.
                    let _ = self.release_now(request.key, request.token).await;
                }
                Err(failure)
            }
        }
    }

    pub(super) async fn fill_now(&self, request: &Fill<'_>) -> Result<bool, Failure> {
        let attached = self.attached()?;
        let (keys, data) = (&attached.keys, attached.data(request.key));
        let token = token_text(request.token);
        let mut replies = self
            .run(data, |sending| {
                let mut commands = room(request.key, &[], 512 + request.bytes.len());
                scripts::FILL.ask(&mut commands, sending, 2, 3);
                keys.name_entry(&mut commands, request.key);
                keys.name_lease(&mut commands, request.key);
                commands.argument(&[&token]).bytes_argument(request.bytes);
                number(&mut commands, millis(request.life));
                // Read back (guard G3).
                keys.range(&mut commands, request.key, ID.start, ID.end - 1);
                commands
            })
            .await?;
        let stored = replies.flag()?;
        let id = replies.bytes(ID.len())?.unwrap_or_default();
        Ok(stored && Some(&*id) == id_of(request.bytes))
    }
}

/// The commands of a `begin`, for stamps of which some last.
fn asked_plainly(
    attached: &Attached,
    request: &Begin<'_>,
    (token, lasting): (&str, &[Option<Stamp>]),
) -> Packed {
    let Attached { keys, env, .. } = attached;
    let unsure = || {
        let tags = request.tags.iter().zip(lasting);
        tags.filter_map(|(tag, lasting)| lasting.is_none().then_some(tag))
    };
    let mut commands = room(request.key, request.tags, 512);
    commands.command("SET", if request.force { 4 } else { 5 });
    keys.name_lease(&mut commands, request.key);
    commands.argument(&[token]).argument(&["PX"]);
    number(&mut commands, millis(request.lease));
    if !request.force {
        commands.argument(&["NX"]);
    }
    for tag in unsure() {
        // Guard G15: this is sent once.
        let fresh = stamp_text(env.draw().max(1));
        commands.command("SET", 5);
        keys.name_stamp(&mut commands, tag);
        commands.argument(&[&fresh]).argument(&["PX"]);
        number(&mut commands, millis(request.life).saturating_mul(2));
        commands.argument(&["NX"]);
    }
    // Read back, in this order (guard G2): only what a command has read is told of.
    keys.range(&mut commands, request.key, ID.start, ID.end - 1);
    commands.command("GET", 1);
    keys.name_lease(&mut commands, request.key);
    commands.command("PTTL", 1);
    keys.name_lease(&mut commands, request.key);
    for tag in unsure() {
        commands.command("PTTL", 1);
        keys.name_stamp(&mut commands, tag);
    }
    name_stamps(&mut commands, keys, request.tags);
    commands
}

/// What came of asking in plain commands.
enum Plainly {
    Begun(Beginning),
    /// It is for the scripts. Whether the lease was taken all the same.
    Unusual {
        taken: bool,
    },
}

/// What `begin` has read back.
struct Back {
    id: Vec<u8>,
    left: Option<Duration>,
    holder: Option<Vec<u8>>,
}

impl Back {
    /// Whether it is still as the script said.
    fn confirms(&self, turn: &Turn, token: &str) -> bool {
        match turn {
            Turn::Granted => self.holder.as_deref() == Some(token.as_bytes()),
            Turn::Entry(Found::Bytes(bytes)) => id_of(bytes) == Some(&*self.id),
            // Gone or filled in between, it would be waited for in vain.
            Turn::Held(_) => self.holder.is_some(),
            _ => true,
        }
    }
}

/// Stamps that were seen to last for long, until then: what nearly every call carries, the namespace and its
/// kind, need not be made, nor their ends be asked for, each time.
#[derive(Default)]
pub(super) struct Lasting(Mutex<HashMap<String, (Stamp, Duration)>>);

/// How many are remembered.
const MOST: usize = 1024;

impl Lasting {
    /// The stamps that the caller knows, and that last until then at least.
    fn of(&self, request: &Begin<'_>, until: Duration) -> Vec<Option<Stamp>> {
        let lasting = self.lock();
        let of = |(at, tag): (usize, &String)| {
            let known = request.known.get(at).copied()??;
            let (stamp, end) = lasting.get(tag)?;
            (*stamp == known && *end >= until).then_some(known)
        };
        request.tags.iter().enumerate().map(of).collect()
    }

    fn note(&self, tag: &str, stamp: Stamp, end: Duration) {
        let mut lasting = self.lock();
        if lasting.len() >= MOST {
            // Those that matter are back with the next call that has them.
            lasting.clear();
        }
        lasting.insert(tag.to_owned(), (stamp, end));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Stamp, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for what is asked about a key with these tags.
fn room(key: &str, tags: &[String], more: usize) -> Packed {
    let tags: usize = tags.iter().map(|tag| 3 * tag.len() + 160).sum();
    Packed::with_capacity(4 * key.len() + tags + more)
}

fn number(commands: &mut Packed, number: u64) {
    // On a machine of fewer bits, in which nothing of this lives so long.
    commands.number(usize::try_from(number).unwrap_or(usize::MAX));
}

fn name_stamps(commands: &mut Packed, keys: &Keys, tags: &[String]) {
    if tags.is_empty() {
        return;
    }
    commands.command("MGET", tags.len());
    for tag in tags {
        keys.name_stamp(commands, tag);
    }
}
