//! Which cache applies: the innermost scope's, the installed one, or one in this process with the
//! defaults.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};

use super::Cache;
use super::transaction::Transaction;
use crate::engine::Engine;

pub(super) static INSTALLED: OnceLock<Cache> = OnceLock::new();
static EMBEDDED: LazyLock<Cache> = LazyLock::new(|| Cache::builder().build());

thread_local! {
    static SCOPES: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) };
}

/// What applies to the calls in a future or a closure.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) cache: Cache,
    pub(super) transaction: Option<Arc<Transaction>>,
}

/// What `find` finds in the innermost scope around what runs here in which it finds anything.
pub(super) fn innermost<T>(find: impl FnMut(&Scope) -> Option<T>) -> Option<T> {
    SCOPES
        .try_with(|scopes| scopes.borrow().iter().rev().find_map(find))
        .ok()
        .flatten()
}

/// Runs `run` with the cache that applies here.
pub(crate) fn with_current<T>(
    cache: Option<&Cache>,
    run: impl FnOnce(&Arc<Engine>, &Cache) -> T,
) -> T {
    if let Some(cache) = cache {
        return run(&cache.engine, cache);
    }
    // Cloned, so that nothing is borrowed while `run` runs: it may enter a scope of its own.
    let scoped = SCOPES.try_with(|scopes| scopes.borrow().last().map(|scope| scope.cache.clone()));
    if let Ok(Some(cache)) = scoped {
        return run(&cache.engine, &cache);
    }
    let cache = INSTALLED.get().unwrap_or_else(|| &EMBEDDED);
    run(&cache.engine, cache)
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
        if scope.transaction.is_some() {
            Transaction::opened(1);
        }
        SCOPES.with(|scopes| scopes.borrow_mut().push(scope));
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = SCOPES.with(|scopes| scopes.borrow_mut().pop());
        if left.as_ref().is_some_and(|left| left.transaction.is_some()) {
            Transaction::opened(-1);
        }
        drop(left);
    }
}
