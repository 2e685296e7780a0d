//! A mixed workload in several processes on one Redis: who takes part, what one process does, and the
//! files that say which version of an item is true.

mod contestants;
mod node;
mod truth;

pub use contestants::{Contestant, NAMES};
pub use node::{Plan, Tally, run};
pub use truth::Truth;

/// How many items there are.
pub const ITEMS: u32 = 1_000_000;
/// How many processes there are.
pub const NODES: u64 = 4;
