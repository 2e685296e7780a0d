//! What the examples are made of. The quickstart is in `bin/quickstart.rs`, and takes its files from
//! here; the service of `bin/shifts.rs` is all here.

pub mod shifts;
pub mod tree;
