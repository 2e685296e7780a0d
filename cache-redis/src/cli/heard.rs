//! The store that the program's cache is on: Redis, with a memory for why a write failed. The cache
//! itself only says that it has queued, and the cause goes to the log, which no terminal shows.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::metrics::{Fleet, Minute};
use cache_core::store::{
    Attachment, Begin, Beginning, BoxFuture, Fill, Read, Reading, Store, Token, Update, Updated,
};
use cache_core::{Error, Result};

use crate::RedisStore;

/// Why the last invalidation or removal failed.
#[derive(Clone, Default)]
pub(super) struct Cause(Arc<Mutex<Option<String>>>);

impl Cause {
    pub(super) fn told(&self) -> Option<String> {
        self.lock().clone()
    }

    fn note(&self, error: &Error) {
        *self.lock() = Some(error.to_string());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store. It reports nothing, so that this program is none of the fleet's nodes.
pub(super) struct Heard {
    store: RedisStore,
    cause: Cause,
}

impl Heard {
    pub(super) fn new(store: RedisStore) -> (Self, Cause) {
        let cause = Cause::default();
        let heard = Self {
            store,
            cause: cause.clone(),
        };
        (heard, cause)
    }

    fn noting<'a>(&'a self, call: BoxFuture<'a, Result<()>>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let outcome = call.await;
            if let Err(error) = &outcome {
                self.cause.note(error);
            }
            outcome
        })
    }
}

impl Store for Heard {
    fn attach(&self, attachment: Attachment) -> Result<()> {
        self.store.attach(attachment)
    }

    fn read<'a>(&'a self, request: Read<'a>) -> BoxFuture<'a, Result<Reading>> {
        self.store.read(request)
    }

    fn begin<'a>(&'a self, request: Begin<'a>) -> BoxFuture<'a, Result<Beginning>> {
        self.store.begin(request)
    }

    fn fill<'a>(&'a self, request: Fill<'a>) -> BoxFuture<'a, Result<bool>> {
        self.store.fill(request)
    }

    fn update<'a>(&'a self, request: Update<'a>) -> BoxFuture<'a, Result<Updated>> {
        self.store.update(request)
    }

    fn renew<'a>(
        &'a self,
        key: &'a str,
        token: Token,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        self.store.renew(key, token, lease)
    }

    fn release<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Result<()>> {
        self.store.release(key, token)
    }

    fn remove<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<()>> {
        self.noting(self.store.remove(keys))
    }

    fn invalidate<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        self.noting(self.store.invalidate(tags))
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        self.noting(self.store.probe())
    }

    fn describe(&self) -> String {
        self.store.describe()
    }

    fn fleet(&self, minutes: RangeInclusive<Minute>) -> BoxFuture<'_, Result<Fleet>> {
        self.store.fleet(minutes)
    }
}
