//! Time, injected: the machine's clocks, and one that tests move by hand.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use crate::deadlines;
use crate::driver;
use crate::driver::BoxFuture;

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic time since an origin of the clock's own.
    fn now(&self) -> Duration;

    /// Monotonic time, cheaper and possibly behind, by at most ten milliseconds, which is the
    /// longest tick of a kernel's coarse clock. Default: [`now`](Clock::now).
    fn coarse(&self) -> Duration {
        self.now()
    }

    /// Wall time since the Unix epoch.
    fn wall(&self) -> Duration;

    /// Ends once `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Ends once `duration` has passed, or at most twenty milliseconds later: for a bound on something
    /// that hardly ever takes so long. Default: [`sleep`](Clock::sleep).
    fn timeout(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep(duration)
    }
}

/// The machine's clocks. Its timers run on the cache's driver thread, so they can be awaited from
/// any executor, or from none.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The kernel's clocks, both since one moment: what the coarse one shows, the exact one has shown a few
/// milliseconds before. It is read in a few nanoseconds, where the other takes about thirty.
#[cfg(target_os = "linux")]
mod kernel {
    use std::time::Duration;

    use rustix::time::{ClockId, Timespec, clock_gettime};

    pub(super) fn now() -> Duration {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(tv_nsec).unwrap_or_default())
    }

    /// In nanoseconds: every hit asks for them, so nothing is computed here that need not be.
    #[inline]
    pub(super) fn coarse_nanos() -> u64 {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::MonotonicCoarse);
        // Neither is ever negative on this clock.
        tv_sec
            .cast_unsigned()
            .wrapping_mul(1_000_000_000)
            .wrapping_add(tv_nsec.cast_unsigned())
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::sync::LazyLock;
    use std::time::{Duration, Instant};

    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn now() -> Duration {
        ORIGIN.elapsed()
    }

    pub(super) fn coarse_nanos() -> u64 {
        u64::try_from(now().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl SystemClock {
    /// The time of [`coarse`](Clock::coarse), in nanoseconds.
    #[inline]
    pub(crate) fn coarse_nanos() -> u64 {
        kernel::coarse_nanos()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        kernel::now()
    }

    fn coarse(&self) -> Duration {
        Duration::from_nanos(kernel::coarse_nanos())
    }

    fn wall(&self) -> Duration {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // A tokio timer belongs to the runtime in whose context it was made, wherever it is polled.
        let _context = driver::handle().enter();
        Box::pin(tokio::time::sleep(duration))
    }

    fn timeout(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration > deadlines::LONGEST {
            return self.sleep(duration);
        }
        Box::pin(deadlines::Deadline::new(duration))
    }
}

/// A clock that stands still until it is moved.
///
/// ```
/// use std::time::Duration;
/// use cache_core::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.now(), Duration::from_secs(90));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    state: Arc<Mutex<Manual>>,
}

#[derive(Debug, Default)]
struct Manual {
    now: Duration,
    /// By a number each, so that a sleep that is given up takes itself out.
    sleepers: BTreeMap<u64, (Duration, Waker)>,
    slept: u64,
    /// Who waits for others to sleep.
    watchers: Vec<Waker>,
}

impl ManualClock {
    /// A clock that stands at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward and wakes who slept until then.
    pub fn advance(&self, by: Duration) {
        let woken: Vec<Waker> = {
            let mut state = self.lock();
            state.now += by;
            let now = state.now;
            state
                .sleepers
                .extract_if(.., |_, (until, _)| *until <= now)
                .map(|(_, (_, waker))| waker)
                .collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// How many sleeps are under way: what a test waits for before it advances the clock.
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    /// Ends once so many sleeps are under way at one time.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use std::time::Duration;
    /// use cache_core::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let moved = async {
    ///     clock.sleeping(1).await;
    ///     clock.advance(Duration::from_secs(1));
    /// };
    /// tokio::join!(clock.sleep(Duration::from_secs(1)), moved);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn sleeping(&self, count: usize) {
        std::future::poll_fn(|context| {
            let mut state = self.lock();
            if state.sleepers.len() >= count {
                return Poll::Ready(());
            }
            state.watchers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, Manual> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.lock().now
    }

    fn wall(&self) -> Duration {
        // A fixed day, so that what is shown is the same in every run.
        Duration::from_secs(1_700_000_000) + self.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.lock();
        state.slept += 1;
        Box::pin(ManualSleep {
            number: state.slept,
            until: state.now + duration,
            clock: self.clone(),
        })
    }
}

struct ManualSleep {
    clock: ManualClock,
    number: u64,
    until: Duration,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let sleeper = (self.until, context.waker().clone());
        let watchers = match state.sleepers.insert(self.number, sleeper) {
            Some(_) => Vec::new(),
            None => std::mem::take(&mut state.watchers),
        };
        drop(state);
        watchers.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_never_ahead_and_at_most_a_few_ticks_behind() {
        let clock = SystemClock;
        clock.coarse();
        for _ in 0..100 {
            let before = clock.now();
            let coarse = clock.coarse();
            let after = clock.now();
            assert!(coarse <= after, "{coarse:?} is ahead of {after:?}");
            // A tick is ten milliseconds at the most (a kernel of 100 Hz).
            let oldest = before.saturating_sub(Duration::from_millis(20));
            assert!(coarse >= oldest, "{coarse:?} is far behind {before:?}");
        }
    }

    #[test]
    fn a_manual_clock_wakes_who_slept_long_enough_and_forgets_who_gave_up() {
        let clock = ManualClock::new();
        let context = &mut Context::from_waker(Waker::noop());
        let mut short = clock.sleep(Duration::from_secs(1));
        let mut long = clock.sleep(Duration::from_secs(9));
        assert!(short.as_mut().poll(context).is_pending());
        assert!(long.as_mut().poll(context).is_pending());
        assert_eq!(clock.sleepers(), 2);
        clock.advance(Duration::from_secs(1));
        assert!(short.as_mut().poll(context).is_ready());
        assert!(long.as_mut().poll(context).is_pending());
        drop(long);
        assert_eq!(clock.sleepers(), 0);
    }
}
