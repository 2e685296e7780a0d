//! The connections of a simulated node to the server: some for data, which track, and one for
//! invalidations, which reads nothing; a heartbeat over all of them, and what a loss of any means.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use cache_core::store::{Attachment, Event};
use cache_core::{Error, ErrorKind, Result};

use super::executor::Executor;
use super::guards::{Guard, Removed};
use super::history::History;
use super::keys::lane_of;
use super::network::{Client, Message, Network};
use super::server::{Answer, Command, Conn, Push};

/// The pause between two heartbeats, and how long an answer may take: together the bound B.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// A node's end of its connections. A key's commands use one of those for data, always the same.
pub(super) struct Session {
    node: usize,
    tracked: bool,
    /// How many connections there are for data; the one for invalidations has the next role.
    lanes: usize,
    pub(super) removed: Removed,
    executor: Arc<Executor>,
    network: Arc<Network>,
    history: Arc<History>,
    attachment: OnceLock<Attachment>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By role.
    conns: Vec<Option<Conn>>,
    ready: Vec<bool>,
    /// When they were asked for.
    asked: Duration,
    /// Which connections belong together: counted up with each new set.
    set: u64,
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
    asked: Vec<Option<u64>>,
}

impl State {
    /// Whether every connection has answered the heartbeat.
    fn answered(&self) -> bool {
        let answered = |request: Option<u64>| {
            let pending = request.and_then(|request| self.pending.get(&request));
            pending.is_some_and(|pending| !pending.answers.is_empty())
        };
        self.beat.asked.iter().copied().all(answered)
    }

    fn established(&self) -> bool {
        !self.ready.is_empty() && self.ready.iter().all(|ready| *ready)
    }
}

impl Session {
    /// No connections yet; `tracked` says whether its events can be relied on.
    pub(super) fn new(
        node: usize,
        (tracked, lanes): (bool, usize),
        removed: Removed,
        executor: &Arc<Executor>,
        network: &Arc<Network>,
        history: &Arc<History>,
    ) -> Arc<Self> {
        Arc::new(Self {
            node,
            tracked,
            lanes,
            removed,
            executor: Arc::clone(executor),
            network: Arc::clone(network),
            history: Arc::clone(history),
            attachment: OnceLock::new(),
            state: Mutex::default(),
        })
    }

    /// Begins to connect, and tells what it hears from then on.
    pub(super) fn attach(self: &Arc<Self>, attachment: Attachment) -> Result<()> {
        if self.attachment.set(attachment).is_err() {
            return Err(Error::new(ErrorKind::Conflict, "attached before"));
        }
        self.connect();
        Ok(())
    }

    /// Ends all connections.
    pub(super) fn close(&self) {
        let conns = std::mem::take(&mut self.lock().conns);
        for conn in conns.into_iter().flatten() {
            self.network.close(conn);
        }
    }

    /// The connection of a key.
    pub(super) fn data(&self, key: &str) -> usize {
        lane_of(key, self.lanes)
    }

    /// The connection for invalidations.
    pub(super) fn aside(&self) -> usize {
        self.lanes
    }

    /// The time at which something is sent.
    pub(super) fn now(&self) -> Duration {
        self.executor.now()
    }

    /// Every connection.
    pub(super) fn roles(&self) -> std::ops::RangeInclusive<usize> {
        0..=self.lanes
    }

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
        let conns = self.roles().map(|role| {
            let tracks = role != self.aside() && self.tracked;
            Some(self.network.connect(self.node, tracks, client.clone()))
        });
        let conns: Vec<Option<Conn>> = conns.collect();
        let asked = self.executor.now();
        let mut state = self.lock();
        state.ready = vec![false; conns.len()];
        state.conns = conns;
        state.asked = asked;
        state.set += 1;
        let set = state.set;
        drop(state);
        let me = Arc::downgrade(self);
        self.executor.after(HEARTBEAT, move || {
            let Some(session) = me.upgrade() else { return };
            let waits = {
                let state = session.lock();
                state.set == set && !state.established()
            };
            if waits {
                session.lose("no connection in time");
            }
        });
    }

    /// All connections are there: events flow from here on.
    fn establish(self: &Arc<Self>) {
        if self.tracked {
            self.history.log(|| format!("node {}: proven", self.node));
            // The handshake was sent when the connections were asked for.
            let until = self.lock().asked + 2 * HEARTBEAT;
            self.observe(Event::Proven { until });
            let conns = self.lock().conns[..self.lanes].to_vec();
            self.history.trusts(self.node, conns.into_iter().collect());
        }
        let set = self.lock().set;
        self.beat(set);
    }

    /// Gives all connections up, and tries again in a moment.
    fn lose(self: &Arc<Self>, why: &str) {
        self.history
            .log(|| format!("node {}: lost: {why}", self.node));
        let (conns, wakers, was_established) = {
            let mut state = self.lock();
            let was_established = state.established();
            state.ready.fill(false);
            state.set += 1;
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

    /// Asks over all connections, and looks after the timeout whether all have answered. The next
    /// question is sent an interval after this one was.
    fn beat(self: &Arc<Self>, set: u64) {
        let sent = self.executor.now();
        let ask = |role| self.send(role, vec![Command::Ping]).ok();
        let asked: Vec<Option<u64>> = self.roles().map(ask).collect();
        self.lock().beat = Beat {
            sent,
            asked: asked.clone(),
        };
        let me = Arc::downgrade(self);
        self.executor.after(HEARTBEAT, move || {
            let Some(session) = me.upgrade() else { return };
            let answered = {
                let mut state = session.lock();
                if state.set != set {
                    return;
                }
                let answered = state.answered();
                for request in asked.into_iter().flatten() {
                    state.pending.remove(&request);
                }
                answered
            };
            if answered {
                session.beat(set);
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
                    && session.lock().set == set
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
            let conn = state.conns.get(role).copied().flatten();
            let conn = conn.filter(|_| state.established());
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

    /// Sends a request and waits for its answers.
    pub(super) async fn ask(&self, role: usize, commands: Vec<Command>) -> Result<Vec<Answer>> {
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
    pub(super) async fn run(
        &self,
        role: usize,
        mut build: impl FnMut(bool, &[u64]) -> Vec<Command>,
        numbers: usize,
    ) -> Result<Vec<Answer>> {
        let fresh = || -> Vec<u64> {
            self.executor
                .random(|random| (0..numbers).map(|_| random.draw().max(1)).collect())
        };
        let first = fresh();
        let answers = self.ask(role, build(false, &first)).await?;
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
        self.ask(role, build(true, &second)).await
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
                    let role = state.conns.iter().position(|held| *held == Some(conn));
                    if let Some(role) = role {
                        state.ready[role] = true;
                    }
                    role.is_some() && state.established()
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
