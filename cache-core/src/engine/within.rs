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

    /// Runs a part of the function: polls its future once, say.
    pub(crate) fn run<T>(&self, part: impl FnOnce() -> T) -> T {
        struct Left;

        impl Drop for Left {
            fn drop(&mut self) {
                let left = LOADING.try_with(|loading| loading.borrow_mut().pop());
                drop(left);
            }
        }

        // A thread that is ending has no place to note it: there nothing is found either.
        let noted = LOADING.try_with(|loading| loading.borrow_mut().push(self.clone()));
        let _left = noted.is_ok().then_some(Left);
        part()
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

fn address(engine: &Engine) -> usize {
    std::ptr::from_ref(engine).addr()
}
