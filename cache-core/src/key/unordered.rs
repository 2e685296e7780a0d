//! Sets as arguments: serde sees a list in an order that means nothing, so they are told by their
//! type's name, through aliases and in generic functions, and sorted (docs/decisions/0014).

use std::any::type_name;

use serde::{Serialize, Serializer};

/// The name under which a set comes to the key's serializer. No type can bear it by chance.
pub(super) const UNORDERED: &str = "cache_core::key::unordered::Argument";

/// The sets there are, with every hasher. What the compiler calls a type may change: then the order
/// of a set matters once more, which costs hits and mistakes no call for another.
const SETS: [&str; 2] = [
    "std::collections::hash::set::HashSet<",
    "hashbrown::set::HashSet<",
];

/// What serde sees nothing of, and `Option`.
const AROUND: [&str; 9] = [
    "&",
    "mut ",
    "'_, ",
    "alloc::boxed::Box<",
    "alloc::sync::Arc<",
    "alloc::rc::Rc<",
    "alloc::borrow::Cow<",
    "core::cell::RefCell<",
    "core::option::Option<",
];

/// One argument of a call.
#[derive(Clone, Copy, Debug)]
pub struct Argument<T>(pub(crate) T);

impl<T: Serialize> Serialize for Argument<T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if is_set(type_name::<T>()) {
            serializer.serialize_newtype_struct(UNORDERED, &self.0)
        } else {
            self.0.serialize(serializer)
        }
    }
}

/// Whether a type of this name is a set, as it stands, behind references, or in an `Option`.
#[inline]
fn is_set(name: &str) -> bool {
    // Numbers and texts are on the way of every hit.
    name.ends_with('>') && is_generic_set(name)
}

fn is_generic_set(mut name: &str) -> bool {
    while let Some(inside) = AROUND.iter().find_map(|around| name.strip_prefix(around)) {
        name = inside;
    }
    SETS.iter().any(|set| name.starts_with(set))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::hash_map::DefaultHasher;
    use std::collections::{BTreeSet, HashMap, HashSet};
    use std::hash::BuildHasherDefault;
    use std::sync::Arc;

    use super::*;

    type Alias<'a> = Option<&'a HashSet<u8, BuildHasherDefault<DefaultHasher>>>;

    #[test]
    fn sets_are_known_by_the_names_of_their_types() {
        for set in [
            type_name::<HashSet<u8>>(),
            type_name::<&&mut HashSet<String>>(),
            type_name::<Alias<'_>>(),
            type_name::<Option<Box<Arc<HashSet<(u8, u8)>>>>>(),
            type_name::<Cow<'_, HashSet<u8>>>(),
        ] {
            assert!(is_set(set), "{set}");
        }
        for other in [
            type_name::<Vec<HashSet<u8>>>(),
            type_name::<(HashSet<u8>,)>(),
            type_name::<BTreeSet<u8>>(),
            type_name::<HashMap<u8, HashSet<u8>>>(),
            type_name::<Option<u8>>(),
            type_name::<&str>(),
        ] {
            assert!(!is_set(other), "{other}");
        }
    }
}
