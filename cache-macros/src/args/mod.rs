//! The options of the attributes, typed, each checked as far as it can be on its own.

mod cached;
mod closure;
mod duration;
mod invalidates;
mod options;
mod template;
mod updates;
mod values;

pub(crate) use self::cached::{Cached, Returns, Setting};
pub(crate) use self::closure::TagsWith;
pub(crate) use self::invalidates::Invalidates;
pub(crate) use self::options::bare;
pub(crate) use self::template::{Piece, Template};
pub(crate) use self::updates::Updates;
pub(crate) use self::values::{Root, Value};
