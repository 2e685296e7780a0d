//! The cases, by the numbers that the page has them under.

mod arguments;
mod batches;
mod building;
mod hits;
mod invalidation;
mod memory;
mod mixture;
mod ratios;
mod redis_hits;
mod round_trips;
mod stampede;
mod threads;

use crate::rows::Row;
use crate::{Effort, Result};

/// Something that is measured, in a process of its own.
pub struct Case {
    pub number: u8,
    pub title: &'static str,
    /// What is measured, exactly.
    pub about: &'static str,
    /// What keeps a target from being met, where one is not.
    pub limit: Option<&'static str>,
    pub run: fn(Effort) -> Result<Vec<Row>>,
}

/// All of them.
pub const CASES: &[Case] = &[
    hits::CASE,
    arguments::CASE,
    threads::CASE,
    redis_hits::CASE,
    round_trips::CASE,
    mixture::CASE,
    stampede::CASE,
    batches::CASE,
    memory::CASE,
    invalidation::CASE,
    ratios::CASE,
    building::CASE,
];
