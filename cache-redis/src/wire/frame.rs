//! Where an answer of Redis ends, found as its bytes come: what is not yet all there is never looked at
//! twice, and what can't be Redis's protocol is refused before room is made for it.

use std::ops::Range;

use redis::Value;

/// The most bytes of one answer: a string of Redis's longest, and what is around it.
const LONGEST: usize = (512 << 20) + (1 << 20);
/// The longest line; errors and numbers are far shorter.
const LONGEST_LINE: usize = 64 << 10;
/// How many strings are a few.
const FEW: usize = 16;
/// The most values in one answer.
const MOST_PARTS: usize = 16 << 20;

/// What is not Redis's protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// What is at the beginning of some bytes.
#[derive(Debug, PartialEq)]
pub(super) enum Framed {
    /// An answer, in this many bytes.
    Whole(Value, usize),
    /// A string, which is in these bytes; its line's end follows.
    String(Range<usize>),
    /// A string of this many bytes, after so many for its length; not all of it is there.
    Long(usize, usize),
    /// More is needed.
    Part,
}

/// How far the first answer has been looked through.
#[derive(Debug)]
pub(super) struct Scan {
    at: usize,
    /// How many values are still to come.
    left: usize,
}

impl Default for Scan {
    fn default() -> Self {
        Self { at: 0, left: 1 }
    }
}

impl Scan {
    /// The first answer in `bytes`, which begin as they did the last time, or right after the answer that
    /// was found then.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<Framed, Garbage> {
        if self.at == 0
            && let Some(framed) = simple(bytes)?
        {
            return Ok(framed);
        }
        while self.left > 0 {
            let Some(&kind) = bytes.get(self.at) else {
                return Ok(Framed::Part);
            };
            let Some((line, after)) = line(bytes, self.at)? else {
                return Ok(Framed::Part);
            };
            let (end, more) = match kind {
                b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => (after, 0),
                b'$' | b'!' | b'=' => match length(line)? {
                    None => (after, 0),
                    Some(length) => (after + length + 2, 0),
                },
                b'*' | b'~' | b'>' => (after, length(line)?.unwrap_or(0)),
                b'%' => (after, length(line)?.unwrap_or(0).saturating_mul(2)),
                // Before the value that they belong to.
                b'|' => (after, length(line)?.unwrap_or(0).saturating_mul(2) + 1),
                _ => return Err(Garbage),
            };
            if end > LONGEST || more > MOST_PARTS || self.left + more > MOST_PARTS {
                return Err(Garbage);
            }
            if end > bytes.len() {
                return Ok(Framed::Part);
            }
            self.at = end;
            self.left = self.left - 1 + more;
        }
        let end = std::mem::take(self).at;
        let value = redis::parse_redis_value(&bytes[..end]).map_err(|_| Garbage)?;
        Ok(Framed::Whole(value, end))
    }
}

/// What answers a lookup, a lease and a load, without a detour.
fn simple(bytes: &[u8]) -> Result<Option<Framed>, Garbage> {
    const OKAY: &[u8] = b"+OK\r\n";
    const NOTHING: &[u8] = b"_\r\n";
    match bytes.first() {
        Some(b'+') if bytes.starts_with(OKAY) => {
            return Ok(Some(Framed::Whole(Value::Okay, OKAY.len())));
        }
        Some(b'_') if bytes.starts_with(NOTHING) => {
            return Ok(Some(Framed::Whole(Value::Nil, NOTHING.len())));
        }
        Some(b'*') => return strings(bytes),
        _ => {}
    }
    let (Some(b'$' | b':'), Some((text, after))) = (bytes.first(), line(bytes, 0)?) else {
        return Ok(None);
    };
    if bytes[0] == b':' {
        let number = std::str::from_utf8(text).ok().and_then(|n| n.parse().ok());
        let number = number.ok_or(Garbage)?;
        return Ok(Some(Framed::Whole(Value::Int(number), after)));
    }
    let Some(length) = length(text)? else {
        return Ok(Some(Framed::Whole(Value::Nil, after)));
    };
    let end = after + length;
    Ok(Some(match bytes.get(end..end + 2) {
        Some(b"\r\n") => Framed::String(after..end),
        Some(_) => return Err(Garbage),
        None => Framed::Long(length, after),
    }))
}

/// A few strings, or nothing in the place of some: as many stamps as a call has tags. What is longer, or not
/// all there, or anything else, is left to who looks at everything.
fn strings(bytes: &[u8]) -> Result<Option<Framed>, Garbage> {
    let Some((text, mut at)) = line(bytes, 0)? else {
        return Ok(None);
    };
    let Some(count @ ..=FEW) = length(text)? else {
        return Ok(None);
    };
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let value = match bytes.get(at) {
            Some(b'_' | b'$') => simple(&bytes[at..])?,
            _ => None,
        };
        let (value, length) = match value {
            Some(Framed::Whole(value, end)) => (value, end),
            Some(Framed::String(range)) => {
                let end = range.end + 2;
                let string = bytes[at + range.start..at + range.end].to_vec();
                (Value::BulkString(string), end)
            }
            Some(Framed::Long(..) | Framed::Part) | None => return Ok(None),
        };
        values.push(value);
        at += length;
    }
    Ok(Some(Framed::Whole(Value::Array(values), at)))
}

/// The line that begins after the byte at `at`, and where the next one does.
fn line(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Garbage> {
    let rest = bytes.get(at + 1..).unwrap_or_default();
    let window = &rest[..rest.len().min(LONGEST_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if rest.len() >= LONGEST_LINE {
            Err(Garbage)
        } else {
            Ok(None)
        };
    };
    Ok(Some((&rest[..end], at + 1 + end + 2)))
}

/// A length; none where it says that there is nothing.
fn length(text: &[u8]) -> Result<Option<usize>, Garbage> {
    if text.first() == Some(&b'-') {
        return Ok(None);
    }
    if text.is_empty() || text.len() > 10 {
        return Err(Garbage);
    }
    let mut length = 0;
    for digit in text {
        if !digit.is_ascii_digit() {
            return Err(Garbage);
        }
        length = length * 10 + usize::from(digit - b'0');
    }
    if length > LONGEST {
        return Err(Garbage);
    }
    Ok(Some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What all bytes come to, and what each beginning of them does.
    fn whole(bytes: &[u8]) -> Value {
        let mut scan = Scan::default();
        for end in 0..bytes.len() {
            let framed = scan.next(&bytes[..end]).unwrap();
            assert!(
                matches!(framed, Framed::Part | Framed::Long(..)),
                "{framed:?} at {end}"
            );
        }
        // And what follows belongs to the next one.
        let more = [bytes, b"+more\r\n"].concat();
        let (value, end) = match scan.next(&more).unwrap() {
            Framed::Whole(value, end) => (value, end),
            Framed::String(range) => (
                Value::BulkString(more[range.clone()].to_vec()),
                range.end + 2,
            ),
            other => panic!("no answer in {bytes:?}: {other:?}"),
        };
        assert_eq!(end, bytes.len());
        assert_eq!(value, redis::parse_redis_value(bytes).unwrap());
        let next = scan.next(&more[end..]).unwrap();
        assert_eq!(next, Framed::Whole(Value::SimpleString("more".into()), 7));
        value
    }

    #[test]
    fn every_kind_ends_where_redis_rs_says() {
        for text in [
            "+OK\r\n",
            "-ERR wrong\r\n",
            ":-12\r\n",
            "$5\r\na\r\nbc\r\n",
            "$0\r\n\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "_\r\n",
            "#t\r\n",
            ",1.5\r\n",
            "(123\r\n",
            "=7\r\ntxt:abc\r\n",
            "!9\r\nERR wrong\r\n",
            "*0\r\n",
            "*1\r\n$4\r\nabcd\r\n",
            "*4\r\n$16\r\n00000000000000ff\r\n_\r\n$-1\r\n$0\r\n\r\n",
            "*2\r\n$1\r\na\r\n+OK\r\n",
            "*3\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n_\r\n",
            "%1\r\n+a\r\n*1\r\n:2\r\n",
            "~2\r\n:1\r\n:2\r\n",
            "|1\r\n+a\r\n:1\r\n$1\r\nb\r\n",
            ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
        ] {
            whole(text.as_bytes());
        }
        assert_eq!(whole(b"$-1\r\n"), Value::Nil);
        assert_eq!(whole(b":7\r\n"), Value::Int(7));
    }

    #[test]
    fn a_long_string_is_told_by_its_length() {
        let framed = Scan::default().next(b"$100\r\nabc");
        assert_eq!(framed, Ok(Framed::Long(100, 6)));
    }

    #[test]
    fn what_is_no_protocol_is_refused_at_once() {
        let many = "1".repeat(LONGEST_LINE + 2);
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "garbage\r\n",
            "$x\r\n",
            "$99999999999\r\n",
            "$900000000\r\n",
            "*900000000\r\n",
            "*2000000000000\r\n",
            "$1\r\nabc",
            ":one\r\n",
            ":\r\n",
            &format!("+{many}"),
        ] {
            assert_eq!(
                Scan::default().next(text.as_bytes()),
                Err(Garbage),
                "{text}"
            );
        }
    }

    #[test]
    fn what_comes_byte_by_byte_is_looked_at_once() {
        let mut text = String::from("*1000\r\n");
        text.extend((0..1000).map(|_| ":1\r\n"));
        let (mut scan, bytes) = (Scan::default(), text.as_bytes());
        for end in 0..bytes.len() {
            assert_eq!(scan.next(&bytes[..end]), Ok(Framed::Part));
            // The line at its end is all that is looked at again.
            assert!(scan.at + 8 > end, "{} of {end}", scan.at);
        }
    }
}
