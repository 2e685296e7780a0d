//! Contestants that take turns, so that whatever else the machine does meets them all alike.

use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};

use crate::{Result, loads};

/// How many calls are made between two looks at the clock.
pub const BATCH: u64 = 1_000;
/// How many keys the calls go round.
pub const KEYS: u64 = 1_000;

/// What a contestant is asked to do.
#[derive(Clone, Copy)]
pub enum Asked {
    /// [`BATCH`] calls that go round all keys, from this one.
    Batch(u64),
    /// As many calls for one key.
    Hot,
    /// One call for each key; the sum of what they returned is the answer.
    Sum,
}

impl Asked {
    fn keys(self) -> (u64, u64, u64) {
        match self {
            Self::Batch(first) => (first, 7, BATCH),
            Self::Hot => (7, 0, BATCH),
            Self::Sum => (0, 1, KEYS),
        }
    }

    /// The keys that are called for.
    pub fn calls(self) -> impl Iterator<Item = u64> {
        let (first, step, count) = self.keys();
        (0..count).map(move |at| black_box((first + at * step) % KEYS))
    }
}

/// A value whose worth can be summed up, to see that it is the right one.
pub trait Worth {
    /// A number that tells it from others.
    fn worth(&self) -> u64;
}

impl Worth for u64 {
    fn worth(&self) -> u64 {
        *self
    }
}

impl Worth for String {
    fn worth(&self) -> u64 {
        self.bytes().map(u64::from).sum()
    }
}

impl<T: Worth> Worth for Arc<T> {
    fn worth(&self) -> u64 {
        (**self).worth()
    }
}

type Run = Box<dyn Fn(Asked) -> u64 + Send + Sync>;

/// Somebody whose calls are timed.
pub struct Contestant {
    pub name: &'static str,
    run: Run,
}

impl Contestant {
    /// One whose call is a plain function.
    pub fn plain<R: Worth>(
        name: &'static str,
        call: impl Fn(u64) -> R + Send + Sync + 'static,
    ) -> Self {
        let run = Box::new(move |asked: Asked| {
            if let Asked::Sum = asked {
                return asked.calls().map(|key| call(key).worth()).sum();
            }
            for key in asked.calls() {
                black_box(call(key));
            }
            0
        });
        Self { name, run }
    }

    /// One whose call is awaited, on a runtime of one thread.
    pub fn awaited<R: Worth>(
        name: &'static str,
        call: impl AsyncFn(u64) -> R + Send + Sync + 'static,
    ) -> Self {
        let run = Box::new(move |asked: Asked| {
            RUNTIME.block_on(async {
                let mut sum = 0;
                for key in asked.calls() {
                    let value = black_box(call(key).await);
                    if let Asked::Sum = asked {
                        sum += value.worth();
                    }
                }
                sum
            })
        });
        Self { name, run }
    }

    /// Does what it is asked to.
    pub fn run(&self, asked: Asked) -> u64 {
        (self.run)(asked)
    }

    /// Loads every key, and sees that from then on all of them are hits with the right values.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub fn warm(&self, expected: u64) -> Result<()> {
        self.run(Asked::Sum);
        let before = loads();
        let sum = self.run(Asked::Sum);
        let more = loads() - before;
        if sum == expected && more == 0 {
            return Ok(());
        }
        Err(format!(
            "{}: a sum of {sum} with {more} loads, where it is {expected} without any",
            self.name
        )
        .into())
    }
}

/// What awaited calls run on.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a process can have a runtime")
});

/// What came out for one contestant.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The middle one of the rounds.
    pub median: f64,
    /// The best one: the least time, or the most calls.
    pub best: f64,
}

impl Figure {
    /// Of times: the least is the best.
    pub fn of_times(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self {
            median: rounds[rounds.len() / 2],
            best: rounds[0],
        }
    }

    /// Of rates: the most is the best.
    pub fn of_rates(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(|one, other| other.total_cmp(one));
        Self {
            median: rounds[rounds.len() / 2],
            best: rounds[0],
        }
    }

    /// Something that was counted, not timed.
    pub fn counted(count: f64) -> Self {
        Self {
            median: count,
            best: count,
        }
    }
}

/// Lets all contestants have their turn, so many times: nanoseconds a call, of this thread's own time,
/// so that it does not count where the machine lets another program run.
///
/// # Errors
///
/// When one of them loaded meanwhile.
#[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
pub fn alternate(contestants: &[Contestant], turns: u64, turn: Duration) -> Result<Vec<Figure>> {
    let mut times = vec![Vec::new(); contestants.len()];
    let before = loads();
    for at in 0..turns {
        for (contestant, times) in contestants.iter().zip(&mut times) {
            let (began, worked, mut calls) = (Instant::now(), this_thread(), 0);
            while began.elapsed() < turn {
                contestant.run(Asked::Batch(at));
                calls += BATCH;
            }
            let worked = this_thread().saturating_sub(worked);
            times.push(worked.as_nanos() as f64 / calls as f64);
        }
    }
    match loads() - before {
        0 => Ok(times.into_iter().map(Figure::of_times).collect()),
        more => Err(format!("{more} loads where there were to be hits only").into()),
    }
}

/// How long this thread has had a processor.
fn this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().expect("no thread's time is negative")
}
