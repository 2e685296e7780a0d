//! Cache a function.

#[doc(hidden)]
pub mod __private;
mod cache;
mod clock;
mod driver;
mod entry;
mod env;
mod error;
pub mod store;

pub use cache::{Cache, Invalidation, Key};
pub use cache_macros::{cached, invalidates};
pub use clock::{Clock, ManualClock, SystemClock};
pub use entry::EntryId;
pub use env::{Entropy, Env, Spawn};
pub use error::{Error, ErrorKind, Result};
