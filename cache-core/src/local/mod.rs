//! The in-process tier: typed values ready to clone, and the tag cells that end them.

mod cells;
mod eviction;
mod map;

pub(crate) use cells::{Cell, Cells};
pub(crate) use map::{Dependency, Head, Held, KeyRef, Local, LocalKey, Stored};
