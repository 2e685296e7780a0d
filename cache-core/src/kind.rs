//! The name of a kind, the unit of policy and of metrics; checked once, so that everything that
//! puts it into a Redis key, a label or a file can trust it.

use std::fmt;
use std::sync::Arc;

use crate::{Error, ErrorKind, Result};

/// The longest name of a kind or a namespace, in bytes.
const LONGEST: usize = 64;

/// The name of a cached type: 1 to 64 bytes, `a-z` first, then `a-z`, `0-9`, `_`, `-` or `.`.
///
/// ```
/// use cache_core::Kind;
///
/// assert_eq!(Kind::new("user_profile")?.as_str(), "user_profile");
/// assert!(Kind::new("User profile").is_err());
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Arc<str>);

impl Kind {
    /// The kind called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] where the name is not of the form above.
    pub fn new(name: &str) -> Result<Self> {
        let mut bytes = name.bytes();
        let starts = bytes.next().is_some_and(|first| first.is_ascii_lowercase());
        let goes_on = bytes.all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.')
        });
        if starts && goes_on && name.len() <= LONGEST {
            return Ok(Self(name.into()));
        }
        Err(Error::new(
            ErrorKind::Name,
            format!(
                "kind {} is not allowed: write 1 to {LONGEST} bytes, first `a-z`, then `a-z`, \
                 `0-9`, `_`, `-` or `.`, such as `user_profile`",
                shown(name)
            ),
        ))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Kind {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({})", self.0)
    }
}

/// Whether `name` can lead every key of this cache: 1 to 64 bytes of `A-Z a-z 0-9 _ - .`.
pub(crate) fn check_namespace(name: &str) -> Result<()> {
    let fits = (1..=LONGEST).contains(&name.len());
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if fits && plain {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Name,
        format!(
            "namespace {} is not allowed: write 1 to {LONGEST} bytes of `A-Z`, `a-z`, `0-9`, `_`, \
             `-` or `.`, such as `shifts`",
            shown(name)
        ),
    ))
}

/// A refused text as an error shows it: quoted, escaped, and cut where it is long.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}.. ({} bytes)", &text[..cut], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_exactly_the_documented_names() {
        for good in ["a", "user_profile", "v2.users-by-id", &"a".repeat(64)] {
            assert_eq!(Kind::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "A",
            "1a",
            "_a",
            "a b",
            "a:b",
            "é",
            "a\n",
            "a{",
            &"a".repeat(65),
        ] {
            let error = Kind::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Name, "{bad:?}");
        }
    }

    #[test]
    fn an_error_names_the_value_and_what_is_allowed() {
        let text = Kind::new("User Profile").unwrap_err().to_string();
        assert!(
            text.contains("\"User Profile\"") && text.contains("user_profile"),
            "{text}"
        );
        let long = Kind::new(&"é".repeat(5000)).unwrap_err().to_string();
        assert!(long.len() < 500 && long.contains("10000 bytes"), "{long}");
    }

    #[test]
    fn a_namespace_may_have_capitals_but_no_structure() {
        for good in ["shifts", "Prod.eu-1", "0", &"n".repeat(64)] {
            check_namespace(good).unwrap();
        }
        for bad in ["", "a:b", "a b", "{a}", "ü", "~", &"n".repeat(65)] {
            assert_eq!(
                check_namespace(bad).unwrap_err().kind(),
                ErrorKind::Name,
                "{bad:?}"
            );
        }
    }
}
