//! What values are written in: their leaves, and the beginnings of what has parts. A codec's library
//! writes one of these at a time, so it is compiled for this type alone, and not for every value's.

use bincode::Encode;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// One step of writing a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'v> {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    F32(f32),
    F64(f64),
    Char(char),
    Str(&'v str),
    Bytes(&'v [u8]),
    None,
    Unit,
    UnitStruct(&'static str),
    UnitVariant(Variant),
    /// The value follows.
    Some,
    /// The value follows.
    NewtypeVariant(Variant),
    /// As many elements follow.
    Seq(Option<usize>),
    Tuple(usize),
    TupleStruct(&'static str, usize),
    TupleVariant(Variant, usize),
    /// As many keys follow, each with its value.
    Map(Option<usize>),
    /// As many fields follow.
    Struct(&'static str, usize),
    StructVariant(Variant, usize),
}

/// A number whose bytes are written on a short cut: lists of them are the longest values there are.
pub(super) trait Digits: Copy + Serialize + Encode {
    /// Writes it as MessagePack, and says how many bytes it takes.
    fn messagepack(self, room: &mut [u8; DIGITS]) -> Option<usize>;
}

/// At most as many bytes does such a number take in any codec.
pub(super) const DIGITS: usize = 10;

macro_rules! digits {
    ($($type:ty: $write:ident($wide:ty);)*) => {$(
        impl Digits for $type {
            #[inline]
            fn messagepack(self, room: &mut [u8; DIGITS]) -> Option<usize> {
                let mut left = room.as_mut_slice();
                rmp::encode::$write(&mut left, <$wide>::from(self)).ok()?;
                let unused = left.len();
                Some(DIGITS - unused)
            }
        }
    )*};
}

digits! {
    bool: write_bool(bool);
    i8: write_sint(i64);
    i16: write_sint(i64);
    i32: write_sint(i64);
    i64: write_sint(i64);
    u8: write_uint(u64);
    u16: write_uint(u64);
    u32: write_uint(u64);
    u64: write_uint(u64);
    f32: write_f32(f32);
    f64: write_f64(f64);
}

/// A variant of an enum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    pub(super) of: &'static str,
    pub(super) index: u32,
    pub(super) name: &'static str,
}

/// Writes this part alone: none of the codecs has anything to write at the end of what has parts, nor
/// between them, but MessagePack the names of fields.
impl Serialize for Part<'_> {
    #[inline]
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Bool(value) => to.serialize_bool(value),
            Self::I8(value) => to.serialize_i8(value),
            Self::I16(value) => to.serialize_i16(value),
            Self::I32(value) => to.serialize_i32(value),
            Self::I64(value) => to.serialize_i64(value),
            Self::I128(value) => to.serialize_i128(value),
            Self::U8(value) => to.serialize_u8(value),
            Self::U16(value) => to.serialize_u16(value),
            Self::U32(value) => to.serialize_u32(value),
            Self::U64(value) => to.serialize_u64(value),
            Self::U128(value) => to.serialize_u128(value),
            Self::F32(value) => to.serialize_f32(value),
            Self::F64(value) => to.serialize_f64(value),
            Self::Char(value) => to.serialize_char(value),
            Self::Str(value) => to.serialize_str(value),
            Self::Bytes(value) => to.serialize_bytes(value),
            Self::None => to.serialize_none(),
            Self::Unit => to.serialize_unit(),
            Self::UnitStruct(name) => to.serialize_unit_struct(name),
            Self::UnitVariant(Variant { of, index, name }) => {
                to.serialize_unit_variant(of, index, name)
            }
            // A unit takes no bytes where `Some` does: MessagePack is asked for neither.
            Self::Some => to.serialize_some(&()),
            Self::NewtypeVariant(Variant { of, index, name }) => {
                to.serialize_newtype_variant(of, index, name, &())
            }
            Self::Seq(len) => to.serialize_seq(len)?.end(),
            Self::Tuple(len) => to.serialize_tuple(len)?.end(),
            Self::TupleStruct(name, len) => to.serialize_tuple_struct(name, len)?.end(),
            Self::TupleVariant(Variant { of, index, name }, len) => {
                to.serialize_tuple_variant(of, index, name, len)?.end()
            }
            Self::Map(len) => to.serialize_map(len)?.end(),
            Self::Struct(name, len) => to.serialize_struct(name, len)?.end(),
            Self::StructVariant(Variant { of, index, name }, len) => {
                to.serialize_struct_variant(of, index, name, len)?.end()
            }
        }
    }
}
