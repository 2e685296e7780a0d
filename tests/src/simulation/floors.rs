//! The oldest version of each key that a call on a node may return: raised by each invalidation, at
//! once or when the node is bound to know of it.

use std::time::Duration;

use super::judge::Promises;
use super::keys::{KEYS, SimKey};
use super::plan::Mode;
use super::server::Conn;
use super::session::HEARTBEAT;

/// How long a task may take to be run once its answer is there, on a busy machine.
const HEARD: Duration = Duration::from_millis(12);

/// How far a connection's stream had come when something happened on the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The connection.
    pub(super) conn: Conn,
    /// The last message that had been sent over it.
    pub(super) message: u64,
    /// The last answer to what had been asked over it by then.
    pub(super) answers: u64,
    /// Whether anything asked was still to be answered.
    pub(super) asking: bool,
    /// Whether that tells of what happened.
    pub(super) told: bool,
}

/// The oldest version a call that starts now may return, and since when that is so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floor {
    /// The version.
    pub(super) version: u64,
    /// Since when.
    pub(super) since: Duration,
    /// The node that invalidated, where this is its own.
    pub(super) own: Option<usize>,
}

/// A floor that will be raised: when a message of a connection is handled, or at a time.
#[derive(Debug)]
struct Fence {
    reach: Option<(Conn, u64)>,
    /// It is an answer that is to be reached, and whoever asked has to be given the time to hear it.
    answer: bool,
    until: Duration,
    key: SimKey,
    floor: Floor,
}

/// The floors of a node under some promise of when it knows what.
#[derive(Debug, Default)]
struct View {
    floors: [Floor; KEYS],
    pending: Vec<Fence>,
}

impl View {
    fn raise(&mut self, key: SimKey, mut floor: Floor) {
        // What was before it was void on the server from an earlier time on, which is still to be told.
        let same = |fence: &&Fence| fence.key == key && fence.floor.version == floor.version;
        for fence in self.pending.iter().filter(same) {
            floor.since = floor.since.min(fence.floor.since);
        }
        let current = &mut self.floors[key.0];
        if floor.version > current.version {
            *current = floor;
        } else if floor.version == current.version {
            current.since = current.since.min(floor.since);
            if floor.own.is_some() {
                // It was known before it was told.
                current.own = floor.own;
            }
        }
    }

    /// Raises it after so long, or when a stream has been handled up to there.
    fn later(&mut self, key: SimKey, floor: Floor, reach: Option<(Conn, u64)>, after: Duration) {
        if after.is_zero() {
            self.raise(key, floor);
        } else {
            self.pending.push(Fence {
                reach,
                answer: false,
                until: floor.since + after,
                key,
                floor,
            });
        }
    }

    fn settle(&mut self, settled: impl Fn(&Fence) -> bool) {
        let settled: Vec<Fence> = self
            .pending
            .extract_if(.., |fence| settled(fence))
            .collect();
        for fence in settled {
            self.raise(fence.key, fence.floor);
        }
    }
}

/// What a node is bound to know.
#[derive(Debug)]
pub(super) struct Node {
    mode: Mode,
    /// The connections whose events it trusts, by lane; none while it trusts none.
    trusted: Vec<Conn>,
    usual: View,
    /// What a value may be that is served because the shared tier can't be reached (`outage_ttl`).
    outage: View,
    /// When something last happened to a key that lets a second load begin.
    pub(super) stirred: [u64; KEYS],
    /// When a load of a key last failed.
    pub(super) failed: [Option<Duration>; KEYS],
}

impl Node {
    /// A node that starts, where this much is void on the server.
    pub(super) fn new(mode: Mode, void: &[(u64, Duration); KEYS]) -> Self {
        let floors = void.map(|(version, since)| Floor {
            version,
            since,
            own: None,
        });
        let view = || View {
            floors,
            pending: Vec::new(),
        };
        Self {
            mode,
            trusted: Vec::new(),
            usual: view(),
            outage: view(),
            stirred: [0; KEYS],
            failed: [None; KEYS],
        }
    }

    /// It has invalidated itself: that holds at once, whatever else there is.
    pub(super) fn knows(&mut self, key: SimKey, floor: Floor) {
        self.usual.raise(key, floor);
        self.outage.raise(key, floor);
    }

    /// It has been told to invalidate in the background: that holds after so long, carried out or
    /// queued.
    pub(super) fn will_know(&mut self, key: SimKey, floor: Floor, after: Duration) {
        self.usual.later(key, floor, None, after);
        self.outage.later(key, floor, None, after);
    }

    /// What was loaded before is void on the server. A node that trusts the events it gets knows
    /// it once it has handled what was sent until now over the key's connection, or, where it is told over
    /// another one only, over that: which is where it has read a tag that the key shares with others. After
    /// the bound B it knows in any case; another one at once, or after the span for which it trusts what was confirmed.
    /// While the server can't be reached, it may take as much longer as the kind allows, unless it
    /// was told. Where the kind is strict, all that is nothing to go by.
    pub(super) fn void(
        &mut self,
        key: SimKey,
        floor: Floor,
        positions: &[Position],
        promises: &Promises,
    ) {
        let settings = &promises.kinds[key.kind()];
        if self.mode == Mode::Embedded {
            return;
        }
        if settings.strict {
            self.knows(key, floor);
            return;
        }
        let own = self.trusted.get(key.lane(promises.lanes));
        let position = own.and_then(|conn| positions.iter().find(|at| at.conn == *conn));
        let elsewhere = || {
            let told = |at: &&Position| at.told && self.trusted.contains(&at.conn);
            positions.iter().find(told)
        };
        let position = position.map(|at| match elsewhere() {
            Some(other) if !at.told => other,
            _ => at,
        });
        let is_there = |conn: &Conn| {
            let it = positions.iter().find(|at| at.conn == *conn);
            it.is_some_and(|at| at.message != u64::MAX)
        };
        if position.is_some_and(|at| !at.told) && !self.trusted.iter().all(is_there) {
            // It may have been the connection that the server has lost which was to tell it.
            self.usual.later(key, floor, None, 2 * HEARTBEAT);
            let after = 2 * HEARTBEAT + settings.outage_ttl;
            self.outage.later(key, floor, None, after);
        } else if let Some(at) = position {
            let reach = Some((at.conn, at.message));
            if at.asking && !at.told {
                // The node's own write has just ended what it was told, and its reading back is on its
                // way: that tells it.
                let reach = Some((at.conn, at.answers));
                self.usual.later(key, floor, reach, 2 * HEARTBEAT);
                if let Some(fence) = self.usual.pending.last_mut() {
                    fence.answer = true;
                }
            } else {
                self.usual.later(key, floor, reach, 2 * HEARTBEAT);
            }
            let told = reach.filter(|_| at.told);
            let after = 2 * HEARTBEAT + settings.outage_ttl;
            self.outage.later(key, floor, told, after);
        } else {
            self.untold(key, floor, promises);
        }
    }

    /// Another node's invalidation has returned, applied.
    pub(super) fn hears(&mut self, key: SimKey, floor: Floor, promises: &Promises) {
        let settings = &promises.kinds[key.kind()];
        if settings.strict {
            self.knows(key, floor);
        } else if self.trusted.is_empty() {
            self.untold(key, floor, promises);
        } else {
            self.usual.later(key, floor, None, 2 * HEARTBEAT);
            let after = 2 * HEARTBEAT + settings.outage_ttl;
            self.outage.later(key, floor, None, after);
        }
    }

    fn untold(&mut self, key: SimKey, floor: Floor, promises: &Promises) {
        let after = match self.mode {
            Mode::Checked => promises.local_trust,
            Mode::Tracked | Mode::Embedded => Duration::ZERO,
        };
        self.usual.later(key, floor, None, after);
        let after = promises.kinds[key.kind()].outage_ttl.max(after);
        self.outage.later(key, floor, None, after);
    }

    /// It trusts the events of these connections from here on.
    pub(super) fn trusts(&mut self, conns: Vec<Conn>) {
        self.trusted = conns;
        self.usual.settle(|_| true);
    }

    /// It has handled so many messages of a connection, and among them so many answers.
    pub(super) fn reached(&mut self, conn: Conn, message: u64, answers: u64, now: Duration) {
        for fence in self.usual.pending.iter_mut().filter(|fence| fence.answer) {
            if fence
                .reach
                .is_some_and(|at| at.0 == conn && at.1 <= answers)
            {
                fence.reach = None;
                fence.until = fence.until.min(now + HEARD);
            }
        }
        let reached = |fence: &Fence| {
            let at = fence.reach.filter(|_| !fence.answer);
            at.is_some_and(|(on, number)| on == conn && number <= message)
        };
        self.usual.settle(reached);
        self.outage.settle(reached);
    }

    /// What a call that begins now may return: as a rule, and because of an outage.
    pub(super) fn floors(&mut self, key: SimKey, now: Duration) -> [Floor; 2] {
        // A moment for the heartbeat's own timer.
        let due = |fence: &Fence| fence.until + Duration::from_millis(1) < now;
        [&mut self.usual, &mut self.outage].map(|view| {
            view.settle(due);
            view.floors[key.0]
        })
    }
}
