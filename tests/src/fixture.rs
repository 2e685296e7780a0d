//! A stand-in for the cache that a store is attached to: it remembers what it is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::store::{Attachment, Event, Observer, Store, Token};
use cache_core::{EntryId, Env};

/// An observer that remembers every event. It must outlive the test's calls: a store knows it
/// weakly.
#[derive(Default)]
pub struct Events(Mutex<Vec<Event>>);

impl Events {
    /// What has happened so far, but for signs of life: they come all the time.
    pub fn seen(&self) -> Vec<Event> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter()
            .filter(|event| !matches!(event, Event::Alive { .. }))
            .cloned()
            .collect()
    }

    /// What became of the connections so far: `lost` and `proven`, in order.
    pub fn connections(&self) -> Vec<&'static str> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter()
            .filter_map(|event| match event {
                Event::Lost => Some("lost"),
                Event::Proven { .. } => Some("proven"),
                _ => None,
            })
            .collect()
    }

    /// Until when local values may be served, as it was told last.
    pub fn trusted_until(&self) -> Option<Duration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().rev().find_map(|event| match event {
            Event::Lost => Some(None),
            Event::Proven { until } | Event::Alive { until } => Some(Some(*until)),
            _ => None,
        })?
    }
}

impl Observer for Events {
    fn observe(&self, event: Event) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}

/// Attaches a store under the namespace `test`, in the world that production runs in.
///
/// # Panics
///
/// When it is attached already.
pub fn attach(store: &impl Store) -> Arc<Events> {
    attach_in(store, Env::system())
}

/// Attaches a store under the namespace `test`, in a world of the caller's.
///
/// # Panics
///
/// When it is attached already.
pub fn attach_in(store: &impl Store, env: Env) -> Arc<Events> {
    let events = Arc::new(Events::default());
    let observer: Arc<dyn Observer> = events.clone();
    store
        .attach(Attachment::new("test", env, Arc::downgrade(&observer)))
        .expect("not attached before");
    events
}

/// The token that is made of this byte.
pub fn token(byte: u8) -> Token {
    EntryId([byte; 16])
}

/// Bytes of an entry whose id is `token`, and whose payload is `payload`.
pub fn entry(token: Token, payload: &[u8]) -> Vec<u8> {
    [b"12345678", token.0.as_slice(), payload].concat()
}

/// Names, as the store takes them.
pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A minute: long enough not to matter.
pub const MINUTE: Duration = Duration::from_mins(1);
