//! One thread, one virtual clock, one order of events: tasks that can run are picked by the seed, and
//! time moves to the next timer only when none can.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use cache_core::store::BoxFuture;

use super::random::Random;

/// Who a task or a timer belongs to: a node, or the world itself. What belongs to a node dies with it.
pub(super) type Owner = usize;

/// The owner that never dies.
pub(super) const WORLD: Owner = usize::MAX;

type Run = Box<dyn FnOnce() + Send>;

enum Timer {
    Wake(Waker),
    Run(Run),
    Ready(u64),
}

struct Task {
    owner: Owner,
    /// Taken out while it is polled.
    future: Option<BoxFuture<'static, ()>>,
    /// It was woken while it was polled.
    again: bool,
    waker: Waker,
}

struct State {
    now: Duration,
    random: Random,
    /// In so many of a thousand cases a task that could run is held up for a moment, as a busy
    /// machine does.
    lag: u64,
    tasks: BTreeMap<u64, Task>,
    ready: BTreeSet<u64>,
    timers: BTreeMap<(Duration, u64), Timer>,
    /// The last number given to a task or a timer.
    last: u64,
    dead: BTreeSet<Owner>,
}

/// The executor of one run.
pub(super) struct Executor {
    state: Mutex<State>,
}

impl Executor {
    /// An executor at time zero.
    pub(super) fn new(random: Random, lag: u64) -> Self {
        Self {
            state: Mutex::new(State {
                now: Duration::ZERO,
                random,
                lag,
                tasks: BTreeMap::new(),
                ready: BTreeSet::new(),
                timers: BTreeMap::new(),
                last: 0,
                dead: BTreeSet::new(),
            }),
        }
    }

    /// The virtual time.
    pub(super) fn now(&self) -> Duration {
        self.lock().now
    }

    /// Draws from the run's random numbers.
    pub(super) fn random<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.lock().random)
    }

    /// Starts a task; for an owner that is dead it is dropped at once.
    pub(super) fn spawn(self: &Arc<Self>, owner: Owner, future: BoxFuture<'static, ()>) {
        let mut state = self.lock();
        if state.dead.contains(&owner) {
            drop(state);
            drop(future);
            return;
        }
        state.last += 1;
        let id = state.last;
        let waker = Waker::from(Arc::new(TaskWaker {
            executor: Arc::clone(self),
            id,
        }));
        let task = Task {
            owner,
            future: Some(future),
            again: false,
            waker,
        };
        state.tasks.insert(id, task);
        state.ready.insert(id);
    }

    /// Runs something once so much time has passed.
    pub(super) fn after(&self, delay: Duration, run: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        let at = state.now + delay;
        state.add_timer(at, Timer::Run(Box::new(run)));
    }

    /// Ends once so much time has passed.
    pub(super) fn sleep(self: &Arc<Self>, duration: Duration) -> Sleep {
        Sleep {
            until: self.now() + duration,
            timer: None,
            executor: Arc::clone(self),
        }
    }

    /// Drops every task of an owner, and those it starts from here on.
    pub(super) fn kill(&self, owner: Owner) {
        let killed: Vec<Task> = {
            let mut state = self.lock();
            state.dead.insert(owner);
            state
                .tasks
                .extract_if(.., |_, task| task.owner == owner)
                .map(|(_, task)| task)
                .collect()
        };
        // Their destructors call back.
        drop(killed);
    }

    /// Drops everything there is.
    pub(super) fn clear(&self) {
        let (tasks, timers) = {
            let mut state = self.lock();
            (
                std::mem::take(&mut state.tasks),
                std::mem::take(&mut state.timers),
            )
        };
        drop((tasks, timers));
    }

    /// Does the next thing; `false` when there is nothing to do ever again.
    pub(super) fn step(&self) -> bool {
        let mut state = self.lock();
        if !state.ready.is_empty() {
            let len = state.ready.len();
            let pick = if len == 1 { 0 } else { state.random.index(len) };
            let id = state.ready.iter().nth(pick).copied().unwrap_or_default();
            state.ready.remove(&id);
            let lag = state.lag;
            if lag > 0 && state.random.chance(lag) {
                let at = state.now + state.random.micros(1..3_000);
                state.add_timer(at, Timer::Ready(id));
                return true;
            }
            drop(state);
            self.poll(id);
            return true;
        }
        let Some(((at, _), timer)) = state.timers.pop_first() else {
            return false;
        };
        state.now = at;
        if let Timer::Ready(id) = timer {
            state.make_ready(id);
            return true;
        }
        drop(state);
        match timer {
            Timer::Wake(waker) => waker.wake(),
            Timer::Run(run) => run(),
            Timer::Ready(_) => {}
        }
        true
    }

    /// Runs another task for a moment, in the middle of the one that runs: what a second thread
    /// does.
    #[cfg(feature = "sabotage")]
    pub(super) fn meanwhile(&self) {
        for _ in 0..self.random(|random| random.below(0..40)) {
            {
                let state = self.lock();
                let next = state.timers.keys().next().map(|(at, _)| *at);
                // A thread is held up for a moment, not until the next heartbeat.
                let soon = next.is_some_and(|at| at < state.now + Duration::from_millis(20));
                if state.ready.is_empty() && !soon {
                    return;
                }
            }
            self.step();
        }
    }

    fn poll(&self, id: u64) {
        let (mut future, waker) = {
            let mut state = self.lock();
            let Some(task) = state.tasks.get_mut(&id) else {
                return;
            };
            let Some(future) = task.future.take() else {
                // It is being polled further up the stack.
                task.again = true;
                return;
            };
            (future, task.waker.clone())
        };
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        let gone = {
            let mut state = self.lock();
            match (polled, state.tasks.get_mut(&id)) {
                (Poll::Pending, Some(task)) => {
                    task.future = Some(future);
                    if std::mem::take(&mut task.again) {
                        state.make_ready(id);
                    }
                    return;
                }
                (Poll::Ready(()), Some(_)) => state.tasks.remove(&id),
                // It was killed, in the middle of its own poll.
                (_, None) => None,
            }
        };
        drop((gone, future));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add_timer(&mut self, at: Duration, timer: Timer) -> (Duration, u64) {
        self.last += 1;
        let name = (at, self.last);
        self.timers.insert(name, timer);
        name
    }

    /// The order in which tasks become ready changes nothing: they are kept sorted.
    fn make_ready(&mut self, id: u64) {
        if self.tasks.contains_key(&id) {
            self.ready.insert(id);
        }
    }
}

struct TaskWaker {
    executor: Arc<Executor>,
    id: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.executor.lock().make_ready(self.id);
    }
}

/// Ends at a virtual time.
pub(super) struct Sleep {
    executor: Arc<Executor>,
    until: Duration,
    timer: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.executor.lock();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let timer = Timer::Wake(context.waker().clone());
        let name = match self.timer {
            Some(name) => {
                state.timers.insert(name, timer);
                name
            }
            None => state.add_timer(self.until, timer),
        };
        drop(state);
        self.timer = Some(name);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(name) = self.timer {
            let timer = self.executor.lock().timers.remove(&name);
            drop(timer);
        }
    }
}
