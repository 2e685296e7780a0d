//! Keys: a kind, a function, and the arguments in a canonical, readable text that no two argument
//! lists share. The same text names the entry in the local tier and in Redis.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::kind::{Kind, shown};
use crate::{Error, ErrorKind, Result};

mod args;
mod arguments;
mod brief;
mod compound;
#[cfg(test)]
mod tests;
mod text;
mod unordered;
mod whole;

pub(crate) use args::{Args, unpacked};
pub use unordered::Argument;

/// The longest arguments that are written out; longer ones are hashed.
pub(crate) const LONGEST: usize = 96;

/// Packed arguments of no more bytes are hashed and compared as words, in the local tier.
pub(crate) const SHORT: usize = 22;

/// So many bytes are whole words.
pub(crate) const PADDED: usize = 24;

/// The longest name of a function that is taken from a text.
const LONGEST_TEXT: usize = 512;

/// How deep arguments may nest. Deeper ones would overflow the stack before they made a key.
pub(crate) const DEPTH: u32 = 128;

/// What one cached value is stored under. It shows as `kind:function:arguments`, as in Redis.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    kind: Arc<str>,
    function: Arc<str>,
    args: Arc<str>,
    /// The name another process may store the same function under.
    other: Option<Arc<str>>,
}

impl Key {
    /// The key of a call of `function`, cached under `kind`.
    pub(crate) fn new(kind: Arc<str>, function: Arc<str>, args: &ArgsText) -> Self {
        Self {
            kind,
            function,
            args: args.as_str().into(),
            other: None,
        }
    }

    /// Adds the name that another process may store the function under: removing the key removes
    /// both.
    pub(crate) fn or_under(mut self, other: Arc<str>) -> Self {
        self.other = Some(other);
        self
    }

    /// The function's names, the one in use here first.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.function).chain(self.other.as_deref())
    }

    /// Whether nothing is known of the name that another process may store the function under.
    pub(crate) fn is_one_sided(&self) -> bool {
        self.other.is_none()
    }

    /// The kind's name.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The function's name, with a suffix where two functions of one name share a kind.
    pub fn function(&self) -> &str {
        &self.function
    }

    /// The arguments' canonical text: `42:'ann'`, or `#` and a hash where it is longer than 96
    /// bytes.
    pub fn args(&self) -> &str {
        &self.args
    }
}

/// The key that [`Display`](fmt::Display) shows, and `redis-cli` too, between the braces.
///
/// A key made of a text names the entry under this function's name only, where one that a companion's
/// `key(..)` makes knows the name that another process may store the same function under, too. A cache
/// that has called the function adds it.
///
/// ```
/// use cache_core::Key;
///
/// let key: Key = "user_profile:user_profile:42".parse()?;
/// assert_eq!((key.kind(), key.function(), key.args()), ("user_profile", "user_profile", "42"));
/// assert!("user_profile".parse::<Key>().is_err());
/// # Ok::<(), cache_core::Error>(())
/// ```
impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.splitn(3, ':');
        let (Some(kind), Some(function), Some(args)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(no_key(text));
        };
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '~' | '#');
        // Arguments are escaped where they hold anything but what can be seen.
        let is_seen = |c: char| !c.is_control() && !c.is_whitespace();
        if Kind::new(kind).is_err()
            || function.is_empty()
            || function.len() > LONGEST_TEXT
            || !function.chars().all(is_name)
            || args.len() > LONGEST
            || !args.chars().all(is_seen)
        {
            return Err(no_key(text));
        }
        Ok(Self {
            kind: kind.into(),
            function: function.into(),
            args: args.into(),
            other: None,
        })
    }
}

fn no_key(text: &str) -> Error {
    Error::new(
        ErrorKind::Key,
        format!(
            "{} is no key: write kind:function:arguments, such as user_profile:user_profile:42",
            shown(text)
        ),
    )
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.function, self.args)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// The canonical text of one call's arguments, on the stack.
#[derive(Clone, Copy)]
pub(crate) struct ArgsText {
    buf: [u8; LONGEST],
    len: u8,
}

impl ArgsText {
    fn empty() -> Self {
        Self {
            buf: [0; LONGEST],
            len: 0,
        }
    }

    /// Adds what there is room for, all or nothing; `false`: nothing.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let end = usize::from(self.len) + bytes.len();
        let Some(free) = self.buf.get_mut(self.len.into()..end) else {
            return false;
        };
        free.copy_from_slice(bytes);
        // At most LONGEST.
        self.len = end.to_le_bytes()[0];
        true
    }

    fn as_bytes(&self) -> &[u8] {
        &self.buf[..usize::from(self.len)]
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        // The serializer writes whole `str`s and ASCII only.
        std::str::from_utf8(self.as_bytes()).expect("a key's text is UTF-8")
    }
}

impl PartialEq for ArgsText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ArgsText {}

impl fmt::Debug for ArgsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArgsText({})", self.as_str())
    }
}

/// The text of `args`, which is a tuple of a call's arguments, such as `&(&id, &name)`.
///
/// # Errors
/// As [`Args::write`].
#[cfg(test)]
pub(crate) fn args_text<A: serde::Serialize + ?Sized>(args: &A) -> Result<ArgsText> {
    let mut packed = Args::new();
    packed.write(args)?;
    Ok(packed.text())
}
