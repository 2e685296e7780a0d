//! Every value serde's data model has, with names that are made to be confused.

use std::rc::Rc;

use proptest::prelude::*;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

type Name = &'static str;

/// A value, as the serde calls that it makes.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Bool(bool),
    Signed(u8, i128),
    Unsigned(u8, u128),
    F32(u32),
    F64(u64),
    Char(char),
    Str(String),
    Bytes(Vec<u8>),
    None,
    Some(Rc<Value>),
    Unit,
    UnitStruct(Name),
    Newtype(Name, Rc<Value>),
    Seq(Vec<Value>),
    Tuple(Vec<Value>),
    TupleStruct(Name, Vec<Value>),
    Map(Vec<(Value, Value)>),
    Struct(Name, Vec<(Name, Value)>),
    UnitVariant(Name, Name),
    NewtypeVariant(Name, Name, Rc<Value>),
    TupleVariant(Name, Name, Vec<Value>),
    StructVariant(Name, Name, Vec<(Name, Value)>),
}

impl Serialize for Value {
    #[allow(clippy::cast_possible_truncation)] // The generator keeps to the width.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(v) => s.serialize_bool(*v),
            Self::Signed(8, v) => s.serialize_i8(*v as i8),
            Self::Signed(16, v) => s.serialize_i16(*v as i16),
            Self::Signed(32, v) => s.serialize_i32(*v as i32),
            Self::Signed(64, v) => s.serialize_i64(*v as i64),
            Self::Signed(_, v) => s.serialize_i128(*v),
            Self::Unsigned(8, v) => s.serialize_u8(*v as u8),
            Self::Unsigned(16, v) => s.serialize_u16(*v as u16),
            Self::Unsigned(32, v) => s.serialize_u32(*v as u32),
            Self::Unsigned(64, v) => s.serialize_u64(*v as u64),
            Self::Unsigned(_, v) => s.serialize_u128(*v),
            Self::F32(v) => s.serialize_f32(f32::from_bits(*v)),
            Self::F64(v) => s.serialize_f64(f64::from_bits(*v)),
            Self::Char(v) => s.serialize_char(*v),
            Self::Str(v) => s.serialize_str(v),
            Self::Bytes(v) => s.serialize_bytes(v),
            Self::None => s.serialize_none(),
            Self::Some(v) => s.serialize_some(&**v),
            Self::Unit => s.serialize_unit(),
            Self::UnitStruct(name) => s.serialize_unit_struct(name),
            Self::Newtype(name, v) => s.serialize_newtype_struct(name, &**v),
            Self::Seq(parts) => {
                let mut s = s.serialize_seq(None)?;
                parts
                    .iter()
                    .try_for_each(|part| s.serialize_element(part))?;
                s.end()
            }
            Self::Tuple(parts) => {
                let mut s = s.serialize_tuple(parts.len())?;
                parts
                    .iter()
                    .try_for_each(|part| s.serialize_element(part))?;
                s.end()
            }
            Self::TupleStruct(name, parts) => {
                let mut s = s.serialize_tuple_struct(name, parts.len())?;
                parts.iter().try_for_each(|part| s.serialize_field(part))?;
                s.end()
            }
            Self::Map(entries) => {
                let mut s = s.serialize_map(None)?;
                entries
                    .iter()
                    .try_for_each(|(k, v)| s.serialize_entry(k, v))?;
                s.end()
            }
            Self::Struct(name, fields) => {
                let mut s = s.serialize_struct(name, fields.len())?;
                fields
                    .iter()
                    .try_for_each(|(name, v)| s.serialize_field(name, v))?;
                s.end()
            }
            Self::UnitVariant(name, variant) => s.serialize_unit_variant(name, 0, variant),
            Self::NewtypeVariant(name, variant, v) => {
                s.serialize_newtype_variant(name, 0, variant, &**v)
            }
            Self::TupleVariant(name, variant, parts) => {
                let mut s = s.serialize_tuple_variant(name, 0, variant, parts.len())?;
                parts.iter().try_for_each(|part| s.serialize_field(part))?;
                s.end()
            }
            Self::StructVariant(name, variant, fields) => {
                let mut s = s.serialize_struct_variant(name, 0, variant, fields.len())?;
                fields
                    .iter()
                    .try_for_each(|(name, v)| s.serialize_field(name, v))?;
                s.end()
            }
        }
    }
}

impl Value {
    /// A form that is equal for two values exactly if they make the same calls, but for the order
    /// of maps. `Debug` quotes and names everything, and floats are their bits.
    pub(super) fn canonical(&self) -> String {
        let mut value = self.clone();
        value.sort();
        format!("{value:?}")
    }

    fn sort(&mut self) {
        self.each(&mut Self::sort);
        if let Self::Map(entries) = self {
            entries.sort_by_cached_key(|entry| format!("{entry:?}"));
        }
    }

    fn each(&mut self, visit: &mut dyn FnMut(&mut Self)) {
        match self {
            Self::Some(v) | Self::Newtype(_, v) | Self::NewtypeVariant(_, _, v) => {
                visit(Rc::make_mut(v));
            }
            Self::Seq(parts)
            | Self::Tuple(parts)
            | Self::TupleStruct(_, parts)
            | Self::TupleVariant(_, _, parts) => parts.iter_mut().for_each(visit),
            Self::Map(entries) => {
                for (k, v) in entries {
                    visit(k);
                    visit(v);
                }
            }
            Self::Struct(_, fields) | Self::StructVariant(_, _, fields) => {
                for (_, v) in fields {
                    visit(v);
                }
            }
            _ => {}
        }
    }

    /// How many values there are in it, itself included.
    pub(super) fn size(&self) -> usize {
        let mut size = 1;
        self.clone().each(&mut |part| size += part.size());
        size
    }

    /// Puts `other` where the value with number `at` is.
    pub(super) fn replace(&mut self, at: &mut Option<usize>, other: &Self) {
        match at {
            Some(0) => {
                *self = other.clone();
                *at = None;
            }
            Some(left) => {
                *left -= 1;
                self.each(&mut |part| part.replace(at, other));
            }
            None => {}
        }
    }
}

fn name() -> impl Strategy<Value = Name> + Clone {
    prop::sample::select(
        &[
            "A", "a", "", "%", "true", "none", "some", "inff64", "nan0f32", "1", "1u8", "c", "x",
            "A.B", "A(", "a=1", "é", "a,b", "%41", "-1i8", "_",
        ][..],
    )
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(
            &[
                "", "a", "1", "','", "':'", "%27", "a'", "none", ")", "(", "<a=1>"
            ][..]
        )
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ]
}

/// Any value, a few levels deep.
pub(super) fn anything() -> impl Strategy<Value = Value> {
    let width = || prop::sample::select(&[8u8, 16, 32, 64, 128][..]);
    let small = prop_oneof![0u128..3, any::<u128>()];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (width(), small.clone()).prop_map(|(bits, v)| {
            Value::Unsigned(bits, v & (u128::MAX >> (128 - u32::from(bits))))
        }),
        (width(), small).prop_map(|(bits, v)| {
            let shift = 128 - u32::from(bits);
            Value::Signed(bits, v.cast_signed() << shift >> shift)
        }),
        prop_oneof![
            any::<u32>(),
            Just(0),
            Just(1 << 31),
            Just(f32::NAN.to_bits())
        ]
        .prop_map(Value::F32),
        prop_oneof![
            any::<u64>(),
            Just(0),
            Just(1 << 63),
            Just(f64::NAN.to_bits())
        ]
        .prop_map(Value::F64),
        any::<char>().prop_map(Value::Char),
        hostile().prop_map(Value::Str),
        proptest::collection::vec(any::<u8>(), 0..3).prop_map(Value::Bytes),
        Just(Value::None),
        Just(Value::Unit),
        name().prop_map(Value::UnitStruct),
        (name(), name()).prop_map(|(n, v)| Value::UnitVariant(n, v)),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let one = inner.clone().prop_map(Rc::new);
        let many = proptest::collection::vec(inner.clone(), 0..3);
        let fields = proptest::collection::vec((name(), inner.clone()), 0..3);
        prop_oneof![
            one.clone().prop_map(Value::Some),
            (name(), one.clone()).prop_map(|(n, v)| Value::Newtype(n, v)),
            many.clone().prop_map(Value::Seq),
            many.clone().prop_map(Value::Tuple),
            (name(), many.clone()).prop_map(|(n, v)| Value::TupleStruct(n, v)),
            proptest::collection::vec((inner.clone(), inner), 0..3).prop_map(Value::Map),
            (name(), fields.clone()).prop_map(|(n, v)| Value::Struct(n, v)),
            (name(), name(), one).prop_map(|(n, k, v)| Value::NewtypeVariant(n, k, v)),
            (name(), name(), many).prop_map(|(n, k, v)| Value::TupleVariant(n, k, v)),
            (name(), name(), fields).prop_map(|(n, k, v)| Value::StructVariant(n, k, v)),
        ]
    })
}
