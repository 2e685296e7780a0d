//! The store of a simulated node: what `cache-redis` is to a real server, in the words of the
//! simulated one. Two connections, one for data, which tracks, and one for invalidations, which
//! reads nothing; a heartbeat over both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use cache_core::store::{
    Attachment, Begin, Beginning, BoxFuture, Event, Fill, Found, Read, Reading, Store, Token, Turn,
};
use cache_core::{Error, ErrorKind, Result};

use super::executor::Executor;
use super::guards::{Guard, Removed};
use super::history::History;
use super::network::{Client, Message, Network};
use super::server::{Answer, Bytes, Command, Conn, Push, Script, id_of};

/// The pause between two heartbeats, and how long an answer may take: together the bound B.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

const DATA: usize = 0;
const INVALIDATION: usize = 1;

/// The store of one node.
pub(super) struct SimStore(Arc<Session>);

struct Session {
    node: usize,
    tracked: bool,
    removed: Removed,
    executor: Arc<Executor>,
    network: Arc<Network>,
    history: Arc<History>,
    attachment: OnceLock<Attachment>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By role.
    conns: [Option<Conn>; 2],
    ready: [bool; 2],
    /// When they were asked for.
    asked: Duration,
    /// Which connections belong together: counted up with each new pair.
    pair: u64,
    beat: Beat,
    pending: BTreeMap<u64, Pending>,
    requests: u64,
}

struct Pending {
    expected: usize,
    answers: Vec<Answer>,
    broken: bool,
    waker: Option<Waker>,
}

/// The last question of the heartbeat.
#[derive(Default)]
struct Beat {
    sent: Duration,
    asked: [Option<u64>; 2],
}

impl State {
    /// Whether both connections have answered the heartbeat.
    fn answered(&self) -> bool {
        let answered = |request: Option<u64>| {
            let pending = request.and_then(|request| self.pending.get(&request));
            pending.is_some_and(|pending| !pending.answers.is_empty())
        };
        self.beat.asked.into_iter().all(answered)
    }

    fn established(&self) -> bool {
        self.ready == [true; 2]
    }
}

impl SimStore {
    /// A store for a node; `tracked` says whether its events can be relied on.
    pub(super) fn new(
        node: usize,
        tracked: bool,
        removed: Removed,
        executor: &Arc<Executor>,
        network: &Arc<Network>,
        history: &Arc<History>,
    ) -> Self {
        Self(Arc::new(Session {
            node,
            tracked,
            removed,
            executor: Arc::clone(executor),
            network: Arc::clone(network),
            history: Arc::clone(history),
            attachment: OnceLock::new(),
            state: Mutex::default(),
        }))
    }
}

impl Drop for SimStore {
    fn drop(&mut self) {
        let conns = self.0.lock().conns;
        for conn in conns.into_iter().flatten() {
            self.0.network.close(conn);
        }
    }
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self, event: Event) {
        let attachment = self.attachment.get();
        if let Some(observer) = attachment.and_then(|attachment| attachment.observer.upgrade()) {
            observer.observe(event);
        }
    }

    fn connect(self: &Arc<Self>) {
        let client: Weak<dyn Client> = Arc::<Self>::downgrade(self);
        let conns = [DATA, INVALIDATION].map(|role| {
            let tracks = role == DATA && self.tracked;
            Some(self.network.connect(self.node, tracks, client.clone()))
        });
        let asked = self.executor.now();
        let mut state = self.lock();
        state.conns = conns;
        state.asked = asked;
        state.ready = [false; 2];
        state.pair += 1;
        let pair = state.pair;
        drop(state);
        let me = Arc::downgrade(self);
        self.executor.after(HEARTBEAT, move || {
            let Some(session) = me.upgrade() else { return };
            let waits = {
                let state = session.lock();
                state.pair == pair && !state.established()
            };
            if waits {
                session.lose("no connection in time");
            }
        });
    }

    /// Both connections are there: events flow from here on.
    fn establish(self: &Arc<Self>) {
        if self.tracked {
            self.history.log(|| format!("node {}: proven", self.node));
            // The handshake was sent when the connections were asked for.
            let until = self.lock().asked + 2 * HEARTBEAT;
            self.observe(Event::Proven { until });
            let conn = self.lock().conns[DATA];
            self.history.trusts(self.node, conn);
        }
        let pair = self.lock().pair;
        self.beat(pair);
    }

    /// Gives both connections up, and tries again in a moment.
    fn lose(self: &Arc<Self>, why: &str) {
        self.history
            .log(|| format!("node {}: lost: {why}", self.node));
        let (conns, wakers, was_established) = {
            let mut state = self.lock();
            let was_established = state.established();
            state.ready = [false; 2];
            state.pair += 1;
            let wakers: Vec<Waker> = state
                .pending
                .values_mut()
                .filter_map(|pending| {
                    pending.broken = true;
                    pending.waker.take()
                })
                .collect();
            (std::mem::take(&mut state.conns), wakers, was_established)
        };
        for conn in conns.into_iter().flatten() {
            self.network.close(conn);
        }
        if was_established {
            self.observe(Event::Lost);
            self.history.trusts(self.node, None);
        }
        wakers.into_iter().for_each(Waker::wake);
        let pause = self.executor.random(|random| random.millis(1..300));
        let me = Arc::downgrade(self);
        self.executor.after(pause, move || {
            if let Some(session) = me.upgrade() {
                session.connect();
            }
        });
    }

    /// Asks over both connections, and looks after the timeout whether both have answered. The next
    /// question is sent an interval after this one was.
    fn beat(self: &Arc<Self>, pair: u64) {
        let sent = self.executor.now();
        let asked = [DATA, INVALIDATION].map(|role| self.send(role, vec![Command::Ping]).ok());
        self.lock().beat = Beat { sent, asked };
        let me = Arc::downgrade(self);
        self.executor.after(HEARTBEAT, move || {
            let Some(session) = me.upgrade() else { return };
            let answered = {
                let mut state = session.lock();
                if state.pair != pair {
                    return;
                }
                let answered = state.answered();
                for request in asked.into_iter().flatten() {
                    state.pending.remove(&request);
                }
                answered
            };
            if answered {
                session.beat(pair);
                return;
            }
            // A task may be late, and nothing may hang on that: the deadline stands.
            let late = session.executor.random(|random| {
                let late = random.chance(500);
                random.millis(0..if late { 4_000 } else { 1 })
            });
            let me = Arc::downgrade(&session);
            session.executor.after(late, move || {
                if let Some(session) = me.upgrade()
                    && session.lock().pair == pair
                {
                    session.lose("no heartbeat");
                }
            });
        });
    }

    /// Sends the commands of a request, and names it.
    fn send(&self, role: usize, commands: Vec<Command>) -> Result<u64> {
        let (conn, request) = {
            let mut state = self.lock();
            let conn = state.conns[role].filter(|_| state.established());
            let Some(conn) = conn else {
                return Err(Error::new(ErrorKind::Unavailable, "not connected"));
            };
            state.requests += 1;
            let request = state.requests;
            state.pending.insert(
                request,
                Pending {
                    expected: commands.len(),
                    answers: Vec::new(),
                    broken: false,
                    waker: None,
                },
            );
            (conn, request)
        };
        self.network.send(conn, request, commands);
        Ok(request)
    }

    async fn ask(&self, role: usize, commands: Vec<Command>) -> Result<Vec<Answer>> {
        let request = self.send(role, commands)?;
        // Taken out again if the caller gives up.
        let _asked = Asked(self, request);
        std::future::poll_fn(|context| {
            let mut state = self.lock();
            let Some(pending) = state.pending.get_mut(&request) else {
                return Poll::Ready(Err(lost()));
            };
            if pending.answers.len() == pending.expected {
                return Poll::Ready(Ok(std::mem::take(&mut pending.answers)));
            }
            if pending.broken {
                return Poll::Ready(Err(lost()));
            }
            pending.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
        .and_then(|answers| {
            if answers
                .iter()
                .any(|answer| matches!(answer, Answer::ReadOnly))
            {
                return Err(Error::new(ErrorKind::Rejected, "read only"));
            }
            Ok(answers)
        })
    }

    /// Sends what `build` makes; where a script turns out to be missing, once more, with the
    /// scripts in full and with new random numbers (guard G15).
    async fn run(
        &self,
        build: impl Fn(bool, &[u64]) -> Vec<Command>,
        numbers: usize,
    ) -> Result<Vec<Answer>> {
        let fresh = || -> Vec<u64> {
            self.executor
                .random(|random| (0..numbers).map(|_| random.draw().max(1)).collect())
        };
        let first = fresh();
        let answers = self.ask(DATA, build(false, &first)).await?;
        if !answers
            .iter()
            .any(|answer| matches!(answer, Answer::NoScript))
        {
            return Ok(answers);
        }
        let second = if self.removed.has(Guard::G15) {
            first
        } else {
            fresh()
        };
        self.ask(DATA, build(true, &second)).await
    }
}

struct Asked<'a>(&'a Session, u64);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.lock().pending.remove(&self.1);
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection was lost")
}

impl Client for Session {
    fn receive(self: Arc<Self>, conn: Conn, message: Message) {
        match message {
            Message::Hello => {
                let established = {
                    let mut state = self.lock();
                    for role in [DATA, INVALIDATION] {
                        if state.conns[role] == Some(conn) {
                            state.ready[role] = true;
                        }
                    }
                    state.conns.contains(&Some(conn)) && state.established()
                };
                if established {
                    self.establish();
                }
            }
            // Guard G5: here, in the reader, before anything that comes after it.
            Message::Push(push) if self.removed.has(Guard::G5) => {
                let pause = self.executor.random(|random| random.millis(0..40));
                let me = Arc::downgrade(&self);
                self.executor.after(pause, move || {
                    if let Some(session) = me.upgrade() {
                        session.tell(push);
                    }
                });
            }
            Message::Push(push) => self.tell(push),
            Message::Answer(request, answer) => {
                let (waker, alive) = {
                    let mut state = self.lock();
                    if !state.conns.contains(&Some(conn)) {
                        return;
                    }
                    let Some(pending) = state.pending.get_mut(&request) else {
                        return;
                    };
                    pending.answers.push(answer);
                    let complete = pending.answers.len() == pending.expected;
                    let waker = complete.then(|| pending.waker.take()).flatten();
                    let beats = state.beat.asked.contains(&Some(request)) && state.answered();
                    (waker, beats.then_some(state.beat.sent))
                };
                if let Some(sent) = alive.filter(|_| self.tracked) {
                    let until = sent + 2 * HEARTBEAT;
                    self.observe(Event::Alive { until });
                }
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }

    fn broken(self: Arc<Self>, conn: Conn) {
        if self.lock().conns.contains(&Some(conn)) {
            self.lose("the connection broke");
        }
    }
}

impl Session {
    fn tell(&self, push: Push) {
        let event = match push {
            Push::Null => Event::Flushed,
            Push::Changed(name) => match name.split_at(2) {
                ("e:", key) => Event::Entry(key.to_owned()),
                ("l:", key) => Event::Lease(key.to_owned()),
                (_, tag) => Event::Tag(tag.to_owned()),
            },
        };
        self.observe(event);
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
        if self.0.attachment.set(attachment).is_err() {
            return Err(Error::new(ErrorKind::Conflict, "attached before"));
        }
        self.0.connect();
        Ok(())
    }

    fn read<'a>(&'a self, request: Read<'a>) -> BoxFuture<'a, Result<Reading>> {
        Box::pin(async move {
            let commands = vec![Command::GetEntry(entry(request.key)), stamps(request.tags)];
            let answers = self.0.ask(DATA, commands).await?;
            let [Answer::Entry(found), Answer::Stamps(stamps)] = &*answers else {
                return unexpected(&answers);
            };
            let left = found.as_ref().map(|(_, left)| *left);
            let found = match found {
                None => Found::Nothing,
                Some((bytes, _)) if request.known.is_some() && id_of(&bytes.0) == request.known => {
                    Found::Known
                }
                Some((bytes, _)) => Found::Bytes(Arc::clone(&bytes.0)),
            };
            Ok(Reading::new(found, stamps.clone()).left(left))
        })
    }

    fn begin<'a>(&'a self, request: Begin<'a>) -> BoxFuture<'a, Result<Beginning>> {
        Box::pin(async move {
            let reads_back = !self.0.removed.has(Guard::G2);
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
                for (tag, fresh) in request.tags.iter().zip(fresh) {
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
                    commands.push(stamps(request.tags));
                }
                commands
            };
            let answers = self.0.run(build, request.tags.len()).await?;
            if !reads_back {
                let made = answers[1..].iter().map(|answer| match answer {
                    Answer::Stamp(stamp) => Some(*stamp),
                    _ => None,
                });
                let turn = match &answers[0] {
                    Answer::Held(left) => Turn::Held(*left),
                    Answer::Another => Turn::Entry(Found::Nothing),
                    _ => Turn::Granted,
                };
                return Ok(Beginning::new(turn, made.collect()));
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
                    Some((bytes, _)) => Found::Bytes(Arc::clone(&bytes.0)),
                    None => Found::Nothing,
                }),
                _ => return unexpected(&answers),
            };
            let left = found.as_ref().map(|(_, left)| *left);
            Ok(Beginning::new(turn, stamps.clone()).left(left))
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
            let answers = self.0.run(build, 0).await?;
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

    fn renew<'a>(
        &'a self,
        key: &'a str,
        token: Token,
        lasts: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let build = |with_source: bool, _: &[u64]| {
                let key = key.to_owned();
                let back = Command::GetLease(lease(&key));
                let script = Script::Renew { key, token, lasts };
                vec![Command::Script(script, with_source), back]
            };
            let answers = self.0.run(build, 0).await?;
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
            let build = |with_source: bool, _: &[u64]| {
                let key = key.to_owned();
                vec![Command::Script(Script::Release { key, token }, with_source)]
            };
            self.0.run(build, 0).await.map(drop)
        })
    }

    fn remove<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let unlink = |key: &String| Command::Unlink(vec![entry(key), lease(key)]);
            let commands: Vec<Command> = keys.iter().map(unlink).collect();
            if commands.is_empty() {
                return Ok(());
            }
            self.0.ask(INVALIDATION, commands).await.map(drop)
        })
    }

    fn invalidate<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let unlink = |tag: &String| Command::Unlink(vec![format!("t:{tag}")]);
            let commands: Vec<Command> = tags.iter().map(unlink).collect();
            if commands.is_empty() {
                return Ok(());
            }
            self.0.ask(INVALIDATION, commands).await.map(drop)
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.0.ask(DATA, vec![Command::Ping]).await?;
            self.0
                .ask(INVALIDATION, vec![Command::Ping])
                .await
                .map(drop)
        })
    }

    fn describe(&self) -> String {
        "simulated".to_owned()
    }
}
