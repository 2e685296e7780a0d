//! The parts of a value, as a visitor is given them: one after the other, with keys, or with the names of fields.

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Key, Name, Reader, Result, key, refused, text};
use crate::codec::source::Source;
use crate::refusal::Refusal;

/// The parts of something, as many as are left.
pub(super) struct Parts<'r, 'de> {
    pub(super) source: &'r mut (dyn Source<'de> + 'r),
    pub(super) left: &'r mut usize,
}

impl Parts<'_, '_> {
    fn take(&mut self) -> bool {
        let is_left = *self.left > 0;
        *self.left -= usize::from(is_left);
        is_left
    }
}

// What is asked for by its type is not asked for by a seed of it: that would be compiled for each type as well.
impl<'de> SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Refusal;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.take() {
            return Ok(None);
        }
        seed.deserialize(Reader(&mut *self.source)).map(Some)
    }

    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>> {
        if !self.take() {
            return Ok(None);
        }
        match T::deserialize(Reader(&mut *self.source)) {
            Ok(part) => Ok(Some(part)),
            Err(refusal) => Err(refusal),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.source.expect(*self.left, false)
    }
}

impl<'de> MapAccess<'de> for Parts<'_, 'de> {
    type Error = Refusal;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.take() {
            return Ok(None);
        }
        seed.deserialize(Reader(&mut *self.source)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(Reader(&mut *self.source))
    }

    // Neither of these is copied into each field of each struct: that is most of what an optimized build of
    // a `visit_map` takes, and the one codec that names fields reads their names beside.
    #[inline(never)]
    fn next_key<K: Deserialize<'de>>(&mut self) -> Result<Option<K>> {
        if !self.take() {
            return Ok(None);
        }
        match K::deserialize(Reader(&mut *self.source)) {
            Ok(key) => Ok(Some(key)),
            Err(refusal) => Err(refusal),
        }
    }

    #[inline(never)]
    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V> {
        V::deserialize(Reader(&mut *self.source))
    }

    fn size_hint(&self) -> Option<usize> {
        self.source.expect(*self.left, true)
    }
}

/// The fields of a struct, which are named. Their names are texts and nothing else: what reads them is compiled for
/// each struct.
pub(super) struct Fields<'r, 'de>(pub(super) Parts<'r, 'de>);

impl<'de> Fields<'_, 'de> {
    /// The name of the next field, where there is one.
    fn name(&mut self) -> Result<Option<&'de str>> {
        if !self.0.take() {
            return Ok(None);
        }
        let expected = &"the name of a field";
        match key(self.0.source, expected)? {
            Key::Name(Name::Text(name)) => Ok(Some(name)),
            Key::Bytes(name) => Ok(Some(text(name))),
            other => Err(refused(self.0.source, other.unexpected(expected))),
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Refusal;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        match self.name()? {
            Some(name) => seed.deserialize(Label(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(Reader(&mut *self.0.source))
    }

    // As above, both.
    #[inline(never)]
    fn next_key<K: Deserialize<'de>>(&mut self) -> Result<Option<K>> {
        match self.name() {
            Ok(Some(name)) => match K::deserialize(Label(name)) {
                Ok(key) => Ok(Some(key)),
                Err(refusal) => Err(refusal),
            },
            Ok(None) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    #[inline(never)]
    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V> {
        V::deserialize(Reader(&mut *self.0.source))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.source.expect(*self.0.left, true)
    }
}

/// The name of a field, for whatever reads it.
struct Label<'de>(&'de str);

impl<'de> Deserializer<'de> for Label<'de> {
    type Error = Refusal;

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.0)
    }

    // Who has a type of his own for names.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct ignored_any
    }

    fn is_human_readable(&self) -> bool {
        // As for what stands at the name.
        false
    }
}
