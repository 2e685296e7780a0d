//! Labels that an application adds to all figures of a cache, to tell it from others in the same process.

use super::families::TAKEN_LABELS;
use crate::{Error, ErrorKind, Result};

/// Names and values, each name once, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(Vec<(String, String)>);

impl Labels {
    /// Adds a label.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = |why: &str| {
            let context = format!("label {name:?} of a cache's figures: {why}");
            Err(Error::new(ErrorKind::Name, context))
        };
        let mut letters = name.bytes();
        let begins = letters
            .next()
            .is_some_and(|first| first.is_ascii_lowercase());
        if !begins || !letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return wrong(
                "write a small letter, then letters, digits and underscores, as in \"cache_name\"",
            );
        }
        if TAKEN_LABELS.contains(&name) {
            return wrong("some figures have one of this name already; write another");
        }
        match self
            .0
            .binary_search_by(|(other, _)| other.as_str().cmp(name))
        {
            Ok(_) => wrong("it was given before; give each name once"),
            Err(place) => {
                self.0.insert(place, (name.to_owned(), value.to_owned()));
                Ok(())
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_readers_would_mistake_is_refused() {
        let mut labels = Labels::default();
        labels.add("region", "eu \"west\"\n").expect("any value");
        labels.add("cache_2", "").expect("none either");
        let names: Vec<&str> = labels.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["cache_2", "region"]);
        for wrong in [
            "", "kind", "outcome", "le", "version", "__name", "_a", "2a", "a-b", "ä", "a b",
            "region",
        ] {
            let error = labels.add(wrong, "x").expect_err(wrong);
            assert_eq!(error.kind(), ErrorKind::Name);
            assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
        }
        assert_eq!(labels.iter().count(), 2);
    }
}
