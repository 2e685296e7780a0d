//! Which cache applies: the innermost scope's, the installed one, or one in this process with the
//! defaults.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};

use super::Cache;
use crate::engine::Engine;

pub(super) static INSTALLED: OnceLock<Cache> = OnceLock::new();
static EMBEDDED: LazyLock<Cache> = LazyLock::new(|| Cache::builder().build());

thread_local! {
    static SCOPES: RefCell<Vec<Cache>> = const { RefCell::new(Vec::new()) };
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
    let scoped = SCOPES.try_with(|scopes| scopes.borrow().last().cloned());
    if let Ok(Some(cache)) = scoped {
        return run(&cache.engine, &cache);
    }
    let cache = INSTALLED.get().unwrap_or_else(|| &EMBEDDED);
    run(&cache.engine, cache)
}

/// A future that has a cache for the time it is polled.
pub(super) struct Scoped<F> {
    pub(super) cache: Cache,
    pub(super) future: Pin<Box<F>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = Entered::new(self.cache.clone());
        self.future.as_mut().poll(context)
    }
}

/// A scope on this thread; left when dropped, in a panic too.
pub(super) struct Entered;

impl Entered {
    pub(super) fn new(cache: Cache) -> Self {
        SCOPES.with(|scopes| scopes.borrow_mut().push(cache));
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = SCOPES.with(|scopes| scopes.borrow_mut().pop());
        drop(left);
    }
}
