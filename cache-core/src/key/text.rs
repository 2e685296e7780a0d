//! The canonical text of a value as serde sees it. Two values share a text only if they make the
//! same serde calls, so no argument can forge another's key.
//!
//! A text can be read back from the left without looking ahead: a number ends in its type (but
//! `u64`, the most common, which has none), a quote or a bracket is closed, a name has only
//! letters, digits and `_` (everything else in it is percent-escaped), and the few names that
//! would read as something else have their first letter escaped.

use std::fmt::{self, Display, Write as _};

use serde::ser::{Serialize, Serializer};

use super::DEPTH;
use super::args::Args;
use super::brief;
use super::compound::{Close, Map, Parts, Seq};
use super::unordered::UNORDERED;
use super::whole::Whole;
use crate::refusal::Refusal;

/// Writes one value: an argument, at depth 1, or what is inside of one.
pub(super) struct Text<'s> {
    pub(super) sink: &'s mut Args,
    pub(super) depth: u32,
    /// Whether the value is a set, whose order means nothing.
    pub(super) unordered: bool,
}

impl<'s> Text<'s> {
    #[inline]
    pub(super) fn argument(sink: &'s mut Args) -> Self {
        Self {
            sink,
            depth: 1,
            unordered: false,
        }
    }

    /// Whether the value is an argument by itself, and not a part of one.
    #[inline]
    fn is_argument(&self) -> bool {
        self.depth == 1
    }

    /// The writer for what is inside this value.
    fn inside(self) -> Result<Self, Refusal> {
        if self.depth == DEPTH {
            return Err(Refusal::new(format_args!(
                "a value nests deeper than {DEPTH} levels"
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn put(self, text: &str) {
        self.sink.put(text.as_bytes());
    }

    /// Whole numbers: the digits, then the type. Out of the way of those that are packed.
    #[inline(never)]
    fn whole(self, negative: bool, digits: u128, suffix: &str) -> Result<(), Refusal> {
        if negative {
            self.sink.put(b"-");
        }
        match u64::try_from(digits) {
            Ok(digits) => put_u64(self.sink, digits),
            Err(_) => put_fmt(self.sink, format_args!("{digits}"))?,
        }
        self.put(suffix);
        Ok(())
    }

    fn opened(self, open: &str, close: Close) -> Result<Parts<'s>, Refusal> {
        self.sink.put(open.as_bytes());
        Ok(Parts::new(self.inside()?, close))
    }
}

impl<'s> Serializer for Text<'s> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Seq<'s>;
    type SerializeTuple = Parts<'s>;
    type SerializeTupleStruct = Parts<'s>;
    type SerializeTupleVariant = Parts<'s>;
    type SerializeMap = Map<'s>;
    type SerializeStruct = Parts<'s>;
    type SerializeStructVariant = Parts<'s>;

    #[inline]
    fn serialize_u64(self, v: u64) -> Result<(), Refusal> {
        if self.is_argument() && self.sink.pack_number(Whole::U64, v) {
            return Ok(());
        }
        self.whole(false, v.into(), "")
    }

    fn serialize_bool(self, v: bool) -> Result<(), Refusal> {
        self.put(if v { "true" } else { "false" });
        Ok(())
    }

    #[inline]
    fn serialize_i8(self, v: i8) -> Result<(), Refusal> {
        if self.is_argument() && self.sink.pack_number(Whole::I8, v.cast_unsigned().into()) {
            return Ok(());
        }
        self.whole(v < 0, v.unsigned_abs().into(), "i8")
    }

    #[inline]
    fn serialize_i16(self, v: i16) -> Result<(), Refusal> {
        if self.is_argument() && self.sink.pack_number(Whole::I16, v.cast_unsigned().into()) {
            return Ok(());
        }
        self.whole(v < 0, v.unsigned_abs().into(), "i16")
    }

    #[inline]
    fn serialize_i32(self, v: i32) -> Result<(), Refusal> {
        if self.is_argument() && self.sink.pack_number(Whole::I32, v.cast_unsigned().into()) {
            return Ok(());
        }
        self.whole(v < 0, v.unsigned_abs().into(), "i32")
    }

    #[inline]
    fn serialize_i64(self, v: i64) -> Result<(), Refusal> {
        if self.is_argument() && self.sink.pack_number(Whole::I64, v.cast_unsigned()) {
            return Ok(());
        }
        self.whole(v < 0, v.unsigned_abs().into(), "i64")
    }

    fn serialize_i128(self, v: i128) -> Result<(), Refusal> {
        self.whole(v < 0, v.unsigned_abs(), "i128")
    }

    #[inline]
    fn serialize_u8(self, v: u8) -> Result<(), Refusal> {
        if self.is_argument() && self.sink.pack_number(Whole::U8, v.into()) {
            return Ok(());
        }
        self.whole(false, v.into(), "u8")
    }

    #[inline]
    fn serialize_u16(self, v: u16) -> Result<(), Refusal> {
        if self.is_argument() && self.sink.pack_number(Whole::U16, v.into()) {
            return Ok(());
        }
        self.whole(false, v.into(), "u16")
    }

    #[inline]
    fn serialize_u32(self, v: u32) -> Result<(), Refusal> {
        if self.is_argument() && self.sink.pack_number(Whole::U32, v.into()) {
            return Ok(());
        }
        self.whole(false, v.into(), "u32")
    }

    fn serialize_u128(self, v: u128) -> Result<(), Refusal> {
        self.whole(false, v, "u128")
    }

    fn serialize_f32(self, v: f32) -> Result<(), Refusal> {
        if v.is_nan() {
            return put_fmt(self.sink, format_args!("nan{:08x}f32", v.to_bits()));
        }
        put_fmt(self.sink, format_args!("{v:?}f32"))
    }

    fn serialize_f64(self, v: f64) -> Result<(), Refusal> {
        if v.is_nan() {
            return put_fmt(self.sink, format_args!("nan{:016x}f64", v.to_bits()));
        }
        // Debug has the shortest digits that read back as the same bits, the sign of zero, and
        // an exponent where Display would write hundreds of digits.
        put_fmt(self.sink, format_args!("{v:?}f64"))
    }

    fn serialize_char(self, v: char) -> Result<(), Refusal> {
        self.sink.put(b"c'");
        put_quoted(self.sink, v.encode_utf8(&mut [0; 4]));
        self.put("'");
        Ok(())
    }

    fn serialize_str(self, v: &str) -> Result<(), Refusal> {
        if self.is_argument() && self.sink.pack_text(v) {
            return Ok(());
        }
        self.sink.put(b"'");
        put_quoted(self.sink, v);
        self.put("'");
        Ok(())
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), Refusal> {
        self.sink.put(b"x'");
        for byte in v {
            self.sink.put(&[hex(byte >> 4, b'a'), hex(byte & 15, b'a')]);
        }
        self.put("'");
        Ok(())
    }

    /// As the text it would be, without making a `String` of it.
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        let mut brief = Brief::default();
        // One text is packed or not, whoever writes it.
        if self.is_argument()
            && write!(brief, "{value}").is_ok()
            && let Some(brief) = brief.text()
        {
            return self.serialize_str(brief);
        }
        self.sink.put(b"'");
        write!(Quoted(self.sink), "{value}")
            .map_err(|_| Refusal::new("a value failed to format itself"))?;
        self.put("'");
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refusal> {
        self.put("none");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        let unordered = self.unordered;
        let parts = self.opened("some(", Close::Bracket)?;
        parts.only(value, unordered)
    }

    fn serialize_unit(self) -> Result<(), Refusal> {
        self.put("()");
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Refusal> {
        put_name(self.sink, name);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        if name == UNORDERED {
            return value.serialize(Text {
                unordered: true,
                ..self
            });
        }
        put_name(self.sink, name);
        self.opened("(", Close::Bracket)?.only(value, false)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Refusal> {
        put_variant(self.sink, name, variant);
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        put_variant(self.sink, name, variant);
        self.opened("(", Close::Bracket)?.only(value, false)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Seq<'s>, Refusal> {
        if self.unordered {
            return Ok(Seq::Sorted(self.inside()?, Vec::new()));
        }
        self.opened("[", Close::Square).map(Seq::Written)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Parts<'s>, Refusal> {
        self.opened("(", Close::Tuple)
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Parts<'s>, Refusal> {
        put_name(self.sink, name);
        self.opened("(", Close::Tuple)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'s>, Refusal> {
        put_variant(self.sink, name, variant);
        self.opened("(", Close::Tuple)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Map<'s>, Refusal> {
        Ok(Map::new(self.inside()?, len))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'s>, Refusal> {
        put_name(self.sink, name);
        self.opened("<", Close::Angle)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'s>, Refusal> {
        put_variant(self.sink, name, variant);
        self.opened("<", Close::Angle)
    }
}

/// The two digits of each number below a hundred.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut tens: u8 = 0;
    while tens < 10 {
        let mut ones: u8 = 0;
        while ones < 10 {
            pairs[(tens * 10 + ones) as usize] = [b'0' + tens, b'0' + ones];
            ones += 1;
        }
        tens += 1;
    }
    pairs
};

#[inline]
fn put_u64(sink: &mut Args, v: u64) {
    sink.put(decimal(v, &mut [0; DIGITS]));
}

/// How many digits the largest number has.
pub(super) const DIGITS: usize = 20;

/// The decimal digits, at the end of a place for them: two at a time and without the formatting machinery,
/// since this is on the way of hits and misses.
#[inline]
pub(super) fn decimal(mut v: u64, digits: &mut [u8; DIGITS]) -> &[u8] {
    let mut at = digits.len();
    while v >= 10 {
        let pair = usize::from((v % 100).to_le_bytes()[0]);
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair]);
        v /= 100;
    }
    // One digit is left, or none where the last pair was the front of the number.
    if v > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + v.to_le_bytes()[0];
    }
    &digits[at..]
}

fn put_fmt(sink: &mut Args, text: fmt::Arguments<'_>) -> Result<(), Refusal> {
    struct Plain<'s>(&'s mut Args);
    impl fmt::Write for Plain<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.put(text.as_bytes());
            Ok(())
        }
    }
    Plain(sink)
        .write_fmt(text)
        .map_err(|_| Refusal::new("a number failed to format itself"))
}

/// What is formatted, if it is short.
#[derive(Default)]
struct Brief {
    buf: [u8; brief::LONGEST],
    len: usize,
}

impl Brief {
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.buf.get(..self.len)?).ok()
    }
}

impl fmt::Write for Brief {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let place = self.buf.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Escapes what is formatted through it.
struct Quoted<'s>(&'s mut Args);

impl fmt::Write for Quoted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        put_quoted(self.0, text);
        Ok(())
    }
}

/// What could be structure inside of a quote, here or in a Redis key. A table, since each byte of each
/// hit's texts is looked up in it.
const STRUCTURE: [bool; 256] = {
    let mut structure = [false; 256];
    let mut byte: u8 = 0;
    while byte < u8::MAX {
        structure[byte as usize] =
            byte <= b' ' || matches!(byte, b'%' | b'\'' | b'{' | b'}' | b':' | b',' | 0x7f);
        byte += 1;
    }
    structure
};

/// The inside of a quote: what could be structure is percent-escaped.
#[inline]
fn put_quoted(sink: &mut Args, text: &str) {
    put_escaped(sink, text, is_structure);
}

#[inline]
pub(super) fn is_structure(byte: u8) -> bool {
    STRUCTURE[usize::from(byte)]
}

/// A name where a value may begin: not to be taken for a number or a word of the grammar.
fn put_name(sink: &mut Args, name: &'static str) {
    let number = name.starts_with(|c: char| c.is_ascii_digit())
        || name.ends_with("f32") && (name == "inff32" || name.starts_with("nan"))
        || name.ends_with("f64") && (name == "inff64" || name.starts_with("nan"));
    let word = matches!(name, "true" | "false" | "none" | "some");
    if number || word {
        put_percent(sink, name.as_bytes()[0]);
        put_ident(sink, &name[1..], true);
    } else {
        put_ident(sink, name, false);
    }
}

fn put_variant(sink: &mut Args, name: &'static str, variant: &'static str) {
    put_name(sink, name);
    sink.put(b".");
    put_ident(sink, variant, false);
}

/// A name where nothing else can stand. An empty one, which a rename can make, is a lone `%`.
pub(super) fn put_ident(sink: &mut Args, name: &str, begun: bool) {
    if name.is_empty() && !begun {
        sink.put(b"%");
    }
    put_escaped(sink, name, |byte| {
        !(byte.is_ascii_alphanumeric() || byte == b'_')
    });
}

#[inline]
fn put_escaped(sink: &mut Args, text: &str, escape: impl Fn(u8) -> bool) {
    escaped(text.as_bytes(), escape, |piece| sink.put(piece));
}

/// Puts a text, with a percent sign and two digits in place of each byte of which `escape` says so.
#[inline]
pub(super) fn escaped(text: &[u8], escape: impl Fn(u8) -> bool, mut put: impl FnMut(&[u8])) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| escape(byte)) {
        put(&rest[..at]);
        put(&percent(rest[at]));
        rest = &rest[at + 1..];
    }
    put(rest);
}

fn put_percent(sink: &mut Args, byte: u8) {
    sink.put(&percent(byte));
}

fn percent(byte: u8) -> [u8; 3] {
    [b'%', hex(byte >> 4, b'A'), hex(byte & 15, b'A')]
}

fn hex(digit: u8, ten: u8) -> u8 {
    if digit < 10 {
        b'0' + digit
    } else {
        ten + digit - 10
    }
}
