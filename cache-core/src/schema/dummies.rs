//! The made-up values. The first of each list suits almost every type; the others are for types
//! that check what they are given.

pub(super) const TEXTS: &[&str] = &[
    "",
    "0",
    "a",
    "00000000-0000-0000-0000-000000000000",
    "2020-01-01T00:00:00Z",
    "2020-01-01",
    "00:00:00",
    "2020-01-01T00:00:00",
    "2020-01-01T00:00:00+00:00[UTC]",
    "127.0.0.1",
    "::1",
    "127.0.0.1:80",
    "[::1]:80",
    "127.0.0.0/8",
    "0.0",
    "1",
    "PT1S",
    "1s",
    "UTC",
    "+00:00",
    "http://a.example/",
    "a@b.example",
    "1.0.0",
    "/a",
    "A",
    "USD",
    "en",
    "true",
    "#000000",
    "00",
    "0000000000000000",
    "00000000000000000000000000",
    "000000000000000000000000",
    "00000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "Monday",
    "January",
];

pub(super) const ZEROS: &[u8] = &[0; 64];

/// Lengths of byte strings.
pub(super) const LENGTHS: &[usize] = &[0, 16, 4, 6, 8, 12, 32, 1, 2, 20, 24, 64];

pub(super) const CHARS: &[char] = &['a', '0', 'A', ' '];
pub(super) const BOOLS: &[bool] = &[false, true];
pub(super) const F32S: &[f32] = &[1.0, 0.0, 0.5, -1.0, 100.0];
pub(super) const F64S: &[f64] = &[1.0, 0.0, 0.5, -1.0, 100.0];

/// How many elements a list gets where its inside is recorded, and where it is not: there it ends
/// at once if it may, since its elements could contain it.
pub(super) const FULL: &[usize] = &[1, 2, 3, 4, 6, 8, 12, 16, 32, 64];
pub(super) const EMPTY: &[usize] = &[0, 1, 2, 3, 4, 6, 8, 12, 16, 32, 64];

/// What a type that takes anything is given, one after the other.
pub(super) const ANYTHING: &[&str] = &["unit", "bool", "u64", "i64", "f64", "str", "seq", "map"];
