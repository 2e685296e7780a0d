//! The store of a simulated node: what `cache-redis` is to a real server, in the words of the
//! simulated one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::store::{
    Attachment, Begin, Beginning, BoxFuture, Fill, Found, Read, Reading, Stamp, Store, Token, Turn,
    Update, Updated,
};
use cache_core::{Error, ErrorKind, Result};

use super::guards::Guard;
use super::server::{self, Answer, Bytes, Command, Script, id_of};
use super::session::Session;

/// The store of one node.
pub(super) struct SimStore(pub(super) Arc<Session>, Option<Lasting>);

/// Until when stamps last at least, as far as this node has seen to it. As in `cache-redis`, a stamp that its
/// caller knows, and that lasts for long enough, is neither touched nor read back by `begin`.
#[derive(Default)]
struct Lasting(Mutex<HashMap<String, (Stamp, Duration)>>);

impl Lasting {
    /// Of each tag of a request that is made now, the stamp that is left alone.
    fn of(&self, request: &Begin<'_>, now: Duration) -> Vec<Option<Stamp>> {
        let lasting = self.lock();
        let of = |(at, tag): (usize, &String)| {
            let known = request.known.get(at).copied().flatten()?;
            let (stamp, end) = lasting.get(tag)?;
            let lasts = *stamp == known && *end >= now + request.life;
            (lasts && !request.force).then_some(known)
        };
        request.tags.iter().enumerate().map(of).collect()
    }

    /// A stamp has been made, or seen to last, by a command that was sent then.
    fn note(&self, tag: &str, stamp: Stamp, end: Duration) {
        self.lock().insert(tag.to_owned(), (stamp, end));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Stamp, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimStore {
    pub(super) fn new(session: Arc<Session>, remembers: bool) -> Self {
        Self(session, remembers.then(Lasting::default))
    }

    /// The answers to `begin`, for those of its tags that are looked at.
    async fn begun(
        &self,
        request: &Begin<'_>,
        tags: &[String],
        reads_back: bool,
    ) -> Result<Vec<Answer>> {
        let sent = self.0.now();
        let mut made: Vec<Stamp> = Vec::new();
        let build = |with_source: bool, fresh: &[u64]| {
            let mut commands = vec![Command::Script(
                Script::Lease {
                    key: request.key.to_owned(),
                    token: request.token,
                    lasts: request.lease,
                    seen: request.seen,
                    force: request.force,
                },
                with_source,
            )];
            made = fresh.to_vec();
            for (tag, fresh) in tags.iter().zip(fresh) {
                let script = Script::Stamp {
                    tag: tag.clone(),
                    fresh: *fresh,
                    life: request.life,
                };
                commands.push(Command::Script(script, with_source));
            }
            if reads_back {
                // Guard G2: read back, in this order, so that all of it is tracked.
                commands.push(Command::GetLease(lease(request.key)));
                commands.push(Command::GetEntry(entry(request.key)));
                commands.push(stamps(tags));
            }
            commands
        };
        let role = self.0.data(request.key);
        let answers = self.0.run(role, build, tags.len()).await?;
        for ((tag, fresh), answer) in tags.iter().zip(&made).zip(&answers[1..]) {
            if let (Some(lasting), Answer::Stamp(stamp)) = (&self.1, answer) {
                let lives = if stamp == fresh { 2 } else { 1 };
                lasting.note(tag, *stamp, sent + request.life * lives);
            }
        }
        Ok(answers)
    }
}

impl Drop for SimStore {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn entry(key: &str) -> String {
    format!("e:{key}")
}

fn lease(key: &str) -> String {
    format!("l:{key}")
}

fn stamps(tags: &[String]) -> Command {
    Command::GetStamps(tags.iter().map(|tag| format!("t:{tag}")).collect())
}

fn unexpected<T>(answers: &[Answer]) -> Result<T> {
    Err(Error::new(
        ErrorKind::Protocol,
        format!("unexpected: {answers:?}"),
    ))
}

impl Store for SimStore {
    fn attach(&self, attachment: Attachment) -> Result<()> {
        self.0.attach(attachment)
    }

    fn read<'a>(&'a self, request: Read<'a>) -> BoxFuture<'a, Result<Reading>> {
        Box::pin(async move {
            let commands = vec![Command::GetEntry(entry(request.key)), stamps(request.tags)];
            let answers = self.0.ask(self.0.data(request.key), commands).await?;
            let [Answer::Entry(found), Answer::Stamps(stamps)] = &*answers else {
                return unexpected(&answers);
            };
            let left = found.as_ref().map(|(_, left)| *left);
            let found = match found {
                None => Found::Nothing,
                Some((bytes, _)) if request.known.is_some() && id_of(&bytes.0) == request.known => {
                    Found::Known
                }
                Some((bytes, _)) => Found::Bytes(bytes.0.to_vec()),
            };
            Ok(Reading::new(found, stamps.clone()).left(left))
        })
    }

    fn begin<'a>(&'a self, request: Begin<'a>) -> BoxFuture<'a, Result<Beginning>> {
        Box::pin(async move {
            let reads_back = !self.0.removed.has(Guard::G2);
            let mut lasting = match &self.1 {
                Some(lasting) => lasting.of(&request, self.0.now()),
                None => vec![None; request.tags.len()],
            };
            let answers = loop {
                let tags = request.tags.iter().zip(&lasting);
                let tags = tags.filter(|(_, lasting)| lasting.is_none());
                let tags: Vec<String> = tags.map(|(tag, _)| tag.clone()).collect();
                let answers = self.begun(&request, &tags, reads_back).await?;
                // What has appeared is judged by stamps that are read after it.
                if !matches!(answers[0], Answer::Another) || tags.len() == request.tags.len() {
                    break answers;
                }
                lasting.fill(None);
            };
            let all = |told: &mut dyn Iterator<Item = Option<Stamp>>| -> Vec<Option<Stamp>> {
                let all = lasting.iter();
                all.map(|lasting| lasting.or_else(|| told.next().flatten()))
                    .collect()
            };
            if !reads_back {
                let mut made = answers[1..].iter().map(|answer| match answer {
                    Answer::Stamp(stamp) => Some(*stamp),
                    _ => None,
                });
                let turn = match &answers[0] {
                    Answer::Held(left) => Turn::Held(*left),
                    Answer::Another => Turn::Entry(Found::Nothing),
                    _ => Turn::Granted,
                };
                return Ok(Beginning::new(turn, all(&mut made)));
            }
            let [
                turn,
                ..,
                Answer::Lease(holder),
                Answer::Entry(found),
                Answer::Stamps(stamps),
            ] = &*answers
            else {
                return unexpected(&answers);
            };
            let turn = match turn {
                Answer::Granted if *holder == Some(request.token) => Turn::Granted,
                // It was taken, and taken away again at once.
                Answer::Granted => Turn::Held(Duration::from_millis(1)),
                // It was given up before it was read: nobody would tell of its end.
                Answer::Held(_) if holder.is_none() => Turn::Held(Duration::from_millis(1)),
                Answer::Held(left) => Turn::Held(*left),
                Answer::Another => Turn::Entry(match found {
                    Some((bytes, _)) => Found::Bytes(bytes.0.to_vec()),
                    None => Found::Nothing,
                }),
                _ => return unexpected(&answers),
            };
            let left = found.as_ref().map(|(_, left)| *left);
            let stamps = all(&mut stamps.iter().copied());
            Ok(Beginning::new(turn, stamps).left(left))
        })
    }

    fn fill<'a>(&'a self, request: Fill<'a>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let reads_back = !self.0.removed.has(Guard::G3);
            let bytes = Bytes(request.bytes.into());
            let build = |with_source: bool, _: &[u64]| {
                let script = Script::Fill {
                    key: request.key.to_owned(),
                    token: request.token,
                    bytes: bytes.clone(),
                    life: request.life,
                };
                let mut commands = vec![Command::Script(script, with_source)];
                if reads_back {
                    // Guard G3: what was never read is never tracked.
                    commands.push(Command::GetEntry(entry(request.key)));
                }
                commands
            };
            let answers = self.0.run(self.0.data(request.key), build, 0).await?;
            match &*answers {
                [Answer::Did(stored), Answer::Entry(found)] => {
                    let there = found.as_ref().and_then(|(bytes, _)| id_of(&bytes.0));
                    Ok(*stored && there == Some(request.token))
                }
                [Answer::Did(stored)] => Ok(*stored),
                other => unexpected(other),
            }
        })
    }

    fn update<'a>(&'a self, request: Update<'a>) -> BoxFuture<'a, Result<Updated>> {
        Box::pin(async move {
            let kept = request.kept;
            let noted = || {
                let tags = request.tags.iter().cloned();
                tags.zip(request.stamps.iter().copied()).collect()
            };
            let mut made = Vec::new();
            let build = |with_source: bool, fresh: &[u64]| {
                made = fresh.to_vec();
                let script = Script::Update(server::Update {
                    key: request.key.to_owned(),
                    token: request.token,
                    noted: noted(),
                    fresh: made.clone(),
                    life: request.life,
                    compares: !self.0.removed.has(Guard::G9),
                });
                let mut commands = vec![Command::Script(script, with_source)];
                // Guard G2: read back, so that it is tracked again.
                commands.push(Command::GetEntry(entry(request.key)));
                commands.push(stamps(&request.tags[kept..]));
                commands
            };
            let numbers = request.tags.len() - kept;
            let role = self.0.data(request.key);
            let answers = self.0.run(role, build, numbers).await?;
            let [Answer::Did(matched), _, Answer::Stamps(back)] = &*answers else {
                return unexpected(&answers);
            };
            if !matched {
                return Ok(Updated::refused());
            }
            // Removed at once, and made again by somebody else, it would be newer than the write.
            let made = made.iter().zip(back);
            let made = made.map(|(made, back)| back.filter(|back| back == made));
            let kept = request.stamps[..kept].iter().copied().map(Some);
            Ok(Updated::matched(kept.chain(made).collect()))
        })
    }

    fn renew<'a>(
        &'a self,
        key: &'a str,
        token: Token,
        lasts: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let role = self.0.data(key);
            let build = |with_source: bool, _: &[u64]| {
                let key = key.to_owned();
                let back = Command::GetLease(lease(&key));
                let script = Script::Renew { key, token, lasts };
                vec![Command::Script(script, with_source), back]
            };
            let answers = self.0.run(role, build, 0).await?;
            match &*answers {
                [Answer::Did(renewed), Answer::Lease(holder)] => {
                    Ok(*renewed && *holder == Some(token))
                }
                other => unexpected(other),
            }
        })
    }

    fn release<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let role = self.0.data(key);
            let build = |with_source: bool, _: &[u64]| {
                let key = key.to_owned();
                vec![Command::Script(Script::Release { key, token }, with_source)]
            };
            self.0.run(role, build, 0).await.map(drop)
        })
    }

    fn remove<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let unlink = |key: &String| Command::Unlink(vec![entry(key), lease(key)]);
            let commands: Vec<Command> = keys.iter().map(unlink).collect();
            if commands.is_empty() {
                return Ok(());
            }
            self.0.ask(self.0.aside(), commands).await.map(drop)
        })
    }

    fn invalidate<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let unlink = |tag: &String| Command::Unlink(vec![format!("t:{tag}")]);
            let commands: Vec<Command> = tags.iter().map(unlink).collect();
            if commands.is_empty() {
                return Ok(());
            }
            self.0.ask(self.0.aside(), commands).await.map(drop)
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            for role in self.0.roles() {
                self.0.ask(role, vec![Command::Ping]).await?;
            }
            Ok(())
        })
    }

    fn describe(&self) -> String {
        "simulated".to_owned()
    }
}
