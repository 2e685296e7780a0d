//! Whole numbers that are an argument by themselves: a mark for the type, and the number's bytes. No text
//! holds such a mark: control characters are escaped in it.

use super::ArgsText;

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

    /// What stands before its bytes.
    #[inline]
    pub(super) fn mark(self) -> u8 {
        self as u8
    }

    /// The type that a mark stands for.
    pub(super) fn marked(mark: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|whole| whole.mark() == mark)
    }

    /// How many bytes it has.
    #[inline]
    pub(super) const fn width(self) -> usize {
        match self {
            Self::U64 | Self::I64 => 8,
            Self::U32 | Self::I32 => 4,
            Self::U16 | Self::I16 => 2,
            Self::U8 | Self::I8 => 1,
        }
    }

    /// By how much the longest text is longer than the mark and the bytes.
    #[inline]
    pub(super) const fn slack(self) -> usize {
        // Of the lowest or the highest number, with the type.
        let longest = match self {
            Self::U64 => "18446744073709551615",
            Self::U32 => "4294967295u32",
            Self::U16 => "65535u16",
            Self::U8 => "255u8",
            Self::I64 => "-9223372036854775808i64",
            Self::I32 => "-2147483648i32",
            Self::I16 => "-32768i16",
            Self::I8 => "-128i8",
        };
        longest.len() - 1 - self.width()
    }

    /// What its text ends in.
    pub(super) fn suffix(self) -> &'static str {
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

    /// The number that a text is: the type, and its bytes in front of zeros. Only of the one text that the
    /// number has.
    pub(super) fn parse(text: &str) -> Option<(Self, [u8; 8])> {
        // The type without a suffix comes last: its digits are digits only.
        Self::ALL.into_iter().rev().find_map(|whole| {
            let digits = text.strip_suffix(whole.suffix())?;
            let bytes = match whole {
                Self::U64 => digits.parse::<u64>().ok()?.to_le_bytes(),
                Self::U32 => u64::from(digits.parse::<u32>().ok()?).to_le_bytes(),
                Self::U16 => u64::from(digits.parse::<u16>().ok()?).to_le_bytes(),
                Self::U8 => u64::from(digits.parse::<u8>().ok()?).to_le_bytes(),
                Self::I64 => digits.parse::<i64>().ok()?.to_le_bytes(),
                Self::I32 => i64::from(digits.parse::<i32>().ok()?).to_le_bytes(),
                Self::I16 => i64::from(digits.parse::<i16>().ok()?).to_le_bytes(),
                Self::I8 => i64::from(digits.parse::<i8>().ok()?).to_le_bytes(),
            };
            let mut again = ArgsText::empty();
            whole.write(&bytes[..whole.width()], &mut again);
            // Neither `007` nor `+7` is what a number shows as.
            (again.as_bytes() == text.as_bytes()).then_some((whole, bytes))
        })
    }

    /// Adds the text of the number with these bytes.
    pub(super) fn write(self, bytes: &[u8], text: &mut ArgsText) {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(wide);
        let number = match self {
            Self::U64 | Self::U32 | Self::U16 | Self::U8 => i128::from(unsigned),
            Self::I64 | Self::I32 | Self::I16 | Self::I8 => {
                // The sign is in the highest bit there is.
                let shift = 64 - 8 * bytes.len();
                i128::from((unsigned << shift).cast_signed() >> shift)
            }
        };
        text.push(number.to_string().as_bytes());
        text.push(self.suffix().as_bytes());
    }
}
