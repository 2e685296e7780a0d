//! Switches that take guards out of the engine, so that the simulation can show that it notices.
//! They exist with the feature `sabotage` only; without it [`removed`] is a constant.

/// A guard of DESIGN 4 that stands in the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "sabotage"), allow(dead_code, unreachable_pub))]
#[allow(missing_docs)]
pub enum Guard {
    G1,
    G4,
    G6,
    G7,
    G8,
    G9,
    G10,
    G11,
    G12,
    G13,
    G14,
    G16,
    G17,
}

#[cfg(feature = "sabotage")]
mod switches {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::Guard;

    type Hook = Rc<dyn Fn()>;

    thread_local! {
        static REMOVED: Cell<Option<Guard>> = const { Cell::new(None) };
        static MEANWHILE: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Puts the guard back when it is dropped.
    #[derive(Debug)]
    #[must_use = "the guard is put back when this is dropped"]
    pub struct Without(());

    /// Takes a guard out of every engine that runs on this thread. `meanwhile` is run where a lock
    /// should have kept others out.
    pub fn without(guard: Guard, meanwhile: impl Fn() + 'static) -> Without {
        REMOVED.set(Some(guard));
        MEANWHILE.set(Some(Rc::new(meanwhile)));
        Without(())
    }

    impl Drop for Without {
        fn drop(&mut self) {
            REMOVED.set(None);
            MEANWHILE.set(None);
        }
    }

    pub(crate) fn removed(guard: Guard) -> bool {
        REMOVED.get() == Some(guard)
    }

    pub(crate) fn meanwhile() {
        let hook = MEANWHILE.with_borrow(Clone::clone);
        if let Some(hook) = hook {
            hook();
        }
    }
}

#[cfg(feature = "sabotage")]
pub use switches::{Without, without};
#[cfg(feature = "sabotage")]
pub(crate) use switches::{meanwhile, removed};

#[cfg(not(feature = "sabotage"))]
pub(crate) const fn removed(_: Guard) -> bool {
    false
}

#[cfg(not(feature = "sabotage"))]
pub(crate) const fn meanwhile() {}
