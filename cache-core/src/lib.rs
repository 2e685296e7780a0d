//! Cache a function.

mod error;

pub use error::{Error, ErrorKind, Result};
