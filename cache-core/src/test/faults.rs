//! A store around another one that fails, hangs, is late, or loses its answers: one operation at a
//! time, when told to, and by the test's clock.

use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::metrics::{Fleet, Minute, Report};
use crate::store::{
    Attachment, Begin, Beginning, BoxFuture, Fill, Read, Reading, Store, Token, Update, Updated,
};
use crate::{Env, Error, ErrorKind, Result};

/// One of the things that a [`Store`] is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// To read an entry and stamps: every call that is no local hit.
    Read,
    /// To give the right to load, and new stamps: every miss.
    Begin,
    /// To store what was loaded.
    Fill,
    /// To make new stamps after a write whose value is to be stored.
    Update,
    /// To prolong a lease, while a load takes long.
    Renew,
    /// To give a lease back, after a load that brought nothing to store.
    Release,
    /// To remove entries, by `invalidate` companions.
    Remove,
    /// To invalidate tags.
    Invalidate,
    /// To say whether it is there: how a breaker finds out that it is back.
    Probe,
    /// To add what was counted to the figures of the fleet.
    Report,
    /// To tell the figures of the fleet.
    Fleet,
}

impl Op {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Read,
        Self::Begin,
        Self::Fill,
        Self::Update,
        Self::Renew,
        Self::Release,
        Self::Remove,
        Self::Invalidate,
        Self::Probe,
        Self::Report,
        Self::Fleet,
    ];
}

/// What goes wrong with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It fails at once, and is not carried out.
    Fail,
    /// It does not reach the store as long as this lasts, and is carried out then, unless its caller has
    /// given up.
    Hang,
    /// It is carried out at once, and answered so much later.
    Delay(Duration),
    /// It is carried out, and never answered.
    LoseAnswer,
}

/// What goes wrong with a store, or with all stores of a test. Cloning shares it.
#[derive(Clone)]
pub struct Faults(Arc<State>);

struct State {
    env: Env,
    faults: watch::Sender<HashMap<Op, Fault>>,
    calls: watch::Sender<HashMap<Op, u64>>,
}

impl Faults {
    /// No faults yet, for stores that live in `env`: delays go by its clock.
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self(Arc::new(State {
            env,
            faults: watch::Sender::default(),
            calls: watch::Sender::default(),
        }))
    }

    /// A store that has these faults.
    pub fn around<S: Store>(&self, store: S) -> Faulty<S> {
        Faulty {
            store,
            faults: self.clone(),
        }
    }

    /// Has an operation go wrong from here on. Those that hang already go on unless this is
    /// [`Fault::Hang`] once more.
    pub fn set(&self, op: Op, fault: Fault) {
        self.0.faults.send_modify(|faults| {
            faults.insert(op, fault);
        });
    }

    /// Has every operation go wrong: the store is away.
    pub fn set_all(&self, fault: Fault) {
        self.0
            .faults
            .send_modify(|faults| faults.extend(Op::ALL.map(|op| (op, fault))));
    }

    /// Has an operation go well again. Those that hang go on.
    pub fn heal(&self, op: Op) {
        self.0.faults.send_modify(|faults| {
            faults.remove(&op);
        });
    }

    /// Has every operation go well again. The breaker may be open by now: it closes once its next probe
    /// is answered, for which the clock has to be moved.
    pub fn heal_all(&self) {
        self.0.faults.send_modify(HashMap::clear);
    }

    /// How often the store was asked for this, well or not.
    pub fn calls(&self, op: Op) -> u64 {
        self.0.calls.borrow().get(&op).copied().unwrap_or(0)
    }

    /// Ends once the store was asked for this so often.
    pub async fn called(&self, op: Op, count: u64) {
        let mut calls = self.0.calls.subscribe();
        // The sender is in self, so there is always one to wait for.
        let _ = calls
            .wait_for(|calls| calls.get(&op).copied().unwrap_or(0) >= count)
            .await;
    }

    async fn pass<T>(&self, op: Op, call: BoxFuture<'_, Result<T>>) -> Result<T> {
        let state = &*self.0;
        let fault = state.faults.borrow().get(&op).copied();
        state
            .calls
            .send_modify(|calls| *calls.entry(op).or_default() += 1);
        match fault {
            None => call.await,
            Some(Fault::Fail) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the test has {op:?} fail"),
            )),
            Some(Fault::Hang) => {
                let mut faults = state.faults.subscribe();
                let _ = faults
                    .wait_for(|faults| faults.get(&op) != Some(&Fault::Hang))
                    .await;
                call.await
            }
            Some(Fault::Delay(delay)) => {
                let sleep = state.env.sleep(delay);
                let answer = call.await;
                sleep.await;
                answer
            }
            Some(Fault::LoseAnswer) => {
                let _ = call.await;
                pending().await
            }
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faults")
            .field(&*self.0.faults.borrow())
            .finish()
    }
}

/// A store with faults.
#[derive(Debug)]
pub struct Faulty<S> {
    store: S,
    faults: Faults,
}

impl<S: Store> Store for Faulty<S> {
    fn attach(&self, attachment: Attachment) -> Result<()> {
        self.store.attach(attachment)
    }

    fn read<'a>(&'a self, request: Read<'a>) -> BoxFuture<'a, Result<Reading>> {
        Box::pin(self.faults.pass(Op::Read, self.store.read(request)))
    }

    fn begin<'a>(&'a self, request: Begin<'a>) -> BoxFuture<'a, Result<Beginning>> {
        Box::pin(self.faults.pass(Op::Begin, self.store.begin(request)))
    }

    fn fill<'a>(&'a self, request: Fill<'a>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.faults.pass(Op::Fill, self.store.fill(request)))
    }

    fn update<'a>(&'a self, request: Update<'a>) -> BoxFuture<'a, Result<Updated>> {
        Box::pin(self.faults.pass(Op::Update, self.store.update(request)))
    }

    fn renew<'a>(
        &'a self,
        key: &'a str,
        token: Token,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        let call = self.store.renew(key, token, lease);
        Box::pin(self.faults.pass(Op::Renew, call))
    }

    fn release<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Result<()>> {
        let call = self.store.release(key, token);
        Box::pin(self.faults.pass(Op::Release, call))
    }

    fn remove<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.faults.pass(Op::Remove, self.store.remove(keys)))
    }

    fn invalidate<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        let call = self.store.invalidate(tags);
        Box::pin(self.faults.pass(Op::Invalidate, call))
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.faults.pass(Op::Probe, self.store.probe()))
    }

    fn describe(&self) -> String {
        self.store.describe()
    }

    fn report_every(&self) -> Option<Duration> {
        self.store.report_every()
    }

    fn report<'a>(&'a self, report: &'a Report) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.faults.pass(Op::Report, self.store.report(report)))
    }

    fn fleet(&self, minutes: RangeInclusive<Minute>) -> BoxFuture<'_, Result<Fleet>> {
        Box::pin(self.faults.pass(Op::Fleet, self.store.fleet(minutes)))
    }
}
