//! The in-process tier: typed values ready to clone, and the tag cells that end them.

mod cells;
mod course;
mod eviction;
mod hash;
mod head;
mod key;
mod life;
mod map;
mod mixed;
mod moves;
mod parting;
mod table;

pub(crate) use cells::{Cell, Cells, Reply};
pub(crate) use head::{Dependency, Head};
pub(crate) use key::{KeyRef, LocalKey};
pub(crate) use life::{Age, EARLY, Life, nanoseconds};
pub(crate) use map::Local;
pub(crate) use mixed::Mixed;
pub(crate) use parting::Parting;
pub(crate) use table::{Held, Kept, Lent, Stored, View};
