//! The deserializer that every value is read with, whatever the codec: a type's `Deserialize` is
//! compiled for it alone. It asks a [`Source`] what comes next, and hands it to the type's visitor.
//!
//! A visitor that asks for something with parts is not shown a single number or text in its place,
//! but an error: else it would be compiled with everything it can do with each of them.

use std::fmt;
use std::mem::{ManuallyDrop, needs_drop};

use serde::de::{Deserializer, Error as _, Expected, Unexpected, Visitor};

use super::number::{Narrow, Number};
use super::source::{Ask, Found, Source, Who};
use crate::refusal::Refusal;

type Result<T> = std::result::Result<T, Refusal>;

/// One value's place in a source.
pub struct Reader<'r, 'de>(pub(crate) &'r mut (dyn Source<'de> + 'r));

impl fmt::Debug for Reader<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

/// Drops a visitor that is held on to while its source is waited for. Where that is nothing to be done, as with
/// nearly all, nothing is compiled: nor would there be another way out of what holds it, for panics.
macro_rules! unneeded {
    ($visitor:ident) => {
        if const { needs_drop::<V>() } {
            drop(ManuallyDrop::into_inner($visitor));
        }
    };
}

// After the macro, which they use.
mod parts;
mod variants;

use parts::{Fields, Parts};
use variants::Picked;

impl<'de> Reader<'_, 'de> {
    fn ask<V: Visitor<'de>>(&mut self, ask: Ask) -> Result<Found<'de>> {
        self.0.ask(ask, const { Who::is::<V>() })
    }

    /// Hands over whatever was found.
    fn anything<V: Visitor<'de>>(self, found: Found<'de>, visitor: V) -> Result<V::Value> {
        let result = match found {
            Found::Unit => visitor.visit_unit(),
            Found::Bool(value) => visitor.visit_bool(value),
            Found::I8(value) => visitor.visit_i8(value),
            Found::I16(value) => visitor.visit_i16(value),
            Found::I32(value) => visitor.visit_i32(value),
            Found::I64(value) => visitor.visit_i64(value),
            Found::I128(value) => visitor.visit_i128(value),
            Found::U8(value) => visitor.visit_u8(value),
            Found::U16(value) => visitor.visit_u16(value),
            Found::U32(value) => visitor.visit_u32(value),
            Found::U64(value) => visitor.visit_u64(value),
            Found::U128(value) => visitor.visit_u128(value),
            Found::F32(value) => visitor.visit_f32(value),
            Found::F64(value) => visitor.visit_f64(value),
            Found::Char(value) => visitor.visit_char(value),
            Found::Str(value) => visitor.visit_borrowed_str(value),
            Found::Bytes(value) => visitor.visit_borrowed_bytes(value),
            Found::None => visitor.visit_none(),
            Found::Seq(len) => return self.elements(len, visitor),
            Found::Map(len) => return self.entries(len, visitor),
            Found::Newtype => return self.inner(visitor),
            Found::Some | Found::Enum { .. } => Err(found.unexpected(&visitor)),
        };
        told(result, self.0)
    }

    /// Hands over what was found as owned text or bytes, or as the list it may be.
    fn owned<V: Visitor<'de>>(mut self, ask: Ask, visitor: V) -> Result<V::Value> {
        let found = self.ask::<V>(ask)?;
        let result = match found {
            Found::Str(text) => visitor.visit_string(text.to_owned()),
            Found::Bytes(bytes) => visitor.visit_byte_buf(bytes.to_vec()),
            // MessagePack gives what it finds, whatever it was asked for.
            Found::Seq(len) => return self.elements(len, visitor),
            _ => Err(found.unexpected(&visitor)),
        };
        told(result, self.0)
    }

    fn list<V: Visitor<'de>>(self, ask: Ask, visitor: V) -> Result<V::Value> {
        let visitor = ManuallyDrop::new(visitor);
        match begun(self.0, ask, const { Who::is::<V>() }, false, &*visitor) {
            Ok((mut left, _)) => {
                let parts = Parts {
                    source: &mut *self.0,
                    left: &mut left,
                };
                let visitor = ManuallyDrop::into_inner(visitor);
                ended(visitor.visit_seq(parts), self.0, left)
            }
            Err(refusal) => {
                unneeded!(visitor);
                Err(refusal)
            }
        }
    }

    fn fields<V: Visitor<'de>>(self, ask: Ask, visitor: V) -> Result<V::Value> {
        let visitor = ManuallyDrop::new(visitor);
        match begun(self.0, ask, const { Who::is::<V>() }, true, &*visitor) {
            Ok((mut left, keyed)) => {
                let parts = Parts {
                    source: &mut *self.0,
                    left: &mut left,
                };
                let visitor = ManuallyDrop::into_inner(visitor);
                let made = if keyed {
                    visitor.visit_map(Fields(parts))
                } else {
                    visitor.visit_seq(parts)
                };
                ended(made, self.0, left)
            }
            Err(refusal) => {
                unneeded!(visitor);
                Err(refusal)
            }
        }
    }

    fn elements<V: Visitor<'de>>(self, mut left: usize, visitor: V) -> Result<V::Value> {
        let parts = Parts {
            source: &mut *self.0,
            left: &mut left,
        };
        ended(visitor.visit_seq(parts), self.0, left)
    }

    fn entries<V: Visitor<'de>>(self, mut left: usize, visitor: V) -> Result<V::Value> {
        let parts = Parts {
            source: &mut *self.0,
            left: &mut left,
        };
        ended(visitor.visit_map(parts), self.0, left)
    }

    fn inner<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        ended(
            visitor.visit_newtype_struct(Reader(&mut *self.0)),
            self.0,
            0,
        )
    }
}

// These take results by value, and are handed them right where they are made: what has a name has to be dropped, in a
// panic too, and that is compiled for each type as well.

/// What a visitor has made of something without parts. The source is told where it has refused it.
fn told<'de, T>(result: Result<T>, source: &mut (dyn Source<'de> + '_)) -> Result<T> {
    if let Err(refusal) = &result {
        source.refused(refusal);
    }
    result
}

/// How many parts follow, and whether each has a key, where that may be.
fn begun<'de>(
    source: &mut (dyn Source<'de> + '_),
    ask: Ask,
    who: Who,
    keyed: bool,
    expected: &dyn Expected,
) -> Result<(usize, bool)> {
    match source.ask(ask, who)? {
        Found::Seq(len) => Ok((len, false)),
        Found::Map(len) if keyed => Ok((len, true)),
        found => Err(found.unexpected(expected)),
    }
}

/// Whether of a variant there is its name alone.
fn picked<'de>(
    source: &mut (dyn Source<'de> + '_),
    ask: Ask,
    who: Who,
    expected: &dyn Expected,
) -> Result<bool> {
    match source.ask(ask, who)? {
        Found::Enum { bare } => Ok(bare),
        found => Err(found.unexpected(expected)),
    }
}

/// What a visitor has made of the parts it was given. The source is told that it is through with them.
fn ended<'de, T>(result: Result<T>, source: &mut (dyn Source<'de> + '_), left: usize) -> Result<T> {
    // A combinator would be compiled for each type too.
    #[allow(clippy::manual_ok_err)]
    let refusal = match &result {
        Ok(_) => None,
        Err(refusal) => Some(refusal),
    };
    source.leave(left, refusal);
    result
}

/// What stands for a field or a variant.
enum Name<'de> {
    Text(&'de str),
    /// The number of a variant.
    Variant(u32),
    Number(u64),
}

/// What stands for a key that may become one of a map, which is flattened into a struct.
enum Key<'de> {
    Name(Name<'de>),
    Bytes(&'de [u8]),
    Signed(i64),
    Bool(bool),
}

impl Key<'_> {
    /// That it is not what was expected.
    fn unexpected(&self, expected: &dyn Expected) -> Refusal {
        let found = match *self {
            Self::Name(Name::Text(name)) => Unexpected::Str(name),
            Self::Name(Name::Variant(number)) => Unexpected::Unsigned(number.into()),
            Self::Name(Name::Number(number)) => Unexpected::Unsigned(number),
            Self::Bytes(name) => Unexpected::Bytes(name),
            Self::Signed(number) => Unexpected::Signed(number),
            Self::Bool(key) => Unexpected::Bool(key),
        };
        Refusal::invalid_type(found, expected)
    }
}

/// The key that comes next.
fn key<'de>(source: &mut (dyn Source<'de> + '_), expected: &dyn Expected) -> Result<Key<'de>> {
    let found = source.ask(Ask::Name, Who::UNTOLD)?.widened();
    Ok(match found {
        Found::Str(name) => Key::Name(Name::Text(name)),
        Found::U32(number) => Key::Name(Name::Variant(number)),
        Found::U64(number) => Key::Name(Name::Number(number)),
        Found::Bytes(name) => Key::Bytes(name),
        Found::I64(number) => Key::Signed(number),
        Found::Bool(key) => Key::Bool(key),
        _ => return Err(refused(source, found.unexpected(expected))),
    })
}

/// What is no text is no name: like any other that is not known.
fn text(name: &[u8]) -> &str {
    str::from_utf8(name).unwrap_or("\u{fffd}")
}

/// The source is told that what it has given is refused.
fn refused<'de>(source: &mut (dyn Source<'de> + '_), refusal: Refusal) -> Refusal {
    source.refused(&refusal);
    refusal
}

macro_rules! leaves {
    ($($method:ident($kind:ident, $visit:ident))*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
            match self.ask::<V>(Ask::$kind)? {
                Found::$kind(value) => {
                    told(visitor.$visit(value), self.0)
                }
                found => self.anything(found, visitor),
            }
        }
    )*};
}

macro_rules! numbers {
    ($($method:ident($kind:ident, $visit:ident))*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
            let found = match self.0.number(Number::$kind) {
                Some(bits) if bits.number == Number::$kind => {
                    return told(visitor.$visit(Narrow::from_bits(bits)), self.0);
                }
                // MessagePack writes a number in the least width that holds it.
                Some(bits) => bits.found(),
                None => self.ask::<V>(Ask::$kind)?,
            };
            self.anything(found, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = Refusal;

    numbers! {
        deserialize_bool(Bool, visit_bool)
        deserialize_i8(I8, visit_i8)
        deserialize_i16(I16, visit_i16)
        deserialize_i32(I32, visit_i32)
        deserialize_i64(I64, visit_i64)
        deserialize_u8(U8, visit_u8)
        deserialize_u16(U16, visit_u16)
        deserialize_u32(U32, visit_u32)
        deserialize_u64(U64, visit_u64)
        deserialize_f32(F32, visit_f32)
        deserialize_f64(F64, visit_f64)
    }

    leaves! {
        deserialize_i128(I128, visit_i128)
        deserialize_u128(U128, visit_u128)
        deserialize_char(Char, visit_char)
        deserialize_str(Str, visit_borrowed_str)
        deserialize_bytes(Bytes, visit_borrowed_bytes)
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let found = self.ask::<V>(Ask::Any)?;
        self.anything(found, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let found = self.ask::<V>(Ask::Ignored)?;
        self.anything(found, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        let found = self.ask::<V>(Ask::Unit)?;
        self.anything(found, visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.owned(Ask::Text, visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.owned(Ask::ByteBuf, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match self.ask::<V>(Ask::Option) {
            Ok(Found::None) => told(visitor.visit_none(), self.0),
            Ok(Found::Some) => ended(visitor.visit_some(Reader(&mut *self.0)), self.0, 0),
            Ok(found) => Err(found.unexpected(&visitor)),
            Err(refusal) => Err(refusal),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        match self.ask::<V>(Ask::UnitStruct(name))? {
            Found::Unit => told(visitor.visit_unit(), self.0),
            found => Err(found.unexpected(&visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        match self.ask::<V>(Ask::Newtype(name))? {
            Found::Newtype => self.inner(visitor),
            found => Err(found.unexpected(&visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.list(Ask::Seq, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.list(Ask::Tuple(len), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.list(Ask::TupleStruct(name, len), visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        match self.ask::<V>(Ask::Map)? {
            Found::Map(len) => self.entries(len, visitor),
            found => Err(found.unexpected(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.fields(Ask::Struct(name, fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let ask = Ask::Enum(name, variants);
        let visitor = ManuallyDrop::new(visitor);
        match picked(self.0, ask, const { Who::is::<V>() }, &*visitor) {
            Ok(bare) => {
                let picked = Picked {
                    source: &mut *self.0,
                    bare,
                };
                let visitor = ManuallyDrop::into_inner(visitor);
                ended(visitor.visit_enum(picked), self.0, 0)
            }
            Err(refusal) => {
                unneeded!(visitor);
                Err(refusal)
            }
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let result = match key(self.0, &visitor) {
            Ok(Key::Name(Name::Text(name))) => visitor.visit_borrowed_str(name),
            Ok(Key::Name(Name::Variant(number))) => visitor.visit_u32(number),
            Ok(Key::Name(Name::Number(number))) => visitor.visit_u64(number),
            Ok(Key::Bytes(name)) => visitor.visit_borrowed_bytes(name),
            Ok(Key::Signed(number)) => visitor.visit_i64(number),
            Ok(Key::Bool(key)) => visitor.visit_bool(key),
            Err(refusal) => return Err(refusal),
        };
        told(result, self.0)
    }

    fn is_human_readable(&self) -> bool {
        // As all the codecs answer.
        false
    }
}
