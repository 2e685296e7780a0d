//! Cache a function.

mod codec;
mod entry;
mod error;
mod key;
mod kind;
mod schema;
mod tag;
mod ttl;

pub use codec::Codec;
pub use entry::EntryId;
pub use error::{Error, ErrorKind, Result};
pub use key::Key;
pub use kind::Kind;
pub use tag::{Part, Tag};
