//! What is counted, per kind: counters owned by threads, a histogram of load times, and the plain
//! data that readers get.

mod counters;
#[cfg(feature = "metrics")]
pub mod facade;
#[cfg(any(feature = "metrics", feature = "prometheus"))]
mod families;
mod fields;
mod fleet;
mod histogram;
#[cfg(any(feature = "metrics", feature = "prometheus"))]
mod labels;
#[cfg(feature = "prometheus")]
pub mod prometheus;
mod snapshot;
mod window;

pub(crate) use counters::{Count, Counters};
pub use fleet::{Fleet, Minute, NoNodeId, Node, NodeId, Report};
pub(crate) use histogram::Histogram;
pub use histogram::{Bucket, Distribution};
pub use snapshot::{KindSnapshot, Snapshot};
pub use window::Recent;
pub(crate) use window::{Window, millis};
