//! Times to live as people write them: `30m`, `1h30m`, `1800`. The bounds are here too, so that a
//! text, a number and a `Duration` are all held to the same ones.

use std::time::Duration;

use crate::kind::shown;
use crate::{Error, ErrorKind, Result};

/// The longest time to live: a leap year. Longer ones are typing errors, and would come close to
/// what Redis refuses as an expiry.
pub(crate) const LONGEST: Duration = Duration::from_hours(366 * 24);

/// The units, each with its milliseconds. `ms` comes before `m` and `s`, since the first that
/// fits is taken.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
    ("w", 7 * 24 * 60 * 60 * 1000),
];

/// Reads `30m`, `1h30m`, `250ms`, `45s`, `2h`, `7d`, `1w`; a bare number is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration> {
    let refused = |why: &str| {
        Err(Error::new(
            ErrorKind::Ttl,
            format!(
                "ttl {} {why}: write a number and a unit of ms, s, m, h, d or w, such as \
                 \"30m\", \"1h30m\" or \"250ms\"",
                shown(text)
            ),
        ))
    };
    if text.is_empty() {
        return refused("is empty");
    }
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return refused("has no number where one is due");
        }
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let scale = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, scale)) => *scale,
            // Only a number that is the whole text may go without a unit.
            None if unit.is_empty() && number.len() == text.len() => 1000,
            None if unit.is_empty() => return refused("ends in a number without a unit"),
            None => return refused(&format!("has the unknown unit {}", shown(unit))),
        };
        let sum = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(scale))
            .and_then(|part| millis.checked_add(part));
        let Some(sum) = sum else {
            return refused("is longer than 366 days");
        };
        millis = sum;
        rest = after;
    }
    let ttl = Duration::from_millis(millis);
    match check(ttl) {
        Ok(()) => Ok(ttl),
        Err(_) if ttl.is_zero() => refused("is zero"),
        Err(_) => refused("is longer than 366 days"),
    }
}

/// Holds a `Duration` to the bounds that [`parse`] has: not zero (Redis counts in milliseconds, so
/// less than one is zero), at most 366 days.
pub(crate) fn check(ttl: Duration) -> Result<()> {
    let why = if ttl < Duration::from_millis(1) {
        "is shorter than a millisecond"
    } else if ttl > LONGEST {
        "is longer than 366 days"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Ttl,
        format!("ttl {ttl:?} {why}: use one from 1 ms to 366 days, or switch the kind off"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("30m", 1_800_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("45s", 45_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1w", 604_800_000),
            ("1800", 1_800_000),
            ("1m1ms", 60_001),
            ("0h5m", 300_000),
            ("366d", 31_622_400_000),
        ] {
            assert_eq!(
                parse(text).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_the_rest_and_says_what_to_write() {
        let huge = "9".repeat(40);
        for (text, why) in [
            ("", "empty"),
            ("0", "zero"),
            ("0s", "zero"),
            ("0h0m", "zero"),
            ("m", "no number"),
            ("5x", "unknown unit \"x\""),
            ("5M", "unknown unit \"M\""),
            ("5 m", "unknown unit \" m\""),
            ("1h30", "without a unit"),
            ("-5s", "no number"),
            ("1.5h", "unknown unit \".\""),
            ("367d", "longer than 366 days"),
            ("53w", "longer than 366 days"),
            (huge.as_str(), "longer than 366 days"),
            ("18446744073709551615w", "longer than 366 days"),
            ("٣s", "no number"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Ttl);
            let shown = error.to_string();
            assert!(
                shown.contains(why) && shown.contains("\"30m\""),
                "{text}: {shown}"
            );
        }
    }

    #[test]
    fn a_duration_is_held_to_the_same_bounds() {
        check(Duration::from_millis(1)).unwrap();
        check(LONGEST).unwrap();
        for bad in [
            Duration::ZERO,
            Duration::from_nanos(1),
            LONGEST + Duration::from_nanos(1),
        ] {
            assert_eq!(check(bad).unwrap_err().kind(), ErrorKind::Ttl);
        }
    }
}
