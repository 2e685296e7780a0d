//! The queue's copy on disk, so that a crash during an outage does not forget invalidations: a
//! thread of its own writes it, since neither the driver nor a call may wait for a disk.

mod file;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use file::File;
use tokio::sync::watch;

use super::complaints::Complaints;
use super::queue::Queue;
use crate::env::Env;
use crate::{Error, ErrorKind, Result};

/// How long after a failure the disk is tried again where nothing else asks for it.
const RETRY: Duration = Duration::from_secs(5);

/// A journal that is open: no other cache has it, and what is queued is written to it.
#[derive(Debug)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
}

/// For what was handed over up to then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

#[derive(Debug)]
struct Shared {
    name: String,
    env: Env,
    work: Mutex<Work>,
    wake: Condvar,
    /// Up to where the thread has got, whether or not the disk did what it was told.
    done: watch::Sender<Ticket>,
    behind: AtomicBool,
    errors: AtomicU64,
    complaints: Complaints,
}

/// What the thread is to do next. One that is slow finds it coalesced, as the queue is: many
/// invalidations cost one write, and what waits for a disk that hangs is bounded.
#[derive(Debug)]
struct Work {
    /// Whether everything up to here has been applied.
    cleared: bool,
    /// What was queued since.
    added: Queue,
    asked: Ticket,
    /// Whether the cache is gone.
    closed: bool,
}

impl Journal {
    /// Opens the journal at a path, and returns what is in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when it can't be opened, written, or is something else's;
    /// [`ErrorKind::Conflict`] when another cache has it open.
    pub(crate) fn open(path: &Path, namespace: &str, env: &Env) -> Result<(Self, Queue)> {
        let file = File::open(path, namespace)?;
        let recovered = file.held().clone();
        let shared = Arc::new(Shared {
            name: path.display().to_string(),
            env: env.clone(),
            work: Mutex::new(Work {
                cleared: false,
                added: Queue::default(),
                asked: Ticket(0),
                closed: false,
            }),
            wake: Condvar::new(),
            done: watch::Sender::new(Ticket(0)),
            behind: AtomicBool::new(false),
            errors: AtomicU64::new(0),
            complaints: Complaints::default(),
        });
        let own = Arc::clone(&shared);
        thread::Builder::new()
            .name("cache-journal".into())
            .spawn(move || keep(&own, file))
            .map_err(|error| {
                let text = format!(
                    "journal(\"{}\"): its thread can't be started: {error}: raise the limit of \
                     threads, or leave the journal out",
                    path.display()
                );
                Error::new(ErrorKind::Config, text).with_source(error)
            })?;
        Ok((Self { shared }, recovered))
    }

    /// Hands over what was queued.
    pub(super) fn add(&self, queued: Queue) -> Ticket {
        self.ask(|work| {
            work.added.join(queued);
        })
    }

    /// Everything queued so far was applied.
    pub(super) fn clear(&self) {
        self.ask(|work| {
            work.cleared = true;
            work.added = Queue::default();
        });
    }

    fn ask(&self, change: impl FnOnce(&mut Work)) -> Ticket {
        let mut work = self.shared.lock();
        change(&mut work);
        work.asked.0 += 1;
        self.shared.wake.notify_one();
        work.asked
    }

    /// Waits until what a ticket stands for is on the disk, or the disk has failed.
    pub(super) async fn written(&self, ticket: Ticket) {
        let mut done = self.shared.done.subscribe();
        // Without its sender, which `self` holds, nothing would be written any more.
        let _ = done.wait_for(|done| *done >= ticket).await;
    }

    /// The disk was waited for in vain.
    pub(super) fn is_late(&self, waited: Duration) {
        self.shared
            .failed(&format!("the disk takes longer than {waited:?}"));
    }

    /// How often the disk failed or was late.
    pub(crate) fn errors(&self) -> u64 {
        self.shared.errors.load(Ordering::Relaxed)
    }

    /// Whether the disk's last failure has not been made good.
    pub(crate) fn is_behind(&self) -> bool {
        self.shared.behind.load(Ordering::Relaxed)
    }
}

impl Drop for Journal {
    /// Nobody waits for the thread here: this may be the driver. The lock on the journal goes with
    /// it, once it has written what it was given.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do; `None`: there will be nothing more.
    fn next(&self, done: Ticket, behind: bool) -> Option<(bool, Queue, Ticket)> {
        let idle = |work: &mut Work| work.asked == done && !work.closed;
        let work = self.lock();
        let mut work = if behind {
            let waited = self.wake.wait_timeout_while(work, RETRY, idle);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            let waited = self.wake.wait_while(work, idle);
            waited.unwrap_or_else(PoisonError::into_inner)
        };
        if work.closed && work.asked == done {
            return None;
        }
        let cleared = std::mem::take(&mut work.cleared);
        Some((cleared, std::mem::take(&mut work.added), work.asked))
    }

    fn failed(&self, why: &str) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.complaints.say(&self.env, || {
            tracing::warn!(
                journal = self.name,
                "queued invalidations are not in the journal, a crash would forget them: {why}"
            );
        });
    }
}

/// The thread: writes until the cache is gone.
fn keep(shared: &Shared, mut file: File) {
    let mut done = Ticket(0);
    while let Some((cleared, added, asked)) = shared.next(done, file.is_behind()) {
        if let Err(error) = file.change(cleared, added) {
            shared.failed(&error.to_string());
        }
        shared.behind.store(file.is_behind(), Ordering::Relaxed);
        done = asked;
        shared.done.send_replace(done);
    }
}

#[cfg(test)]
mod tests;
