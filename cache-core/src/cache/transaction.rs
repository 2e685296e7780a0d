//! Invalidations that are collected while a block runs, such as a database transaction, and delivered
//! once it has succeeded.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Cache;
use super::scope::{Entered, Scope, Scoped, innermost};
use crate::engine::{Engine, Function, Targets};

/// What was invalidated in a block so far.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    collected: Mutex<Targets>,
}

impl Transaction {
    /// The transaction of this cache around what runs here.
    #[inline]
    pub(crate) fn around(engine: &Engine) -> Option<Arc<Self>> {
        innermost(|scope| {
            let transaction = scope.transaction.as_ref()?;
            let ours = std::ptr::eq(Arc::as_ptr(&scope.cache.engine), engine);
            ours.then(|| Arc::clone(transaction))
        })
    }

    /// Keeps an invalidation until the block has succeeded.
    pub(crate) fn collect(&self, targets: Targets) {
        let mut collected = self.lock();
        collected.tags.extend(targets.tags);
        collected.keys.extend(targets.keys);
    }

    /// Whether a call reads what was invalidated in the block, as far as is known of it.
    pub(crate) fn touches(&self, function: &Function, args: &str, tags: &[String]) -> bool {
        let collected = self.lock();
        let by_tag = collected.tags.iter().any(|tag| tags.contains(tag));
        // Which tags its value carries, nobody knows yet.
        let by_value = function.late_tags && !collected.tags.is_empty();
        let by_key = || {
            collected.keys.iter().any(|key| {
                key.args() == args
                    && key.functions().any(|name| {
                        let own = function.prefix.strip_prefix(key.kind());
                        own.and_then(|own| own.strip_prefix(':')?.strip_suffix(':')) == Some(name)
                    })
            })
        };
        by_tag || by_value || by_key()
    }

    fn lock(&self) -> MutexGuard<'_, Targets> {
        self.collected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction that is open. Dropped in the middle, by a cancelled or panicking block, it delivers
/// in the background what was collected: the block may have committed.
struct Open {
    cache: Cache,
    transaction: Arc<Transaction>,
}

impl Open {
    fn new(cache: &Cache) -> Self {
        Self {
            cache: cache.clone(),
            transaction: Arc::default(),
        }
    }

    fn scope(&self) -> Scope {
        Scope {
            cache: self.cache.clone(),
            transaction: Some(Arc::clone(&self.transaction)),
        }
    }

    fn take(&self) -> Targets {
        std::mem::take(&mut *self.transaction.lock())
    }

    /// What is to be delivered, if anything is: what was collected, where the block has succeeded.
    fn close(&self, succeeded: bool) -> Option<Targets> {
        let targets = self.take();
        (succeeded && !targets.is_empty()).then_some(targets)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        drop(self.cache.engine.start_invalidation(self.take()));
    }
}

impl Cache {
    /// Collects what is invalidated inside `block`, and delivers it once the block has returned `Ok`;
    /// after an `Err` it is forgotten. For what is written in a database transaction, which nobody
    /// else sees before it is committed.
    ///
    /// Cached functions inside use this cache. One that reads what was invalidated in the block before
    /// runs, past the cache; others may find their value, but what they load is not stored, since the
    /// block may see what others don't, or no longer. `put`, `refresh` and `#[updates]` come to an
    /// invalidation. Where the block is dropped in the middle, or panics, what was collected is
    /// delivered in the background, since the commit may have happened. Tasks spawned inside are not
    /// part of it. Transactions nest: what an inner one delivers, the outer one collects.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use cache_core::{Cache, Invalidation, cached};
    ///
    /// #[cached(kind = "account", tags("account:{id}"))]
    /// async fn account(id: u64) -> u64 {
    ///     id * 100
    /// }
    ///
    /// let cache = Cache::builder().build();
    /// cache.scope(account(7)).await;
    /// cache.transaction(async {
    ///     // BEGIN; UPDATE ..
    ///     let outcome = cache.invalidate_tag("account:7").await?;
    ///     assert_eq!(outcome, Invalidation::Collected);
    ///     assert_eq!(account(7).await, 700); // runs: its account was written
    ///     // COMMIT
    ///     Ok::<(), cache_core::Error>(())
    /// }).await?;
    /// assert_eq!(cache.snapshot().invalidations_applied, 1);
    /// # Ok::<(), cache_core::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the block returns.
    pub async fn transaction<T, E>(
        &self,
        block: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let open = Open::new(self);
        let returned = Scoped::new(open.scope(), block).await;
        if let Some(targets) = open.close(returned.is_ok()) {
            // Queued or applied: the block's own result stands, and the metrics tell.
            self.engine.invalidate(targets).await;
        }
        returned
    }

    /// [`transaction`](Self::transaction) for plain code: what `block` calls on this thread.
    ///
    /// # Errors
    ///
    /// What the block returns.
    pub fn transaction_blocking<T, E>(&self, block: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let open = Open::new(self);
        let returned = {
            let _entered = Entered::new(open.scope());
            block()
        };
        if let Some(targets) = open.close(returned.is_ok()) {
            self.engine.invalidate_blocking(targets);
        }
        returned
    }
}
