//! Cache a function: annotate it, and its results are kept in process and, with a store, shared by a
//! fleet, invalidated by tag, and measured per kind.
//!
//! ```
//! use cache_core::{Cache, cached, invalidates};
//!
//! #[cached(kind = "user_name", ttl = "30m", tags("user:{id}"))]
//! async fn user_name(id: u64) -> Result<String, std::io::Error> {
//!     Ok(format!("user {id}")) // the expensive part
//! }
//!
//! #[invalidates(tags("user:{id}"))]
//! async fn rename(id: u64, name: &str) -> Result<(), std::io::Error> {
//!     Ok(()) // the write
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! assert_eq!(user_name(7).await?, "user 7"); // runs
//! assert_eq!(user_name(7).await?, "user 7"); // does not
//! rename(7, "Ann").await?;
//! user_name(7).await?; // runs again
//! assert_eq!(Cache::current().snapshot().kinds["user_name"].misses, 2);
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! With nothing installed, a bounded cache in this process serves. [`Cache::builder`] makes another,
//! [`Cache::install`] makes it the process's, [`Cache::scope`] a test's.
//!
//! What holds, whatever happens: a call that starts after an invalidation was acknowledged never gets
//! a value from before it; the cache never changes a result, nor makes a call wait longer than the
//! store timeout; a value is only ever returned for the call it was computed for; everything is
//! bounded. The repository's ARCHITECTURE.md has them in full.
//!
//! # Panics
//!
//! Nothing here does, but for one case: the first call that has to wait starts the thread that drives
//! timers and connections, and panics if the operating system refuses that thread or its reactor.

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod __fuzz;
#[doc(hidden)]
pub mod __private;
mod cache;
mod clock;
mod codec;
#[cfg(feature = "dashboard")]
pub mod dashboard;
mod deadlines;
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
mod render;
#[cfg(feature = "sabotage")]
pub mod sabotage;
#[cfg(not(feature = "sabotage"))]
mod sabotage;
mod schema;
mod shape;
pub mod store;
mod tag;
#[cfg(feature = "test-util")]
pub mod test;
mod ttl;
mod value;
mod warm;

pub use cache::{Cache, CacheBuilder, Health};
pub use cache_macros::{cached, invalidates, updates};
pub use clock::{Clock, ManualClock, SystemClock};
pub use codec::Codec;
pub use engine::{InspectedTag, Inspection, Invalidation, LocalEntry, SharedEntry};
pub use entry::EntryId;
pub use env::{Entropy, Env, Spawn};
pub use error::{Error, ErrorKind, Result};
pub use key::Key;
pub use kind::Kind;
pub use metrics::{KindSnapshot, Snapshot};
pub use policy::{Consistency, Policy};
pub use tag::Tag;
pub use warm::{Warm, Warmed, Warming};
