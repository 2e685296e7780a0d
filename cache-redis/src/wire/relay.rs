//! Wakes the tasks of a runtime from within it. To wake a task of another thread's runtime costs a lock that all
//! its threads use, and, where that runtime has one thread only, a system call each time; so one task of it is
//! woken, which wakes the others.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::pin::Pin;
use std::ptr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, RawWakerVTable, Waker};

use tokio::runtime::{Handle, Id};

/// Each runtime's, while its task is there.
static RELAYS: LazyLock<Mutex<HashMap<Id, Weak<Relay>>>> = LazyLock::new(Mutex::default);

thread_local! {
    /// The last one that was asked for on this thread.
    static LAST: RefCell<Option<(Id, Arc<Relay>)>> = const { RefCell::new(None) };
}

/// A runtime's.
#[derive(Default)]
pub(super) struct Relay {
    /// What makes a waker that of a task; unknown before the relay's own task has run.
    task: OnceLock<&'static RawWakerVTable>,
    left: Mutex<Left>,
}

/// Who is to be woken.
#[derive(Default)]
struct Left {
    wakers: Vec<Waker>,
    /// The relay's task.
    own: Option<Waker>,
    /// Nobody wakes anybody here any more.
    gone: bool,
}

impl Relay {
    /// The relay of the runtime that runs the task which this wakes, on this thread.
    ///
    /// Only for tasks of tokio: whoever waits otherwise on a thread of a runtime, as a plain function does, may hold
    /// up the very thread on which the relay would run. Where tasks can't run, the relay's can't either, and
    /// nobody has lost anything.
    pub(super) fn of(waker: &Waker) -> Option<Arc<Self>> {
        let runtime = Handle::try_current().ok()?;
        let of_last = |last: &RefCell<Option<(Id, Arc<Self>)>>| {
            let mut last = last.try_borrow_mut().ok()?;
            if last.as_ref().is_none_or(|(id, _)| *id != runtime.id()) {
                *last = Some((runtime.id(), Self::at(&runtime)));
            }
            let (_, relay) = last.as_ref()?;
            let is_task = |task: &&RawWakerVTable| ptr::eq(*task, waker.vtable());
            relay
                .task
                .get()
                .is_some_and(is_task)
                .then(|| Arc::clone(relay))
        };
        LAST.try_with(of_last).ok().flatten()
    }

    fn at(runtime: &Handle) -> Arc<Self> {
        let mut relays = RELAYS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(relay) = relays.get(&runtime.id()).and_then(Weak::upgrade) {
            return relay;
        }
        relays.retain(|_, relay| relay.strong_count() > 0);
        let relay = Arc::new(Self::default());
        relays.insert(runtime.id(), Arc::downgrade(&relay));
        drop(relays);
        // Dropped at once where the runtime is shutting down.
        runtime.spawn(Rounds(Arc::clone(&relay)));
        relay
    }

    /// Leaves it a task to be woken, when it is rung for.
    pub(super) fn leave(&self, waker: Waker) {
        self.lock().wakers.push(waker);
    }

    /// Sees that all who were left are woken.
    pub(super) fn ring(&self) {
        let mut left = self.lock();
        if !left.gone && left.wakers.len() > 1 {
            let own = left.own.clone();
            drop(left);
            // Without one, its task has yet to run for the first time.
            own.iter().for_each(Waker::wake_by_ref);
            return;
        }
        // One needs no detour.
        let wakers = mem::take(&mut left.wakers);
        drop(left);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The relay's task, for as long as there is its runtime.
struct Rounds(Arc<Relay>);

impl Future for Rounds {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let relay = &self.0;
        relay.task.get_or_init(|| context.waker().vtable());
        let mut left = relay.lock();
        let own = left.own.get_or_insert_with(|| context.waker().clone());
        own.clone_from(context.waker());
        let mut wakers = mem::take(&mut left.wakers);
        drop(left);
        wakers.drain(..).for_each(Waker::wake);
        // Its room is kept, unless somebody else was left meanwhile.
        let mut left = relay.lock();
        if left.wakers.is_empty() {
            left.wakers = wakers;
        }
        Poll::Pending
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        let mut left = self.0.lock();
        left.gone = true;
        let own = left.own.take();
        let wakers = mem::take(&mut left.wakers);
        drop(left);
        drop(own);
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;
    use std::thread::{self, Thread};
    use std::time::{Duration, Instant};

    use redis::Value;
    use tokio::runtime::{Builder, Runtime};

    use super::super::answer::{Tell, Told, Waiter, wake, way};
    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    fn ways(count: usize) -> (Vec<Tell>, Vec<Told>) {
        (0..count).map(|_| way()).unzip()
    }

    /// Answers all of them, as a reader that finds the answers in what it has read at one time.
    fn answer(tells: Vec<Tell>) {
        let answers = tells.into_iter();
        let mut waiters: Vec<Waiter> = answers
            .filter_map(|tell| tell.tell(Ok(vec![Value::Okay])))
            .collect();
        wake(&mut waiters);
    }

    /// Has a runtime's relay be there.
    async fn there() -> Arc<Relay> {
        let at = || Some(Relay::at(&Handle::current()));
        let relay = tokio::spawn(async move {
            let relay = at();
            tokio::task::yield_now().await;
            relay
        });
        relay.await.unwrap().unwrap()
    }

    #[test]
    fn the_tasks_of_a_runtime_are_woken_by_one_of_it() {
        let runtime = runtime();
        let (tells, tolds) = ways(50);
        let (relay, waiting) = runtime.block_on(async {
            let relay = there().await;
            let waiting: Vec<_> = tolds.into_iter().map(tokio::spawn).collect();
            tokio::task::yield_now().await;
            (relay, waiting)
        });
        answer(tells);
        assert_eq!(relay.lock().wakers.len(), 50);
        runtime.block_on(async {
            for told in waiting {
                assert_eq!(told.await.unwrap().unwrap(), [Value::Okay]);
            }
        });
        assert!(relay.lock().wakers.is_empty());
    }

    #[test]
    fn one_alone_is_woken_without_a_detour() {
        let runtime = runtime();
        let (tells, mut tolds) = ways(1);
        runtime.block_on(async {
            let relay = there().await;
            let waiting = tokio::spawn(tolds.remove(0));
            tokio::task::yield_now().await;
            answer(tells);
            assert!(relay.lock().wakers.is_empty());
            waiting.await.unwrap().unwrap();
        });
    }

    struct Unpark(Thread, AtomicBool);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.1.store(true, Ordering::Release);
            self.0.unpark();
        }
    }

    /// A plain function on a runtime's only thread holds up the relay: it must not rely on it.
    #[test]
    fn who_holds_up_a_runtime_does_not_rely_on_its_relay() {
        let (tells, mut tolds) = ways(3);
        let answering = runtime().block_on(async move {
            there().await;
            for told in tolds.drain(1..) {
                tokio::spawn(told);
            }
            tokio::task::yield_now().await;
            let woken = Arc::new(Unpark(thread::current(), AtomicBool::new(false)));
            let waker = Waker::from(woken.clone());
            let mut told = pin!(tolds.remove(0));
            let mut context = Context::from_waker(&waker);
            assert!(told.as_mut().poll(&mut context).is_pending());
            let answering = thread::spawn(|| answer(tells));
            let began = Instant::now();
            while !woken.1.load(Ordering::Acquire) {
                assert!(began.elapsed() < Duration::from_secs(20), "nobody wakes it");
                thread::park_timeout(Duration::from_secs(20));
            }
            assert!(told.as_mut().poll(&mut context).is_ready());
            answering
        });
        answering.join().unwrap();
    }

    #[test]
    fn a_runtime_that_ends_leaves_nobody_asleep() {
        let runtime = runtime();
        let relay = runtime.block_on(there());
        let woken = || Arc::new(Unpark(thread::current(), AtomicBool::new(false)));
        let (early, late) = ([woken(), woken()], [woken(), woken()]);
        for woken in &early {
            relay.leave(woken.clone().into());
        }
        drop(runtime);
        for woken in &late {
            relay.leave(woken.clone().into());
        }
        relay.ring();
        assert!(
            early
                .iter()
                .chain(&late)
                .all(|woken| woken.1.load(Ordering::Acquire))
        );
    }
}
