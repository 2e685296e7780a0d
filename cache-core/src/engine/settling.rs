//! Which functions are being settled on this thread. A value's own code runs meanwhile, its `Deserialize` and its
//! `Drop`, on made-up data, and may call the very function that is settled.

use std::cell::RefCell;

use super::Engine;

thread_local! {
    static SETTLING: RefCell<Vec<(*const Engine, u32)>> = const { RefCell::new(Vec::new()) };
}

/// A function of an engine is being settled on this thread, until this is dropped.
pub(super) struct Settling(());

impl Settling {
    /// `None`, where that is being done already. A call of it goes past the cache: it would wait for itself, or be
    /// traced within its trace for ever.
    pub(super) fn begin(engine: &Engine, number: u32) -> Option<Self> {
        let own = (std::ptr::from_ref(engine), number);
        SETTLING
            .try_with(|settling| {
                let mut settling = settling.borrow_mut();
                (!settling.contains(&own)).then(|| settling.push(own))
            })
            // A thread that is ending can't keep a list: what it calls goes past the cache.
            .ok()
            .flatten()?;
        Some(Self(()))
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        // The innermost ends first.
        let _ = SETTLING.try_with(|settling| settling.borrow_mut().pop());
    }
}
