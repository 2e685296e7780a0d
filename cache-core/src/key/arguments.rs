//! The tuple of a call's arguments, as a serializer of its own: each argument's text, and `:` between two.
//! Short, since every hit goes through it.

use serde::ser::{Impossible, Serialize, SerializeTuple, Serializer};

use super::args::Args;
use super::text::Text;
use crate::refusal::Refusal;

/// Writes a tuple of arguments, and nothing else.
pub(super) struct Arguments<'s> {
    args: &'s mut Args,
    first: bool,
}

impl<'s> Arguments<'s> {
    #[inline]
    pub(super) fn new(args: &'s mut Args) -> Self {
        Self { args, first: true }
    }
}

impl SerializeTuple for Arguments<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        if !self.first {
            self.args.divide();
        }
        self.first = false;
        value.serialize(Text::argument(self.args))
    }

    #[inline]
    fn end(self) -> Result<(), Refusal> {
        Ok(())
    }
}

#[cold]
fn no_tuple<T>() -> Result<T, Refusal> {
    Err(Refusal::new("arguments come as a tuple"))
}

/// What is no tuple.
macro_rules! refused {
    ($($method:ident($($argument:ty),*) -> $returned:ty;)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<$returned, Refusal> {
            no_tuple()
        }
    )*};
}

impl Serializer for Arguments<'_> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Impossible<(), Refusal>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Impossible<(), Refusal>;
    type SerializeTupleVariant = Impossible<(), Refusal>;
    type SerializeMap = Impossible<(), Refusal>;
    type SerializeStruct = Impossible<(), Refusal>;
    type SerializeStructVariant = Impossible<(), Refusal>;

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self, Refusal> {
        Ok(self)
    }

    /// A function without arguments.
    fn serialize_unit(self) -> Result<(), Refusal> {
        Ok(())
    }

    refused! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Refusal> {
        no_tuple()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<(), Refusal> {
        no_tuple()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Refusal> {
        no_tuple()
    }
}
