//! A store that counts what is asked of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::Result;
use cache_core::store::{
    Attachment, Begin, Beginning, BoxFuture, Fill, Read, Reading, Store, Token, Update, Updated,
};

/// Another store, and how many requests it was sent.
pub(crate) struct Counted<S> {
    store: S,
    requests: Arc<AtomicU64>,
}

impl<S> Counted<S> {
    pub(crate) fn new(store: S) -> Self {
        Self {
            store,
            requests: Arc::default(),
        }
    }

    pub(crate) fn requests(&self) -> Arc<AtomicU64> {
        self.requests.clone()
    }

    fn asked(&self) -> &S {
        self.requests.fetch_add(1, Ordering::Relaxed);
        &self.store
    }
}

impl<S: Store> Store for Counted<S> {
    fn attach(&self, attachment: Attachment) -> Result<()> {
        self.store.attach(attachment)
    }

    fn read<'a>(&'a self, request: Read<'a>) -> BoxFuture<'a, Result<Reading>> {
        self.asked().read(request)
    }

    fn begin<'a>(&'a self, request: Begin<'a>) -> BoxFuture<'a, Result<Beginning>> {
        self.asked().begin(request)
    }

    fn fill<'a>(&'a self, request: Fill<'a>) -> BoxFuture<'a, Result<bool>> {
        self.asked().fill(request)
    }

    fn update<'a>(&'a self, request: Update<'a>) -> BoxFuture<'a, Result<Updated>> {
        self.asked().update(request)
    }

    fn renew<'a>(
        &'a self,
        key: &'a str,
        token: Token,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        self.asked().renew(key, token, lease)
    }

    fn release<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Result<()>> {
        self.asked().release(key, token)
    }

    fn remove<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<()>> {
        self.asked().remove(keys)
    }

    fn invalidate<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        self.asked().invalidate(tags)
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        self.asked().probe()
    }

    fn describe(&self) -> String {
        self.store.describe()
    }
}
