//! The oldest version of each key that a call on a node may return: raised by each invalidation, at
//! once or when the node is bound to know of it.

use std::time::Duration;

use super::judge::Promises;
use super::keys::{KEYS, SimKey};
use super::plan::Mode;
use super::server::Conn;
use super::session::HEARTBEAT;

/// A connection as it was when something happened on the server, and what it has for its node of that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The connection.
    pub(super) conn: Conn,
    /// The last message that had been sent over it.
    pub(super) message: u64,
    /// How it will tell.
    pub(super) word: Word,
}

/// How a connection tells its node of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// By this message, which is on its way: a push, which acts as soon as it is handled.
    Push(u64),
    /// By this answer, to a reading that was asked for before and is still to be carried out: the node's
    /// own write has ended what it was told of the name, and it is just being read back.
    Answer(u64),
    /// It would have, had the server not lost the connection.
    Lost,
    /// Nothing is known over it that could be told to be void.
    Nothing,
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

impl Word {
    /// Whether it will be there, if nothing breaks.
    fn comes(self) -> bool {
        matches!(self, Self::Push(_) | Self::Answer(_))
    }
}

/// A floor that will be raised: when any of these words is there, or at a time.
#[derive(Debug)]
struct Fence {
    words: Vec<(Conn, Word)>,
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

    /// Raises it at this time, or when it is told before.
    fn later(&mut self, key: SimKey, floor: Floor, words: Vec<(Conn, Word)>, until: Duration) {
        if until <= floor.since {
            self.raise(key, floor);
        } else {
            self.pending.push(Fence {
                words,
                until,
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
    /// When the server lost the first of them: no heartbeat that is sent later is answered by all.
    lost: Option<Duration>,
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
            lost: None,
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
        let until = floor.since + after;
        self.usual.later(key, floor, Vec::new(), until);
        self.outage.later(key, floor, Vec::new(), until);
    }

    /// What was loaded before is void on the server. A node that trusts the events it gets knows it once
    /// any of its connections has told it: a tag that keys share is known over whichever has read it.
    /// Where none has anything to tell, nothing is known that would be void, but for what is on its way
    /// over the key's own. After the bound B it knows in any case; another node at once, or after the span
    /// for which it trusts what was confirmed. While the server can't be reached, it may take as much
    /// longer as the kind allows, unless it was told: from then on, since what it loads meanwhile is kept for as
    /// long. Where the kind is strict, all that is nothing to go by.
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
        let Some(own) = self.trusted.get(key.lane(promises.lanes)) else {
            self.untold(key, floor, promises);
            return;
        };
        let ours = || {
            let ours = |at: &&Position| self.trusted.contains(&at.conn);
            positions.iter().filter(ours)
        };
        let told = ours().map(|at| (at.conn, at.word));
        let mut words: Vec<_> = told.filter(|(_, word)| word.comes()).collect();
        let until = self.bound(floor.since);
        let outage = until.max(floor.since) + settings.outage_ttl;
        let pushed = words.iter().copied();
        let pushed = pushed.filter(|(_, word)| matches!(word, Word::Push(_)));
        self.outage.later(key, floor, pushed.collect(), outage);
        if words.is_empty() && !ours().any(|at| at.word == Word::Lost) {
            let at = ours().find(|at| at.conn == *own);
            words.extend(at.map(|at| (at.conn, Word::Push(at.message))));
        }
        self.usual.later(key, floor, words, until);
    }

    /// Another node's invalidation has returned, applied.
    pub(super) fn hears(&mut self, key: SimKey, floor: Floor, promises: &Promises) {
        let settings = &promises.kinds[key.kind()];
        if settings.strict {
            self.knows(key, floor);
        } else if self.trusted.is_empty() {
            self.untold(key, floor, promises);
        } else {
            let until = self.bound(floor.since);
            self.usual.later(key, floor, Vec::new(), until);
            let until = until.max(floor.since) + settings.outage_ttl;
            self.outage.later(key, floor, Vec::new(), until);
        }
    }

    /// Until when what happens now may be unknown here. A heartbeat counts from when it was sent, and only
    /// where all connections answer it: after the loss of one, trust ends with the last one before.
    fn bound(&self, since: Duration) -> Duration {
        self.lost.unwrap_or(since).min(since) + 2 * HEARTBEAT
    }

    fn untold(&mut self, key: SimKey, floor: Floor, promises: &Promises) {
        let after = match self.mode {
            Mode::Checked => promises.local_trust,
            Mode::Tracked | Mode::Embedded => Duration::ZERO,
        };
        let until = floor.since + after;
        self.usual.later(key, floor, Vec::new(), until);
        let after = promises.kinds[key.kind()].outage_ttl.max(after);
        let until = floor.since + after;
        self.outage.later(key, floor, Vec::new(), until);
    }

    /// It trusts the events of these connections from here on.
    pub(super) fn trusts(&mut self, conns: Vec<Conn>) {
        self.trusted = conns;
        self.lost = None;
        self.usual.settle(|_| true);
    }

    /// The server has lost a connection.
    pub(super) fn loses(&mut self, conn: Conn, now: Duration) {
        if !self.trusted.contains(&conn) || self.lost.is_some() {
            return;
        }
        self.lost = Some(now);
        for fence in &mut self.usual.pending {
            fence.until = fence.until.min(now + 2 * HEARTBEAT);
        }
    }

    /// It has handled so many messages of a connection, and among them so many answers; `heard`: when
    /// whoever waited for those has had the time to look at them.
    pub(super) fn reached(&mut self, conn: Conn, message: u64, answers: u64, heard: Duration) {
        let pushed = |fence: &Fence| {
            let there = |(on, word): &(Conn, Word)| {
                *on == conn && matches!(word, Word::Push(number) if *number <= message)
            };
            fence.words.iter().any(there)
        };
        self.usual.settle(pushed);
        self.outage.settle(pushed);
        for fence in &mut self.usual.pending {
            let answered = |(on, word): &(Conn, Word)| {
                *on == conn && matches!(word, Word::Answer(number) if *number <= answers)
            };
            if fence.words.iter().any(answered) {
                fence.words.retain(|word| !answered(word));
                fence.until = fence.until.min(heard);
            }
        }
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
