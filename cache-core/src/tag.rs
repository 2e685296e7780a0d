//! Tags: the names under which many entries are invalidated at once. A value that is put into one
//! is escaped, so that no user's text can name another tag.

use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

use crate::kind::shown;
use crate::{Error, ErrorKind, Result};

/// The longest tag, in bytes.
pub(crate) const LONGEST: usize = 200;

/// Room for as many bytes as most have.
const USUAL: usize = 32;

/// A name that many entries can carry, such as `user:42`.
///
/// ```
/// use cache_core::Tag;
///
/// assert_eq!(Tag::new("user:42")?.as_ref(), "user:42");
/// // What comes from outside is escaped, so it cannot reach another tag.
/// assert_eq!(Tag::escaped("user:", "42:admin")?.as_ref(), "user:42%3Aadmin");
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

/// A piece of a tag's text.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// Written in the program, so taken as it is.
    Text(&'a str),
    /// A value: everything in it that could be structure is percent-escaped.
    Value(&'a dyn Display),
}

impl Tag {
    /// The tag of exactly this text: 1 to 200 bytes without whitespace, control characters, `{`
    /// and `}`, not beginning with `~` or `#`, which mark tags made by the cache itself.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] where the text is not of this form.
    pub fn new(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(refused(text, "is longer than 200 bytes"));
        }
        check(text)?;
        Ok(Self(text.into()))
    }

    /// The tag of `prefix`, taken as it is, followed by `value`, escaped.
    ///
    /// # Errors
    /// As [`Tag::new`], except for the length: a long one is replaced by its hash.
    pub fn escaped(prefix: &str, value: impl Display) -> Result<Self> {
        Self::from_parts(&[Part::Text(prefix), Part::Value(&value)])
    }

    /// The tag of these pieces, one after the other. One of more than 200 bytes becomes `#` and
    /// 128 bits of the BLAKE3 hash of its text, in hexadecimal.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] where the result is empty, or a written piece is not allowed in a tag.
    pub(crate) fn from_parts(parts: &[Part<'_>]) -> Result<Self> {
        Ok(Self(Self::text_of_parts(parts)?.into()))
    }

    /// The same as text: a call that misses has no use for a tag that can be shared.
    pub(crate) fn text_of_parts(parts: &[Part<'_>]) -> Result<String> {
        let mut text = String::with_capacity(USUAL);
        for part in parts {
            match part {
                Part::Text(written) => text.push_str(written),
                // The writer never fails; a `Display` that does has written what it could, and a
                // tag cut short could be another's.
                Part::Value(value) => write!(Escaped(&mut text), "{value}").map_err(|_| {
                    Error::new(
                        ErrorKind::Name,
                        format!(
                            "the value after {} in a tag failed to format itself",
                            shown(&text)
                        ),
                    )
                })?,
            }
        }
        check(&text)?;
        if text.len() > LONGEST {
            text = format!("#{}", digest(text.as_bytes()));
        }
        Ok(text)
    }

    /// The tag that every entry of the namespace carries.
    pub(crate) fn namespace() -> Self {
        Self("~".into())
    }

    /// Its text.
    pub(crate) fn text_of_namespace() -> String {
        "~".to_owned()
    }

    /// The tag that every entry of a kind carries.
    pub(crate) fn of_kind(kind: &str) -> Self {
        Self(Self::text_of_kind(kind).into())
    }

    /// Its text.
    pub(crate) fn text_of_kind(kind: &str) -> String {
        ["~", kind].concat()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0)
    }
}

/// The texts of some tags, in one: each but the last ends with a line feed, which no tag holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts(String);

impl Texts {
    /// Adds a tag's, unless it is there.
    pub(crate) fn add(&mut self, tag: String) {
        if self.0.is_empty() {
            self.0 = tag;
        } else if !self.iter().any(|known| known == tag) {
            self.0.push('\n');
            self.0.push_str(&tag);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        // No tag is empty.
        self.0.lines()
    }
}

/// 128 bits of BLAKE3 in 32 hexadecimal digits: what stands for a text that is too long.
pub(crate) fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

/// Everything but the length.
fn check(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(refused(text, "is empty"));
    }
    if text.starts_with('~') {
        return Err(refused(
            text,
            "begins with `~`, which marks tags of the cache itself",
        ));
    }
    if text.starts_with('#') {
        return Err(refused(text, "begins with `#`, which marks a hashed tag"));
    }
    // As most are: each miss makes its tags.
    if text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}'))
    {
        return Ok(());
    }
    match text
        .chars()
        .find(|&c| c.is_whitespace() || c.is_control() || matches!(c, '{' | '}'))
    {
        Some(c) => Err(refused(text, &format!("contains {c:?}"))),
        None => Ok(()),
    }
}

fn refused(text: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Name,
        format!(
            "tag {} {why}: write 1 to {LONGEST} bytes without whitespace, control characters and \
             braces, such as \"user:42\", and let `Tag::escaped` put values in",
            shown(text)
        ),
    )
}

/// Escapes what is written through it: letters and digits of any script and `_ . @ -` stay.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte);
        if text.bytes().all(stays) {
            // As with numbers: each miss makes its tags.
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            if c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '-') {
                self.0.push(c);
                continue;
            }
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                write!(self.0, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_of_some_texts_is_there_once() {
        let mut texts = Texts::default();
        assert_eq!(texts.iter().count(), 0);
        for tag in ["user:42", "user", "user:42", "user:4", "user"] {
            texts.add(tag.to_owned());
        }
        assert!(texts.iter().eq(["user:42", "user", "user:4"]));
    }

    #[test]
    fn verbatim_text_is_kept_or_refused() {
        for good in ["a", "user:42", "équipe:7", "a%b", "a~#", &"t".repeat(200)] {
            assert_eq!(Tag::new(good).unwrap().as_ref(), good);
        }
        for bad in [
            "", " ", "a b", "a\tb", "a\u{a0}b", "a\0", "{a}", "~", "~users", "#ab",
        ] {
            let error = Tag::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Name, "{bad:?}");
            assert!(error.to_string().contains("user:42"), "{error}");
        }
        assert!(Tag::new(&"t".repeat(201)).is_err());
    }

    #[test]
    fn a_value_cannot_forge_structure() {
        for (value, text) in [
            ("42", "user:42"),
            ("42:roles", "user:42%3Aroles"),
            ("a%3Ab", "user:a%253Ab"),
            ("{x} y", "user:%7Bx%7D%20y"),
            ("José_1.2@x-y", "user:José_1.2@x-y"),
            ("~#", "user:%7E%23"),
            ("\u{2028}", "user:%E2%80%A8"),
            ("", "user:"),
        ] {
            assert_eq!(Tag::escaped("user:", value).unwrap().as_ref(), text);
        }
        assert!(Tag::from_parts(&[]).is_err());
        assert!(Tag::from_parts(&[Part::Value(&"")]).is_err());
        assert!(Tag::from_parts(&[Part::Text("~"), Part::Value(&1)]).is_err());
    }

    #[test]
    fn a_long_one_is_hashed_over_all_of_it() {
        let long = Tag::escaped("user:", "x".repeat(196)).unwrap();
        let other = Tag::escaped("user:", "x".repeat(197)).unwrap();
        assert_eq!(long.as_ref().len(), 33);
        assert!(long.as_ref().starts_with('#'));
        assert_ne!(long, other);
        assert_eq!(
            Tag::escaped("user:", "x".repeat(195))
                .unwrap()
                .as_ref()
                .len(),
            200
        );
    }

    #[test]
    fn a_value_that_fails_to_format_is_refused() {
        struct Fails;
        impl Display for Fails {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        assert_eq!(
            Tag::escaped("a:", Fails).unwrap_err().kind(),
            ErrorKind::Name
        );
    }

    #[test]
    fn our_own_tags_cannot_be_written() {
        assert_eq!(Tag::namespace().as_ref(), "~");
        assert_eq!(Tag::of_kind("users").as_ref(), "~users");
        assert!(Tag::new(Tag::of_kind("users").as_ref()).is_err());
    }

    proptest! {
        #[test]
        fn two_lists_of_values_never_meet(a in ".{0,20}", b in ".{0,20}", c in ".{0,20}", d in ".{0,20}") {
            let tag = |x: &str, y: &str| {
                Tag::from_parts(&[Part::Text("t:"), Part::Value(&x), Part::Text(":"), Part::Value(&y)])
                    .unwrap()
            };
            prop_assert_eq!(tag(&a, &b) == tag(&c, &d), (a, b) == (c, d));
        }
    }
}
