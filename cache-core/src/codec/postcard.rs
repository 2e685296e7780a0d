//! postcard: variable-length numbers, nothing but the data.

use postcard::ser_flavors::Flavor;
use postcard::{Error, serialize_with_flavor, take_from_bytes};
use serde::de::Deserialize;

use super::bounded::{Bounded, Full};
use super::guard::Bytes;
use super::number::{Bits, Narrow, Number, digits, first};
use super::part::{DIGITS, Digits, Part};
use super::source::{Ask, Found};
use crate::refusal::Refusal;

type Result<T> = std::result::Result<T, Refusal>;

/// Appends one part.
pub(super) fn write(part: Part<'_>, out: &mut Bounded) -> Result<()> {
    serialize_with_flavor(&part, Out(out)).map_err(Refusal::new)
}

/// Writes a number, and says how many bytes it takes.
#[inline]
pub(super) fn digits(number: impl Digits, room: &mut [u8; DIGITS]) -> Option<usize> {
    postcard::to_slice(&number, room)
        .ok()
        .map(|used| used.len())
}

struct Out<'b>(&'b mut Bounded);

impl Flavor for Out<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.put(bytes).map_err(|Full| Error::SerializeBufferFull)
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Bytes that are read from the beginning.
pub(super) struct Postcard<'de>(pub(super) &'de [u8]);

impl<'de> Postcard<'de> {
    /// Numbers of other lengths than a byte.
    #[inline]
    fn digits(&mut self, number: Number) -> Option<Bits> {
        digits!(self, number)
    }

    /// A byte stands for itself: lists of them are what is read most.
    #[inline]
    fn byte(&mut self) -> Result<u8> {
        match first(&mut self.0) {
            Some(byte) => Ok(byte),
            None => self.next(),
        }
    }

    #[inline]
    fn next<T: Deserialize<'de>>(&mut self) -> Result<T> {
        let (value, left) = take_from_bytes(self.0).map_err(Refusal::new)?;
        self.0 = left;
        Ok(value)
    }
}

impl<'de> Bytes<'de> for Postcard<'de> {
    #[inline]
    fn read(&mut self, ask: Ask, variant: bool) -> Result<Found<'de>> {
        if variant {
            return self.next().map(Found::U32);
        }
        Ok(match ask {
            Ask::Bool => Found::Bool(self.next()?),
            Ask::I8 => Found::I8(self.next()?),
            Ask::I16 => Found::I16(self.next()?),
            Ask::I32 => Found::I32(self.next()?),
            Ask::I64 => Found::I64(self.next()?),
            Ask::I128 => Found::I128(self.next()?),
            Ask::U8 => Found::U8(self.byte()?),
            Ask::U16 => Found::U16(self.next()?),
            Ask::U32 => Found::U32(self.next()?),
            Ask::U64 => Found::U64(self.next()?),
            Ask::U128 => Found::U128(self.next()?),
            Ask::F32 => Found::F32(self.next()?),
            Ask::F64 => Found::F64(self.next()?),
            Ask::Char => Found::Char(self.next()?),
            Ask::Str | Ask::Text => Found::Str(self.next()?),
            Ask::Bytes | Ask::ByteBuf => Found::Bytes(self.next()?),
            Ask::Option => match self.next::<u8>()? {
                0 => Found::None,
                1 => Found::Some,
                _ => return Err(Refusal::new(Error::DeserializeBadOption)),
            },
            Ask::Unit | Ask::UnitStruct(_) => Found::Unit,
            Ask::Newtype(_) => Found::Newtype,
            Ask::Seq => Found::Seq(self.next()?),
            Ask::Map => Found::Map(self.next()?),
            Ask::Tuple(len) | Ask::TupleStruct(_, len) | Ask::TupleVariant(len) => Found::Seq(len),
            Ask::Struct(_, fields) | Ask::StructVariant(fields) => Found::Seq(fields.len()),
            Ask::Enum(..) => Found::Enum { bare: false },
            Ask::Any | Ask::Ignored | Ask::Name => return Err(Refusal::new(Error::WontImplement)),
        })
    }

    #[inline]
    fn number(&mut self, number: Number) -> Option<Bits> {
        if matches!(number, Number::U8 | Number::I8) {
            let (byte, left) = self.0.split_first()?;
            self.0 = left;
            return Some(Bits::of_byte(number, *byte));
        }
        self.digits(number)
    }

    fn leave(&mut self, _left: usize) -> Result<()> {
        Ok(())
    }

    fn nothing(&mut self) -> Result<()> {
        Ok(())
    }

    fn may_have(&self, parts: usize, are_pairs: bool) -> bool {
        are_pairs || parts <= self.0.len()
    }
}
