//! What the engine needs of the world: time, random numbers, tasks. All of it injected, so that a
//! simulation can drive the code that production runs.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::deadlines::{self, Deadline};
use crate::driver::{self, BoxFuture};
use crate::local::nanoseconds;

/// Random numbers.
pub trait Entropy: Send + Sync + 'static {
    /// 64 random bits. Stamps and tokens come from here: they must never repeat.
    fn draw(&self) -> u64;
}

/// Runs tasks that outlive the call that started them.
pub trait Spawn: Send + Sync + 'static {
    /// Runs `task` to its end.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// Time, random numbers and tasks, together.
///
/// ```
/// use cache_core::Env;
///
/// let env = Env::system();
/// assert_ne!(env.draw(), env.draw());
/// ```
#[derive(Clone)]
pub struct Env {
    clock: Time,
    entropy: Numbers,
    spawn: Arc<dyn Spawn>,
}

impl Env {
    /// The real one: the machine's clocks, the operating system's random source, and a driver
    /// thread of the cache's own.
    pub fn system() -> Self {
        Self {
            clock: Time::System(SystemClock),
            entropy: Numbers::System(OsEntropy),
            spawn: Arc::new(DriverThread),
        }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Time::Other(Arc::new(clock));
        self
    }

    /// The same with another source of random numbers.
    #[must_use]
    pub fn with_entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Numbers::Other(Arc::new(entropy));
        self
    }

    /// The same with another executor.
    #[must_use]
    pub fn with_spawn(mut self, spawn: impl Spawn) -> Self {
        self.spawn = Arc::new(spawn);
        self
    }

    /// Monotonic time since an origin of the clock's own.
    pub fn now(&self) -> Duration {
        self.clock.get().now()
    }

    /// Monotonic time, cheaper and at most ten milliseconds behind: for comparing expiries.
    pub fn coarse(&self) -> Duration {
        self.clock.get().coarse()
    }

    /// The same in nanoseconds, for every hit: the machine's clock is read without a detour.
    #[inline]
    pub(crate) fn coarse_nanos(&self) -> u64 {
        match &self.clock {
            Time::System(_) => SystemClock::coarse_nanos(),
            Time::Other(clock) => nanoseconds(clock.coarse()),
        }
    }

    /// Wall time since the Unix epoch: only ever shown, never compared.
    pub fn wall(&self) -> Duration {
        self.clock.get().wall()
    }

    /// Ends after `duration`.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.get().sleep(duration)
    }

    /// Ends once `duration` has passed, or a little later, and costs less: for a bound on something
    /// that hardly ever takes so long.
    pub fn timeout(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.get().timeout(duration)
    }

    /// The same, without an allocation where the clock is the machine's.
    pub(crate) fn bound(&self, duration: Duration) -> Bound {
        match &self.clock {
            Time::System(_) if duration <= deadlines::LONGEST => {
                Bound::Shared(Deadline::new(duration))
            }
            _ => Bound::Own(self.timeout(duration)),
        }
    }

    /// 64 random bits.
    pub fn draw(&self) -> u64 {
        self.entropy.get().draw()
    }

    /// 128 random bits.
    pub fn draw_wide(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        if self.entropy.fill(&mut bytes) {
            return bytes;
        }
        bytes[..8].copy_from_slice(&self.draw().to_le_bytes());
        bytes[8..].copy_from_slice(&self.draw().to_le_bytes());
        bytes
    }

    /// Runs `task` to its end, whatever becomes of the caller.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn.spawn(Box::pin(task));
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").finish_non_exhaustive()
    }
}

/// Where time comes from. The machine's clocks by name, since every hit reads one.
#[derive(Clone)]
enum Time {
    System(SystemClock),
    Other(Arc<dyn Clock>),
}

impl Time {
    fn get(&self) -> &dyn Clock {
        match self {
            Self::System(clock) => clock,
            Self::Other(clock) => &**clock,
        }
    }
}

/// Where random numbers come from. The operating system's by name, so that a token is one question.
#[derive(Clone)]
enum Numbers {
    System(OsEntropy),
    Other(Arc<dyn Entropy>),
}

impl Numbers {
    fn get(&self) -> &dyn Entropy {
        match self {
            Self::System(os) => os,
            Self::Other(entropy) => &**entropy,
        }
    }

    /// Fills these bytes at once, if it can.
    fn fill(&self, bytes: &mut [u8]) -> bool {
        matches!(self, Self::System(_)) && getrandom::fill(bytes).is_ok()
    }
}

/// The end of a span of time.
pub(crate) enum Bound {
    /// With a timer that others share.
    Shared(Deadline),
    Own(BoxFuture<'static, ()>),
}

impl Future for Bound {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut *self {
            Self::Shared(deadline) => Pin::new(deadline).poll(context),
            Self::Own(timeout) => timeout.as_mut().poll(context),
        }
    }
}

#[derive(Clone)]
struct OsEntropy;

impl Entropy for OsEntropy {
    fn draw(&self) -> u64 {
        // The operating system's source does not fail after start-up on the platforms Rust's
        // standard library runs on; should it, hash keys seeded from it are the next best thing.
        getrandom::u64().unwrap_or_else(|_| {
            use std::hash::{BuildHasher, RandomState};
            RandomState::new().hash_one(std::time::Instant::now())
        })
    }
}

struct DriverThread;

impl Spawn for DriverThread {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        driver::handle().spawn(task);
    }
}
