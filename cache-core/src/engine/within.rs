//! Which keys are being loaded by whatever runs on this thread right now: a function that calls itself
//! with the same key would wait for its own end.

use std::cell::RefCell;
use std::sync::Arc;

use super::Engine;
use crate::local::LocalKey;

thread_local! {
    static LOADING: RefCell<Vec<Within>> = const { RefCell::new(Vec::new()) };
}

/// Some keys of one cache whose function is being run.
#[derive(Clone)]
pub(crate) struct Within {
    engine: usize,
    keys: Arc<[LocalKey]>,
}

impl Within {
    pub(crate) fn new(engine: &Engine, keys: impl IntoIterator<Item = LocalKey>) -> Self {
        Self {
            engine: address(engine),
            keys: keys.into_iter().collect(),
        }
    }

    /// A part of the function runs here until this is dropped: its future is polled once, say.
    pub(crate) fn enter(&self) -> Entered {
        // A thread that is ending has no place to note it: there nothing is found either.
        let noted = LOADING.try_with(|loading| loading.borrow_mut().push(self.clone()));
        Entered(noted.is_ok())
    }

    /// Whether what runs here is part of the load of this key.
    pub(crate) fn covers(engine: &Engine, key: &LocalKey) -> bool {
        let engine = address(engine);
        LOADING
            .try_with(|loading| {
                let loading = loading.borrow();
                let ours = loading.iter().filter(|within| within.engine == engine);
                ours.flat_map(|within| &*within.keys).any(|own| own == key)
            })
            .unwrap_or_default()
    }
}

/// A part of a function that runs on this thread; over when dropped, in a panic too.
pub(crate) struct Entered(bool);

impl Drop for Entered {
    fn drop(&mut self) {
        if self.0 {
            let left = LOADING.try_with(|loading| loading.borrow_mut().pop());
            drop(left);
        }
    }
}

fn address(engine: &Engine) -> usize {
    std::ptr::from_ref(engine).addr()
}
