//! Numbers on a short cut: lists of them are the longest values there are, and a call that says of each
//! all that can be said costs more than reading or writing it.

use super::source::Found;

/// What a number, or a truth value, is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

/// One that was read: narrow, so that it is returned in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits {
    pub(crate) number: Number,
    bits: u64,
}

impl Bits {
    /// One whose only byte this is.
    #[inline]
    pub(super) fn of_byte(number: Number, byte: u8) -> Self {
        Self {
            number,
            bits: byte.into(),
        }
    }
}

/// The types of such numbers.
pub(super) trait Narrow: Sized {
    fn into_bits(self) -> Bits;

    /// The bits are those of this type.
    fn from_bits(bits: Bits) -> Self;
}

macro_rules! narrow {
    ($($type:ty, $number:ident: $into:expr, $from:expr;)*) => {
        $(impl Narrow for $type {
            #[inline]
            fn into_bits(self) -> Bits {
                let into: fn(Self) -> u64 = $into;
                Bits { number: Number::$number, bits: into(self) }
            }

            #[inline]
            #[allow(clippy::cast_possible_truncation, reason = "no more bits than went in")]
            fn from_bits(bits: Bits) -> Self {
                let from: fn(u64) -> Self = $from;
                from(bits.bits)
            }
        })*

        impl Bits {
            #[inline]
            pub(crate) fn found<'de>(self) -> Found<'de> {
                match self.number {
                    $(Number::$number => Found::$number(Narrow::from_bits(self)),)*
                }
            }
        }
    };
}

narrow! {
    bool, Bool: u64::from, |bits| bits != 0;
    i8, I8: |value| value.cast_unsigned().into(), |bits| bits as i8;
    i16, I16: |value| value.cast_unsigned().into(), |bits| bits as i16;
    i32, I32: |value| value.cast_unsigned().into(), |bits| bits as i32;
    i64, I64: i64::cast_unsigned, u64::cast_signed;
    u8, U8: u64::from, |bits| bits as u8;
    u16, U16: u64::from, |bits| bits as u16;
    u32, U32: u64::from, |bits| bits as u32;
    u64, U64: |value| value, |bits| bits;
    f32, F32: |value| value.to_bits().into(), |bits| f32::from_bits(bits as u32);
    f64, F64: f64::to_bits, f64::from_bits;
}

/// The bits of a number that is not a byte, read with a codec's `next`: which types that takes, each library
/// says with a bound of its own.
macro_rules! digits {
    ($codec:expr, $number:expr) => {
        match $number {
            Number::Bool => $codec.next().ok().map(bool::into_bits),
            Number::I16 => $codec.next().ok().map(i16::into_bits),
            Number::I32 => $codec.next().ok().map(i32::into_bits),
            Number::I64 => $codec.next().ok().map(i64::into_bits),
            // Read by themselves.
            Number::I8 | Number::U8 => None,
            Number::U16 => $codec.next().ok().map(u16::into_bits),
            Number::U32 => $codec.next().ok().map(u32::into_bits),
            Number::U64 => $codec.next().ok().map(u64::into_bits),
            Number::F32 => $codec.next().ok().map(f32::into_bits),
            Number::F64 => $codec.next().ok().map(f64::into_bits),
        }
    };
}
pub(super) use digits;

/// Takes the first byte: it stands for itself in most codecs, and lists of them are what is read most.
#[inline]
pub(super) fn first(bytes: &mut &[u8]) -> Option<u8> {
    let (byte, left) = bytes.split_first()?;
    *bytes = left;
    Some(*byte)
}
