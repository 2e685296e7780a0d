//! The values with parts: sequences, tuples and structs, which are written as they come, and maps
//! and sets, which are sorted first, so that a `HashMap`'s order does not matter.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::args::Args;
use super::text::{Text, put_ident};
use crate::refusal::Refusal;

/// How a value with parts is joined and ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// A sequence: `[a,b]`.
    Square,
    /// A tuple: `(a,b)`, and `(a,)` and `(,)`, to tell it from a newtype and from a unit.
    Tuple,
    /// What has exactly one part: `some(a)`.
    Bracket,
    /// A struct: `<f=a,g=b>`.
    Angle,
}

/// A value being written part by part.
pub(super) struct Parts<'s> {
    text: Text<'s>,
    close: Close,
    written: usize,
}

impl<'s> Parts<'s> {
    pub(super) fn new(text: Text<'s>, close: Close) -> Self {
        Self {
            text,
            close,
            written: 0,
        }
    }

    /// The one part there is.
    pub(super) fn only<T: Serialize + ?Sized>(
        self,
        value: &T,
        unordered: bool,
    ) -> Result<(), Refusal> {
        value.serialize(Text {
            sink: &mut *self.text.sink,
            depth: self.text.depth,
            unordered,
        })?;
        self.finish();
        Ok(())
    }

    fn join(&mut self) {
        if self.written > 0 {
            self.text.sink.put(b",");
        }
        self.written += 1;
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        value.serialize(Text {
            sink: &mut *self.text.sink,
            depth: self.text.depth,
            unordered: false,
        })
    }

    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        self.join();
        self.value(value)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refusal> {
        self.join();
        put_ident(self.text.sink, name, false);
        self.text.sink.put(b"=");
        self.value(value)
    }

    #[inline]
    fn finish(self) {
        let close: &[u8] = match self.close {
            Close::Square => b"]",
            Close::Tuple if self.written < 2 => b",)",
            Close::Tuple | Close::Bracket => b")",
            Close::Angle => b">",
        };
        self.text.sink.put(close);
    }
}

/// The traits of values with parts that differ in the name of the method only.
macro_rules! unnamed {
    ($($name:ident::$method:ident),*) => {$(
        impl $name for Parts<'_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
                self.part(value)
            }

            #[inline]
            fn end(self) -> Result<(), Refusal> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

unnamed!(
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! named {
    ($($name:ident),*) => {$(
        impl $name for Parts<'_> {
            type Ok = ();
            type Error = Refusal;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refusal> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Refusal> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

named!(SerializeStruct, SerializeStructVariant);

/// A sequence being written, or a set being collected: each element's text.
pub(super) enum Seq<'s> {
    Written(Parts<'s>),
    Sorted(Text<'s>, Vec<Vec<u8>>),
}

impl SerializeSeq for Seq<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        match self {
            Self::Written(parts) => parts.part(value),
            Self::Sorted(text, elements) => {
                elements.push(part(value, text.depth)?);
                Ok(())
            }
        }
    }

    #[inline]
    fn end(self) -> Result<(), Refusal> {
        match self {
            Self::Written(parts) => parts.finish(),
            Self::Sorted(text, mut elements) => {
                elements.sort_unstable();
                text.sink.put(b"[");
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        text.sink.put(b",");
                    }
                    text.sink.put(element);
                }
                text.sink.put(b"]");
            }
        }
        Ok(())
    }
}

/// A map being collected: each entry's text, and where in it the key ends.
pub(super) struct Map<'s> {
    text: Text<'s>,
    entries: Vec<(Vec<u8>, usize)>,
    open: Option<(Vec<u8>, usize)>,
}

impl<'s> Map<'s> {
    pub(super) fn new(text: Text<'s>, len: Option<usize>) -> Self {
        Self {
            text,
            // A length is only what the value says of itself.
            entries: Vec::with_capacity(len.unwrap_or(0).min(1024)),
            open: None,
        }
    }
}

impl SerializeMap for Map<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refusal> {
        if self.open.is_some() {
            return Err(Refusal::new("a map has a key without a value"));
        }
        let entry = part(key, self.text.depth)?;
        let end = entry.len();
        self.open = Some((entry, end));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        let Some((mut entry, end)) = self.open.take() else {
            return Err(Refusal::new("a map has a value without a key"));
        };
        entry.push(b'=');
        entry.extend_from_slice(&part(value, self.text.depth)?);
        self.entries.push((entry, end));
        Ok(())
    }

    fn end(mut self) -> Result<(), Refusal> {
        if self.open.is_some() {
            return Err(Refusal::new("a map has a key without a value"));
        }
        // A map that has a key twice is sorted by the values too.
        self.entries
            .sort_unstable_by(|(a, x), (b, y)| (&a[..*x], &a[*x..]).cmp(&(&b[..*y], &b[*y..])));
        let sink = self.text.sink;
        sink.put(b"<");
        for (at, (entry, _)) in self.entries.iter().enumerate() {
            if at > 0 {
                sink.put(b",");
            }
            sink.put(entry);
        }
        sink.put(b">");
        Ok(())
    }
}

/// The text of a part that must be sorted before it is written.
fn part<T: Serialize + ?Sized>(value: &T, depth: u32) -> Result<Vec<u8>, Refusal> {
    Args::whole(|sink| {
        value.serialize(Text {
            sink,
            depth,
            unordered: false,
        })
    })
}
