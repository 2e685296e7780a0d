//! Format 1's keys and texts (section 5), frozen by `golden/layout.txt`: what other versions of this
//! crate, and people with `redis-cli`, find in Redis.
//!
//! A stamp is 16 lower-case hexadecimal digits, a lease's token 32: they can be read, compared and
//! typed.

use std::ops::Range;

use cache_core::EntryId;
use cache_core::metrics::{Minute, NodeId};
use cache_core::store::{Event, Stamp};

use crate::wire::Packed;

/// Where an entry's id is in its bytes. Whatever is shorter has no id, and counts as nothing.
pub(crate) const ID: Range<usize> = 8..24;

/// Names keys in one namespace.
#[derive(Clone)]
pub(crate) struct Keys {
    namespace: String,
}

impl Keys {
    pub(crate) fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
        }
    }

    /// The braces put an entry and its lease in one Cluster slot.
    pub(crate) fn entry(&self, key: &str) -> String {
        format!("{}:e:{{{key}}}", self.namespace)
    }

    pub(crate) fn lease(&self, key: &str) -> String {
        format!("{}:l:{{{key}}}", self.namespace)
    }

    pub(crate) fn stamp(&self, tag: &str) -> String {
        format!("{}:t:{tag}", self.namespace)
    }

    /// Asks for an entry's bytes from `first` to `last`, both included.
    pub(crate) fn range(&self, commands: &mut Packed, key: &str, first: usize, last: usize) {
        commands
            .command("GETRANGE", 3)
            .argument(&[&self.namespace, ":e:{", key, "}"])
            .number(first)
            .number(last);
    }

    /// Asks how long an entry has left.
    pub(crate) fn pttl(&self, commands: &mut Packed, key: &str) {
        let entry = [&self.namespace, ":e:{", key, "}"];
        commands.command("PTTL", 1).argument(&entry);
    }

    /// An entry's key, as an argument.
    pub(crate) fn name_entry(&self, commands: &mut Packed, key: &str) {
        commands.argument(&[&self.namespace, ":e:{", key, "}"]);
    }

    /// A lease's key, as an argument.
    pub(crate) fn name_lease(&self, commands: &mut Packed, key: &str) {
        commands.argument(&[&self.namespace, ":l:{", key, "}"]);
    }

    /// A stamp's key, as an argument.
    pub(crate) fn name_stamp(&self, commands: &mut Packed, tag: &str) {
        commands.argument(&[&self.namespace, ":t:", tag]);
    }

    /// The hash of what all nodes have counted in a minute of a kind; of no kind, of the cache as a
    /// whole.
    pub(crate) fn figures(&self, kind: &str, minute: Minute) -> String {
        format!("{}:m:{kind}:{minute}", self.namespace)
    }

    /// The hash of nodes.
    pub(crate) fn nodes(&self) -> String {
        format!("{}:n", self.namespace)
    }

    /// What it means that the key of this name has changed; nothing where it is none of ours.
    pub(crate) fn event(&self, name: &[u8]) -> Option<Event> {
        let name = std::str::from_utf8(name).ok()?;
        let (what, name) = name.strip_prefix(&self.namespace)?.split_at_checked(3)?;
        let braced = || Some(name.strip_prefix('{')?.strip_suffix('}')?.to_owned());
        match what {
            ":e:" => braced().map(Event::Entry),
            ":l:" => braced().map(Event::Lease),
            ":t:" => Some(Event::Tag(name.to_owned())),
            _ => None,
        }
    }
}

/// The field of a minute's hash that holds the sequence of a node's last report in it.
pub(crate) fn sequence_field(node: NodeId) -> String {
    format!("#{node}")
}

/// A stamp as it is stored.
pub(crate) fn stamp_text(stamp: Stamp) -> String {
    hexadecimal(&stamp.to_be_bytes())
}

/// A stamp as it was stored; anything else is no stamp. Zero is none either: it is never made.
pub(crate) fn read_stamp(text: &[u8]) -> Option<Stamp> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 16 || !text.iter().all(is_digit) {
        return None;
    }
    let stamp = Stamp::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()?;
    (stamp != 0).then_some(stamp)
}

/// A lease's token as it is stored.
pub(crate) fn token_text(token: EntryId) -> String {
    hexadecimal(&token.0)
}

/// The digits of some bytes, sixteen at most. Formatting would find out twice that there is no room for them, and
/// each miss has two of these.
fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    let digits = std::str::from_utf8(&text[..2 * bytes.len()]);
    digits.unwrap_or_default().to_owned()
}

/// Whether this is a lease's token, whoever's.
pub(crate) fn is_token(text: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 32 && text.iter().all(is_digit)
}

/// The id of an entry's bytes.
pub(crate) fn id_of(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_the_frozen_one() {
        let keys = Keys::new("shifts");
        let key = "user_profile:user_profile:42";
        let token = EntryId(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff");
        let written = format!(
            "entry {}\nlease {} = {}\nstamp {} = {}\nstamp {} = {}\nid {}..{}\n\
             figures {}\nfigures {} {}\nnodes {}\n",
            keys.entry(key),
            keys.lease(key),
            token_text(token),
            keys.stamp("user:42"),
            stamp_text(1),
            keys.stamp("kind%3Aof"),
            stamp_text(u64::MAX),
            ID.start,
            ID.end,
            keys.figures("", 29_395_680),
            keys.figures("user_profile", 29_395_680),
            sequence_field(NodeId(0xab)),
            keys.nodes(),
        );
        // What reports write into them is frozen in fleet/tests.rs.
        assert_eq!(written, include_str!("../golden/layout.txt"));
    }

    #[test]
    fn stamps_come_back() {
        for stamp in [1, 0xff, 1 << 63, u64::MAX] {
            assert_eq!(read_stamp(stamp_text(stamp).as_bytes()), Some(stamp));
        }
    }

    #[test]
    fn what_is_no_stamp_is_none() {
        let garbage: [&[u8]; 9] = [
            b"",
            b"0000000000000000",
            b"12",
            b"+00000000000000f",
            b"000000000000000F",
            b"00000000000000001",
            b"not a stamp here",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"0x00000000000001",
        ];
        for text in garbage {
            assert_eq!(read_stamp(text), None, "{text:?}");
        }
    }
}
