//! A store whose calls can be held back or made to fail, one kind of call at a time: what races do by
//! chance, tests do on purpose.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use cache_core::metrics::{Fleet, Minute, Report};
use cache_core::store::{
    Attachment, Begin, Beginning, BoxFuture, Fill, Read, Reading, Store, Token, Update, Updated,
};
use cache_core::{Error, ErrorKind, Result};
use tokio::sync::watch;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Op {
    Read,
    Begin,
    Fill,
    Update,
    Renew,
    Release,
    Remove,
    Invalidate,
    Probe,
    Report,
    Fleet,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Open,
    /// Calls do not reach the store.
    HoldRequests,
    /// Calls are carried out, and their answers withheld.
    HoldReplies,
    /// Calls are answered with this error, and not carried out.
    Fail(ErrorKind),
}

/// The gates of one store. Cloning shares them.
#[derive(Clone)]
pub struct Gates {
    modes: watch::Sender<HashMap<Op, Mode>>,
    held: watch::Sender<HashMap<Op, usize>>,
    calls: watch::Sender<HashMap<Op, usize>>,
    leases: watch::Sender<Vec<(String, Token)>>,
}

impl Gates {
    /// Lets no call of this kind reach the store from here on.
    pub fn hold_requests(&self, op: Op) {
        self.set(op, Mode::HoldRequests);
    }

    /// Has calls of this kind carried out from here on, but not answered.
    pub fn hold_replies(&self, op: Op) {
        self.set(op, Mode::HoldReplies);
    }

    /// Answers calls of this kind with an error from here on.
    pub fn fail(&self, op: Op, kind: ErrorKind) {
        self.set(op, Mode::Fail(kind));
    }

    /// Lets calls of this kind through, those that are held among them.
    pub fn open(&self, op: Op) {
        self.set(op, Mode::Open);
    }

    /// Waits until this many calls of this kind have been held since the start.
    ///
    /// # Panics
    ///
    /// Never: the gates outlive the wait.
    pub async fn held(&self, op: Op, count: usize) {
        let mut held = self.held.subscribe();
        held.wait_for(|held| held.get(&op).copied().unwrap_or(0) >= count)
            .await
            .expect("the sender is in self");
    }

    /// How many calls of this kind have been held since the start.
    pub fn held_so_far(&self, op: Op) -> usize {
        self.held.borrow().get(&op).copied().unwrap_or(0)
    }

    /// How many calls of this kind there were.
    pub fn calls(&self, op: Op) -> usize {
        self.calls.borrow().get(&op).copied().unwrap_or(0)
    }

    /// The leases that were asked for, whether or not that has reached the store.
    pub fn leases(&self) -> Vec<(String, Token)> {
        self.leases.borrow().clone()
    }

    fn set(&self, op: Op, mode: Mode) {
        self.modes.send_modify(|modes| {
            modes.insert(op, mode);
        });
    }

    fn mode(&self, op: Op) -> Mode {
        self.modes.borrow().get(&op).copied().unwrap_or_default()
    }

    /// Waits while the gate is in this mode.
    async fn wait(&self, op: Op, mode: Mode) {
        self.held
            .send_modify(|held| *held.entry(op).or_default() += 1);
        let mut modes = self.modes.subscribe();
        // The sender is in self.
        let _ = modes
            .wait_for(|modes| modes.get(&op).copied().unwrap_or_default() != mode)
            .await;
    }

    async fn pass<T>(&self, op: Op, call: BoxFuture<'_, Result<T>>) -> Result<T> {
        self.calls
            .send_modify(|calls| *calls.entry(op).or_default() += 1);
        match self.mode(op) {
            Mode::Open => call.await,
            Mode::HoldRequests => {
                self.wait(op, Mode::HoldRequests).await;
                call.await
            }
            Mode::HoldReplies => {
                let answer = call.await;
                self.wait(op, Mode::HoldReplies).await;
                answer
            }
            Mode::Fail(kind) => Err(Error::new(kind, "the gate is shut")),
        }
    }
}

/// A store behind gates.
pub struct Gated<S> {
    store: S,
    gates: Gates,
}

/// Puts a store behind gates, all of them open.
pub fn gated<S: Store>(store: S) -> (Gated<S>, Gates) {
    let gates = Gates {
        modes: watch::Sender::default(),
        held: watch::Sender::default(),
        calls: watch::Sender::default(),
        leases: watch::Sender::default(),
    };
    let store = Gated {
        store,
        gates: gates.clone(),
    };
    (store, gates)
}

impl<S: Store> Store for Gated<S> {
    fn attach(&self, attachment: Attachment) -> Result<()> {
        self.store.attach(attachment)
    }

    fn read<'a>(&'a self, request: Read<'a>) -> BoxFuture<'a, Result<Reading>> {
        Box::pin(self.gates.pass(Op::Read, self.store.read(request)))
    }

    fn begin<'a>(&'a self, request: Begin<'a>) -> BoxFuture<'a, Result<Beginning>> {
        let lease = (request.key.to_owned(), request.token);
        self.gates.leases.send_modify(|leases| leases.push(lease));
        Box::pin(self.gates.pass(Op::Begin, self.store.begin(request)))
    }

    fn fill<'a>(&'a self, request: Fill<'a>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.gates.pass(Op::Fill, self.store.fill(request)))
    }

    fn update<'a>(&'a self, request: Update<'a>) -> BoxFuture<'a, Result<Updated>> {
        Box::pin(self.gates.pass(Op::Update, self.store.update(request)))
    }

    fn renew<'a>(
        &'a self,
        key: &'a str,
        token: Token,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(
            self.gates
                .pass(Op::Renew, self.store.renew(key, token, lease)),
        )
    }

    fn release<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.gates.pass(Op::Release, self.store.release(key, token)))
    }

    fn remove<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.gates.pass(Op::Remove, self.store.remove(keys)))
    }

    fn invalidate<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.gates.pass(Op::Invalidate, self.store.invalidate(tags)))
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.gates.pass(Op::Probe, self.store.probe()))
    }

    fn describe(&self) -> String {
        self.store.describe()
    }

    fn report_every(&self) -> Option<Duration> {
        self.store.report_every()
    }

    fn report<'a>(&'a self, report: &'a Report) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.gates.pass(Op::Report, self.store.report(report)))
    }

    fn fleet(&self, minutes: RangeInclusive<Minute>) -> BoxFuture<'_, Result<Fleet>> {
        Box::pin(self.gates.pass(Op::Fleet, self.store.fleet(minutes)))
    }
}
