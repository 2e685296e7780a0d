//! The loop that owns a connection, and everybody's way to it.
//!
//! A [`Link`] is one connection for one role. Its loop connects, waits for the end, and connects
//! again; nobody else ever does, so that nothing can be lost silently. Callers look at what the loop
//! has published.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cache_core::{Env, ErrorKind};
use redis::{Pipeline, RedisError, Value};
use tokio::sync::{Notify, oneshot, watch};

use crate::coherence::Coherence;
use crate::config::Endpoint;
use crate::failure::{Failure, is_read_only};
use crate::traffic::Traffic;
use crate::wire::{Packed, Wire};

mod owner;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads, leases, fills: what the engine's calls need.
    Data,
    /// Removals and invalidations, and reports of what was counted. It reads nothing, so that an
    /// invalidation never waits behind a large value, and its answer never overtakes a push (section 4,
    /// invalidate).
    Invalidation,
}

/// One connection, whether it is up or not.
pub(crate) struct Link {
    phase: watch::Receiver<Phase>,
    /// What the loop is started with, at the first call.
    unstarted: Mutex<Option<watch::Sender<Phase>>>,
    shared: Arc<Shared>,
}

struct Shared {
    role: Role,
    endpoint: Arc<Endpoint>,
    env: Env,
    coherence: Arc<Coherence>,
    /// This one's number among them.
    number: usize,
    /// Ends the wait after a failed attempt.
    wake: Notify,
}

#[derive(Clone)]
enum Phase {
    /// The first attempt, or the one right after a loss: worth waiting for.
    Connecting,
    Up(Arc<Live>),
    /// Attempts fail: callers are told at once. The number tells one failure from the next.
    Down(Failure, u64),
}

struct Live {
    connection: Wire,
    traffic: Arc<Traffic>,
    state: Arc<LiveState>,
}

pub(crate) struct LiveState {
    coherence: Arc<Coherence>,
    /// Nobody is to use it any more, though the loop may not have noticed yet.
    dead: AtomicBool,
    /// It said something that makes no sense.
    strange: OnceLock<()>,
    /// A PING is on its way to find out.
    checking: AtomicBool,
    cause: Mutex<Option<Failure>>,
    condemned: Notify,
}

/// Who is to blame for an answer: the connection it came over.
#[derive(Clone)]
pub(crate) struct Blame {
    live: Arc<LiveState>,
}

impl Blame {
    #[cfg(test)]
    pub(crate) fn new(coherence: Arc<Coherence>) -> Self {
        let live = Arc::new(LiveState::new(coherence));
        Self { live }
    }

    #[cfg(test)]
    pub(crate) fn is_given_up(&self) -> bool {
        self.live.dead.load(Ordering::Acquire)
    }

    /// Gives the connection up for what it said, which steps the epoch at once and once more with its
    /// loss.
    pub(crate) fn distrust(&self, cause: Failure) {
        if cause.is_strange() {
            // Once for each connection; whoever finds out at the same time goes on only when it has
            // been told.
            let live = &self.live;
            live.strange.get_or_init(|| live.coherence.strange());
        }
        self.live.condemn(cause);
    }
}

impl LiveState {
    fn new(coherence: Arc<Coherence>) -> Self {
        Self {
            coherence,
            dead: AtomicBool::new(false),
            strange: OnceLock::new(),
            checking: AtomicBool::new(false),
            cause: Mutex::new(None),
            condemned: Notify::new(),
        }
    }

    /// Ends the connection.
    fn condemn(&self, cause: Failure) {
        if !self.dead.swap(true, Ordering::AcqRel) {
            *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
            self.condemned.notify_one();
        }
    }
}

impl Link {
    pub(crate) fn new(
        role: Role,
        endpoint: Arc<Endpoint>,
        env: Env,
        coherence: Arc<Coherence>,
        number: usize,
    ) -> Self {
        let (sender, phase) = watch::channel(Phase::Connecting);
        Self {
            phase,
            unstarted: Mutex::new(Some(sender)),
            shared: Arc::new(Shared {
                role,
                endpoint,
                env,
                coherence,
                number,
                wake: Notify::new(),
            }),
        }
    }

    /// Sends commands in one go and returns an answer for each, errors of the server among them, and
    /// whom to blame if they make no sense.
    ///
    /// Dropped before the answers came, it leaves the connection as it is, but has it checked.
    pub(crate) async fn call(&self, commands: &Pipeline) -> Result<(Vec<Value>, Blame), Failure> {
        self.ask(commands.into()).await
    }

    /// The same with commands that are packed already.
    pub(crate) async fn ask(&self, commands: Packed) -> Result<(Vec<Value>, Blame), Failure> {
        let (values, blame) = self.exchange(commands).await?;
        // After a failover the old primary's connections stay open: only a new one finds the new
        // primary.
        if let Some(Value::ServerError(error)) = values.iter().find(|v| is_read_only(v)) {
            blame.distrust(self.shared.of_server(error));
        }
        Ok((values, blame))
    }

    /// The same, where a server that takes no writes is no reason to end the connection.
    pub(crate) async fn exchange(&self, commands: Packed) -> Result<(Vec<Value>, Blame), Failure> {
        let mut call = Unanswered {
            live: self.live().await?,
            shared: &self.shared,
            answered: false,
        };
        let asked = commands.commands();
        let outcome = call.live.connection.ask(commands).await;
        call.answered = true;
        let blame = Shared::blame(&call.live.state);
        match outcome {
            Ok(values) => {
                if values.len() == asked {
                    Ok((values, blame))
                } else {
                    let failure = Failure::strange("the server's answers don't match the commands");
                    blame.distrust(failure.clone());
                    Err(failure)
                }
            }
            Err(error) => {
                let failure = self.shared.ended(&call.live, &error);
                blame.distrust(failure.clone());
                Err(failure)
            }
        }
    }

    /// Asks Redis for a sign of life, connecting at once if there is no connection.
    pub(crate) async fn probe(&self) -> Result<(), Failure> {
        let live = self.live_at_once().await?;
        let (sender, verdict) = oneshot::channel();
        let shared = self.shared.clone();
        // In a task: the verdict is reached whatever becomes of the caller.
        self.shared.env.spawn(async move {
            let _ = sender.send(shared.check(live).await);
        });
        verdict.await.unwrap_or_else(|_| Err(gone()))
    }

    /// The connection; waits for one only where one can be expected.
    async fn live(&self) -> Result<Arc<Live>, Failure> {
        if let Phase::Up(live) = &*self.phase.borrow()
            && !live.state.dead.load(Ordering::Acquire)
        {
            return Ok(live.clone());
        }
        self.start();
        let mut phase = self.phase.clone();
        loop {
            match &*phase.borrow_and_update() {
                Phase::Up(live) if !live.state.dead.load(Ordering::Acquire) => {
                    return Ok(live.clone());
                }
                Phase::Down(failure, _) => return Err(failure.clone()),
                Phase::Up(_) | Phase::Connecting => {}
            }
            phase.changed().await.map_err(|_| gone())?;
        }
    }

    /// The connection, or the outcome of an attempt that is made now.
    async fn live_at_once(&self) -> Result<Arc<Live>, Failure> {
        self.start();
        let mut phase = self.phase.clone();
        let mut asked_after = None;
        loop {
            match &*phase.borrow_and_update() {
                Phase::Up(live) if !live.state.dead.load(Ordering::Acquire) => {
                    return Ok(live.clone());
                }
                Phase::Down(failure, attempt) => match asked_after {
                    None => {
                        asked_after = Some(*attempt);
                        self.shared.wake.notify_waiters();
                    }
                    Some(before) if *attempt > before => return Err(failure.clone()),
                    Some(_) => {}
                },
                Phase::Up(_) | Phase::Connecting => {}
            }
            phase.changed().await.map_err(|_| gone())?;
        }
    }

    fn start(&self) {
        let unstarted = self
            .unstarted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(phase) = unstarted {
            let shared = self.shared.clone();
            self.shared
                .env
                .spawn(async move { shared.run(phase).await });
        }
    }
}

/// A call on its way. Dropped without an answer, it makes the connection suspect: redis-rs would
/// wait on a silent one for ever.
struct Unanswered<'a> {
    live: Arc<Live>,
    shared: &'a Arc<Shared>,
    answered: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let state = &self.live.state;
        if self.answered
            || state.dead.load(Ordering::Acquire)
            || state.checking.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let (shared, live) = (self.shared.clone(), self.live.clone());
        self.shared.env.spawn(async move {
            // Failing, it has condemned the connection, which is all that is to be done.
            let _ = shared.check(live.clone()).await;
            live.state.checking.store(false, Ordering::Release);
        });
    }
}

impl Shared {
    /// Sends a PING. Without an answer, and without a byte of another answer meanwhile, the connection
    /// is given up: one that is busy with a large value is not silent. To be run in a task.
    async fn check(&self, live: Arc<Live>) -> Result<(), Failure> {
        let ping = redis::cmd("PING");
        let timeout = self.endpoint.ping_timeout;
        let mut answer = pin!(live.connection.send_packed_command(&ping));
        let mut heard = live.traffic.heard();
        let failure = loop {
            tokio::select! {
                answer = answer.as_mut() => match answer {
                    // A user without the right to PING has been answered all the same.
                    Ok(Value::ServerError(error)) if error.code() != "NOPERM" => {
                        return Err(self.of_server(&error));
                    }
                    Ok(Value::ServerError(_)) => return Ok(()),
                    Ok(Value::SimpleString(text)) if text == "PONG" => return Ok(()),
                    // The answer to another question: every one after it would be, too.
                    Ok(_) => break Failure::strange("a PING was answered with something else"),
                    Err(error) => break self.ended(&live, &error),
                },
                () = self.env.sleep(timeout) => {
                    let now = live.traffic.heard();
                    if now == heard {
                        break Failure::new(
                            ErrorKind::Timeout,
                            format!("no answer to a PING within {timeout:?}"),
                        );
                    }
                    heard = now;
                }
            }
        };
        Self::blame(&live.state).distrust(failure.clone());
        Err(failure)
    }

    /// Why a connection gave no answer. One that was neither broken nor given up was ended for what
    /// came over it, though redis-rs tells only the first who waits.
    fn ended(&self, live: &Live, error: &RedisError) -> Failure {
        if live.traffic.is_broken() || live.state.dead.load(Ordering::Acquire) {
            return Failure::of_client(error, &self.endpoint.secrets);
        }
        Failure::garbage()
    }

    fn blame(live: &Arc<LiveState>) -> Blame {
        Blame { live: live.clone() }
    }

    fn of_server(&self, error: &redis::ServerError) -> Failure {
        Failure::of_server(error, &self.endpoint.secrets)
    }
}

pub(crate) fn gone() -> Failure {
    Failure::unavailable("the store's connection task has ended: its runtime was shut down")
}
