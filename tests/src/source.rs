//! What cached functions of the tests load from: it counts its loads, and can hold them back after
//! they have seen the value, as a slow database does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// A database of one value. Cloning shares it.
#[derive(Clone)]
pub struct Source {
    state: Arc<State>,
}

struct State {
    value: AtomicU64,
    started: watch::Sender<u64>,
    open: watch::Sender<bool>,
}

impl Default for Source {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Source {
    /// A source that holds `value` and lets every load through.
    pub fn new(value: u64) -> Self {
        let state = State {
            value: AtomicU64::new(value),
            started: watch::Sender::new(0),
            open: watch::Sender::new(true),
        };
        Self {
            state: Arc::new(state),
        }
    }

    /// Changes the value.
    pub fn set(&self, value: u64) {
        self.state.value.store(value, Ordering::SeqCst);
    }

    /// The value as it is.
    pub fn value(&self) -> u64 {
        self.state.value.load(Ordering::SeqCst)
    }

    /// How many loads have begun.
    pub fn loads(&self) -> u64 {
        *self.state.started.borrow()
    }

    /// Has loads wait, with the value they have seen, until [`let_go`](Self::let_go).
    pub fn hold(&self) {
        self.state.open.send_replace(false);
    }

    /// Lets the loads end.
    pub fn let_go(&self) {
        self.state.open.send_replace(true);
    }

    /// Waits until this many loads have begun.
    pub async fn loading(&self, loads: u64) {
        let mut started = self.state.started.subscribe();
        // The sender is in self.
        let _ = started.wait_for(|started| *started >= loads).await;
    }

    /// Loads the value.
    pub async fn load(&self) -> u64 {
        let value = self.load_now();
        // The sender is in self.
        let _ = self.state.open.subscribe().wait_for(|open| *open).await;
        value
    }

    /// Loads the value, whatever is held.
    pub fn load_now(&self) -> u64 {
        let value = self.value();
        self.state.started.send_modify(|started| *started += 1);
        value
    }
}
