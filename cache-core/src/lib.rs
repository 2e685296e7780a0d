//! Cache a function.

mod clock;
mod driver;
mod entry;
mod env;
mod error;
pub mod store;

pub use clock::{Clock, ManualClock, SystemClock};
pub use entry::EntryId;
pub use env::{Entropy, Env, Spawn};
pub use error::{Error, ErrorKind, Result};
