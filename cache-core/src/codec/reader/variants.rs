//! A variant of an enum, as a visitor is given it: its name, and what is in it.

use std::mem::{ManuallyDrop, needs_drop};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, Unexpected,
    VariantAccess, Visitor,
};

use super::{Key, Name, Reader, Result, key, refused, text, told};
use crate::codec::source::{Ask, Source};
use crate::refusal::Refusal;

/// The place of a variant's name.
struct Tag<'r, 'de>(Reader<'r, 'de>);

macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value> {
            self.0.$method($($argument,)* visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tag<'_, 'de> {
    type Error = Refusal;

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let source = self.0.0;
        let visitor = ManuallyDrop::new(visitor);
        let name = match variant(source, &*visitor) {
            Ok(name) => name,
            Err(refusal) => {
                unneeded!(visitor);
                return Err(refusal);
            }
        };
        let visitor = ManuallyDrop::into_inner(visitor);
        let made = match name {
            Name::Text(name) => visitor.visit_borrowed_str(name),
            Name::Variant(number) => visitor.visit_u32(number),
            Name::Number(number) => visitor.visit_u64(number),
        };
        told(made, source)
    }

    // Who reads names in a way of his own.
    forward! {
        deserialize_any()
        deserialize_bool()
        deserialize_i8()
        deserialize_i16()
        deserialize_i32()
        deserialize_i64()
        deserialize_i128()
        deserialize_u8()
        deserialize_u16()
        deserialize_u32()
        deserialize_u64()
        deserialize_u128()
        deserialize_f32()
        deserialize_f64()
        deserialize_char()
        deserialize_str()
        deserialize_string()
        deserialize_bytes()
        deserialize_byte_buf()
        deserialize_option()
        deserialize_unit()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_seq()
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
        deserialize_ignored_any()
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// A variant of an enum.
pub(super) struct Picked<'r, 'de> {
    pub(super) source: &'r mut (dyn Source<'de> + 'r),
    /// There is its name, and nothing in it.
    pub(super) bare: bool,
}

impl Picked<'_, '_> {
    fn full(&self, expected: &'static str) -> Result<()> {
        if self.bare {
            return Err(Refusal::invalid_type(Unexpected::UnitVariant, &expected));
        }
        Ok(())
    }
}

impl<'de> EnumAccess<'de> for Picked<'_, 'de> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self)> {
        self.source.variant_follows();
        let name = seed.deserialize(Tag(Reader(&mut *self.source)))?;
        Ok((name, self))
    }

    fn variant<N: Deserialize<'de>>(self) -> Result<(N, Self)> {
        self.source.variant_follows();
        match N::deserialize(Tag(Reader(&mut *self.source))) {
            Ok(name) => Ok((name, self)),
            Err(refusal) => Err(refusal),
        }
    }
}

impl<'de> VariantAccess<'de> for Picked<'_, 'de> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<()> {
        if self.bare {
            return Ok(());
        }
        self.source.in_variant(false)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        self.full("newtype variant")?;
        self.source.in_variant(true)?;
        seed.deserialize(Reader(self.source))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        let visitor = ManuallyDrop::new(visitor);
        match self.full("tuple variant") {
            Ok(()) => {
                Reader(self.source).list(Ask::TupleVariant(len), ManuallyDrop::into_inner(visitor))
            }
            Err(refusal) => {
                unneeded!(visitor);
                Err(refusal)
            }
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let visitor = ManuallyDrop::new(visitor);
        match self.full("struct variant") {
            Ok(()) => Reader(self.source).fields(
                Ask::StructVariant(fields),
                ManuallyDrop::into_inner(visitor),
            ),
            Err(refusal) => {
                unneeded!(visitor);
                Err(refusal)
            }
        }
    }
}

/// The name of a variant that comes next, or its number.
fn variant<'de>(source: &mut (dyn Source<'de> + '_), expected: &dyn Expected) -> Result<Name<'de>> {
    match key(source, expected)? {
        Key::Name(name) => Ok(name),
        Key::Bytes(name) => Ok(Name::Text(text(name))),
        other => Err(refused(source, other.unexpected(expected))),
    }
}
