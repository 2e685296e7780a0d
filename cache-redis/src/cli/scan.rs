//! The keys there are, by SCAN: in steps that Redis can serve others between.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};

use redis::{Value, cmd};

use super::out::Out;
use super::session::{Raw, bytes};
use crate::failure::Failure;

/// How many keys Redis looks at in one step.
const STEP: usize = 1000;
/// How many of them are looked at for the names of namespaces.
const LOOK: usize = 100 * STEP;

/// The keys that match a pattern, each once, but for those that Redis names again after very many others.
pub(super) struct Scan {
    pattern: Vec<u8>,
    cursor: Option<Vec<u8>>,
    looked_at: usize,
    total: Option<i64>,
    seen: Seen,
}

impl Scan {
    pub(super) async fn new(raw: &mut Raw, pattern: impl Into<Vec<u8>>) -> Self {
        // Only for the progress: a user may lack the right to ask.
        let total = match raw.one(&cmd("DBSIZE")).await {
            Ok(Value::Int(total)) => Some(total),
            _ => None,
        };
        Self {
            pattern: pattern.into(),
            cursor: Some(b"0".to_vec()),
            looked_at: 0,
            total,
            seen: Seen::default(),
        }
    }

    /// More of them, in no order; nothing at the end.
    pub(super) async fn next(&mut self, raw: &mut Raw) -> Result<Option<Vec<Vec<u8>>>, Failure> {
        let Some(cursor) = self.cursor.take() else {
            return Ok(None);
        };
        let mut command = cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg(&self.pattern);
        command.arg("COUNT").arg(STEP);
        let answer = raw.one(&command).await?;
        let (cursor, keys) = taken_apart(&answer).ok_or_else(|| {
            Failure::strange("the server's answer to SCAN makes no sense").at(&raw.described)
        })?;
        self.looked_at += STEP;
        self.cursor = (cursor != b"0").then_some(cursor);
        let keys = keys.into_iter().filter(|key| self.seen.insert(key));
        Ok(Some(keys.collect()))
    }

    /// Shows how far it has come.
    pub(super) fn progress(&self, out: &mut Out, found: usize) {
        out.progress(|| {
            let found = format!("{found} found");
            match self.total {
                Some(total) => {
                    let total = usize::try_from(total).unwrap_or(0);
                    format!("{} of {total} keys, {found}", self.looked_at.min(total))
                }
                None => format!("{} keys, {found}", self.looked_at),
            }
        });
    }
}

/// The keys that were named last. Redis may name one twice while its table grows or shrinks, mostly soon
/// after; there may be more keys than this process has memory for, and looking at one again is cheap.
#[derive(Default)]
struct Seen {
    hashes: RandomState,
    latest: HashSet<u64>,
    before: HashSet<u64>,
}

impl Seen {
    /// So many, and up to as many before them, are remembered.
    const MOST: usize = 200_000;

    /// Returns whether the key is new.
    fn insert(&mut self, key: &[u8]) -> bool {
        let hash = self.hashes.hash_one(key);
        if self.before.contains(&hash) || !self.latest.insert(hash) {
            return false;
        }
        if self.latest.len() == Self::MOST {
            self.before = std::mem::take(&mut self.latest);
        }
        true
    }
}

fn taken_apart(answer: &Value) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let [cursor, Value::Array(keys)] = parts.as_slice() else {
        return None;
    };
    let keys: Option<Vec<_>> = keys
        .iter()
        .map(|key| bytes(key).map(<[u8]>::to_vec))
        .collect();
    Some((bytes(cursor)?.to_vec(), keys?))
}

/// A text in which nothing means more than itself in a pattern.
pub(super) fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Whether any of the first keys matches.
pub(super) async fn finds_any(raw: &mut Raw, pattern: String) -> Result<bool, Failure> {
    let mut scan = Scan::new(raw, pattern).await;
    while let Some(keys) = scan.next(raw).await? {
        if !keys.is_empty() {
            return Ok(true);
        }
        if scan.looked_at >= LOOK {
            break;
        }
    }
    Ok(false)
}

/// The namespaces there are, and whether all keys were looked at.
pub(super) async fn namespaces(raw: &mut Raw) -> Result<(BTreeSet<String>, bool), Failure> {
    let mut found = BTreeSet::new();
    let mut scan = Scan::new(raw, "*:[eltmn]*").await;
    while let Some(keys) = scan.next(raw).await? {
        found.extend(keys.iter().filter_map(|key| namespace_of(key)));
        if scan.looked_at >= LOOK && scan.cursor.is_some() {
            return Ok((found, false));
        }
    }
    Ok((found, true))
}

/// The namespace of a key that looks like one of ours.
fn namespace_of(key: &[u8]) -> Option<String> {
    let (namespace, rest) = std::str::from_utf8(key).ok()?.split_once(':')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_ours = rest == "n"
        || rest.starts_with("e:{")
        || rest.starts_with("l:{")
        || rest.starts_with("t:~")
        || rest.starts_with("m:");
    (is_ours && !namespace.is_empty() && namespace.chars().all(is_name))
        .then(|| namespace.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_told_from_other_keys() {
        let of = |key: &str| namespace_of(key.as_bytes());
        assert_eq!(of("shifts:e:{a:b:1}").as_deref(), Some("shifts"));
        assert_eq!(of("shifts:t:~").as_deref(), Some("shifts"));
        assert_eq!(of("shifts:n").as_deref(), Some("shifts"));
        for other in [
            "user:1",
            "a b:e:{x}",
            "session",
            ":n",
            "shifts:name",
            "x:e:1",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_seen_is_remembered_for_a_while() {
        let mut seen = Seen::default();
        let key = |number: usize| number.to_string().into_bytes();
        for number in 0..3 * Seen::MOST {
            assert!(seen.insert(&key(number)));
            assert!(!seen.insert(&key(number)));
            assert!(!seen.insert(&key(number.saturating_sub(Seen::MOST / 2))));
        }
        let kept = seen.latest.len() + seen.before.len();
        assert!((Seen::MOST..=2 * Seen::MOST).contains(&kept), "{kept}");
        assert!(seen.insert(&key(0)), "it is looked at once more");
    }

    #[test]
    fn patterns_mean_what_is_written() {
        assert_eq!(literal("a*[b]?\\^-"), "a\\*\\[b\\]\\?\\\\\\^\\-");
        assert_eq!(literal("user:42'x'"), "user:42'x'");
    }
}
