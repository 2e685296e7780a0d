//! Where values go that leave the local tier under a lock. A value's `Drop` is its owner's code and may
//! call a cached function, which would wait for the very lock it is dropped under.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::table::Held;

#[derive(Default)]
struct Parted {
    /// How many [`Parting`]s are open on this thread.
    open: usize,
    entries: Vec<Arc<dyn Held>>,
}

thread_local! {
    static PARTED: RefCell<Parted> = RefCell::default();
}

/// Keeps what leaves the local tier on this thread until it is dropped. To be made before the lock is
/// taken, so that it ends after it.
pub(crate) struct Parting(());

impl Parting {
    pub(crate) fn begin() -> Self {
        // A thread that is ending has no place to keep anything: then values are dropped at once.
        let _ = PARTED.try_with(|parted| parted.borrow_mut().open += 1);
        Self(())
    }
}

impl Drop for Parting {
    fn drop(&mut self) {
        let entries = PARTED.try_with(|parted| {
            let mut parted = parted.borrow_mut();
            parted.open = parted.open.saturating_sub(1);
            if parted.open > 0 {
                return Vec::new();
            }
            std::mem::take(&mut parted.entries)
        });
        // Here, where nothing is borrowed or locked. What a value's `Drop` panics with is not for whoever is on
        // this thread: on the driver's it would end the task that was told of a change, and with it the store's
        // connection for good; in the middle of an invalidation, what is left of it.
        for entry in entries.into_iter().flatten() {
            if catch_unwind(AssertUnwindSafe(|| drop(entry))).is_err() {
                tracing::error!("a value that left the local tier has panicked in its `Drop`");
            }
        }
    }
}

/// Keeps an entry until the thread's [`Parting`]s have ended, if there are any.
pub(super) fn keep(entry: &Arc<dyn Held>) {
    let _ = PARTED.try_with(|parted| {
        let mut parted = parted.borrow_mut();
        if parted.open > 0 {
            parted.entries.push(Arc::clone(entry));
        }
    });
}
