//! Whole numbers that are an argument by themselves: a mark for the type, and the number's bytes. No text
//! holds such a mark: control characters are escaped in it.

use super::ArgsText;
use super::text::{DIGITS, decimal};

/// The types of whole numbers that are packed. Those of 128 bits are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Whole {
    U64 = 1,
    U32,
    U16,
    U8,
    I64,
    I32,
    I16,
    I8,
}

/// What is added to the mark of a number that needs all of 64 bits.
const WIDE: u8 = 8;

/// A packed number: the mark is the lowest byte of `word`. One that needs all of 64 bits has a byte more,
/// the highest; of all others that is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) word: u64,
    pub(super) more: u8,
    pub(super) len: usize,
}

impl Whole {
    const ALL: [Self; 8] = [
        Self::U64,
        Self::U32,
        Self::U16,
        Self::U8,
        Self::I64,
        Self::I32,
        Self::I16,
        Self::I8,
    ];

    /// How many bytes the longest packed number has.
    pub(super) const LONGEST: usize = 9;

    /// The number with these bits, of which only as many are set as the type has.
    #[inline]
    pub(super) const fn pack(self, bits: u64) -> Packed {
        let (mark, len) = match self {
            Self::U64 if bits >> 56 != 0 => (self as u8 + WIDE, 9),
            // The seventh byte's sign is the whole number's.
            Self::I64 if (bits << 8).cast_signed() >> 8 != bits.cast_signed() => {
                (self as u8 + WIDE, 9)
            }
            Self::U64 | Self::I64 => (self as u8, 8),
            Self::U32 | Self::I32 => (self as u8, 5),
            Self::U16 | Self::I16 => (self as u8, 3),
            Self::U8 | Self::I8 => (self as u8, 2),
        };
        Packed {
            word: bits << 8 | mark as u64,
            more: if len == Self::LONGEST {
                (bits >> 56) as u8
            } else {
                0
            },
            len,
        }
    }

    /// By how much the longest text is longer than what is packed, at most.
    #[inline]
    pub(super) const fn slack(self) -> usize {
        match self {
            Self::U64 => "18446744073709551615".len() - 8,
            Self::U32 => "4294967295u32".len() - 5,
            Self::U16 => "65535u16".len() - 3,
            Self::U8 => "255u8".len() - 2,
            Self::I64 => "-9223372036854775808i64".len() - 8,
            Self::I32 => "-2147483648i32".len() - 5,
            Self::I16 => "-32768i16".len() - 3,
            Self::I8 => "-128i8".len() - 2,
        }
    }

    /// How many bits it has.
    fn bits(self) -> u32 {
        match self {
            Self::U64 | Self::I64 => 64,
            Self::U32 | Self::I32 => 32,
            Self::U16 | Self::I16 => 16,
            Self::U8 | Self::I8 => 8,
        }
    }

    fn is_signed(self) -> bool {
        matches!(self, Self::I64 | Self::I32 | Self::I16 | Self::I8)
    }

    /// What its text ends in.
    fn suffix(self) -> &'static str {
        match self {
            Self::U64 => "",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::U8 => "u8",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
        }
    }

    /// The number that a text is. Only of the one text that the number has.
    pub(super) fn parse(text: &str) -> Option<Packed> {
        Self::ALL.into_iter().find_map(|whole| {
            let number: i128 = text.strip_suffix(whole.suffix())?.parse().ok()?;
            let bits = number.cast_unsigned() & ((1 << whole.bits()) - 1);
            let packed = whole.pack(u64::try_from(bits).ok()?);
            let mut again = ArgsText::empty();
            unpack(&packed.bytes()[..packed.len], &mut again);
            // Neither `007`, `+7` nor `256u8` is what a number shows as.
            (again.as_bytes() == text.as_bytes()).then_some(packed)
        })
    }
}

impl Packed {
    /// Its bytes, of which the first `len` count.
    pub(super) fn bytes(self) -> [u8; Whole::LONGEST] {
        let mut bytes = [self.more; Whole::LONGEST];
        bytes[..8].copy_from_slice(&self.word.to_le_bytes());
        bytes
    }
}

/// Adds the text of the number that is packed here, if one is. Returns how many bytes it has.
pub(super) fn unpack(packed: &[u8], text: &mut ArgsText) -> Option<usize> {
    let (&mark, bytes) = packed.split_first()?;
    let whole = Whole::ALL
        .into_iter()
        .find(|whole| [*whole as u8, *whole as u8 + WIDE].contains(&mark))?;
    // As long as any number with this mark.
    let len = match whole {
        Whole::U64 | Whole::I64 if mark > WIDE => 8,
        _ => whole.pack(0).len - 1,
    };
    let bytes = bytes.get(..len)?;
    let mut wide = [0; 8];
    wide[..len].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(wide);
    let magnitude = if whole.is_signed() {
        // The sign is in the highest bit there is.
        let shift = 64 - 8 * len;
        let number = (bits << shift).cast_signed() >> shift;
        if number.is_negative() {
            text.push(b"-");
        }
        number.unsigned_abs()
    } else {
        bits
    };
    text.push(decimal(magnitude, &mut [0; DIGITS]));
    text.push(whole.suffix().as_bytes());
    Some(1 + len)
}
