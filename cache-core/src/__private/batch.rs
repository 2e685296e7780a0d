//! Batches (`each = ids`): a call for each element, all at once, and one run of the function for those
//! that are missing.
//!
//! Each element is a call like any other, with its own flight, lease and fill; what it loads is its part
//! of what the function returns. The function runs once nobody is searching any more: every element is
//! there, is to be loaded, or waits for somebody else's load. For those nobody waits before: two batches
//! with the same elements in opposite order would wait for each other.

use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use serde::Serialize;

use super::Ticket;
use crate::driver::{self, block_on};
use crate::engine::Within;
use crate::key::args_text;
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
    let mut names = HashSet::with_capacity(items.len());
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
        let keys: Vec<_> = missing.iter().map(|(_, ticket)| ticket.within()).collect();
        let calls = missing.into_iter().enumerate().map(|(index, (_, ticket))| {
            let part = Part {
                board: Arc::clone(&board),
                index,
            };
            ticket.watched(&board.waiting[index]).run(part)
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
                    let wanted: HashMap<String, usize> = asked
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
        let mut failed = false;
        for (index, each) in calls.ended() {
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

/// What tells an element from others.
fn name(element: &impl Serialize) -> Option<String> {
    let text = args_text(&(element,)).ok()?;
    Some(text.as_str().to_owned())
}

/// What the elements' calls want, and what they are given.
struct Board<V> {
    slots: Mutex<Vec<Slot<V>>>,
    /// Up while a call waits for somebody else.
    waiting: Vec<Arc<AtomicBool>>,
}

/// What one call is about.
enum Slot<V> {
    /// It is searching, or has ended.
    Idle,
    /// It wants its part loaded.
    Wanted(Waker),
    /// The function runs for it.
    Asked(Waker),
    /// Its part is here.
    Given(Each<V>),
}

impl<V> Board<V> {
    fn new(calls: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: Mutex::new((0..calls).map(|_| Slot::Idle).collect()),
            waiting: (0..calls).map(|_| Arc::default()).collect(),
        })
    }

    /// Gives a call its part, unless it has one.
    fn give(&self, index: usize, part: Each<V>) {
        let mut slots = self.lock();
        if let Slot::Given(_) = slots[index] {
            return;
        }
        let slot = std::mem::replace(&mut slots[index], Slot::Given(part));
        drop(slots);
        if let Slot::Asked(waker) | Slot::Wanted(waker) = slot {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot<V>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One element's part of what the function returns.
struct Part<V> {
    board: Arc<Board<V>>,
    index: usize,
}

impl<V> Future for Part<V> {
    type Output = Each<V>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Each<V>> {
        let mut slots = self.board.lock();
        let slot = &mut slots[self.index];
        match std::mem::replace(slot, Slot::Idle) {
            Slot::Given(part) => return Poll::Ready(part),
            Slot::Idle | Slot::Wanted(_) => *slot = Slot::Wanted(context.waker().clone()),
            Slot::Asked(_) => *slot = Slot::Asked(context.waker().clone()),
        }
        Poll::Pending
    }
}

/// The calls of a batch. Of many, only those are polled that have something to do.
struct Calls<F: Future, V> {
    pending: Vec<Option<Pin<Box<F>>>>,
    ended: Vec<(usize, F::Output)>,
    nudges: Vec<Waker>,
    ready: Arc<Ready>,
    board: Arc<Board<V>>,
}

impl<F: Future, V> Calls<F, V> {
    fn new(calls: impl Iterator<Item = F>, board: &Arc<Board<V>>) -> Self {
        let calls: Vec<_> = calls.map(|call| Some(Box::pin(call))).collect();
        let ready = Arc::new(Ready {
            indices: Mutex::new((0..calls.len()).collect()),
            waker: Mutex::new(Waker::noop().clone()),
        });
        let nudge = |index| {
            Waker::from(Arc::new(Nudge {
                index,
                ready: Arc::clone(&ready),
            }))
        };
        Self {
            nudges: (0..calls.len()).map(nudge).collect(),
            ended: Vec::with_capacity(calls.len()),
            pending: calls,
            ready: Arc::clone(&ready),
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
        self.ready.lock_waker().clone_from(context.waker());
        // Only once: one that asks to be polled again at once may have used up what its task may do in
        // one go (tokio's budget), and would ask for ever.
        let indices = std::mem::take(&mut *self.ready.lock());
        for index in indices {
            let Some(call) = &mut self.pending[index] else {
                continue;
            };
            let mut context = Context::from_waker(&self.nudges[index]);
            if let Poll::Ready(ended) = call.as_mut().poll(&mut context) {
                self.pending[index] = None;
                self.ended.push((index, ended));
            }
        }
    }

    /// What came of each.
    fn ended(self) -> Vec<(usize, F::Output)> {
        self.ended
    }
}

/// Which calls have something to do.
struct Ready {
    indices: Mutex<Vec<usize>>,
    waker: Mutex<Waker>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.indices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_waker(&self) -> MutexGuard<'_, Waker> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the batch for one of its calls.
struct Nudge {
    index: usize,
    ready: Arc<Ready>,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        let mut indices = self.ready.lock();
        indices.push(self.index);
        // Whoever was the first has woken the batch, which takes all of them when it comes.
        if indices.len() > 1 {
            return;
        }
        drop(indices);
        let waker = self.ready.lock_waker().clone();
        waker.wake();
    }
}
