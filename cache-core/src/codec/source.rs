//! What values are read from: asked for one part of a value after the other, it says what was found.
//! Behind this trait are the codecs, and what finds out the form of a type.

use std::any::type_name;

use serde::de::{Error as _, Expected, Unexpected, Visitor};

use super::number::{Bits, Number};
use crate::refusal::Refusal;

/// Where the parts of a value come from.
pub(crate) trait Source<'de> {
    /// What comes next, which a type takes for this. Where it has parts, [`Source::leave`] follows
    /// after them.
    fn ask(&mut self, ask: Ask, who: Who) -> Result<Found<'de>, Refusal>;

    /// The number that comes next, where there is one at hand. Where there is none, nothing is taken,
    /// and [`Source::ask`] says why.
    fn number(&mut self, _number: Number) -> Option<Bits> {
        None
    }

    /// A visitor is through with the parts it was given, `left` of them excepted, well or with an error. Where
    /// none may be left, that is told at the end: each type would else be compiled with a second way out.
    fn leave(&mut self, left: usize, refusal: Option<&Refusal>);

    /// What was found last, which has no parts, is refused by the visitor.
    fn refused(&mut self, _refusal: &Refusal) {}

    /// The next thing that is asked for is which variant of an enum it is.
    fn variant_follows(&mut self);

    /// The variant has nothing in it, or one value that is asked for next.
    fn in_variant(&mut self, one: bool) -> Result<(), Refusal>;

    /// How many parts a visitor may expect, of those that are said to be left.
    fn expect(&self, left: usize, are_pairs: bool) -> Option<usize>;
}

/// What a type takes something for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Any,
    Ignored,
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Text,
    Bytes,
    ByteBuf,
    Option,
    Unit,
    UnitStruct(&'static str),
    Newtype(&'static str),
    Seq,
    Tuple(usize),
    TupleStruct(&'static str, usize),
    Map,
    Struct(&'static str, &'static [&'static str]),
    Enum(&'static str, &'static [&'static str]),
    /// The name of a field or a variant.
    Name,
    /// What is in a variant.
    TupleVariant(usize),
    StructVariant(&'static [&'static str]),
}

/// What there is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'de> {
    Unit,
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
    Str(&'de str),
    Bytes(&'de [u8]),
    None,
    /// The value follows.
    Some,
    /// The value follows.
    Newtype,
    /// As many values follow.
    Seq(usize),
    /// As many keys follow, each with its value.
    Map(usize),
    /// A variant follows, or its name and nothing else.
    Enum {
        bare: bool,
    },
}

/// Who asks: what gives the names of a visitor's type, and of the type it makes.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    visitor: fn() -> &'static str,
    value: fn() -> &'static str,
}

impl Who {
    /// Somebody of whom nothing need be known.
    pub(crate) const UNTOLD: Self = Self {
        visitor: || "",
        value: || "",
    };

    /// That visitor. Inlined, and no function that is handed on: that would be one more for each type.
    #[inline]
    pub(crate) const fn is<'de, V: Visitor<'de>>() -> Self {
        Self {
            visitor: type_name::<V>,
            value: type_name::<V::Value>,
        }
    }

    pub(crate) fn visitor(self) -> &'static str {
        (self.visitor)()
    }

    pub(crate) fn value(self) -> &'static str {
        (self.value)()
    }
}

impl Found<'_> {
    /// Whether it has parts, after which is said that they are through.
    pub(crate) fn has_parts(&self) -> bool {
        matches!(
            self,
            Self::Some | Self::Newtype | Self::Seq(_) | Self::Map(_) | Self::Enum { .. }
        )
    }

    /// The same, for the numbers that stand for names in the widest type there is; but for the number
    /// of a variant, which is one of 32 bits.
    pub(crate) fn widened(self) -> Self {
        match self {
            Self::U8(number) => Self::U64(number.into()),
            Self::U16(number) => Self::U64(number.into()),
            Self::I8(number) => Self::I64(number.into()),
            Self::I16(number) => Self::I64(number.into()),
            Self::I32(number) => Self::I64(number.into()),
            other => other,
        }
    }

    /// That it is not what was expected.
    pub(crate) fn unexpected(&self, expected: &dyn Expected) -> Refusal {
        let found = match *self {
            Self::Unit => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(value),
            Self::I8(value) => Unexpected::Signed(value.into()),
            Self::I16(value) => Unexpected::Signed(value.into()),
            Self::I32(value) => Unexpected::Signed(value.into()),
            Self::I64(value) => Unexpected::Signed(value),
            Self::U8(value) => Unexpected::Unsigned(value.into()),
            Self::U16(value) => Unexpected::Unsigned(value.into()),
            Self::U32(value) => Unexpected::Unsigned(value.into()),
            Self::U64(value) => Unexpected::Unsigned(value),
            Self::I128(_) | Self::U128(_) => Unexpected::Other("a large number"),
            Self::F32(value) => Unexpected::Float(value.into()),
            Self::F64(value) => Unexpected::Float(value),
            Self::Char(value) => Unexpected::Char(value),
            Self::Str(value) => Unexpected::Str(value),
            Self::Bytes(value) => Unexpected::Bytes(value),
            Self::None | Self::Some => Unexpected::Option,
            Self::Newtype => Unexpected::NewtypeStruct,
            Self::Seq(_) => Unexpected::Seq,
            Self::Map(_) => Unexpected::Map,
            Self::Enum { .. } => Unexpected::Enum,
        };
        Refusal::invalid_type(found, expected)
    }
}
