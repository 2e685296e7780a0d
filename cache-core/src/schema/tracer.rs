//! The source that has no data: it gives a type made-up values, and records what it asks.

use super::dummies::{ANYTHING, BOOLS, CHARS, EMPTY, F32S, F64S, FULL, LENGTHS, TEXTS, ZEROS};
use super::level::{Level, Next, Parts, Place};
use super::memory::Identity;
use super::run::Run;
use crate::codec::{Ask, Found, Source, Who};
use crate::refusal::Refusal;

type Result<T> = std::result::Result<T, Refusal>;

/// One run through a type.
pub(super) struct Tracer<'m> {
    run: Run<'m>,
    /// What is being visited, outermost first.
    levels: Vec<Level>,
    /// What was handed over last and has no parts: nobody says that it was taken, only if it was not.
    last: Last,
    /// Whether which variant it is comes next.
    variant: bool,
}

enum Last {
    Nothing,
    /// One of a leaf's dummies.
    Leaf(Identity, usize),
    /// What is the innermost level.
    Level,
}

impl<'m> Tracer<'m> {
    pub(super) fn new(run: Run<'m>) -> Self {
        Self {
            run,
            levels: Vec::new(),
            last: Last::Nothing,
            variant: false,
        }
    }

    /// The run, when the type has been through with it.
    pub(super) fn finish(mut self) -> Run<'m> {
        self.taken();
        self.run
    }

    /// What was handed over last has been taken.
    fn taken(&mut self) {
        match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Nothing => {}
            Last::Leaf(identity, taken) => self.run.accepted(identity, taken),
            Last::Level => self.close(None),
        }
    }

    fn choose(&mut self, place: Place, count: usize) -> usize {
        self.run.choose(place.hash, None, count)
    }

    /// A value without parts: one of `dummies`.
    fn leaf<'de, T: Copy>(
        &mut self,
        place: Place,
        (asked, who): (&'static str, Who),
        dummies: &[T],
        found: impl FnOnce(T) -> Found<'de>,
    ) -> Result<Found<'de>> {
        let identity = identity(asked, who, "", &[]);
        self.run.step()?;
        if place.recorded {
            self.run.note(asked);
        }
        let taken = self.run.choose(place.hash, Some(&identity), dummies.len());
        self.last = Last::Leaf(identity, taken);
        Ok(found(dummies[taken]))
    }

    /// A number, or what else is of one size.
    fn number<'de>(&mut self, place: Place, who: Who, ask: Ask) -> Result<Found<'de>> {
        match ask {
            Ask::Bool => self.leaf(place, ("bool", who), BOOLS, Found::Bool),
            Ask::I8 => self.leaf(place, ("i8", who), &[1, 0, -1, 2, 10, 100], Found::I8),
            Ask::I16 => {
                let dummies = &[1, 0, -1, 2, 10, 100, 2020];
                self.leaf(place, ("i16", who), dummies, Found::I16)
            }
            Ask::I32 => {
                let dummies = &[1, 0, -1, 2, 10, 100, 2020, 1_577_836_800];
                self.leaf(place, ("i32", who), dummies, Found::I32)
            }
            Ask::I64 => {
                let dummies = &[1, 0, -1, 2, 10, 100, 2020, 1_577_836_800];
                self.leaf(place, ("i64", who), dummies, Found::I64)
            }
            Ask::I128 => {
                let dummies = &[1, 0, -1, 2, 10, 100, 2020, 1_577_836_800];
                self.leaf(place, ("i128", who), dummies, Found::I128)
            }
            Ask::U8 => self.leaf(place, ("u8", who), &[1, 0, 2, 10, 100, 48, 65], Found::U8),
            Ask::U16 => {
                let dummies = &[1, 0, 2, 10, 100, 2020];
                self.leaf(place, ("u16", who), dummies, Found::U16)
            }
            Ask::U32 => {
                let dummies = &[1, 0, 2, 10, 100, 2020, 1_577_836_800];
                self.leaf(place, ("u32", who), dummies, Found::U32)
            }
            Ask::U64 => {
                let dummies = &[1, 0, 2, 10, 100, 2020, 1_577_836_800];
                self.leaf(place, ("u64", who), dummies, Found::U64)
            }
            Ask::U128 => {
                let dummies = &[1, 0, 2, 10, 100, 2020, 1_577_836_800];
                self.leaf(place, ("u128", who), dummies, Found::U128)
            }
            Ask::F32 => self.leaf(place, ("f32", who), F32S, Found::F32),
            Ask::F64 => self.leaf(place, ("f64", who), F64S, Found::F64),
            Ask::Char => self.leaf(place, ("char", who), CHARS, Found::Char),
            // All others have been seen to.
            _ => Err(Refusal::new("it wants what there is none of")),
        }
    }

    /// A value with parts. Gives the place inside, where everything is recorded if this type has not
    /// been recorded yet in this run.
    fn open(&mut self, place: Place, identity: Identity) -> Result<Place> {
        let mut inside = place;
        let run = &mut self.run;
        run.step()?;
        run.descend();
        if place.recorded {
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
        self.levels.push(Level {
            value: identity.value,
            inside,
            parts: Parts::One,
            variant: None,
        });
        Ok(inside)
    }

    /// The innermost value has been visited.
    fn close(&mut self, refusal: Option<&Refusal>) {
        let Some(level) = self.levels.pop() else {
            return;
        };
        if let Some((identity, at)) = level.variant {
            // A list or a map that is refused for what it holds could have been taken with more.
            let is_leaf = !matches!(ANYTHING.get(at), Some(&("seq" | "map")));
            if identity.asked == ANY && refusal.is_some_and(|no| is_leaf || no.is_of_type()) {
                self.run.refused_one(identity, ANYTHING.len(), at);
            }
            self.run.leave(refusal.is_none());
        }
        if level.inside.recorded {
            self.run.note("end");
        }
        self.run.ascend();
        if refusal.is_some() {
            self.run.refused_in(level.value);
        }
    }

    fn parts<'de>(&mut self, parts: Parts, found: Found<'de>) -> Found<'de> {
        if let Some(level) = self.levels.last_mut() {
            level.parts = parts;
        }
        found
    }

    /// A list whose length the data decides.
    fn len(&mut self, inside: Place) -> usize {
        let lengths = if inside.recorded { FULL } else { EMPTY };
        lengths[self.choose(inside, lengths.len())]
    }

    fn tuple<'de>(
        &mut self,
        place: Place,
        who: Who,
        (name, len): (&'static str, usize),
    ) -> Result<Found<'de>> {
        let inside = self.open(place, identity("tuple", who, name, &[]))?;
        if inside.recorded {
            self.run.count(len);
        }
        Ok(self.parts(Parts::Items(0), Found::Seq(len)))
    }

    /// Named fields: in order, or, for a visitor that refuses this, each with its name.
    fn fields<'de>(
        &mut self,
        place: Place,
        who: Who,
        (name, fields): (&'static str, &'static [&'static str]),
    ) -> Result<Found<'de>> {
        let inside = self.open(place, identity("struct", who, name, fields))?;
        Ok(if self.choose(inside, 2) == 0 {
            self.parts(Parts::Items(0), Found::Seq(fields.len()))
        } else {
            self.parts(Parts::Names(fields, 0), Found::Map(fields.len()))
        })
    }

    /// One of an enum's variants. Gives its number.
    fn enumeration(&mut self, place: Place, identity: Identity) -> Result<usize> {
        let inside = self.open(place, identity)?;
        let entered = self
            .run
            .enter(identity, identity.parts.len(), inside.recorded);
        let at = match entered {
            Ok(at) => at,
            Err(refusal) => {
                self.close(Some(&refusal));
                return Err(refusal);
            }
        };
        if inside.recorded {
            self.run.count(at);
        }
        if let Some(level) = self.levels.last_mut() {
            level.variant = Some((identity, at));
        }
        Ok(at)
    }

    fn any<'de>(&mut self, place: Place, who: Who) -> Result<Found<'de>> {
        self.run.describe_self();
        let identity = identity(ANY, who, "", ANYTHING);
        // Untagged and internally tagged enums and flattened fields are read into a buffer of
        // serde's own first. It takes anything, but what is read from it then does not.
        if [identity.visitor, identity.value]
            .iter()
            .any(|name| name.contains("serde") && name.contains("private"))
        {
            return Err(self.run.give_up(
                "it is, or has inside, an untagged or internally tagged enum or a flattened \
                 field, whose shape serde does not show"
                    .to_owned(),
            ));
        }
        let at = self.enumeration(place, identity)?;
        let found = match ANYTHING[at] {
            "unit" => Found::Unit,
            "bool" => Found::Bool(false),
            "u64" => Found::U64(1),
            "i64" => Found::I64(-1),
            "f64" => Found::F64(0.5),
            "str" => Found::Str("a"),
            "seq" => Found::Seq(0),
            _ => Found::Map(0),
        };
        if !found.has_parts() {
            self.last = Last::Level;
        }
        Ok(found)
    }

    /// Which variant was picked: by its number, as bincode and postcard do, or, where that is refused,
    /// by its name.
    fn picked<'de>(&mut self) -> Found<'de> {
        let Some((content, identity, at)) = self.content() else {
            return Found::Unit;
        };
        match u32::try_from(at) {
            Ok(index) if self.choose(content, 2) == 0 => Found::U32(index),
            _ => Found::Str(identity.parts[at]),
        }
    }

    /// The variant being visited: its place, its enum and its number.
    fn content(&self) -> Option<(Place, Identity, usize)> {
        let level = self.levels.last()?;
        let (identity, at) = level.variant?;
        Some((level.inside.part(at), identity, at))
    }

    /// Names of fields and variants come from the data here, so only MessagePack can carry them.
    fn name(&mut self, place: Place) -> Refusal {
        self.run.describe_self();
        if place.key {
            return self
                .run
                .give_up("it has flattened fields, whose names serde does not show".to_owned());
        }
        Refusal::new("it wants the name of a variant")
    }
}

const ANY: &str = "any";

fn identity(
    asked: &'static str,
    who: Who,
    name: &'static str,
    parts: &'static [&'static str],
) -> Identity {
    Identity {
        asked,
        visitor: who.visitor(),
        value: who.value(),
        name,
        parts,
    }
}

impl<'de> Source<'de> for Tracer<'_> {
    fn ask(&mut self, ask: Ask, who: Who) -> Result<Found<'de>> {
        self.taken();
        if std::mem::take(&mut self.variant) {
            return Ok(self.picked());
        }
        let place = match (self.content(), self.levels.last_mut()) {
            // What is in a variant.
            (Some((content, ..)), Some(level)) if matches!(level.parts, Parts::Content) => {
                content.part(0)
            }
            (_, Some(level)) => match level.next() {
                Next::Value(place) => place,
                Next::Name(name) => return Ok(Found::Str(name)),
            },
            (_, None) => Place::ROOT,
        };
        match ask {
            Ask::Str | Ask::Text => self.leaf(place, ("str", who), TEXTS, Found::Str),
            Ask::Bytes | Ask::ByteBuf => self.leaf(place, ("bytes", who), LENGTHS, |len| {
                Found::Bytes(&ZEROS[..len])
            }),
            Ask::Unit => self.leaf(place, ("unit", who), &[()], |()| Found::Unit),
            Ask::Ignored => {
                self.run.describe_self();
                self.leaf(place, ("ignored", who), &[()], |()| Found::Unit)
            }
            Ask::UnitStruct(name) => {
                self.open(place, identity("unit_struct", who, name, &[]))?;
                self.last = Last::Level;
                Ok(Found::Unit)
            }
            Ask::Option => {
                let inside = self.open(place, identity("option", who, "", &[]))?;
                // A recorded one is never left empty: its inside would be missing from the record.
                if inside.recorded || self.choose(inside, 2) == 1 {
                    return Ok(Found::Some);
                }
                self.last = Last::Level;
                Ok(Found::None)
            }
            Ask::Newtype(name) => {
                self.open(place, identity("newtype", who, name, &[]))?;
                Ok(Found::Newtype)
            }
            Ask::Seq => {
                let inside = self.open(place, identity("seq", who, "", &[]))?;
                let len = self.len(inside);
                Ok(self.parts(Parts::Items(0), Found::Seq(len)))
            }
            Ask::Map => {
                let inside = self.open(place, identity("map", who, "", &[]))?;
                let len = self.len(inside);
                Ok(self.parts(Parts::Keys(0), Found::Map(len)))
            }
            Ask::Tuple(len) | Ask::TupleVariant(len) => self.tuple(place, who, ("", len)),
            Ask::TupleStruct(name, len) => self.tuple(place, who, (name, len)),
            Ask::Struct(name, fields) => self.fields(place, who, (name, fields)),
            Ask::StructVariant(fields) => self.fields(place, who, ("", fields)),
            Ask::Enum(name, variants) => {
                self.enumeration(place, identity("enum", who, name, variants))?;
                Ok(self.parts(Parts::Content, Found::Enum { bare: false }))
            }
            Ask::Name => Err(self.name(place)),
            Ask::Any => self.any(place, who),
            number => self.number(place, who, number),
        }
    }

    fn leave(&mut self, _left: usize, refusal: Option<&Refusal>) {
        self.taken();
        self.close(refusal);
    }

    fn refused(&mut self, refusal: &Refusal) {
        match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Nothing => {}
            Last::Leaf(identity, _) => self.run.refused_in(identity.value),
            Last::Level => self.close(Some(refusal)),
        }
    }

    fn variant_follows(&mut self) {
        self.variant = true;
    }

    fn in_variant(&mut self, one: bool) -> Result<()> {
        self.taken();
        if self.content().is_some_and(|(content, ..)| content.recorded) {
            self.run.note(if one { "newtype" } else { "unit" });
        }
        Ok(())
    }

    fn expect(&self, left: usize, _are_pairs: bool) -> Option<usize> {
        Some(left)
    }
}
