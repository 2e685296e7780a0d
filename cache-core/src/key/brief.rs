//! Short texts that are an argument by themselves: a mark, how long the text is, and its bytes as they are, of
//! which none need be looked at. No text of arguments holds such a mark.

use super::ArgsText;
use super::text::{escaped, is_structure};

/// The mark. Those of numbers end before it.
pub(super) const MARK: u8 = 17;

/// How long a text may be that is packed.
pub(super) const LONGEST: usize = 24;

/// By how much the text of arguments may be longer than what is packed, at most: each byte may be escaped by
/// three, and there are two quotes in place of mark and length.
#[inline]
pub(super) const fn slack(length: usize) -> usize {
    2 * length
}

/// The bytes of a text as words, and what is left of it as one more, with zeros after it.
#[inline]
pub(super) fn words(text: &[u8]) -> (&[[u8; 8]], u64) {
    let (words, rest) = text.as_chunks::<8>();
    let last = match (rest.len(), text.last_chunk::<8>()) {
        (0, _) => 0,
        // Those of the word before it are shifted out.
        (length, Some(last)) => u64::from_le_bytes(*last) >> (8 * (8 - length)),
        (_, None) => few(rest),
    };
    (words, last)
}

/// Less than a word.
#[inline]
fn few(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
        return first | last << (8 * (bytes.len() - 4));
    }
    let byte = |word, byte: &u8| word << 8 | u64::from(*byte);
    bytes.iter().rev().fold(0, byte)
}

/// What is packed of an argument that has this text, if it is that of a short text.
pub(super) fn parse(argument: &str) -> Option<Vec<u8>> {
    let quoted = argument.strip_prefix('\'')?.strip_suffix('\'')?.as_bytes();
    let mut packed = vec![MARK, 0];
    let mut rest = quoted;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_first_chunk::<2>()?;
            let digits = std::str::from_utf8(digits).ok()?;
            packed.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            packed.push(byte);
        }
        if packed.len() > 2 + LONGEST {
            return None;
        }
    }
    packed[1] = u8::try_from(packed.len() - 2).ok()?;
    // Not of another way to write it.
    let mut again = Vec::with_capacity(quoted.len());
    quote(&packed[2..], |piece| again.extend_from_slice(piece));
    (again == quoted).then_some(packed)
}

/// Adds the text of the argument that is packed here, if it is a short text. Returns how many bytes it has.
pub(super) fn unpack(packed: &[u8], text: &mut ArgsText) -> Option<usize> {
    let [MARK, length, rest @ ..] = packed else {
        return None;
    };
    let end = usize::from(*length);
    text.push(b"'");
    quote(rest.get(..end)?, |piece| {
        text.push(piece);
    });
    text.push(b"'");
    Some(2 + end)
}

fn quote(text: &[u8], put: impl FnMut(&[u8])) {
    escaped(text, is_structure, put);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_text_are_its_bytes() {
        for length in 0..=LONGEST {
            let text: Vec<u8> = (1..).take(length).collect();
            let (words, rest) = words(&text);
            let mut bytes = words.concat();
            bytes.extend_from_slice(&rest.to_le_bytes()[..length % 8]);
            assert_eq!(bytes, text);
            assert_eq!(u128::from(rest) >> (8 * (length % 8)), 0);
        }
    }
}
