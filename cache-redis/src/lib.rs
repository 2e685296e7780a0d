//! The shared tier of cache-core on Redis: one store, its connections, and the layout of its keys.
//!
//! ```no_run
//! use cache_redis::RedisStore;
//!
//! # fn main() -> Result<(), cache_core::Error> {
//! let store = RedisStore::from_env()?; // UPSTASH_REDIS_URL, REDIS_URL, REDIS_HOST.., or localhost
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here touches the network before the first call: a program starts while Redis is down,
//! and uses it as soon as it is there.
//!
//! Inside, a later line may use an earlier one, never the reverse:
//!
//! ```text
//! failure            what went wrong, ready to be told to every caller
//! config/            URL, environment, TLS
//! traffic            what is heard over a connection
//! keys  scripts      the layout in Redis; what runs there
//! coherence          what Redis tells by itself, and what it is worth
//! wire/              the conversation over a connection: requests gathered, answers, pushes
//! dial               one connection: address, TLS, handshake, tracking
//! connection         the loop that owns it, and everybody's way to it
//! reply              what Redis answered
//! fleet/             what reports write, and what a reader makes of it
//! store              the `Store` trait on all of these
//! cli/               the program `cache` (feature `cli`)
//! ```

#![forbid(unsafe_code)]

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod __fuzz;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod coherence;
mod config;
mod connection;
mod dial;
mod failure;
mod fleet;
mod keys;
mod reply;
mod scripts;
mod store;
mod traffic;
mod wire;

pub use config::{RedisConfig, Roots};
pub use store::RedisStore;
