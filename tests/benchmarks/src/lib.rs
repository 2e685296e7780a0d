//! Ours beside its peers: who is compared, in which cases, and the page that is made of it.
//! `./tests/compare` runs it; `cargo bench` has the same contestants under criterion.

pub mod cases;
pub mod entries;
pub mod local;
pub mod measure;
pub mod mixed;
pub mod page;
pub mod redis;
pub mod rows;
pub mod shared;
pub mod streams;

use std::sync::atomic::{AtomicU64, Ordering};

/// What can go wrong: a text for whoever started it.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

static LOADS: AtomicU64 = AtomicU64::new(0);

/// What every cached function's body returns through, so that nobody is measured loading what was to
/// be a hit.
pub fn loaded<T>(value: T) -> T {
    LOADS.fetch_add(1, Ordering::Relaxed);
    value
}

/// How many bodies have run so far.
pub fn loads() -> u64 {
    LOADS.load(Ordering::Relaxed)
}

/// How much is done for a figure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For a first look.
    Quick,
    /// For the page.
    Full,
}

impl Effort {
    /// The one or the other.
    pub fn of<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}
