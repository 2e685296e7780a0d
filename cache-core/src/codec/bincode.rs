//! bincode 2.0.1 in its standard configuration. No longer maintained upstream, so nothing outside
//! this file knows of it.

use bincode::config::standard;
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bincode::serde::encode_into_writer;
use bincode::{Decode, borrow_decode_from_slice, decode_from_slice};

use super::bounded::{Bounded, Full};
use super::guard::Bytes;
use super::number::{Bits, Narrow, Number, digits, first};
use super::part::{DIGITS, Digits, Part};
use super::source::{Ask, Found};
use crate::refusal::Refusal;

type Result<T> = std::result::Result<T, Refusal>;

/// Appends one part.
pub(super) fn write(part: Part<'_>, out: &mut Bounded) -> Result<()> {
    encode_into_writer(part, Out(out), standard()).map_err(Refusal::new)
}

/// Writes a number, and says how many bytes it takes.
#[inline]
pub(super) fn digits(number: impl Digits, room: &mut [u8; DIGITS]) -> Option<usize> {
    bincode::encode_into_slice(number, room, standard()).ok()
}

struct Out<'b>(&'b mut Bounded);

impl Writer for Out<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<(), EncodeError> {
        self.0
            .put(bytes)
            .map_err(|Full| EncodeError::OtherString(Full.to_string()))
    }
}

/// Bytes that are read from the beginning.
pub(super) struct Bincode<'de>(pub(super) &'de [u8]);

impl<'de> Bincode<'de> {
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

    fn next<T: Decode<()>>(&mut self) -> Result<T> {
        let (value, used) = decode_from_slice(self.0, standard()).map_err(Refusal::new)?;
        self.0 = &self.0[used..];
        Ok(value)
    }

    fn bytes(&mut self) -> Result<&'de [u8]> {
        let (value, used) = borrow_decode_from_slice(self.0, standard()).map_err(Refusal::new)?;
        self.0 = &self.0[used..];
        Ok(value)
    }

    fn text(&mut self) -> Result<&'de str> {
        std::str::from_utf8(self.bytes()?).map_err(Refusal::new)
    }
}

impl<'de> Bytes<'de> for Bincode<'de> {
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
            Ask::Str | Ask::Text => Found::Str(self.text()?),
            Ask::Bytes | Ask::ByteBuf => Found::Bytes(self.bytes()?),
            Ask::Option => match self.next::<u8>()? {
                0 => Found::None,
                1 => Found::Some,
                other => return Err(Refusal::new(format_args!("{other} is no Option"))),
            },
            Ask::Unit | Ask::UnitStruct(_) => Found::Unit,
            Ask::Newtype(_) => Found::Newtype,
            Ask::Seq => Found::Seq(self.next()?),
            Ask::Map => Found::Map(self.next()?),
            Ask::Tuple(len) | Ask::TupleStruct(_, len) | Ask::TupleVariant(len) => Found::Seq(len),
            Ask::Struct(_, fields) | Ask::StructVariant(fields) => Found::Seq(fields.len()),
            Ask::Enum(..) => Found::Enum { bare: false },
            Ask::Any | Ask::Ignored | Ask::Name => {
                return Err(Refusal::new("bincode can't tell what comes next"));
            }
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

    fn may_have(&self, _: usize, _: bool) -> bool {
        true
    }
}
