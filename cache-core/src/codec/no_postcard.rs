//! Where the feature `postcard` is left out: nothing is written, and what others wrote is not read.

use super::bounded::Bounded;
use super::part::{DIGITS, Digits, Part};
use crate::refusal::Refusal;

/// Why, and what to do.
pub(super) const ABSENT: &str = "it takes a feature that is left out by default: add \
    `features = [\"postcard\"]` to cache-core in Cargo.toml";

/// Writes nothing. No policy comes so far: [`Policy`](crate::Policy) is refused that asks for it.
pub(super) fn write(_part: Part<'_>, _out: &mut Bounded) -> Result<(), Refusal> {
    Err(Refusal::new(ABSENT))
}

/// The same.
pub(super) fn digits(_number: impl Digits, _room: &mut [u8; DIGITS]) -> Option<usize> {
    None
}
