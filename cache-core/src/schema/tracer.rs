//! The deserializer that has no data: it gives a type made-up values, and records what it asks.

use std::any::type_name;
use std::cell::{RefCell, RefMut};

use serde::de::{Deserializer, Visitor};

use super::access::{Entries, Items, Picked};
use super::dummies::{ANYTHING, BOOLS, CHARS, EMPTY, F32S, F64S, FULL, LENGTHS, TEXTS, ZEROS};
use super::memory::Identity;
use super::run::Run;
use crate::refusal::Refusal;

/// One place in the value.
#[derive(Clone, Copy)]
pub(super) struct Tracer<'r, 'm> {
    run: &'r RefCell<Run<'m>>,
    /// A hash of the way here, to know the place again in the next run.
    place: u64,
    /// Whether what is asked for here is recorded. It is not inside a type that was recorded
    /// before: there, values end as soon as they may.
    recorded: bool,
    /// Whether this is a key of a map of any length.
    key: bool,
}

impl<'r, 'm> Tracer<'r, 'm> {
    pub(super) fn root(run: &'r RefCell<Run<'m>>) -> Self {
        Self {
            run,
            place: 0,
            recorded: true,
            key: false,
        }
    }

    pub(super) fn run(&self) -> RefMut<'r, Run<'m>> {
        self.run.borrow_mut()
    }

    /// The place of the part with this number.
    pub(super) fn part(&self, number: usize) -> Self {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            // The multiplier of Knuth's MMIX generator: any odd one with mixed bits would do.
            place: (self.place ^ (number + 1))
                .wrapping_mul(6_364_136_223_846_793_005)
                .rotate_left(29),
            key: false,
            ..*self
        }
    }

    pub(super) fn as_key(self) -> Self {
        Self { key: true, ..self }
    }

    pub(super) fn note(&self, word: &str) {
        if self.recorded {
            self.run().note(word);
        }
    }

    pub(super) fn choose(&self, count: usize) -> usize {
        self.run().choose(self.place, None, count)
    }

    /// A value without parts: one of `dummies`.
    fn leaf<'de, V: Visitor<'de>, T: Copy>(
        self,
        asked: &'static str,
        dummies: &[T],
        visitor: V,
        visit: impl FnOnce(V, T) -> Result<V::Value, Refusal>,
    ) -> Result<V::Value, Refusal> {
        let identity = identity::<V>(asked, "", &[]);
        self.run().step()?;
        self.note(asked);
        let taken = self
            .run()
            .choose(self.place, Some(&identity), dummies.len());
        let result = visit(visitor, dummies[taken]);
        match &result {
            Ok(_) => self.run().accepted(identity, taken),
            Err(_) => self.run().refused_in(type_name::<V::Value>()),
        }
        result
    }

    /// A value with parts. `visit` gets the place inside, where everything is recorded if this
    /// type has not been recorded yet in this run.
    fn compound<'de, V: Visitor<'de>>(
        self,
        identity: Identity,
        visitor: V,
        visit: impl FnOnce(Self, V) -> Result<V::Value, Refusal>,
    ) -> Result<V::Value, Refusal> {
        let mut inside = self;
        {
            let mut run = self.run();
            run.step()?;
            run.descend();
            if self.recorded {
                inside.recorded = run.open(identity);
            }
            if inside.recorded {
                run.note(identity.asked);
                run.name(identity.name);
                run.count(identity.parts.len());
                for part in identity.parts {
                    run.name(part);
                }
            }
        }
        let result = visit(inside, visitor);
        inside.note("end");
        let mut run = self.run();
        run.ascend();
        if result.is_err() {
            run.refused_in(type_name::<V::Value>());
        }
        result
    }

    /// A list whose length the data decides.
    fn list<'de, V: Visitor<'de>>(
        self,
        asked: &'static str,
        visitor: V,
        visit: impl FnOnce(Self, usize, V) -> Result<V::Value, Refusal>,
    ) -> Result<V::Value, Refusal> {
        self.compound(identity::<V>(asked, "", &[]), visitor, |inside, visitor| {
            let lengths = if inside.recorded { FULL } else { EMPTY };
            let len = lengths[inside.choose(lengths.len())];
            visit(inside, len, visitor)
        })
    }

    /// Named fields: in order, or, for a visitor that refuses this, each with its name.
    pub(super) fn fields<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if self.choose(2) == 0 {
            visitor.visit_seq(Items::new(self, fields.len()))
        } else {
            visitor.visit_map(Entries::named(self, fields))
        }
    }

    /// One of an enum's variants.
    fn variant<'de, V: Visitor<'de>>(
        self,
        identity: Identity,
        visitor: V,
        visit: impl FnOnce(Self, usize, V) -> Result<V::Value, Refusal>,
    ) -> Result<V::Value, Refusal> {
        self.compound(identity, visitor, |inside, visitor| {
            let at = inside
                .run()
                .enter(identity, identity.parts.len(), inside.recorded)?;
            if inside.recorded {
                inside.run().count(at);
            }
            let result = visit(inside.part(at), at, visitor);
            inside.run().leave(result.is_ok());
            result
        })
    }
}

fn identity<'de, V: Visitor<'de>>(
    asked: &'static str,
    name: &'static str,
    parts: &'static [&'static str],
) -> Identity {
    Identity {
        asked,
        visitor: type_name::<V>(),
        value: type_name::<V::Value>(),
        name,
        parts,
    }
}

macro_rules! leaves {
    ($($method:ident $visit:ident $asked:literal $dummies:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
            self.leaf($asked, $dummies, visitor, |visitor, dummy| visitor.$visit(dummy))
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_, '_> {
    type Error = Refusal;

    leaves! {
        deserialize_bool visit_bool "bool" BOOLS;
        deserialize_i8 visit_i8 "i8" &[1, 0, -1, 2, 10, 100];
        deserialize_i16 visit_i16 "i16" &[1, 0, -1, 2, 10, 100, 2020];
        deserialize_i32 visit_i32 "i32" &[1, 0, -1, 2, 10, 100, 2020, 1_577_836_800];
        deserialize_i64 visit_i64 "i64" &[1, 0, -1, 2, 10, 100, 2020, 1_577_836_800];
        deserialize_i128 visit_i128 "i128" &[1, 0, -1, 2, 10, 100, 2020, 1_577_836_800];
        deserialize_u8 visit_u8 "u8" &[1, 0, 2, 10, 100, 48, 65];
        deserialize_u16 visit_u16 "u16" &[1, 0, 2, 10, 100, 2020];
        deserialize_u32 visit_u32 "u32" &[1, 0, 2, 10, 100, 2020, 1_577_836_800];
        deserialize_u64 visit_u64 "u64" &[1, 0, 2, 10, 100, 2020, 1_577_836_800];
        deserialize_u128 visit_u128 "u128" &[1, 0, 2, 10, 100, 2020, 1_577_836_800];
        deserialize_f32 visit_f32 "f32" F32S;
        deserialize_f64 visit_f64 "f64" F64S;
        deserialize_char visit_char "char" CHARS;
        deserialize_str visit_borrowed_str "str" TEXTS;
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.leaf("str", TEXTS, visitor, |visitor, dummy| {
            visitor.visit_string(dummy.to_owned())
        })
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.leaf("bytes", LENGTHS, visitor, |visitor, len| {
            visitor.visit_borrowed_bytes(&ZEROS[..len])
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.leaf("bytes", LENGTHS, visitor, |visitor, len| {
            visitor.visit_byte_buf(ZEROS[..len].to_vec())
        })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.leaf("unit", &[()], visitor, |visitor, ()| visitor.visit_unit())
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.compound(
            identity::<V>("unit_struct", name, &[]),
            visitor,
            |_, visitor| visitor.visit_unit(),
        )
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.compound(
            identity::<V>("option", "", &[]),
            visitor,
            |inside, visitor| {
                // A recorded one is never left empty: its inside would be missing from the record.
                if inside.recorded || inside.choose(2) == 1 {
                    visitor.visit_some(inside.part(0))
                } else {
                    visitor.visit_none()
                }
            },
        )
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.compound(
            identity::<V>("newtype", name, &[]),
            visitor,
            |inside, visitor| visitor.visit_newtype_struct(inside.part(0)),
        )
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.list("seq", visitor, |inside, len, visitor| {
            visitor.visit_seq(Items::new(inside, len))
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_tuple_struct("", len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.compound(
            identity::<V>("tuple", name, &[]),
            visitor,
            |inside, visitor| {
                if inside.recorded {
                    inside.run().count(len);
                }
                visitor.visit_seq(Items::new(inside, len))
            },
        )
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.list("map", visitor, |inside, len, visitor| {
            visitor.visit_map(Entries::any(inside, len))
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.compound(
            identity::<V>("struct", name, fields),
            visitor,
            |inside, visitor| inside.fields(fields, visitor),
        )
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.variant(
            identity::<V>("enum", name, variants),
            visitor,
            |inside, at, visitor| visitor.visit_enum(Picked::new(inside, at, variants[at])),
        )
    }

    /// Names of fields and variants come from the data here, so only MessagePack can carry them.
    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refusal> {
        let mut run = self.run();
        run.describe_self();
        if self.key {
            return Err(
                run.give_up("it has flattened fields, whose names serde does not show".to_owned())
            );
        }
        Err(Refusal::new("it wants the name of a variant"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.run().describe_self();
        let identity = identity::<V>("any", "", ANYTHING);
        // Untagged and internally tagged enums and flattened fields are read into a buffer of
        // serde's own first. It takes anything, but what is read from it then does not.
        if [identity.visitor, identity.value]
            .iter()
            .any(|name| name.contains("serde") && name.contains("private"))
        {
            return Err(self.run().give_up(
                "it is, or has inside, an untagged or internally tagged enum or a flattened \
                 field, whose shape serde does not show"
                    .to_owned(),
            ));
        }
        self.variant(identity, visitor, |inside, at, visitor| {
            let (taken, leaf) = match ANYTHING[at] {
                "unit" => (visitor.visit_unit(), true),
                "bool" => (visitor.visit_bool(false), true),
                "u64" => (visitor.visit_u64(1), true),
                "i64" => (visitor.visit_i64(-1), true),
                "f64" => (visitor.visit_f64(0.5), true),
                "str" => (visitor.visit_borrowed_str("a"), true),
                "seq" => (visitor.visit_seq(Items::new(inside, 0)), false),
                _ => (visitor.visit_map(Entries::any(inside, 0)), false),
            };
            // A list or a map that is refused for what it holds could have been taken with more.
            if taken.as_ref().is_err_and(|no| leaf || no.is_of_type()) {
                self.run().refused_one(identity, ANYTHING.len(), at);
            }
            taken
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.run().describe_self();
        self.leaf("ignored", &[()], visitor, |visitor, ()| {
            visitor.visit_unit()
        })
    }

    fn is_human_readable(&self) -> bool {
        // As all the codecs answer.
        false
    }
}
