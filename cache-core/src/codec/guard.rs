//! Decoding under guard: between a value and the codec's bytes, pays for every part of the value with
//! fuel.

use super::fuel::Fuel;
use super::number::{Bits, Number};
use super::source::{Ask, Found, Source, Who};
use crate::refusal::Refusal;

/// A codec's bytes, as far as they have not been read.
pub(super) trait Bytes<'de> {
    /// Reads what comes next. `variant`: it is which variant of an enum it is.
    fn read(&mut self, ask: Ask, variant: bool) -> Result<Found<'de>, Refusal>;

    /// Reads a number, where there is one; takes nothing where there is none.
    fn number(&mut self, number: Number) -> Option<Bits>;

    /// The parts of something have been read, but for those that are left.
    fn leave(&mut self, left: usize) -> Result<(), Refusal>;

    /// Reads what stands for a variant with nothing in it.
    fn nothing(&mut self) -> Result<(), Refusal>;

    /// Whether there can be so many parts, as far as it can be told.
    fn may_have(&self, parts: usize, are_pairs: bool) -> bool;
}

/// A codec's bytes under guard.
pub(super) struct Guard<'f, B> {
    bytes: B,
    fuel: &'f Fuel,
    variant: bool,
    /// That a visitor has left parts where it may not.
    left_over: Option<Refusal>,
}

impl<'f, B> Guard<'f, B> {
    pub(super) fn new(bytes: B, fuel: &'f Fuel) -> Self {
        Self {
            bytes,
            fuel,
            variant: false,
            left_over: None,
        }
    }

    /// What is left of the bytes, once they were read.
    pub(super) fn end(self, read: Result<(), Refusal>) -> Result<B, Refusal> {
        // Whatever was read after parts were left was read from the wrong place.
        match self.left_over {
            Some(left_over) => Err(left_over),
            None => read.map(|()| self.bytes),
        }
    }
}

impl<'de, B: Bytes<'de>> Source<'de> for Guard<'_, B> {
    fn ask(&mut self, ask: Ask, _: Who) -> Result<Found<'de>, Refusal> {
        // What is in a variant was paid for with the enum.
        if !matches!(ask, Ask::TupleVariant(_) | Ask::StructVariant(_)) {
            self.fuel.step().map_err(Refusal::new)?;
        }
        let variant = std::mem::take(&mut self.variant);
        let found = self.bytes.read(ask, variant)?;
        if found.has_parts() {
            self.fuel.descend().map_err(Refusal::new)?;
        }
        Ok(found)
    }

    fn number(&mut self, number: Number) -> Option<Bits> {
        if self.variant || !self.fuel.lasts() {
            return None;
        }
        let bits = self.bytes.number(number)?;
        self.fuel.step().ok()?;
        Some(bits)
    }

    fn leave(&mut self, left: usize, refusal: Option<&Refusal>) {
        self.fuel.ascend();
        if refusal.is_none()
            && self.left_over.is_none()
            && let Err(left_over) = self.bytes.leave(left)
        {
            self.left_over = Some(left_over);
        }
    }

    fn variant_follows(&mut self) {
        self.variant = true;
    }

    fn in_variant(&mut self, one: bool) -> Result<(), Refusal> {
        if one { Ok(()) } else { self.bytes.nothing() }
    }

    fn expect(&self, left: usize, are_pairs: bool) -> Option<usize> {
        self.bytes
            .may_have(left, are_pairs)
            .then(|| self.fuel.set_aside(left))
    }
}
