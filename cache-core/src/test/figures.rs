//! What a kind has counted, compared with what a test expects; a difference shows all of the figures.

use std::fmt;

use crate::{Cache, KindSnapshot};

/// A figure that a test can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Figure {
    /// Calls that were answered without running the function.
    Hits,
    /// Calls that ran it.
    Misses,
    /// How often it ran: misses, and refreshes of values that were there.
    Loads,
}

impl Figure {
    fn of(self, kind: &KindSnapshot) -> u64 {
        match self {
            Self::Hits => kind.hits(),
            Self::Misses => kind.misses,
            Self::Loads => kind.loads,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hits => "hits",
            Self::Misses => "misses",
            Self::Loads => "loads",
        })
    }
}

/// Compares a figure of a kind, since the cache was made. What `assert_hits!` and its like call.
///
/// # Panics
///
/// When it is another one than expected, or when nothing of the kind was ever called and something is
/// expected.
#[track_caller]
pub fn check(cache: impl AsRef<Cache>, kind: &str, figure: Figure, expected: u64) {
    let kinds = cache.as_ref().snapshot().kinds;
    let Some(counted) = kinds.get(kind) else {
        let known: Vec<_> = kinds.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "nothing was called".to_owned()
        } else {
            format!("what was called is {}", known.join(", "))
        };
        assert!(
            expected == 0,
            "expected {expected} {figure} of kind {kind:?}, but nothing of it was called in this cache; \
             {known}"
        );
        return;
    };
    let found = figure.of(counted);
    assert!(
        found == expected,
        "expected {expected} {figure} of kind {kind:?}, found {found}: {}",
        Figures(counted)
    );
}

/// All that may say why.
struct Figures<'a>(&'a KindSnapshot);

impl fmt::Display for Figures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0;
        write!(
            f,
            "{} hits ({} local, {} shared, {} stale, {} in an outage, {} of other calls), {} misses, \
             {} loads ({} failed)",
            kind.hits(),
            kind.hits_local,
            kind.hits_shared,
            kind.hits_stale,
            kind.hits_outage,
            kind.coalesced,
            kind.misses,
            kind.loads,
            kind.load_errors,
        )?;
        for (count, what) in [
            (kind.bypassed, "past the cache"),
            (kind.unkeyed, "without a key"),
            (kind.fills_refused, "values not stored"),
            (kind.store_errors, "store errors"),
            (kind.undecodable, "entries unreadable"),
            (kind.evictions, "evictions"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// Asserts how many calls of a kind were answered without running the function:
/// `assert_hits!(cache, "user_profile", 3)`.
#[macro_export]
macro_rules! assert_hits {
    ($cache:expr, $kind:expr, $expected:expr $(,)?) => {
        $crate::test::check(&$cache, $kind, $crate::test::Figure::Hits, $expected)
    };
}

/// Asserts how many calls of a kind ran the function: `assert_misses!(cache, "user_profile", 1)`.
#[macro_export]
macro_rules! assert_misses {
    ($cache:expr, $kind:expr, $expected:expr $(,)?) => {
        $crate::test::check(&$cache, $kind, $crate::test::Figure::Misses, $expected)
    };
}

/// Asserts how often a kind's functions ran, to refresh a value too:
/// `assert_loads!(cache, "user_profile", 1)`.
#[macro_export]
macro_rules! assert_loads {
    ($cache:expr, $kind:expr, $expected:expr $(,)?) => {
        $crate::test::check(&$cache, $kind, $crate::test::Figure::Loads, $expected)
    };
}
