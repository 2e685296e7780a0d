//! Cache a function.

#[doc(hidden)]
pub mod __private;
mod cache;
mod clock;
mod codec;
mod driver;
mod engine;
mod entry;
mod env;
mod error;
mod flight;
mod key;
mod kind;
mod local;
pub mod memory;
pub mod metrics;
mod policy;
mod refusal;
mod registry;
mod schema;
pub mod store;
mod tag;
mod ttl;

pub use cache::{Cache, CacheBuilder, Health};
pub use cache_macros::{cached, invalidates};
pub use clock::{Clock, ManualClock, SystemClock};
pub use codec::Codec;
pub use engine::Invalidation;
pub use entry::EntryId;
pub use env::{Entropy, Env, Spawn};
pub use error::{Error, ErrorKind, Result};
pub use key::Key;
pub use kind::Kind;
pub use metrics::{KindSnapshot, Snapshot};
pub use policy::Policy;
pub use tag::Tag;
