//! Deadlines that hardly ever come: those of calls to the store. Each would else be a timer of its own, which
//! wakes the driver thread to be set; here all that end within a few milliseconds share one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::driver;

/// How many moments there are in a second at which deadlines end, and how far they are apart.
const IN_A_SECOND: u64 = 125;
const APART: Duration = Duration::from_millis(8);
/// The longest one that is kept here: for each moment there is one timer.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Those that are still to come, by their numbers.
static MOMENTS: LazyLock<Mutex<HashMap<Number, Arc<Moment>>>> = LazyLock::new(Mutex::default);
/// How many threads there were.
static THREADS: AtomicU64 = AtomicU64::new(0);
/// How many moments there are at one time: threads that share none don't get into each other's way.
const AT_ONCE: u64 = 8;

/// A moment's number, and which of those at one time it is.
type Number = (u64, u64);

thread_local! {
    /// Which of those at one time this thread's deadlines are given.
    static OURS: u64 = THREADS.fetch_add(1, Ordering::Relaxed) % AT_ONCE;
    /// The last one that a deadline of this thread was given: the next one's is mostly the same.
    static LAST: RefCell<Option<Arc<Moment>>> = const { RefCell::new(None) };
}

/// A moment at which deadlines end.
struct Moment {
    number: Number,
    sleepers: Mutex<Sleepers>,
}

/// Who is woken at one moment.
#[derive(Default)]
struct Sleepers {
    places: Vec<Option<Waker>>,
    /// The places of those who have been given up.
    free: Vec<usize>,
    /// The moment has come.
    over: bool,
}

/// Ends at a moment.
pub(crate) struct Deadline {
    number: Number,
    place: Option<(Arc<Moment>, usize)>,
}

impl Deadline {
    /// After so long, or up to two moments later.
    pub(crate) fn new(duration: Duration) -> Self {
        let ends = ORIGIN.elapsed() + duration;
        let number = ends.as_secs() * IN_A_SECOND
            + u64::from(ends.subsec_nanos() / APART.subsec_nanos())
            + 1;
        Self {
            number: (number, OURS.try_with(|ours| *ours).unwrap_or_default()),
            place: None,
        }
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some((moment, place)) = &self.place else {
            let moment = Moment::numbered(self.number);
            let waker = Some(context.waker().clone());
            let mut sleepers = moment.lock();
            // Found by its number a while ago, it may be over by now.
            if sleepers.over {
                drop(sleepers);
                return Poll::Ready(());
            }
            let place = sleepers.free.pop().unwrap_or(sleepers.places.len());
            match sleepers.places.get_mut(place) {
                Some(sleeper) => *sleeper = waker,
                None => sleepers.places.push(waker),
            }
            drop(sleepers);
            self.place = Some((moment, place));
            return Poll::Pending;
        };
        let mut sleepers = moment.lock();
        if sleepers.over {
            drop(sleepers);
            self.place = None;
            return Poll::Ready(());
        }
        if let Some(Some(sleeper)) = sleepers.places.get_mut(*place) {
            sleeper.clone_from(context.waker());
        }
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let Some((moment, place)) = self.place.take() else {
            return;
        };
        let mut sleepers = moment.lock();
        let waker = sleepers.places.get_mut(place).and_then(Option::take);
        sleepers.free.push(place);
        // Whatever a waker does when it is dropped, it does without the lock.
        drop(sleepers);
        drop(waker);
    }
}

impl Moment {
    /// The one of this number. Its timer is set when somebody first asks for it.
    fn numbered(number: Number) -> Arc<Self> {
        let find = |last: &RefCell<Option<Arc<Self>>>| {
            // Nothing that is called here comes back here.
            let mut last = last.try_borrow_mut().ok()?;
            if let Some(moment) = last.as_ref().filter(|last| last.number == number) {
                return Some(Arc::clone(moment));
            }
            let moment = Self::among_all(number);
            *last = Some(Arc::clone(&moment));
            Some(moment)
        };
        // A thread that is ending has no last one any more.
        let found = LAST.try_with(find).ok().flatten();
        found.unwrap_or_else(|| Self::among_all(number))
    }

    fn among_all(number: Number) -> Arc<Self> {
        let mut moments = all();
        let moment = moments.entry(number).or_insert_with(|| {
            let ends = *ORIGIN + APART * u32::try_from(number.0).unwrap_or(u32::MAX);
            driver::handle().spawn(end(number, ends));
            Arc::new(Self {
                number,
                sleepers: Mutex::default(),
            })
        });
        Arc::clone(moment)
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all who sleep until now.
    fn come(&self) {
        let sleepers = {
            let mut sleepers = self.lock();
            sleepers.over = true;
            std::mem::take(&mut sleepers.places)
        };
        sleepers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Ends a moment.
async fn end(number: Number, ends: Instant) {
    tokio::time::sleep_until(ends.into()).await;
    let ended = all().remove(&number);
    if let Some(moment) = ended {
        moment.come();
    }
}

fn all() -> MutexGuard<'static, HashMap<Number, Arc<Moment>>> {
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
        let number = Deadline::new(Duration::from_secs(20)).number;
        let made = || {
            Box::pin(Deadline {
                number,
                place: None,
            })
        };
        let mut kept = made();
        assert!(kept.as_mut().poll(&mut context).is_pending());
        for _ in 0..1_000 {
            let mut given_up = made();
            assert!(given_up.as_mut().poll(&mut context).is_pending());
        }
        let moment = all().remove(&number).expect("somebody waits for it");
        assert_eq!(moment.lock().places.len(), 2);
        // As when its time has come; also for those who found it before, and ask it only now.
        moment.come();
        assert!(kept.as_mut().poll(&mut context).is_ready());
        assert!(made().as_mut().poll(&mut context).is_ready());
    }
}
