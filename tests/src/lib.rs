//! What the integration tests share: private servers, services and browsers, stores whose answers can
//! be held back, sources whose loads can, a listener for logs, the suite every store must pass, the
//! simulation, and the soak.

pub mod browser;
pub mod conformance;
pub mod fixture;
pub mod fleet;
pub mod gate;
pub mod impostor;
pub mod logs;
pub mod program;
pub mod prometheus;
pub mod proxy;
pub mod server;
pub mod service;
pub mod simulation;
pub mod soak;
pub mod source;
pub mod world;

/// The README's code compiles and runs as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
