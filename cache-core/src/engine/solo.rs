//! Calls while the shared tier can't be reached and nothing can be stored: the first of a key runs its
//! function with next to nothing around it, and only those that come meanwhile share a flight.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Engine, Function};
use crate::metrics::Count;

/// How many keys can be told apart. Two that can't only share flights of their own.
const PLACES: usize = 1024;

/// Which keys a function runs for at the moment.
pub(super) struct Solos(Box<[AtomicBool]>);

impl Solos {
    pub(super) fn new() -> Self {
        Self((0..PLACES).map(|_| AtomicBool::new(false)).collect())
    }

    fn place(function: u32, args: &[u8]) -> usize {
        let hash = xxh3_64_with_seed(args, function.into());
        usize::try_from(hash % PLACES as u64).unwrap_or_default()
    }
}

impl fmt::Debug for Solos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Solos").finish_non_exhaustive()
    }
}

/// A call that runs its function, and neither stores nor shares what comes of it. Nothing is promised
/// of such loads (invariant 4 is about those that could still be stored).
pub(crate) struct Solo {
    engine: Arc<Engine>,
    function: Arc<Function>,
    place: usize,
}

impl Solo {
    /// The function that it is a call of.
    pub(crate) fn function(&self) -> &Function {
        &self.function
    }

    /// `None` where the call may find or store something, or another one of this key is under way.
    pub(crate) fn begin(
        engine: &Arc<Engine>,
        function: &Arc<Function>,
        args: &[u8],
    ) -> Option<Self> {
        let out = engine.store.is_some() && !engine.outage.usable();
        if !out || !function.settings.outage_ttl.is_zero() {
            return None;
        }
        let place = Solos::place(function.number, args);
        let busy = engine.solos.0[place].swap(true, Ordering::Relaxed);
        (!busy).then(|| Self {
            engine: Arc::clone(engine),
            function: Arc::clone(function),
            place,
        })
    }

    /// The function begins to run, counted. Returns when.
    pub(crate) fn load_begins(&self) -> Duration {
        self.function.kind.counters.count(Count::Miss);
        self.function.load_begins(&self.engine.env)
    }

    /// It has run since then.
    pub(crate) fn load_ended(&self, began: Duration, is_error: bool) {
        self.function.load_ended(&self.engine.env, began, is_error);
    }
}

impl Drop for Solo {
    fn drop(&mut self) {
        self.engine.solos.0[self.place].store(false, Ordering::Relaxed);
    }
}
