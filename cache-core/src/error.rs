//! The one error type: what went wrong, where, and what to do instead.

use std::error::Error as StdError;
use std::fmt;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong: a URL, a policy, a capacity, a namespace.
    Config,
    /// A kind's, a tag's or a namespace's name is not allowed.
    Name,
    /// A time to live cannot be read or makes no sense.
    Ttl,
    /// An argument could not be turned into a key.
    Key,
    /// A value could not be encoded.
    Encode,
    /// Bytes could not be decoded.
    Decode,
    /// The store is not reachable.
    Unavailable,
    /// The store did not answer in time.
    Timeout,
    /// The store answered, and refused: full, read-only, no permission.
    Rejected,
    /// The store answered something that makes no sense.
    Protocol,
    /// Two things claim one identity, or one place.
    Conflict,
}

/// An error of the cache itself. It never carries a secret: URLs in it are masked.
///
/// The text says what to write instead where that can be known.
///
/// ```
/// use cache_core::{ErrorKind, Tag};
///
/// let error = Tag::new("").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Name);
/// ```
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The crate's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `context` names the value, its place, and what would be right:
    /// lowercase, no full stop.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self {
            kind,
            context: context.into(),
            source: None,
        }
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

/// For people: it is what a `main` that returns an error prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.context, self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_main_prints_can_be_read() {
        let error = Error::new(ErrorKind::Config, "REDIS_URL: it is in \"quotes\"")
            .with_source(std::io::Error::other("why"));
        assert_eq!(
            format!("{error:?}"),
            "REDIS_URL: it is in \"quotes\" (Config)"
        );
        assert!(error.source().is_some());
    }
}
