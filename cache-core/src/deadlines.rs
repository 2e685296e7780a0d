//! Deadlines that hardly ever come: those of calls to the store. Each would else be a timer of its own, which
//! wakes the driver thread to be set; here all that end within a few milliseconds share one.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::driver;

/// How far apart the moments are at which deadlines end.
const APART: Duration = Duration::from_millis(8);
/// The longest one that is kept here: for each moment there is one timer.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
static MOMENTS: LazyLock<Mutex<HashMap<u128, Moment>>> = LazyLock::new(Mutex::default);

/// Who is woken at one moment.
#[derive(Default)]
struct Moment {
    sleepers: Vec<Option<Waker>>,
    /// The places of those who have been given up.
    free: Vec<usize>,
}

/// Ends at a moment.
pub(crate) struct Deadline {
    moment: u128,
    place: Option<usize>,
}

impl Deadline {
    /// After so long, or up to two moments later.
    pub(crate) fn new(duration: Duration) -> Self {
        let ends = ORIGIN.elapsed() + duration;
        Self {
            moment: ends.as_nanos() / APART.as_nanos() + 1,
            place: None,
        }
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut moments = lock();
        let Some(place) = self.place else {
            let moment = moments.entry(self.moment).or_insert_with(|| {
                let ends = *ORIGIN + APART * u32::try_from(self.moment).unwrap_or(u32::MAX);
                driver::handle().spawn(end(self.moment, ends));
                Moment::default()
            });
            let waker = Some(context.waker().clone());
            let place = moment.free.pop().unwrap_or(moment.sleepers.len());
            match moment.sleepers.get_mut(place) {
                Some(sleeper) => *sleeper = waker,
                None => moment.sleepers.push(waker),
            }
            drop(moments);
            self.place = Some(place);
            return Poll::Pending;
        };
        // It is over once its moment is gone.
        let Some(moment) = moments.get_mut(&self.moment) else {
            drop(moments);
            self.place = None;
            return Poll::Ready(());
        };
        if let Some(Some(sleeper)) = moment.sleepers.get_mut(place) {
            sleeper.clone_from(context.waker());
        }
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut moments = lock();
        let waker = moments.get_mut(&self.moment).and_then(|moment| {
            moment.free.push(place);
            moment.sleepers.get_mut(place)?.take()
        });
        // Whatever a waker does when it is dropped, it does without the lock.
        drop(moments);
        drop(waker);
    }
}

/// Ends a moment.
async fn end(moment: u128, ends: Instant) {
    tokio::time::sleep_until(ends.into()).await;
    let ended = lock().remove(&moment);
    let sleepers = ended.into_iter().flat_map(|moment| moment.sleepers);
    sleepers.flatten().for_each(Waker::wake);
}

fn lock() -> MutexGuard<'static, HashMap<u128, Moment>> {
    MOMENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::block_on;

    #[test]
    fn it_ends_in_time_and_not_before() {
        for wanted in [0, 3, 40] {
            let wanted = Duration::from_millis(wanted);
            let began = Instant::now();
            block_on(Deadline::new(wanted));
            assert!(began.elapsed() >= wanted);
        }
    }

    #[test]
    fn those_that_are_given_up_leave_their_places_and_the_others_end() {
        let waker = Waker::noop();
        let mut context = Context::from_waker(waker);
        let ends = Deadline::new(Duration::from_secs(20)).moment;
        let made = || {
            Box::pin(Deadline {
                moment: ends,
                place: None,
            })
        };
        let mut kept = made();
        assert!(kept.as_mut().poll(&mut context).is_pending());
        for _ in 0..1_000 {
            let mut given_up = made();
            assert!(given_up.as_mut().poll(&mut context).is_pending());
        }
        let places = lock().get(&ends).map(|moment| moment.sleepers.len());
        assert_eq!(places, Some(2));
        // As when its time has come.
        drop(lock().remove(&ends));
        assert!(kept.as_mut().poll(&mut context).is_ready());
    }
}
