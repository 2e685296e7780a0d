//! The in-process tier: typed values ready to clone, and the tag cells that end them.

mod cells;
mod eviction;
mod life;
mod limit;
mod map;
mod parting;

pub(crate) use cells::{Cell, Cells};
pub(crate) use life::{Age, Life, nanoseconds};
pub(crate) use map::{Dependency, Head, Held, KeyRef, Local, LocalKey, Stored};
pub(crate) use parting::Parting;
