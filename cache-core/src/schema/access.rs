//! The insides of made-up values: elements, entries, and the content of a variant.

use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::tracer::Tracer;
use crate::refusal::Refusal;

/// A list, a tuple, or a struct's fields in order.
pub(super) struct Items<'r, 'm> {
    place: Tracer<'r, 'm>,
    next: usize,
    len: usize,
}

impl<'r, 'm> Items<'r, 'm> {
    pub(super) fn new(place: Tracer<'r, 'm>, len: usize) -> Self {
        Self {
            place,
            next: 0,
            len,
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Refusal;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refusal> {
        if self.next == self.len {
            return Ok(None);
        }
        self.next += 1;
        seed.deserialize(self.place.part(self.next)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.next)
    }
}

/// A map of any keys, or a struct's fields with their names.
pub(super) struct Entries<'r, 'm> {
    place: Tracer<'r, 'm>,
    names: Option<&'static [&'static str]>,
    next: usize,
    len: usize,
}

impl<'r, 'm> Entries<'r, 'm> {
    pub(super) fn any(place: Tracer<'r, 'm>, len: usize) -> Self {
        Self {
            place,
            names: None,
            next: 0,
            len,
        }
    }

    pub(super) fn named(place: Tracer<'r, 'm>, names: &'static [&'static str]) -> Self {
        Self {
            place,
            names: Some(names),
            next: 0,
            len: names.len(),
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Refusal;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refusal> {
        if self.next == self.len {
            return Ok(None);
        }
        self.next += 1;
        match self.names {
            Some(names) => seed.deserialize(BorrowedStrDeserializer::new(names[self.next - 1])),
            None => seed.deserialize(self.place.part(2 * self.next).as_key()),
        }
        .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refusal> {
        seed.deserialize(self.place.part(2 * self.next + 1))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.next)
    }
}

/// The variant that was picked.
pub(super) struct Picked<'r, 'm> {
    place: Tracer<'r, 'm>,
    at: usize,
    name: &'static str,
}

impl<'r, 'm> Picked<'r, 'm> {
    pub(super) fn new(place: Tracer<'r, 'm>, at: usize, name: &'static str) -> Self {
        Self { place, at, name }
    }
}

impl<'de> EnumAccess<'de> for Picked<'_, '_> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refusal> {
        // By its number, as bincode and postcard do, or, where that is refused, by its name.
        let index = u32::try_from(self.at).ok();
        let value = match index {
            Some(index) if self.place.choose(2) == 0 => {
                let index: U32Deserializer<Refusal> = index.into_deserializer();
                seed.deserialize(index)
            }
            _ => seed.deserialize(BorrowedStrDeserializer::new(self.name)),
        }?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Picked<'_, '_> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        self.place.note("unit");
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refusal> {
        self.place.note("newtype");
        seed.deserialize(self.place.part(0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.place.part(0).deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.place.part(0).deserialize_struct("", fields, visitor)
    }
}
