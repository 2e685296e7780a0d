//! What is counted, per kind: counters owned by threads, a histogram of load times, and the plain
//! data that readers get.

mod counters;
mod histogram;
mod snapshot;

pub(crate) use counters::{Count, Counters};
pub(crate) use histogram::Histogram;
pub use histogram::{Bucket, Distribution};
pub use snapshot::{KindSnapshot, Snapshot};
