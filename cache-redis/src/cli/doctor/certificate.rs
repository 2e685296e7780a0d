//! What a certificate says of itself, for people: who issued it, and how long it is good. TLS has
//! verified it by then; this only reads it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cli::text::{lossy, moment};

/// What is shown of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    issuer: String,
    subject: String,
    /// When it ends, in seconds since the Unix epoch.
    ends: i64,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERAL_TIME: u8 = 0x18;
/// The tag before the version, which may be left out.
const VERSION: u8 = 0xa0;
/// The attributes of a name that are shown: commonName and organizationName.
const NAMES: [&[u8]; 2] = [&[0x55, 4, 3], &[0x55, 4, 10]];

impl Certificate {
    /// Reads DER; nothing where it is not what a certificate is.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).expect(SEQUENCE)?);
        let mut signed = Der(certificate.expect(SEQUENCE)?);
        if signed.0.first() == Some(&VERSION) {
            signed.next()?;
        }
        signed.next()?; // its number
        signed.next()?; // the algorithm
        let issuer = name(signed.expect(SEQUENCE)?)?;
        let mut validity = Der(signed.expect(SEQUENCE)?);
        validity.next()?;
        let (tag, ends) = validity.next()?;
        let subject = name(signed.expect(SEQUENCE)?)?;
        Some(Self {
            issuer,
            subject,
            ends: time(tag, ends)?,
        })
    }

    /// How many days it is good for from now on.
    pub(super) fn days_left(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        (self.ends - now).div_euclid(86_400)
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = moment(u64::try_from(self.ends).unwrap_or(0));
        let day = ends.split(' ').next().unwrap_or_default();
        let named = |name: &str| {
            if name.is_empty() {
                "nobody".to_owned()
            } else {
                name.to_owned()
            }
        };
        write!(
            f,
            "certificate for {} by {}, good until {day}",
            named(&self.subject),
            named(&self.issuer)
        )
    }
}

/// Elements of DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.len() > 4 {
                return None;
            }
            let length = digits
                .iter()
                .fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next()
            .and_then(|(tag, content)| (tag == wanted).then_some(content))
    }
}

/// The parts of a name that are shown.
fn name(content: &[u8]) -> Option<String> {
    let mut parts = Der(content);
    let mut found = Vec::new();
    while !parts.0.is_empty() {
        let mut set = Der(parts.expect(SET)?);
        let mut part = Der(set.expect(SEQUENCE)?);
        let object = part.expect(OBJECT)?;
        let (_, text) = part.next()?;
        if NAMES.contains(&object) {
            found.push(lossy(text));
        }
    }
    Some(found.join(", "))
}

/// A time, in seconds since the Unix epoch.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let two = |at: usize| text.get(at..at + 2)?.parse::<i64>().ok();
    let (year, at) = match tag {
        // Years of two digits end with 2049.
        UTC_TIME => (two(0)? + if two(0)? < 50 { 2000 } else { 1900 }, 2),
        GENERAL_TIME => (two(0)? * 100 + two(2)?, 4),
        _ => return None,
    };
    let (month, day) = (two(at)?, two(at + 2)?);
    let clock = two(at + 4)? * 3600 + two(at + 6)? * 60 + two(at + 8)?;
    // Days from the first of March of year 0: a leap day is the last one of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap = year / 4 - year / 100 + year / 400;
    Some((365 * year + leap + of_year - 719_468) * 86_400 + clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_forms_are_read() {
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, b"000229123456Z"), Some(951_827_696));
        assert_eq!(time(GENERAL_TIME, b"20261231235959Z"), Some(1_798_761_599));
        for wrong in [&b""[..], b"Z", b"7001010000Z", b"xx0101000000Z", b"\xff"] {
            assert_eq!(time(UTC_TIME, wrong), None);
        }
    }

    #[test]
    fn a_certificate_is_read_and_whatever_else_is_none() {
        let der = include_bytes!("certificate.der");
        let certificate = Certificate::read(der).expect("made by openssl");
        assert_eq!(
            certificate.to_string(),
            "certificate for cache.internal by Example CA, Example, good until 2040-01-02"
        );
        for end in 0..der.len() {
            // Cut short anywhere, it is read or not; nothing panics.
            let _ = Certificate::read(&der[..end]);
        }
        for at in 0..der.len() {
            for byte in [0, 1, 0x7f, 0x80, 0x84, 0xff] {
                let mut other = der.to_vec();
                other[at] = byte;
                if let Some(certificate) = Certificate::read(&other) {
                    assert!(certificate.to_string().starts_with("certificate for "));
                }
            }
        }
        assert_eq!(Certificate::read(&der[1..]), None);
        assert_eq!(
            Certificate::read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
            None
        );
    }
}
