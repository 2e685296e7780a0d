//! MessagePack as a text much like JSON, for people who look at a value. Bounded, whatever the bytes
//! are: what is too long is cut, what is too deep or makes no sense ends the text.

use std::fmt::{self, Write as _};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// The longest text.
const LONGEST: usize = 64 << 10;
/// The most bytes of one piece of binary that are shown.
const BINARY: usize = 64;
/// How deep values are shown.
const DEPTH: usize = 64;

/// The text of a value; `None` where the bytes are none.
pub(crate) fn render(bytes: &[u8]) -> Option<String> {
    let mut text = Text {
        out: String::new(),
        depth: DEPTH,
        is_cut: false,
    };
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(DEPTH * 2);
    let outcome = Part(&mut text).deserialize(&mut reader);
    if text.is_cut {
        text.out.push_str(" ...");
        return Some(text.out);
    }
    outcome.ok().map(|()| text.out)
}

struct Text {
    out: String,
    depth: usize,
    is_cut: bool,
}

impl Text {
    /// Writes; an error, which ends the reading, once it is full.
    fn put<E: serde::de::Error>(&mut self, text: fmt::Arguments<'_>) -> Result<(), E> {
        // Writing to a string does not fail.
        let _ = self.out.write_fmt(text);
        if self.out.len() >= LONGEST {
            self.is_cut = true;
            let end = (0..=LONGEST)
                .rev()
                .find(|end| self.out.is_char_boundary(*end));
            self.out.truncate(end.unwrap_or_default());
            return Err(E::custom("the text is long enough"));
        }
        Ok(())
    }

    fn quote<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        self.put(format_args!("\""))?;
        for c in text.chars() {
            match c {
                '"' => self.put(format_args!("\\\""))?,
                '\\' => self.put(format_args!("\\\\"))?,
                '\n' => self.put(format_args!("\\n"))?,
                c if c.is_control() => self.put(format_args!("\\u{:04x}", u32::from(c)))?,
                c => self.put(format_args!("{c}"))?,
            }
        }
        self.put(format_args!("\""))
    }
}

/// One part of the value.
struct Part<'t>(&'t mut Text);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! plain {
    ($($visit:ident: $of:ty,)*) => {
        $(fn $visit<E: serde::de::Error>(self, value: $of) -> Result<(), E> {
            self.0.put(format_args!("{value}"))
        })*
    };
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    plain! {
        visit_bool: bool,
        visit_i64: i64,
        visit_i128: i128,
        visit_u64: u64,
        visit_u128: u128,
        visit_f64: f64,
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.quote(text)
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.0.put(format_args!("<{} bytes", bytes.len()))?;
        for (at, byte) in bytes.iter().take(BINARY).enumerate() {
            let space = if at == 0 { ": " } else { "" };
            self.0.put(format_args!("{space}{byte:02x}"))?;
        }
        let more = if bytes.len() > BINARY { ".." } else { "" };
        self.0.put(format_args!("{more}>"))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.0.put(format_args!("null"))
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        let text = self.0;
        text.descend()?;
        text.put(format_args!("["))?;
        let mut is_first = true;
        loop {
            let mut part = Separated {
                text: &mut *text,
                before: if is_first { "" } else { ", " },
            };
            if parts.next_element_seed(&mut part)?.is_none() {
                break;
            }
            is_first = false;
        }
        text.depth += 1;
        text.put(format_args!("]"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        let text = self.0;
        text.descend()?;
        text.put(format_args!("{{"))?;
        let mut is_first = true;
        loop {
            let mut name = Separated {
                text: &mut *text,
                before: if is_first { "" } else { ", " },
            };
            if parts.next_key_seed(&mut name)?.is_none() {
                break;
            }
            parts.next_value_seed(&mut Separated {
                text: &mut *text,
                before: ": ",
            })?;
            is_first = false;
        }
        text.depth += 1;
        text.put(format_args!("}}"))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, part: A) -> Result<(), A::Error> {
        let ((), rest) = part.variant_seed(Part(&mut *self.0))?;
        rest.unit_variant()
    }
}

impl Text {
    fn descend<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("the value nests too deep to be shown"))?;
        Ok(())
    }
}

/// A part with something before it, if it is there at all.
struct Separated<'t> {
    text: &'t mut Text,
    before: &'static str,
}

impl<'de> DeserializeSeed<'de> for &mut Separated<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.text.put(format_args!("{}", self.before))?;
        deserializer.deserialize_any(Part(&mut *self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    fn rendered<T: serde::Serialize>(value: &T) -> Option<String> {
        render(&Codec::MessagePack.encode(value, 1 << 20).expect("encodes"))
    }

    #[derive(serde::Serialize)]
    struct User<'a> {
        name: &'a str,
        age: Option<u8>,
        tags: Vec<(i64, f64)>,
        role: Role,
    }

    #[derive(serde::Serialize)]
    enum Role {
        Admin { of: u8 },
    }

    #[test]
    fn a_value_is_shown_with_its_names() {
        let user = User {
            name: "A\"n\\n\n\u{1}<b>",
            age: None,
            tags: vec![(-1, 0.5)],
            role: Role::Admin { of: 3 },
        };
        assert_eq!(
            rendered(&user).as_deref(),
            Some(
                r#"{"name": "A\"n\\n\n\u0001<b>", "age": null, "tags": [[-1, 0.5]], "role": {"Admin": {"of": 3}}}"#
            )
        );
        assert_eq!(rendered(&7_u64).as_deref(), Some("7"));
    }

    #[test]
    fn what_is_long_is_cut_and_what_is_no_value_is_none() {
        let long = rendered(&"ü".repeat(LONGEST)).expect("cut");
        assert!(
            long.len() <= LONGEST + 4 && long.ends_with(" ..."),
            "{}",
            long.len()
        );
        // The head of a list of 2^32 - 1 elements, and no element.
        assert_eq!(render(&[0xdd, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(render(&[]), None);
        // A list in a list, more often than anybody looks.
        assert_eq!(render(&vec![0x91; 100_000]), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_bytes_it_ends_and_is_bounded(bytes: Vec<u8>) {
            if let Some(text) = render(&bytes) {
                assert!(text.len() <= LONGEST + 4);
            }
        }
    }
}
