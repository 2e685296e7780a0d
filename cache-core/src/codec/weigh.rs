//! Weighs a value before it is encoded: how many parts it has, and whether a codec can carry it.
//! A serializer that writes nothing; for most types the compiler leaves a sum of lengths of it.

use std::cell::Cell;
use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::Cause;
use super::fuel::DEPTH;
use crate::refusal::Refusal;

/// How many values decoding will be asked for, about. `named`: the codec writes fields with their
/// names, and an option without a mark of its own.
///
/// # Errors
/// Where the value nests too deep, leaves out a field that the codec cannot leave out (bincode and
/// postcard would give the next field's value to it), or holds a `Some` that would be read back as
/// `None`.
pub(super) fn weigh<T: Serialize>(value: &T, named: bool) -> Result<usize, Cause> {
    let steps = Cell::new(0);
    value.serialize(Scale {
        steps: &steps,
        depth: 0,
        named,
        some: false,
    })?;
    Ok(steps.get())
}

#[derive(Clone, Copy)]
struct Scale<'s> {
    steps: &'s Cell<usize>,
    depth: u32,
    named: bool,
    /// Whether this is what a `Some` holds.
    some: bool,
}

impl<'s> Scale<'s> {
    #[inline]
    fn step(self) {
        self.steps.set(self.steps.get().saturating_add(1));
    }

    #[inline]
    fn inside(self) -> Result<Scale<'s>, Refusal> {
        self.step();
        if self.depth == DEPTH {
            return Err(too_deep());
        }
        Ok(Self {
            depth: self.depth + 1,
            some: false,
            ..self
        })
    }

    /// What `None` and `()` are in MessagePack: nothing at all, and no less inside of a `Some`.
    #[inline]
    fn nothing(self) -> Result<(), Refusal> {
        self.step();
        if self.named && self.some {
            return Err(lost_some());
        }
        Ok(())
    }
}

#[cold]
fn lost_some() -> Refusal {
    Refusal::new(
        "it holds `Some(None)`, `Some(())` or the like, which would be read back as `None`: use an \
         enum with a variant for each case",
    )
}

#[cold]
fn too_deep() -> Refusal {
    Refusal::new(format_args!("it nests deeper than {DEPTH} levels"))
}

macro_rules! leaves {
    ($($method:ident($($argument:ty),*))*) => {$(
        #[inline]
        fn $method(self, $(_: $argument),*) -> Result<(), Refusal> {
            self.step();
            Ok(())
        }
    )*};
}

impl<'s> Serializer for Scale<'s> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Scale<'s>;
    type SerializeTuple = Scale<'s>;
    type SerializeTupleStruct = Scale<'s>;
    type SerializeTupleVariant = Scale<'s>;
    type SerializeMap = Scale<'s>;
    type SerializeStruct = Scale<'s>;
    type SerializeStructVariant = Scale<'s>;

    leaves! {
        serialize_bool(bool)
        serialize_i8(i8)
        serialize_i16(i16)
        serialize_i32(i32)
        serialize_i64(i64)
        serialize_i128(i128)
        serialize_u8(u8)
        serialize_u16(u16)
        serialize_u32(u32)
        serialize_u64(u64)
        serialize_u128(u128)
        serialize_f32(f32)
        serialize_f64(f64)
        serialize_char(char)
        serialize_str(&str)
        serialize_bytes(&[u8])
        serialize_unit_struct(&'static str)
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), Refusal> {
        self.step();
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Refusal> {
        self.nothing()
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Refusal> {
        self.nothing()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        value.serialize(Self {
            some: true,
            ..self.inside()?
        })
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        // Nothing is written around it.
        let some = self.some;
        value.serialize(Self {
            some,
            ..self.inside()?
        })
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        value.serialize(self.inside()?)
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Refusal> {
        self.inside()
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self, Refusal> {
        self.inside()
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Refusal> {
        self.inside()
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refusal> {
        // A level for the variant and one for its fields, as in decoding.
        self.inside()?.inside()
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Self, Refusal> {
        self.inside()
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refusal> {
        self.inside()
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refusal> {
        self.inside()?.inside()
    }

    fn is_human_readable(&self) -> bool {
        // As all the codecs do.
        false
    }
}

macro_rules! unnamed {
    ($($name:ident::$method:ident),*) => {$(
        impl $name for Scale<'_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
                value.serialize(*self)
            }

            #[inline]
            fn end(self) -> Result<(), Refusal> {
                Ok(())
            }
        }
    )*};
}

unnamed!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! named {
    ($($name:ident),*) => {$(
        impl $name for Scale<'_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                value: &T,
            ) -> Result<(), Refusal> {
                // The name, where it is stored, is read as a value of its own.
                self.step();
                value.serialize(*self)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Refusal> {
                if self.named {
                    return Ok(());
                }
                Err(Refusal::new(format_args!(
                    "it leaves out its field `{name}`, which would be read back as something \
                     else: drop `skip_serializing_if`, or use the codec \"messagepack\""
                )))
            }

            #[inline]
            fn end(self) -> Result<(), Refusal> {
                Ok(())
            }
        }
    )*};
}

named!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Scale<'_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refusal> {
        key.serialize(*self)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        value.serialize(*self)
    }

    #[inline]
    fn end(self) -> Result<(), Refusal> {
        Ok(())
    }
}
