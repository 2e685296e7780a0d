//! MessagePack with structs as maps of their fields' names: self-describing, so it carries the
//! types that the others cannot.

use rmp::Marker;
use rmp_serde::{MSGPACK_EXT_STRUCT_NAME, Serializer};
use serde::ser::{Serialize, SerializeTuple};

use super::bounded::Bounded;
use super::guard::Bytes;
use super::number::{Bits, Narrow, Number};
use super::part::Part;
use super::source::{Ask, Found};
use crate::refusal::Refusal;

type Result<T> = std::result::Result<T, Refusal>;

/// The name of a struct that stands for one of MessagePack's extensions.
pub(super) const EXTENSION: &str = MSGPACK_EXT_STRUCT_NAME;

/// Appends one part.
pub(super) fn write(part: Part<'_>, out: &mut Bounded) -> Result<()> {
    match part {
        Part::Some => Ok(()),
        Part::NewtypeVariant(variant) => {
            append(&Part::Map(Some(1)), out)?;
            append(&Part::Str(variant.name), out)
        }
        part => append(&part, out),
    }
}

fn append(value: &impl Serialize, out: &mut Bounded) -> Result<()> {
    let mut serializer = Serializer::new(out).with_struct_map();
    value.serialize(&mut serializer).map_err(Refusal::new)
}

/// An extension that is being written: a tuple of its tag and its bytes.
pub(super) enum Extension {
    Tuple,
    Tag,
    Bytes(i8),
    Done,
}

impl Extension {
    pub(super) fn new() -> Self {
        Self::Tuple
    }

    pub(super) fn write(&mut self, part: Part<'_>, out: &mut Bounded) -> Result<()> {
        *self = match (&*self, part) {
            (Self::Tuple, Part::Tuple(_)) => Self::Tag,
            (Self::Tag, Part::I8(tag)) => Self::Bytes(tag),
            (Self::Bytes(tag), Part::Bytes(bytes)) => {
                append(&Ext(*tag, bytes), out)?;
                Self::Done
            }
            _ => return Err(Refusal::new("an extension is a tuple of an i8 and bytes")),
        };
        Ok(())
    }

    pub(super) fn end(self) -> Result<()> {
        match self {
            Self::Done => Ok(()),
            _ => Err(Refusal::new("an extension is a tuple of an i8 and bytes")),
        }
    }
}

struct Ext<'v>(i8, &'v [u8]);
struct Content<'v>(i8, &'v [u8]);
struct Raw<'v>(&'v [u8]);

impl Serialize for Ext<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_newtype_struct(EXTENSION, &Content(self.0, self.1))
    }
}

impl Serialize for Content<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let mut tuple = to.serialize_tuple(2)?;
        tuple.serialize_element(&self.0)?;
        tuple.serialize_element(&Raw(self.1))?;
        tuple.end()
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

/// Bytes that are read from the beginning.
pub(super) struct MessagePack<'de> {
    pub(super) bytes: &'de [u8],
    inside: Inside<'de>,
}

/// What gives something else than its own markers say.
enum Inside<'de> {
    Nothing,
    /// Bytes that are read as a list of numbers.
    List(std::slice::Iter<'de, u8>),
    /// An extension of this length: then its tag, and its bytes.
    Extension(usize),
    Tag(usize),
    Content(usize),
}

impl<'de> MessagePack<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self {
            bytes,
            inside: Inside::Nothing,
        }
    }

    fn take(&mut self, len: usize) -> Result<&'de [u8]> {
        let Some((taken, left)) = self.bytes.split_at_checked(len) else {
            return Err(Refusal::new("they end too early"));
        };
        self.bytes = left;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut number = [0; N];
        number.copy_from_slice(self.take(N)?);
        Ok(number)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.number::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        self.number().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.number().map(u32::from_be_bytes)
    }

    fn len_of(&mut self, width: u8) -> Result<usize> {
        let len = match width {
            1 => self.u8()?.into(),
            2 => self.u16()?.into(),
            _ => self.u32()?,
        };
        usize::try_from(len).map_err(Refusal::new)
    }

    fn peek(&self) -> Result<Marker> {
        match self.bytes.first() {
            Some(byte) => Ok(Marker::from_u8(*byte)),
            None => Err(Refusal::new("they end too early")),
        }
    }

    fn marker(&mut self) -> Result<Marker> {
        self.u8().map(Marker::from_u8)
    }

    /// A number, `true`, `false` or nil.
    fn simple(&mut self, marker: Marker) -> Result<Found<'de>> {
        Ok(match marker {
            Marker::Null => Found::Unit,
            Marker::True => Found::Bool(true),
            Marker::False => Found::Bool(false),
            Marker::FixPos(value) => Found::U8(value),
            Marker::FixNeg(value) => Found::I8(value),
            Marker::U8 => Found::U8(self.u8()?),
            Marker::U16 => Found::U16(self.u16()?),
            Marker::U32 => Found::U32(self.u32()?),
            Marker::U64 => Found::U64(self.number().map(u64::from_be_bytes)?),
            Marker::I8 => Found::I8(self.number().map(i8::from_be_bytes)?),
            Marker::I16 => Found::I16(self.number().map(i16::from_be_bytes)?),
            Marker::I32 => Found::I32(self.number().map(i32::from_be_bytes)?),
            Marker::I64 => Found::I64(self.number().map(i64::from_be_bytes)?),
            Marker::F32 => Found::F32(self.number().map(f32::from_be_bytes)?),
            Marker::F64 => Found::F64(self.number().map(f64::from_be_bytes)?),
            other => return Err(strange(other)),
        })
    }

    /// Whatever comes next. `list`: bytes are a list of numbers.
    fn any(&mut self, list: bool) -> Result<Found<'de>> {
        let marker = self.marker()?;
        Ok(match marker {
            Marker::FixStr(len) => self.text(len.into())?,
            Marker::Str8 => self.len_of(1).and_then(|len| self.text(len))?,
            Marker::Str16 => self.len_of(2).and_then(|len| self.text(len))?,
            Marker::Str32 => self.len_of(4).and_then(|len| self.text(len))?,
            Marker::Bin8 => self.len_of(1).and_then(|len| self.bin(len, list))?,
            Marker::Bin16 => self.len_of(2).and_then(|len| self.bin(len, list))?,
            Marker::Bin32 => self.len_of(4).and_then(|len| self.bin(len, list))?,
            Marker::FixArray(len) => Found::Seq(len.into()),
            Marker::Array16 => Found::Seq(self.len_of(2)?),
            Marker::Array32 => Found::Seq(self.len_of(4)?),
            Marker::FixMap(len) => Found::Map(len.into()),
            Marker::Map16 => Found::Map(self.len_of(2)?),
            Marker::Map32 => Found::Map(self.len_of(4)?),
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => self.extension(marker)?,
            other => self.simple(other)?,
        })
    }

    fn text(&mut self, len: usize) -> Result<Found<'de>> {
        let bytes = self.take(len)?;
        // A visitor that takes bytes may make something of what is no text.
        Ok(std::str::from_utf8(bytes).map_or(Found::Bytes(bytes), Found::Str))
    }

    fn bin(&mut self, len: usize, list: bool) -> Result<Found<'de>> {
        let bytes = self.take(len)?;
        if !list {
            return Ok(Found::Bytes(bytes));
        }
        self.inside = Inside::List(bytes.iter());
        Ok(Found::Seq(len))
    }

    fn extension(&mut self, marker: Marker) -> Result<Found<'de>> {
        let len = match marker {
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Ext8 => self.len_of(1)?,
            Marker::Ext16 => self.len_of(2)?,
            Marker::Ext32 => self.len_of(4)?,
            other => return Err(strange(other)),
        };
        self.inside = Inside::Extension(len);
        Ok(Found::Newtype)
    }

    fn wide(&mut self) -> Result<i128> {
        let marker = self.marker()?;
        let len = match marker {
            Marker::Bin8 => self.u8()?,
            Marker::FixArray(len) => len,
            other => {
                return Ok(match self.simple(other)? {
                    Found::U8(value) => value.into(),
                    Found::U16(value) => value.into(),
                    Found::U32(value) => value.into(),
                    Found::U64(value) => value.into(),
                    Found::I8(value) => value.into(),
                    Found::I16(value) => value.into(),
                    Found::I32(value) => value.into(),
                    Found::I64(value) => value.into(),
                    _ => return Err(strange(other)),
                });
            }
        };
        if len != 16 {
            return Err(Refusal::new("a number of 128 bits takes 16 bytes"));
        }
        self.number().map(i128::from_be_bytes)
    }

    /// One part of what is not as its markers say.
    fn part(&mut self) -> Result<Found<'de>> {
        match &mut self.inside {
            Inside::List(bytes) => match bytes.next() {
                Some(byte) => Ok(Found::U8(*byte)),
                None => Err(Refusal::new("they end too early")),
            },
            Inside::Extension(len) => {
                self.inside = Inside::Tag(*len);
                Ok(Found::Seq(2))
            }
            Inside::Tag(len) => {
                self.inside = Inside::Content(*len);
                self.number().map(i8::from_be_bytes).map(Found::I8)
            }
            Inside::Content(len) => {
                let len = *len;
                self.inside = Inside::Nothing;
                self.take(len).map(Found::Bytes)
            }
            Inside::Nothing => self.any(false),
        }
    }
}

/// A number of this width, and what follows it.
#[inline]
fn fixed<const N: usize, T: Narrow>(bytes: &[u8], from: fn([u8; N]) -> T) -> Option<(Bits, &[u8])> {
    let (number, left) = bytes.split_first_chunk()?;
    Some((from(*number).into_bits(), left))
}

#[cold]
fn strange(marker: Marker) -> Refusal {
    Refusal::new(format_args!("{marker:?} is not what was asked for"))
}

impl<'de> Bytes<'de> for MessagePack<'de> {
    fn read(&mut self, ask: Ask, _variant: bool) -> Result<Found<'de>> {
        if !matches!(self.inside, Inside::Nothing) {
            return self.part();
        }
        match ask {
            Ask::Bool
            | Ask::I8
            | Ask::I16
            | Ask::I32
            | Ask::I64
            | Ask::U8
            | Ask::U16
            | Ask::U32
            | Ask::U64
            | Ask::F32
            | Ask::F64 => {
                let marker = self.marker()?;
                self.simple(marker)
            }
            Ask::I128 => self.wide().map(Found::I128),
            // The bits of either are the same.
            Ask::U128 => self.wide().map(|wide| Found::U128(wide.cast_unsigned())),
            Ask::Option => {
                if self.peek()? == Marker::Null {
                    self.bytes = &self.bytes[1..];
                    return Ok(Found::None);
                }
                Ok(Found::Some)
            }
            Ask::UnitStruct(_) => {
                if self.peek()? == Marker::FixArray(0) {
                    self.bytes = &self.bytes[1..];
                    return Ok(Found::Unit);
                }
                self.any(false)
            }
            Ask::Newtype(EXTENSION) => {
                let marker = self.marker()?;
                self.extension(marker)
            }
            Ask::Newtype(_) => Ok(Found::Newtype),
            Ask::Enum(..) => {
                let len = match self.peek()? {
                    Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => self.any(false)?,
                    _ => return Ok(Found::Enum { bare: true }),
                };
                match len {
                    Found::Map(1) => Ok(Found::Enum { bare: false }),
                    _ => Err(Refusal::new("a variant is a map of one entry")),
                }
            }
            Ask::Seq
            | Ask::Tuple(_)
            | Ask::TupleStruct(..)
            | Ask::TupleVariant(_)
            | Ask::Struct(..)
            | Ask::StructVariant(_) => self.any(true),
            Ask::Any
            | Ask::Ignored
            | Ask::Char
            | Ask::Str
            | Ask::Text
            | Ask::Bytes
            | Ask::ByteBuf
            | Ask::Unit
            | Ask::Map
            | Ask::Name => self.any(false),
        }
    }

    /// What it is taken for says nothing of what there is.
    #[inline]
    fn number(&mut self, _: Number) -> Option<Bits> {
        match &mut self.inside {
            Inside::Nothing => {}
            Inside::List(bytes) => return bytes.next().map(|byte| byte.into_bits()),
            Inside::Extension(_) | Inside::Tag(_) | Inside::Content(_) => return None,
        }
        let (marker, after) = self.bytes.split_first()?;
        let (bits, left) = match Marker::from_u8(*marker) {
            Marker::FixPos(value) => (value.into_bits(), after),
            Marker::FixNeg(value) => (value.into_bits(), after),
            Marker::True => (true.into_bits(), after),
            Marker::False => (false.into_bits(), after),
            Marker::U8 => fixed(after, u8::from_be_bytes)?,
            Marker::U16 => fixed(after, u16::from_be_bytes)?,
            Marker::U32 => fixed(after, u32::from_be_bytes)?,
            Marker::U64 => fixed(after, u64::from_be_bytes)?,
            Marker::I8 => fixed(after, i8::from_be_bytes)?,
            Marker::I16 => fixed(after, i16::from_be_bytes)?,
            Marker::I32 => fixed(after, i32::from_be_bytes)?,
            Marker::I64 => fixed(after, i64::from_be_bytes)?,
            Marker::F32 => fixed(after, f32::from_be_bytes)?,
            Marker::F64 => fixed(after, f64::from_be_bytes)?,
            _ => return None,
        };
        self.bytes = left;
        Some(bits)
    }

    fn leave(&mut self, left: usize) -> Result<()> {
        if let Inside::List(_) = self.inside {
            self.inside = Inside::Nothing;
            return Ok(());
        }
        if left > 0 {
            return Err(Refusal::new(format_args!("{left} parts are left over")));
        }
        Ok(())
    }

    fn nothing(&mut self) -> Result<()> {
        match self.marker()? {
            Marker::Null => Ok(()),
            other => Err(strange(other)),
        }
    }

    fn may_have(&self, _: usize, _: bool) -> bool {
        true
    }
}
