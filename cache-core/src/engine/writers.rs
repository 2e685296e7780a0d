//! Which keys this node is writing: what a write calls itself must not wait for the write to end.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Call, Engine};
use crate::local::LocalKey;

/// The keys that are being written: their leases are held by their own node, and what the write itself
/// calls must not wait for its end.
#[derive(Debug, Default)]
pub(crate) struct Writers(Mutex<Vec<LocalKey>>);

impl Writers {
    /// Whether a key is being written here.
    pub(super) fn hold(&self, call: &Call) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains(&call.key)
    }
}

/// One write among [`Writers`].
pub(super) struct Writer {
    engine: Arc<Engine>,
    key: LocalKey,
}

impl Writer {
    pub(super) fn enter(call: &Call) -> Self {
        let key = call.key.clone();
        let writers = &call.engine.writers.0;
        let mut held = writers.lock().unwrap_or_else(PoisonError::into_inner);
        held.push(key.clone());
        drop(held);
        Self {
            engine: Arc::clone(&call.engine),
            key,
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let writers = &self.engine.writers.0;
        let mut held = writers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = held.iter().position(|key| *key == self.key) {
            held.swap_remove(at);
        }
    }
}
