//! Batches (`each = ids`): a call for each element, all at once, and one run of the function for those
//! that are missing.
//!
//! Each element is a call like any other, with its own flight, lease and fill; what it loads is its part
//! of what the function returns. The function runs once nobody is searching any more: every element is
//! there, is to be loaded, or waits for somebody else's load. For those nobody waits before: two batches
//! with the same elements in opposite order would wait for each other.
//!
//! Once the store has been asked to keep what was loaded, the caller has it: the answers are heard in a task
//! (docs/decisions/0032-batches-return-early.md).

mod board;
mod storing;

use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use serde::Serialize;
use tokio::task::unconstrained;

use self::board::{Board, Part, Slot};
use self::storing::Storing;
use super::{Load, Ticket, load};
use crate::driver::{self, block_on};
use crate::engine::Within;
use crate::key::Args;
use crate::local::{LocalKey, Mixed};
use crate::shape::{Outline, Shape};

/// What is returned for one element: a value, or nothing, unless the function has failed as a whole.
pub type Each<V> = Result<Option<V>, Failed>;

/// The function has failed for all elements.
#[derive(Clone, Copy, Debug)]
pub struct Failed;

/// What a batch returns: a map, or a list of pairs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` doesn't say which value belongs to which element",
    label = "a batch returns a map from elements to values",
    note = "return a `HashMap<K, V>`, a `BTreeMap<K, V>` or a `Vec<(K, V)>`, or a `Result` of one"
)]
pub trait Elements {
    /// An element, as it is returned.
    type Key: Serialize;
    /// What belongs to it.
    type Value;

    /// Takes it apart.
    fn parts(self) -> impl Iterator<Item = (Self::Key, Self::Value)>;

    /// Makes it of its parts.
    fn whole(parts: impl Iterator<Item = (Self::Key, Self::Value)>) -> Self;
}

impl<M, K: Serialize, V> Elements for M
where
    M: IntoIterator<Item = (K, V)> + FromIterator<(K, V)>,
{
    type Key = K;
    type Value = V;

    fn parts(self) -> impl Iterator<Item = (K, V)> {
        self.into_iter()
    }

    fn whole(parts: impl Iterator<Item = (K, V)>) -> Self {
        parts.collect()
    }
}

/// The elements in an argument.
pub fn elements<'i, I: ?Sized, K: Clone + 'i>(items: &'i I) -> Vec<K>
where
    &'i I: IntoIterator<Item = &'i K>,
{
    items.into_iter().cloned().collect()
}

/// What a look at one element gave, its ticket told its terms. A function, since the compiler knows
/// the type of what is expected here before it reads closures over the value.
pub fn told<R, S: Shape<R>>(
    looked: Result<R, Ticket<R, S>>,
    terms: impl FnOnce(Ticket<R, S>) -> Ticket<R, S>,
) -> Result<R, Ticket<R, S>> {
    looked.map_err(terms)
}

/// Calls a function for many elements. `look` looks one up; `body` runs the function for some.
pub async fn batch<R, S, M, K, E, B, F>(
    shape: S,
    items: Vec<K>,
    look: impl Fn(&K) -> Result<Each<M::Value>, Ticket<Each<M::Value>, E>>,
    mut body: B,
) -> R
where
    S: Outline<R, Value = M>,
    M: Elements,
    K: Clone + Serialize + Into<M::Key>,
    E: Shape<Each<M::Value>>,
    B: FnMut(Vec<K>) -> F,
    F: Future<Output = R>,
{
    let mut found: Vec<(K, Option<M::Value>)> = Vec::with_capacity(items.len());
    let mut names = HashSet::with_capacity_and_hasher(items.len(), Mixed::default());
    let mut missing = Vec::new();
    for item in items {
        // One that can't be told from others stands for itself.
        if name(&item).is_some_and(|name| !names.insert(name)) {
            continue;
        }
        let value = match look(&item) {
            Ok(each) => each.unwrap_or_default(),
            Err(ticket) => {
                missing.push((found.len(), ticket));
                None
            }
        };
        found.push((item, value));
    }
    // What the function returns beside what it was asked for is the caller's all the same.
    let mut beside = Vec::new();
    if !missing.is_empty() {
        let board = Board::new(missing.len());
        let places: Vec<usize> = missing.iter().map(|(place, _)| *place).collect();
        let keys: Vec<_> = missing
            .iter_mut()
            .map(|(_, ticket)| ticket.within())
            .collect();
        let engine = keys
            .iter()
            .flatten()
            .next()
            .map(|(engine, _)| Arc::clone(engine));
        let calls = missing.into_iter().enumerate().map(|(index, (_, ticket))| {
            let part = Part {
                board: Arc::clone(&board),
                index,
            };
            load(ticket.watched(&board.waiting[index]), part)
        });
        let mut calls = Calls::new(calls, &board);
        let mut failure = None;
        while let Some(asked) = calls.next().await {
            let items = asked.iter().map(|index| found[places[*index]].0.clone());
            let led: Vec<_> = asked
                .iter()
                .filter_map(|index| keys[*index].as_ref())
                .collect();
            let within = led
                .first()
                .map(|(engine, _)| Within::new(engine, led.iter().map(|(_, key)| key.clone())));
            let returned = calls
                .meanwhile(body(items.collect()), within.as_ref())
                .await;
            match shape.split(returned) {
                Ok(parts) => {
                    let wanted: HashMap<LocalKey, usize, Mixed> = asked
                        .iter()
                        .filter_map(|index| Some((name(&found[places[*index]].0)?, *index)))
                        .collect();
                    for (key, value) in parts.parts() {
                        let index = name(&key).and_then(|name| wanted.get(&name));
                        match index {
                            Some(index) => board.give(*index, Ok(Some(value))),
                            None => beside.push((key, value)),
                        }
                    }
                    for index in asked {
                        board.give(index, Ok(None));
                    }
                }
                Err(returned) => {
                    failure.get_or_insert(returned);
                    for index in asked {
                        board.give(index, Err(Failed));
                    }
                }
            }
        }
        let (ended, storing) = calls.ended();
        if let Some(engine) = engine {
            storing.hand_over(&engine).await;
        }
        let mut failed = false;
        for (index, each) in ended {
            match each {
                Ok(value) => found[places[index]].1 = value,
                Err(Failed) => failed = true,
            }
        }
        if failed && let Some(failure) = failure {
            return failure;
        }
    }
    let parts = found
        .into_iter()
        .filter_map(|(item, value)| Some((item.into(), value?)));
    shape.join(M::whole(parts.chain(beside)))
}

/// [`batch`] for a plain function.
pub fn batch_blocking<R, S, M, K, E>(
    shape: S,
    items: Vec<K>,
    look: impl Fn(&K) -> Result<Each<M::Value>, Ticket<Each<M::Value>, E>>,
    mut body: impl FnMut(Vec<K>) -> R,
) -> R
where
    S: Outline<R, Value = M>,
    M: Elements,
    K: Clone + Serialize + Into<M::Key>,
    E: Shape<Each<M::Value>>,
{
    if driver::is_here() {
        // Nobody may wait here.
        return body(items);
    }
    let look = |item: &K| look(item).map_err(Ticket::blocking);
    block_on(batch(shape, items, look, |missing| ready(body(missing))))
}

/// What tells an element from others, whatever their types: two have the same just if they have the same text.
fn name(element: &impl Serialize) -> Option<LocalKey> {
    let mut args = Args::new();
    args.write(&(element,)).ok()?;
    Some(LocalKey::new(0, args.as_bytes()))
}

/// One element's call.
type Loading<V> = Load<Each<V>, Part<V>>;

/// The calls of a batch. Of many, only those are polled that have something to do.
struct Calls<V> {
    pending: Vec<Option<Loading<V>>>,
    ended: Vec<(usize, Each<V>)>,
    storing: Storing,
    board: Arc<Board<V>>,
}

impl<V> Calls<V> {
    fn new(calls: impl Iterator<Item = Loading<V>>, board: &Arc<Board<V>>) -> Self {
        let pending: Vec<_> = calls.map(Some).collect();
        Self {
            ended: Vec::with_capacity(pending.len()),
            storing: Storing::new(pending.len()),
            pending,
            board: Arc::clone(board),
        }
    }

    /// Those whose parts are to be loaded, once nobody searches any more; `None` when all have ended.
    async fn next(&mut self) -> Option<Vec<usize>> {
        poll_fn(|context| {
            self.poll(context);
            if self.ended.len() == self.pending.len() {
                return Poll::Ready(None);
            }
            let mut slots = self.board.lock();
            let searching = self.pending.iter().enumerate().any(|(index, call)| {
                call.is_some()
                    && !self.board.waiting[index].load(Ordering::Relaxed)
                    && matches!(slots[index], Slot::Idle)
            });
            if searching {
                return Poll::Pending;
            }
            let mut asked = Vec::new();
            for (index, slot) in slots.iter_mut().enumerate() {
                if let Slot::Wanted(waker) = slot {
                    let waker = waker.clone();
                    // One that has given up wanting it is not asked for.
                    if self.pending[index].is_some() {
                        *slot = Slot::Asked(waker);
                        asked.push(index);
                    }
                }
            }
            if asked.is_empty() {
                return Poll::Pending;
            }
            Poll::Ready(Some(asked))
        })
        .await
    }

    /// Runs the function, and the calls beside it.
    async fn meanwhile<R>(&mut self, body: impl Future<Output = R>, within: Option<&Within>) -> R {
        let mut body = pin!(body);
        poll_fn(|context| {
            self.poll(context);
            let _within = within.map(Within::enter);
            body.as_mut().poll(context)
        })
        .await
    }

    /// Polls whatever has something to do.
    fn poll(&mut self, context: &Context<'_>) {
        // Only once: one that asks to be polled again at once may have used up what its task may do in
        // one go (tokio's budget), and would ask for ever.
        for index in self.storing.nudged(context) {
            let Some(call) = &mut self.pending[index] else {
                self.storing.poll_one(index);
                continue;
            };
            let mut context = Context::from_waker(&self.storing.nudges[index]);
            // Whatever the function has left of its task's budget: the batch returns once each store has been asked,
            // and who has no budget would not ask.
            let polled = Pin::new(&mut unconstrained(&mut *call)).poll(&mut context);
            let ended = match polled {
                Poll::Ready(ended) => ended,
                Poll::Pending => match call.detach() {
                    Some((ended, storing)) => {
                        self.storing.pending[index] = Some(storing);
                        self.storing.left += 1;
                        ended
                    }
                    None => continue,
                },
            };
            self.pending[index] = None;
            self.ended.push((index, ended));
        }
    }

    /// What came of each, and what is still to be heard of those that are stored.
    fn ended(self) -> (Vec<(usize, Each<V>)>, Storing) {
        (self.ended, self.storing)
    }
}
