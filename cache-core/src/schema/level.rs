//! Where in a made-up value a run is: the places of its parts, each known again in the next run.

use super::memory::Identity;

/// One place in the value.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// A hash of the way here.
    pub(super) hash: u64,
    /// Whether what is asked for here is recorded. It is not inside a type that was recorded
    /// before: there, values end as soon as they may.
    pub(super) recorded: bool,
    /// Whether this is a key of a map of any length.
    pub(super) key: bool,
}

impl Place {
    pub(super) const ROOT: Self = Self {
        hash: 0,
        recorded: true,
        key: false,
    };

    /// The place of the part with this number.
    pub(super) fn part(self, number: usize) -> Self {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            // The multiplier of Knuth's MMIX generator: any odd one with mixed bits would do.
            hash: (self.hash ^ (number + 1))
                .wrapping_mul(6_364_136_223_846_793_005)
                .rotate_left(29),
            key: false,
            ..self
        }
    }
}

/// A value with parts that is being visited.
pub(super) struct Level {
    /// The type it is made for.
    pub(super) value: &'static str,
    pub(super) inside: Place,
    pub(super) parts: Parts,
    /// The enum that it is, with the variant taken, if it is one.
    pub(super) variant: Option<(Identity, usize)>,
}

/// What comes next in it.
#[derive(Clone, Copy)]
pub(super) enum Parts {
    /// One value, or none.
    One,
    /// A list, a tuple, or a struct's fields in order: this many have been asked for.
    Items(usize),
    /// A map of any keys: this many have been asked for, and the last one's value.
    Keys(usize),
    Values(usize),
    /// A struct's fields, each with its name.
    Names(&'static [&'static str], usize),
    Fields(&'static [&'static str], usize),
    /// The content of this variant.
    Content,
}

/// What comes next.
pub(super) enum Next {
    Value(Place),
    /// The name of a field, which is no value of its own.
    Name(&'static str),
}

impl Level {
    pub(super) fn next(&mut self) -> Next {
        let place = self.inside;
        let (parts, next) = match self.parts {
            Parts::One | Parts::Content => (self.parts, place.part(0)),
            Parts::Items(asked) => (Parts::Items(asked + 1), place.part(asked + 1)),
            Parts::Keys(asked) => {
                let mut key = place.part(2 * (asked + 1));
                key.key = true;
                (Parts::Values(asked + 1), key)
            }
            Parts::Values(asked) => (Parts::Keys(asked), place.part(2 * asked + 1)),
            Parts::Names(names, asked) => {
                self.parts = Parts::Fields(names, asked + 1);
                return Next::Name(names.get(asked).copied().unwrap_or_default());
            }
            Parts::Fields(names, asked) => (Parts::Names(names, asked), place.part(2 * asked + 1)),
        };
        self.parts = parts;
        Next::Value(next)
    }
}
