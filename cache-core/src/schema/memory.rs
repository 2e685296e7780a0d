//! What is remembered from run to run: which variants of which enums have been seen, and which
//! made-up value each place took.

use std::collections::{HashMap, HashSet};

/// Tells types apart within one trace. Names of Rust types are in it, so it never reaches the
/// fingerprint; only which of them are equal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) asked: &'static str,
    pub(super) visitor: &'static str,
    pub(super) value: &'static str,
    pub(super) name: &'static str,
    pub(super) parts: &'static [&'static str],
}

/// One enum.
#[derive(Default)]
struct Seen {
    variants: Vec<Variant>,
    /// A variant that is known to come to an end, for where an enum is inside of itself.
    finished: Option<usize>,
}

#[derive(Clone, Default)]
struct Variant {
    explored: bool,
    /// It was offered to a type that takes anything, which does not take this.
    refused: bool,
    /// The enums met inside of it: as long as they are incomplete, it is visited again.
    inside: HashSet<Identity>,
}

#[derive(Default)]
pub(super) struct Memory {
    enums: HashMap<Identity, Seen>,
    /// The dummy that a place in the value took when a run succeeded.
    pub(super) places: HashMap<u64, usize>,
    /// The dummy that a type of leaf took last.
    pub(super) leaves: HashMap<Identity, usize>,
}

impl Memory {
    /// Whether every variant of every enum has been seen.
    pub(super) fn is_complete(&self) -> bool {
        self.enums
            .values()
            .all(|seen| seen.variants.iter().all(|variant| variant.explored))
    }

    /// The variant that an enum with `count` of them should take now.
    pub(super) fn due(&self, identity: &Identity, count: usize) -> usize {
        let Some(seen) = self.enums.get(identity) else {
            return 0;
        };
        (0..count)
            .find(|&at| self.is_due(identity, at, &mut HashSet::new()))
            .or(seen.finished)
            .unwrap_or(0)
    }

    pub(super) fn finished(&self, identity: &Identity) -> Option<usize> {
        self.enums.get(identity).and_then(|seen| seen.finished)
    }

    fn is_due(&self, identity: &Identity, at: usize, asked: &mut HashSet<Identity>) -> bool {
        let Some(variant) = self
            .enums
            .get(identity)
            .and_then(|seen| seen.variants.get(at))
        else {
            return true;
        };
        if !variant.explored {
            return true;
        }
        asked.insert(*identity);
        variant.inside.iter().any(|inner| {
            let count = self.enums.get(inner).map_or(0, |seen| seen.variants.len());
            !asked.contains(inner) && (0..count).any(|at| self.is_due(inner, at, asked))
        })
    }

    /// Notes an explored variant; says whether it is new.
    pub(super) fn explore(&mut self, identity: Identity, count: usize, at: usize) -> bool {
        let seen = self.enums.entry(identity).or_default();
        seen.variants.resize(count, Variant::default());
        !std::mem::replace(&mut seen.variants[at].explored, true)
    }

    /// Notes that there is no such variant; says whether this is new.
    pub(super) fn refuse(&mut self, identity: Identity, count: usize, at: usize) -> bool {
        let seen = self.enums.entry(identity).or_default();
        seen.variants.resize(count, Variant::default());
        seen.variants[at].explored = true;
        !std::mem::replace(&mut seen.variants[at].refused, true)
    }

    pub(super) fn is_refused(&self, identity: &Identity, at: usize) -> bool {
        let variant = self
            .enums
            .get(identity)
            .and_then(|seen| seen.variants.get(at));
        variant.is_some_and(|variant| variant.refused)
    }

    pub(super) fn nest(&mut self, outer: Identity, at: usize, inner: Identity) {
        if let Some(seen) = self.enums.get_mut(&outer) {
            seen.variants[at].inside.insert(inner);
        }
    }

    pub(super) fn finish(&mut self, identity: Identity, at: usize) {
        self.enums
            .entry(identity)
            .or_default()
            .finished
            .get_or_insert(at);
    }
}
