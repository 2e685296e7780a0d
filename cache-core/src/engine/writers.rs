//! Which keys this node is writing: what a write calls itself must not wait for the write to end.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Call, Engine};

/// The keys that are being written: their leases are held by their own node, and what the write itself
/// calls must not wait for its end.
#[derive(Debug, Default)]
pub(crate) struct Writers(Mutex<Vec<(u32, Arc<str>)>>);

impl Writers {
    /// Whether a key is being written here.
    pub(super) fn hold(&self, call: &Call) -> bool {
        let key = (call.key.function, &call.key.args);
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().any(|(function, args)| (*function, args) == key)
    }
}

/// One write among [`Writers`].
pub(super) struct Writer {
    engine: Arc<Engine>,
    key: (u32, Arc<str>),
}

impl Writer {
    pub(super) fn enter(call: &Call) -> Self {
        let key = (call.key.function, Arc::clone(&call.key.args));
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
