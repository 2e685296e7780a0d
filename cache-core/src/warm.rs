//! Warming up: many calls of one cached function, a few at a time, before anybody waits for them.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Calls to be made, by the companion `warm` of a cached function.
///
/// Await it, or [`run`](Self::run) it where the function is a plain one. Calls whose values are cached
/// already load nothing.
///
/// ```
/// use cache_core::cached;
///
/// #[cached(kind = "user_name", ttl = "30m")]
/// async fn user_name(id: u64) -> Result<String, std::io::Error> {
///     Ok(format!("user {id}"))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let warmed = user_name::warm(1..=100)
///     .concurrency(4)
///     .on_progress(|so_far| println!("{} of {:?}", so_far.done(), so_far.expected))
///     .await;
/// assert_eq!((warmed.loaded, warmed.failed), (100, 0));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "nothing is loaded until this is awaited, or run"]
pub struct Warm<I> {
    calls: I,
    concurrency: usize,
    progress: Option<Box<dyn FnMut(Warmed) + Send>>,
}

/// How warming up went, or how far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmed {
    /// Calls that returned anything but an `Err`.
    pub loaded: u64,
    /// Calls that returned an `Err`.
    pub failed: u64,
    /// How many there are in all, where the iterator says so.
    pub expected: Option<u64>,
}

impl Warmed {
    /// Calls that have returned.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.loaded + self.failed
    }

    fn count(&mut self, succeeded: bool) {
        if succeeded {
            self.loaded += 1;
        } else {
            self.failed += 1;
        }
    }
}

impl<I: Iterator> Warm<I> {
    pub(crate) fn new(calls: I) -> Self {
        Self {
            calls,
            concurrency: 8,
            progress: None,
        }
    }

    /// How many calls run at a time; zero stands for one. Default: 8. Plain functions run one after
    /// the other.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls.max(1);
        self
    }

    /// Is told after each call how far it is. Default: nobody is.
    pub fn on_progress(mut self, progress: impl FnMut(Warmed) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    fn begin(&self) -> Warmed {
        let (least, most) = self.calls.size_hint();
        Warmed {
            expected: most
                .filter(|most| *most == least)
                .and_then(|most| u64::try_from(most).ok()),
            ..Warmed::default()
        }
    }
}

impl<I: Iterator<Item = bool>> Warm<I> {
    /// Makes the calls of a plain function, one after the other.
    pub fn run(mut self) -> Warmed {
        let mut so_far = self.begin();
        for succeeded in self.calls {
            so_far.count(succeeded);
            if let Some(progress) = &mut self.progress {
                progress(so_far);
            }
        }
        so_far
    }
}

impl<I: Iterator<Item: Future<Output = bool>>> IntoFuture for Warm<I> {
    type Output = Warmed;
    type IntoFuture = Warming<I>;

    fn into_future(self) -> Warming<I> {
        Warming {
            so_far: self.begin(),
            bell: Arc::default(),
            more: true,
            places: Vec::new(),
            free: Vec::new(),
            warm: self,
        }
    }
}

impl<I> fmt::Debug for Warm<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm")
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// A [`Warm`] that is awaited: some of its calls are under way, in places of their own.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Warming<I: Iterator> {
    warm: Warm<I>,
    places: Vec<Place<I::Item>>,
    /// The places without a call.
    free: Vec<usize>,
    /// Whether the iterator has more.
    more: bool,
    bell: Arc<Bell>,
    so_far: Warmed,
}

struct Place<F> {
    call: Option<Pin<Box<F>>>,
    waker: Waker,
}

/// How many calls one poll lets go on, before others on the same executor have their turn.
const TURN: usize = 128;

// The calls are pinned in boxes; nothing else is ever pinned.
impl<I: Iterator> Unpin for Warming<I> {}

impl<I: Iterator<Item: Future<Output = bool>>> Future for Warming<I> {
    type Output = Warmed;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Warmed> {
        let this = self.get_mut();
        this.bell.listen(cx.waker());
        for _ in 0..TURN {
            this.fill();
            let Some(index) = this.bell.rung() else {
                let idle = this.free.len() == this.places.len();
                return if idle {
                    Poll::Ready(this.so_far)
                } else {
                    Poll::Pending
                };
            };
            this.go_on(index);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<I: Iterator<Item: Future<Output = bool>>> Warming<I> {
    /// Begins calls as long as there are more, and places for them.
    fn fill(&mut self) {
        while self.more && (self.places.len() < self.warm.concurrency || !self.free.is_empty()) {
            let Some(call) = self.warm.calls.next() else {
                self.more = false;
                return;
            };
            let call = Some(Box::pin(call));
            let index = if let Some(index) = self.free.pop() {
                self.places[index].call = call;
                index
            } else {
                let index = self.places.len();
                let bell = Arc::clone(&self.bell);
                let waker = Waker::from(Arc::new(Ringer { bell, index }));
                self.places.push(Place { call, waker });
                index
            };
            self.bell.ring(index);
        }
    }

    /// Polls the call in a place.
    fn go_on(&mut self, index: usize) {
        let Place { call, waker } = &mut self.places[index];
        // Empty where the bell was rung for the call before, by somebody who was late.
        let Some(running) = call else { return };
        let mut cx = Context::from_waker(waker);
        if let Poll::Ready(succeeded) = running.as_mut().poll(&mut cx) {
            *call = None;
            self.free.push(index);
            self.so_far.count(succeeded);
            if let Some(progress) = &mut self.warm.progress {
                progress(self.so_far);
            }
        }
    }
}

impl<I: Iterator> fmt::Debug for Warming<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warming")
            .field("so_far", &self.so_far)
            .finish_non_exhaustive()
    }
}

/// Which calls can go on, and who has to hear of it.
#[derive(Default)]
struct Bell(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    places: VecDeque<usize>,
    listener: Option<Waker>,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, listener: &Waker) {
        let mut rung = self.lock();
        match &mut rung.listener {
            Some(known) => known.clone_from(listener),
            None => rung.listener = Some(listener.clone()),
        }
    }

    /// The next place whose call can go on.
    fn rung(&self) -> Option<usize> {
        self.lock().places.pop_front()
    }

    fn ring(&self, index: usize) -> Option<Waker> {
        let mut rung = self.lock();
        // Once is enough, so there are never more than there are places.
        if !rung.places.contains(&index) {
            rung.places.push_back(index);
        }
        rung.listener.clone()
    }
}

struct Ringer {
    bell: Arc<Bell>,
    index: usize,
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Not under the lock: a waker may run whatever it likes.
        if let Some(listener) = self.bell.ring(self.index) {
            listener.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::{poll_fn, ready};

    use super::*;

    /// Runs a future that needs nobody but itself.
    fn finish<F: Future>(future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..100_000 {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
        }
        panic!("it never ends");
    }

    /// A call that is there at the second poll, and wakes as it should.
    async fn once_more(running: &Cell<usize>, most: &Cell<usize>, succeed: bool) -> bool {
        running.set(running.get() + 1);
        most.set(most.get().max(running.get()));
        let mut polled = false;
        poll_fn(|cx| {
            if polled {
                return Poll::Ready(());
            }
            polled = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        running.set(running.get() - 1);
        succeed
    }

    #[test]
    fn no_more_run_at_a_time_than_were_asked_for() {
        for concurrency in [0, 1, 3, 500] {
            let (running, most) = (Cell::new(0), Cell::new(0));
            let calls = (0..300).map(|n| once_more(&running, &most, n % 3 != 0));
            let warmed = finish(Warm::new(calls).concurrency(concurrency).into_future());
            assert_eq!((warmed.loaded, warmed.failed), (200, 100));
            assert_eq!(warmed.expected, Some(300));
            assert_eq!(most.get(), concurrency.clamp(1, 300));
        }
    }

    #[test]
    fn each_call_is_told_of() {
        let told: Arc<Mutex<Vec<Warmed>>> = Arc::default();
        let into = Arc::clone(&told);
        let calls = [true, false, true].into_iter().filter(|_| true).map(ready);
        let warm = Warm::new(calls).on_progress(move |so_far| {
            into.lock().expect("no panic").push(so_far);
        });
        let warmed = finish(warm.into_future());
        let told = told.lock().expect("no panic");
        assert_eq!(told.iter().map(Warmed::done).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(told.last(), Some(&warmed));
        assert_eq!(warmed.expected, None);
        assert_eq!(
            finish(Warm::new([].iter().map(|()| ready(true))).into_future()).done(),
            0
        );
    }

    #[test]
    fn only_calls_that_were_woken_are_polled() {
        let polls = RefCell::new(vec![0; 4]);
        let wakers = RefCell::new(vec![None; 4]);
        let calls = (0..4_usize).map(|n| {
            let (polls, wakers) = (&polls, &wakers);
            poll_fn(move |cx| {
                polls.borrow_mut()[n] += 1;
                wakers.borrow_mut()[n] = Some(cx.waker().clone());
                if polls.borrow()[n] == 2 {
                    Poll::Ready(true)
                } else {
                    Poll::Pending
                }
            })
        });
        let mut warming = Warm::new(calls).into_future();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut warming).poll(&mut cx).is_pending());
        assert!(Pin::new(&mut warming).poll(&mut cx).is_pending());
        assert_eq!(*polls.borrow(), [1, 1, 1, 1]);
        let wake = |n: usize| wakers.borrow()[n].clone().expect("a waker").wake();
        wake(2);
        wake(2);
        assert!(Pin::new(&mut warming).poll(&mut cx).is_pending());
        assert_eq!(*polls.borrow(), [1, 1, 2, 1]);
        for n in [0, 1, 3] {
            wake(n);
        }
        assert!(Pin::new(&mut warming).poll(&mut cx).is_ready());
    }

    #[test]
    fn many_calls_that_are_there_at_once_let_others_have_a_turn() {
        let mut warming = Warm::new((0..1000).map(|_| ready(true))).into_future();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut warming).poll(&mut cx).is_pending());
        assert_eq!(finish(warming).loaded, 1000);
    }

    #[test]
    fn plain_calls_run_one_after_the_other() {
        let warmed = Warm::new([true, false].into_iter()).run();
        assert_eq!((warmed.loaded, warmed.failed), (1, 1));
    }
}
