//! The figures of all nodes that share a store: what a node reports, and what a reader gets.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Snapshot;

/// A minute: how many of them since the Unix epoch.
pub type Minute = u64;

/// Which node it is: a random number of its cache's. Shown, and serialized, as 16 hexadecimal digits: a
/// number of 64 bits is none in every language.
///
/// ```
/// use cache_core::metrics::NodeId;
///
/// let node = NodeId(0xbad_cafe);
/// assert_eq!(node.to_string(), "000000000badcafe");
/// assert_eq!("000000000badcafe".parse(), Ok(node));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// What is no [`NodeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoNodeId;

impl fmt::Display for NoNodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node's id has 16 hexadecimal digits, of 0 to 9 and a to f")
    }
}

impl std::error::Error for NoNodeId {}

impl FromStr for NodeId {
    type Err = NoNodeId;

    fn from_str(text: &str) -> Result<Self, NoNodeId> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return Err(NoNodeId);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| NoNodeId)
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a node has counted since its last report. See [`Store::report`](crate::store::Store::report).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// One more than in the node's last report. A report that is sent again, because nobody knows
    /// whether it has arrived, has the number it had, and the content it had.
    pub sequence: u64,
    /// The minute that it counts for, by the node's clock.
    pub minute: Minute,
    /// What was counted. Figures that do not add up are zero.
    pub added: Snapshot,
    /// Who reports, and how it is. Of now, even in a report that is sent again.
    pub node: Node,
    /// Whether it is the last one, since the node ends as it should.
    pub leaving: bool,
}

impl Report {
    /// A report; the cache makes them, and so do tests of stores.
    pub fn new(node: Node, sequence: u64, minute: Minute, added: Snapshot) -> Self {
        Self {
            sequence,
            minute,
            added,
            node,
            leaving: false,
        }
    }

    /// Makes it the node's last one.
    #[must_use]
    pub fn leaving(mut self, leaving: bool) -> Self {
        self.leaving = leaving;
        self
    }
}

/// A process, or a cache in one, that shares a store with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Node {
    /// Which one.
    pub id: NodeId,
    /// The machine's name; empty where it has none.
    pub host: String,
    /// The process's number there.
    pub process: u32,
    /// The version of this crate.
    pub version: String,
    /// When its cache was built, in milliseconds since the Unix epoch, by its own clock.
    pub started_ms: u64,
    /// When it last reported, likewise, by the store's clock.
    pub seen_ms: u64,
    /// How often it reports, in milliseconds.
    pub every_ms: u64,
    /// Whether its calls went past the shared tier then.
    pub breaker_open: bool,
    /// Whether it served local values without asking then.
    pub trusted: bool,
    /// How many tags and keys it had still to invalidate then.
    pub invalidations_pending: u64,
    /// How many local entries it had then.
    pub local_entries: u64,
    /// What they took, in bytes.
    pub local_bytes: u64,
}

impl Node {
    /// A node of which nothing else is known, for stores.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            host: String::new(),
            process: 0,
            version: String::new(),
            started_ms: 0,
            seen_ms: 0,
            every_ms: 0,
            breaker_open: false,
            trusted: false,
            invalidations_pending: 0,
            local_entries: 0,
            local_bytes: 0,
        }
    }

    /// Whether it has missed two reports by then: it was killed, or can't reach the store.
    pub fn is_missing(&self, now_ms: u64) -> bool {
        // One report may be late, and another under way.
        now_ms.saturating_sub(self.seen_ms) > self.every_ms.saturating_mul(3)
    }
}

/// The figures of all nodes, minute by minute.
///
/// ```
/// use cache_core::metrics::Fleet;
///
/// let fleet = Fleet::default();
/// assert!(fleet.sum().kinds.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fleet {
    /// The time, in milliseconds since the Unix epoch, by the store's clock.
    pub now_ms: u64,
    /// What was counted, by minute. A minute in which no node has reported, or whose figures were
    /// lost with the store's data, is missing: it is a gap, not a zero.
    pub minutes: BTreeMap<Minute, Snapshot>,
    /// The nodes that have reported within a day and have not said that they end, by when they
    /// started.
    pub nodes: Vec<Node>,
}

impl Fleet {
    /// How many minutes can be read at once, which is as many as are kept: a day, and the minute that
    /// has just begun.
    pub const MOST_MINUTES: u64 = 24 * 60 + 1;

    /// What was counted in all of these minutes.
    pub fn sum(&self) -> Snapshot {
        let mut sum = Snapshot::default();
        for snapshot in self.minutes.values() {
            sum.add(snapshot);
        }
        sum
    }

    /// The nodes that have missed their reports.
    pub fn missing(&self) -> impl Iterator<Item = &Node> {
        let now = self.now_ms;
        self.nodes.iter().filter(move |node| node.is_missing(now))
    }
}
