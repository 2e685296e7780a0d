//! What the processes of a soak tell each other: a node's orders, and its reports, one line of JSON
//! each; and the clock that all of them read.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// How many ids there are in the database.
pub(super) const IDS: u64 = 24;
/// How many shelves the ids stand on.
pub(super) const SHELVES: u64 = 4;
/// How many things can be asked for: each id by each of two functions.
pub(super) const SUBJECTS: usize = 48;
const _: () = assert!(
    SUBJECTS as u64 == 2 * IDS,
    "each id by each of two functions"
);

/// What can be asked for: an id, by one of the two functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Subject(pub(super) u16);

impl Subject {
    pub(super) fn row(id: u64) -> Self {
        Self(u16::try_from(id % IDS).unwrap_or(0))
    }

    pub(super) fn brief(id: u64) -> Self {
        Self(u16::try_from(IDS + id % IDS).unwrap_or(0))
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn id(self) -> u64 {
        u64::from(self.0) % IDS
    }

    pub(super) fn is_row(self) -> bool {
        u64::from(self.0) < IDS
    }
}

/// The machine's monotonic clock, in nanoseconds: the same for all processes of one machine.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + nanos
}

/// A duration as the clock counts.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a node is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seat {
    pub(super) number: usize,
    /// The node's own proxy.
    pub(super) url: String,
    /// The database's port.
    pub(super) database: u16,
    pub(super) heartbeat: Duration,
    pub(super) timeout: Duration,
    pub(super) connections: usize,
    /// How long a call waits for another's load.
    pub(super) wait: Duration,
    /// Whether it only reads, and little: a node that asks Redis all the time finds out by itself
    /// when Redis is gone, long before the bound.
    pub(super) quiet: bool,
    pub(super) seed: u64,
}

/// What became of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// It returned `Applied`.
    Applied,
    /// It returned `Queued`.
    Queued,
    /// One that had returned `Queued`: nothing is queued on its node any more, and the shared tier is
    /// in use there.
    Replayed,
}

/// An invalidation that was acknowledged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ack {
    /// When it had returned; when it was seen to be replayed.
    pub(super) at: u64,
    pub(super) outcome: Outcome,
    pub(super) how: String,
    /// Everything before these versions is stale from here on.
    pub(super) targets: Vec<(Subject, u64)>,
}

/// Calls that got one version of one subject.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) subject: Subject,
    pub(super) version: u64,
    /// When the last of them began.
    pub(super) last: u64,
}

/// The longest of some calls.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Longest {
    pub(super) began: u64,
    pub(super) took: u64,
}

/// What a node has seen since its last report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    /// When it was made: everything that ended before is in it, or in one before.
    pub(super) at: u64,
    pub(super) seen: Vec<Seen>,
    pub(super) acks: Vec<Ack>,
    pub(super) calls: u64,
    /// Calls that were dropped before they ended, on purpose.
    pub(super) cancelled: u64,
    pub(super) longest: Longest,
    /// The longest that the function itself took.
    pub(super) load: u64,
    /// The longest that a thread that should have run did not.
    pub(super) stall: u64,
    pub(super) failures: u64,
    /// Some of them, in words.
    pub(super) failed: Vec<String>,
    /// Since the start, as are the next four.
    pub(super) panics: u64,
    pub(super) local: u64,
    pub(super) shared: u64,
    pub(super) coalesced: u64,
    pub(super) missed: u64,
    /// Whether the shared tier is used, local values are trusted, and nothing is queued.
    pub(super) healthy: bool,
    /// Whether the writer still writes.
    pub(super) writing: bool,
    /// Whether this is the last report.
    pub(super) last: bool,
}
