//! A minute's hash, read back. Whoever can write to Redis may have written there: what is no figure is
//! left out, and never an error.

use cache_core::Kind;
use cache_core::metrics::{KindSnapshot, Snapshot};
use redis::Value;

use super::{KIND, REPORTS};
use crate::failure::{Failure, Secrets};

/// More fields than a hash of ours has, with thousands of nodes: one with as many is somebody else's.
pub(super) const MOST_FIELDS: usize = 1 << 16;
/// More figures than there are names for.
const MOST_FIGURES: usize = 1 << 10;
/// More kinds than a program has.
const MOST_KINDS: usize = 1 << 10;

/// Names and values.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The fields of a hash, each with its value; none where the key is none of ours.
pub(super) fn fields(answer: Value, secrets: &Secrets) -> Result<Fields, Failure> {
    let parts = match answer {
        Value::Array(parts) => parts,
        Value::Nil => Vec::new(),
        Value::ServerError(error) if error.code() == "WRONGTYPE" => Vec::new(),
        Value::ServerError(error) => return Err(Failure::of_server(&error, secrets)),
        _ => {
            return Err(Failure::strange(
                "Redis was asked for a hash and answered with something else",
            ));
        }
    };
    // RESP3 answers with pairs, RESP2 with names and values in turn.
    let mut flat = parts.into_iter().flat_map(|part| match part {
        Value::Array(pair) => pair,
        word => vec![word],
    });
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        if let (Value::BulkString(name), Value::BulkString(value)) = (name, value) {
            pairs.push((name, value));
        }
    }
    if pairs.len() >= MOST_FIELDS {
        pairs.clear();
    }
    Ok(pairs)
}

/// The figures among the fields of a kind's hash.
pub(super) fn kind(fields: Fields) -> KindSnapshot {
    let mut figures = KindSnapshot::default();
    let numbers = numbers(fields).filter(|(name, count)| figures.add_field(name, *count));
    numbers.take(MOST_FIGURES).for_each(drop);
    figures
}

/// The figures of the cache as a whole, and the kinds that have a hash of their own; nothing where
/// nobody has reported.
pub(super) fn whole(fields: Fields) -> Option<(Snapshot, Vec<Kind>)> {
    let (mut figures, mut kinds, mut reports) = (Snapshot::default(), Vec::new(), 0);
    for (name, count) in numbers(fields) {
        if let Some(kind) = name.strip_prefix(KIND) {
            kinds.extend(Kind::new(kind).ok().filter(|_| kinds.len() < MOST_KINDS));
        } else if name == REPORTS {
            reports = count;
        } else {
            figures.add_field(&name, count);
        }
    }
    (reports > 0).then_some((figures, kinds))
}

/// The fields that hold a number.
fn numbers(fields: Fields) -> impl Iterator<Item = (String, u64)> {
    fields.into_iter().filter_map(|(name, value)| {
        let digits = value.iter().all(u8::is_ascii_digit).then_some(value)?;
        let number = String::from_utf8(digits).ok()?.parse().ok()?;
        Some((String::from_utf8(name).ok()?, number))
    })
}
