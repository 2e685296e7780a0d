//! The serializer that every value is written with, whatever the codec: a type's `Serialize` is
//! compiled for it alone. On the way it weighs the value: how many parts it has, how deep they nest,
//! and whether the codec can carry them.

use std::fmt::{self, Display};

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::part::{Digits, Part, Variant};
use super::sheet::Sheet;
use crate::refusal::Refusal;

type Result<T> = std::result::Result<T, Refusal>;

/// One value's place on the sheet.
pub(crate) struct Writer<'s>(pub(super) &'s mut Sheet);

/// What has been begun, and its parts' place on the sheet.
pub(crate) struct Open<'s> {
    sheet: &'s mut Sheet,
    /// Where it begins, if how many parts it has is not known before its end.
    unknown: Option<usize>,
    parts: usize,
    levels: u32,
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl fmt::Debug for Open<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open")
    }
}

impl<'s> Writer<'s> {
    /// Begins what has parts, a level deeper, or two: one for a variant and one for its fields, as in
    /// decoding.
    fn open(self, part: Part<'_>, levels: u32) -> Result<Open<'s>> {
        let Self(sheet) = self;
        for _ in 0..levels {
            sheet.descend()?;
        }
        let unknown = sheet.begin(part)?;
        Ok(Open {
            sheet,
            unknown,
            parts: 0,
            levels,
        })
    }

    fn number(self, number: impl Digits, part: Part<'_>) -> Result<()> {
        if self.0.number(number) {
            return Ok(());
        }
        self.0.leaf(part)
    }
}

impl Open<'_> {
    fn close(self, is_map: bool) -> Result<()> {
        self.sheet.ascend(self.levels);
        match self.unknown {
            Some(start) => self.sheet.count_at(start, self.parts, is_map),
            None => Ok(()),
        }
    }
}

macro_rules! leaves {
    ($($method:ident($part:ident: $argument:ty))*) => {$(
        fn $method(self, value: $argument) -> Result<()> {
            self.0.leaf(Part::$part(value))
        }
    )*};
}

macro_rules! bytes {
    ($($method:ident($part:ident: $argument:ty, $into:expr))*) => {$(
        #[inline]
        fn $method(self, value: $argument) -> Result<()> {
            let into: fn($argument) -> u8 = $into;
            if self.0.byte(into(value)) {
                return Ok(());
            }
            self.number(value, Part::$part(value))
        }
    )*};
}

macro_rules! numbers {
    ($($method:ident($part:ident: $argument:ty))*) => {$(
        fn $method(self, value: $argument) -> Result<()> {
            self.number(value, Part::$part(value))
        }
    )*};
}

impl<'s> Serializer for Writer<'s> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Open<'s>;
    type SerializeTuple = Open<'s>;
    type SerializeTupleStruct = Open<'s>;
    type SerializeTupleVariant = Open<'s>;
    type SerializeMap = Open<'s>;
    type SerializeStruct = Open<'s>;
    type SerializeStructVariant = Open<'s>;

    bytes! {
        serialize_bool(Bool: bool, u8::from)
        serialize_i8(I8: i8, i8::cast_unsigned)
        serialize_u8(U8: u8, |byte| byte)
    }

    numbers! {
        serialize_i16(I16: i16)
        serialize_i32(I32: i32)
        serialize_i64(I64: i64)
        serialize_u16(U16: u16)
        serialize_u32(U32: u32)
        serialize_u64(U64: u64)
        serialize_f32(F32: f32)
        serialize_f64(F64: f64)
    }

    leaves! {
        serialize_i128(I128: i128)
        serialize_u128(U128: u128)
        serialize_char(Char: char)
        serialize_str(Str: &str)
        serialize_bytes(Bytes: &[u8])
        serialize_unit_struct(UnitStruct: &'static str)
    }

    fn serialize_none(self) -> Result<()> {
        self.0.leaf(Part::None)
    }

    fn serialize_unit(self) -> Result<()> {
        self.0.leaf(Part::Unit)
    }

    fn serialize_unit_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
    ) -> Result<()> {
        self.0.leaf(Part::UnitVariant(Variant { of, index, name }))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<()> {
        self.0.text(format_args!("{value}"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        let mut open = self.open(Part::Some, 1)?;
        SerializeSeq::serialize_element(&mut open, value)?;
        SerializeSeq::end(open)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.0.wrap(name)?;
        value.serialize(Writer(self.0))?;
        self.0.unwrap(name)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        let mut open = self.open(Part::NewtypeVariant(Variant { of, index, name }), 1)?;
        SerializeSeq::serialize_element(&mut open, value)?;
        SerializeSeq::end(open)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Open<'s>> {
        self.open(Part::Seq(len), 1)
    }

    fn serialize_tuple(self, len: usize) -> Result<Open<'s>> {
        self.open(Part::Tuple(len), 1)
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Open<'s>> {
        self.open(Part::TupleStruct(name, len), 1)
    }

    fn serialize_tuple_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Open<'s>> {
        self.open(Part::TupleVariant(Variant { of, index, name }, len), 2)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Open<'s>> {
        self.open(Part::Map(len), 1)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Open<'s>> {
        self.open(Part::Struct(name, len), 1)
    }

    fn serialize_struct_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Open<'s>> {
        self.open(Part::StructVariant(Variant { of, index, name }, len), 2)
    }

    fn is_human_readable(&self) -> bool {
        // As all the codecs do.
        false
    }
}

macro_rules! unnamed {
    ($($name:ident::$method:ident),*) => {$(
        impl $name for Open<'_> {
            type Ok = ();
            type Error = Refusal;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.parts += 1;
                value.serialize(Writer(self.sheet))
            }

            fn end(self) -> Result<()> {
                self.close(false)
            }
        }
    )*};
}

unnamed!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! named {
    ($($name:ident),*) => {$(
        impl $name for Open<'_> {
            type Ok = ();
            type Error = Refusal;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.sheet.field(name)?;
                value.serialize(Writer(self.sheet))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<()> {
                self.sheet.skip(name)
            }

            fn end(self) -> Result<()> {
                self.close(false)
            }
        }
    )*};
}

named!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.parts += 1;
        key.serialize(Writer(self.sheet))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(Writer(self.sheet))
    }

    fn end(self) -> Result<()> {
        self.close(true)
    }
}
