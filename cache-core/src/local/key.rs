//! What a local entry is found by: the function, as this process numbers them, and its arguments as
//! bytes that nobody here reads. Short ones need no memory of their own.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

// As many bytes of arguments as a key holds itself.
use crate::key::{PADDED, SHORT};

/// Which entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalKey {
    pub(crate) function: u32,
    pub(crate) args: ArgBytes,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRef<'a> {
    pub(crate) function: u32,
    pub(crate) args: &'a [u8],
    /// The first bytes of the arguments, and zeros after them: what short ones are hashed and compared by.
    words: Words,
}

/// As many bytes as a key holds itself, as words that are compared without a question about their length.
type Words = [u64; 3];

impl<'a> KeyRef<'a> {
    pub(crate) fn new(function: u32, args: &'a [u8]) -> Self {
        let mut padded = [0; PADDED];
        let short = args.len().min(SHORT);
        padded[..short].copy_from_slice(&args[..short]);
        Self::padded(function, args, &padded)
    }

    /// The same of arguments that are followed by zeros, where they are no longer than [`SHORT`].
    #[inline]
    pub(crate) fn padded(function: u32, args: &'a [u8], padded: &[u8; PADDED]) -> Self {
        let words = [word(padded, 0), word(padded, 8), word(padded, 16)];
        Self {
            function,
            args,
            words,
        }
    }

    /// What the key is hashed by, if it is a short one.
    #[inline]
    pub(super) fn short(&self) -> Option<&Words> {
        (self.args.len() <= SHORT).then_some(&self.words)
    }
}

/// Those that a key holds itself, as the same words.
#[inline]
fn words(bytes: &[u8; SHORT]) -> Words {
    // What the last one has of the one before it is shifted out.
    const OVERLAP: usize = PADDED - SHORT;
    let last = word(bytes, 16 - OVERLAP) >> (8 * OVERLAP);
    [word(bytes, 0), word(bytes, 8), last]
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

impl LocalKey {
    pub(crate) fn new(function: u32, args: impl AsRef<[u8]>) -> Self {
        Self {
            function,
            args: ArgBytes::new(args.as_ref()),
        }
    }

    pub(crate) fn borrowed(&self) -> KeyRef<'_> {
        match &self.args.0 {
            Place::Here(_, bytes) => KeyRef {
                function: self.function,
                args: &self.args,
                words: words(bytes),
            },
            Place::Away(bytes) => KeyRef::new(self.function, bytes),
        }
    }

    /// Whether this is the key.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn is(&self, key: &KeyRef<'_>) -> bool {
        match &self.args.0 {
            // No longer one begins with a short one and zeros, and is as long.
            Place::Here(length, bytes) => {
                let words = words(bytes);
                // In registers: an array would be written, and read before that has come through.
                let differ = (words[0] ^ key.words[0])
                    | (words[1] ^ key.words[1])
                    | (words[2] ^ key.words[2])
                    | u64::from(self.function ^ key.function)
                    | (u64::from(*length) ^ key.args.len() as u64);
                differ == 0
            }
            Place::Away(bytes) => self.function == key.function && same(bytes, key.args),
        }
    }

    /// How many bytes it takes beside its own place in memory.
    pub(super) fn heap(&self) -> usize {
        match &self.args.0 {
            Place::Here(..) => 0,
            // The two counts of the allocation.
            Place::Away(bytes) => bytes.len() + 2 * size_of::<usize>(),
        }
    }
}

/// Whether two long ones are the same. Out of the way of those that are compared in words.
#[cold]
#[inline(never)]
fn same(one: &[u8], other: &[u8]) -> bool {
    one == other
}

impl Hash for LocalKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.function);
        state.write(&self.args);
    }
}

/// The arguments of a key.
#[derive(Clone)]
pub(crate) struct ArgBytes(Place);

#[derive(Clone)]
enum Place {
    Here(u8, [u8; SHORT]),
    Away(Arc<[u8]>),
}

impl ArgBytes {
    fn new(args: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..args.len()), u8::try_from(args.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(args);
                Self(Place::Here(length, bytes))
            }
            _ => Self(Place::Away(args.into())),
        }
    }
}

impl Deref for ArgBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Here(length, bytes) => &bytes[..usize::from(*length).min(SHORT)],
            Place::Away(bytes) => bytes,
        }
    }
}

impl PartialEq for ArgBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for ArgBytes {}

impl PartialOrd for ArgBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ArgBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for ArgBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_text(f)
    }
}

impl fmt::Display for ArgBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_text(f)
    }
}

impl ArgBytes {
    fn fmt_text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart_at_every_length_and_byte() {
        for length in 0..70_usize {
            let args: Vec<u8> = (0..70).take(length).collect();
            let key = LocalKey::new(1, &args);
            assert_eq!(&*key.args, args, "{length} bytes");
            assert!(key.is(&KeyRef::new(1, &args)) && key.is(&key.borrowed()));
            assert!(!key.is(&KeyRef::new(2, &args)));
            for at in 0..length {
                let mut other = args.clone();
                other[at] ^= 1;
                assert_ne!(key, LocalKey::new(1, &other), "byte {at} of {length}");
                assert!(!key.is(&KeyRef::new(1, &other)), "byte {at} of {length}");
            }
            let longer = [&*args, &[0]].concat();
            assert_ne!(key, LocalKey::new(1, &longer), "{length} bytes and a zero");
            assert!(
                !key.is(&KeyRef::new(1, &longer)),
                "{length} bytes and a zero"
            );
        }
    }

    #[test]
    fn a_short_key_needs_no_memory_of_its_own() {
        assert!(size_of::<LocalKey>() <= 32);
        assert_eq!(LocalKey::new(1, [7; SHORT]).heap(), 0);
        assert!(LocalKey::new(1, [7; SHORT + 1]).heap() > SHORT);
    }
}
