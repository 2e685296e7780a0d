//! What a leader asks: the lease of its key with the stamps of its tags, and after its load that it be stored.
//!
//! `begin` is said in plain commands, which cost Redis a third of what scripts do; whatever is unusual is
//! left to the scripts, which look at everything: docs/decisions/0030-plain-begin.md.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cache_core::store::{Begin, Beginning, Fill, Found, Turn};
use redis::{Pipeline, Value};

use super::calls::{LONGEST, millis, range, stamps};
use super::wants::Want;
use super::{Attached, RedisStore};
use crate::failure::Failure;
use crate::keys::{ID, id_of, is_token, stamp_text, token_text};
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
            // Where that fails, so does this: told of another's entry, the caller would hold nothing, and nobody
            // would give the lease up.
            self.release_now(request.key, request.token).await?;
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
        let wants = attached.wants(request, now.saturating_add(request.life));
        let answers = data
            .ask(asked_plainly(attached, request, (&token, &wants)))
            .await?;
        let taken = matches!(answers.0.first(), Some(Value::Okay));
        if answers.0.iter().any(|v| matches!(v, Value::ServerError(_))) {
            // The scripts know what to make of it, or are told the same.
            return Ok(Plainly::Unusual { taken });
        }
        let mut replies = self.replies(answers);
        replies.done()?;
        let mut made = Vec::with_capacity(wants.len());
        for _ in wants.iter().filter(|want| want.is_made()) {
            made.push(replies.done()?);
        }
        let id = replies.bytes(ID.len())?.unwrap_or_default();
        let mut lives = Vec::with_capacity(wants.len());
        for _ in wants.iter().filter(|want| **want == Want::End) {
            lives.push(replies.left()?);
        }
        let back = wants.iter().filter(|want| want.is_read()).count();
        // Whatever somebody has put in the lease's place.
        let (holder, told) = replies.holder_and_stamps(back, LONGEST)?;

        let seen = request.seen.as_ref().map(|id| &id.0[..]);
        let mut unusual = !request.force && id.len() == ID.len() && Some(&*id) != seen;
        // Each is there, and lasts long enough, or is the one that was seen to do so.
        let least = Duration::from_millis(millis(request.life));
        let (mut made, mut lives, mut told) =
            (made.into_iter(), lives.into_iter(), told.into_iter());
        let mut stamps = Vec::with_capacity(wants.len());
        for (tag, want) in request.tags.iter().zip(&wants) {
            let made = want.is_made() && made.next().unwrap_or_default();
            let stamp = match want {
                Want::Nothing(known) => Some(*known),
                _ => told.next().flatten(),
            };
            match (want, stamp) {
                (Want::End, Some(stamp)) => match lives.next().flatten() {
                    // One that was just made is most likely of this value alone.
                    Some(life) if life >= least && !made => {
                        let ends = now.saturating_add(life);
                        attached.lasting.note(tag, stamp, ends);
                    }
                    life => unusual |= life.is_none_or(|life| life < least),
                },
                // Whoever has made it meanwhile says nothing of its end here.
                (Want::Made, _) => unusual |= !made,
                (Want::Same(known), _) => unusual |= stamp != Some(*known),
                (Want::Nothing(_), _) => {}
                (Want::End, None) => unusual = true,
            }
            unusual |= stamp.is_none();
            stamps.push(stamp);
        }
        if unusual {
            return Ok(Plainly::Unusual { taken });
        }
        let turn = if holder.as_deref() == Some(token.as_bytes()) {
            Turn::Granted
        } else if taken {
            // It has changed again at once: what holds now is best asked anew, soon.
            Turn::Held(Duration::from_millis(1))
        } else {
            let held = match holder {
                Some(holder) if is_token(&holder) => self.held(attached, request.key).await?,
                _ => None,
            };
            match held {
                Some(held) => Turn::Held(held),
                // Gone meanwhile, or nothing that anybody will give up.
                None => return Ok(Plainly::Unusual { taken }),
            }
        };
        Ok(Plainly::Begun(Beginning::new(turn, stamps)))
    }

    /// For how long a lease is held that another has. Only who has to wait for it asks, and waits a moment
    /// longer for that.
    async fn held(&self, attached: &Attached, key: &str) -> Result<Option<Duration>, Failure> {
        let mut commands = room(key, &[], 64);
        commands.command("PTTL", 1);
        attached.keys.name_lease(&mut commands, key);
        let answers = attached.data(key).ask(commands).await?;
        let left = self.replies(answers).left()?;
        Ok(left.filter(|left| !left.is_zero()))
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

/// The commands of a `begin`.
fn asked_plainly(
    attached: &Attached,
    request: &Begin<'_>,
    (token, wants): (&str, &[Want]),
) -> Packed {
    let Attached { keys, env, .. } = attached;
    let tags = || request.tags.iter().zip(wants);
    let mut commands = room(request.key, request.tags, 512);
    commands.command("SET", if request.force { 4 } else { 5 });
    keys.name_lease(&mut commands, request.key);
    commands.argument(&[token]).argument(&["PX"]);
    number(&mut commands, millis(request.lease));
    if !request.force {
        commands.argument(&["NX"]);
    }
    for (tag, _) in tags().filter(|(_, want)| want.is_made()) {
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
    for (tag, _) in tags().filter(|(_, want)| **want == Want::End) {
        commands.command("PTTL", 1);
        keys.name_stamp(&mut commands, tag);
    }
    let back = || tags().filter(|(_, want)| want.is_read());
    commands.command("MGET", 1 + back().count());
    keys.name_lease(&mut commands, request.key);
    for (tag, _) in back() {
        keys.name_stamp(&mut commands, tag);
    }
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

/// Room for what is asked about a key with these tags.
fn room(key: &str, tags: &[String], more: usize) -> Packed {
    let tags: usize = tags.iter().map(|tag| 3 * tag.len() + 160).sum();
    Packed::with_capacity(4 * key.len() + tags + more)
}

fn number(commands: &mut Packed, number: u64) {
    // On a machine of fewer bits, in which nothing of this lives so long.
    commands.number(usize::try_from(number).unwrap_or(usize::MAX));
}
