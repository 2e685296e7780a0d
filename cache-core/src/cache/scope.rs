//! Which cache applies: the innermost scope's, the installed one, or one in this process with the
//! defaults.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use super::Cache;
use super::transaction::Transaction;
use crate::engine::Engine;

pub(super) static INSTALLED: OnceLock<Cache> = OnceLock::new();
static EMBEDDED: OnceLock<Cache> = OnceLock::new();
/// Set by a thread before its first scope: others may see it late, since it is only about their own.
static USED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static SCOPES: RefCell<Vec<Rc<Scope>>> = const { RefCell::new(Vec::new()) };
    /// How many there are: what every call looks at, to find none most of the time.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// What applies to the calls in a future or a closure.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) cache: Cache,
    pub(super) transaction: Option<Arc<Transaction>>,
}

/// What `find` finds in the innermost scope around what runs here in which it finds anything.
#[inline]
pub(super) fn innermost<T>(mut find: impl FnMut(&Scope) -> Option<T>) -> Option<T> {
    if DEPTH.get() == 0 {
        return None;
    }
    SCOPES
        .try_with(|scopes| scopes.borrow().iter().rev().find_map(|scope| find(scope)))
        .ok()
        .flatten()
}

/// Whether a scope was ever entered in this process. Where none was, as in most services, a call need not
/// look at what its thread has: that is a call to the linker's own code.
#[inline]
pub(crate) fn are_used() -> bool {
    USED.load(Ordering::Relaxed)
}

/// Whether there is a scope around what runs here.
#[cold]
#[inline(never)]
pub(crate) fn is_around() -> bool {
    DEPTH.get() > 0
}

/// The engine that a call uses around which there is no scope, if there is one yet.
#[inline]
pub(crate) fn unscoped(cache: Option<&Cache>) -> Option<&Engine> {
    match cache {
        Some(cache) => Some(&cache.engine),
        None => Some(&INSTALLED.get().or_else(|| EMBEDDED.get())?.engine),
    }
}

/// Runs `run` with the cache that applies here.
pub(crate) fn with_current<T>(
    cache: Option<&Cache>,
    run: impl FnOnce(&Arc<Engine>, &Cache) -> T,
) -> T {
    let scoped = if cache.is_none() && DEPTH.get() > 0 {
        last()
    } else {
        None
    };
    let cache = match (cache, &scoped) {
        (Some(cache), _) => cache,
        (None, Some(scope)) => &scope.cache,
        (None, None) => INSTALLED
            .get()
            .unwrap_or_else(|| EMBEDDED.get_or_init(|| Cache::builder().build())),
    };
    run(&cache.engine, cache)
}

/// The innermost scope. Held on to, so that nothing is borrowed while something runs in it that may
/// enter a scope of its own.
#[cold]
fn last() -> Option<Rc<Scope>> {
    let last = SCOPES.try_with(|scopes| scopes.borrow().last().cloned());
    last.ok().flatten()
}

/// A future that has a scope for the time it is polled.
pub(super) struct Scoped<F> {
    scope: Scope,
    future: Pin<Box<F>>,
}

impl<F> Scoped<F> {
    pub(super) fn new(scope: Scope, future: F) -> Self {
        Self {
            scope,
            future: Box::pin(future),
        }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = Entered::new(self.scope.clone());
        self.future.as_mut().poll(context)
    }
}

/// A scope on this thread; left when dropped, in a panic too.
pub(super) struct Entered;

impl Entered {
    pub(super) fn new(scope: Scope) -> Self {
        USED.store(true, Ordering::Relaxed);
        SCOPES.with(|scopes| {
            let mut scopes = scopes.borrow_mut();
            scopes.push(Rc::new(scope));
            DEPTH.set(scopes.len());
        });
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = SCOPES.with(|scopes| {
            let mut scopes = scopes.borrow_mut();
            let left = scopes.pop();
            DEPTH.set(scopes.len());
            left
        });
        // Where nothing is borrowed: it may be the last to hold a cache.
        drop(left);
    }
}
