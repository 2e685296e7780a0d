//! What a seed makes of a run: how many nodes, of which mode, what is called how often, and what goes
//! wrong.

use std::time::Duration;

use super::functions::End;
use super::judge::Promises;
use super::keys::{IDS, KINDS, LABELLED, LOCAL, SimKey, Target};
use super::network::Slowness;
use super::random::Random;
use super::settings::Settings;

/// How long a task that could run is held up at most, where tasks are.
const HEARD: Duration = Duration::from_millis(12);

/// How a node keeps its local tier coherent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// There is no shared tier.
    Embedded,
    /// Entry and stamps are checked on each call.
    Checked,
    /// By the events of the store.
    Tracked,
}

/// How often clients do what, of a thousand; the rest are calls.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub(super) struct Shares {
    pub(super) invalidations: u64,
    pub(super) saves: u64,
    pub(super) updates: u64,
    pub(super) peeks: u64,
    pub(super) puts: u64,
    pub(super) refreshes: u64,
}

/// What can go wrong on the way to the server and on it, each a weight.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub(super) struct Faults {
    pub(super) breaks: u64,
    pub(super) hangs: u64,
    pub(super) restarts: u64,
    pub(super) flushes: u64,
    pub(super) evictions: u64,
    pub(super) script_flushes: u64,
    pub(super) read_only: u64,
    pub(super) crashes: u64,
}

impl Faults {
    /// The weights, in order.
    #[must_use]
    pub(super) fn weights(&self) -> [u64; 8] {
        [
            self.breaks,
            self.hangs,
            self.restarts,
            self.flushes,
            self.evictions,
            self.script_flushes,
            self.read_only,
            self.crashes,
        ]
    }
}

/// One run's setting.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub(super) struct Plan {
    pub(super) modes: Vec<Mode>,
    pub(super) clients: usize,
    pub(super) operations: u64,
    /// How long clients wait at first: where nothing is to go wrong, nodes are connected by then.
    pub(super) head_start: Duration,
    pub(super) keys: Vec<SimKey>,
    pub(super) shares: Shares,
    /// Of a hundred invalidations, up to which one they name a user, a group, a key, a kind.
    pub(super) targets: [u64; 4],
    /// Of a thousand, how many operations are given up.
    pub(super) cancels: u64,
    /// Whether they are given up after a moment, in the middle of asking the store.
    pub(super) hasty: bool,
    /// Of a thousand loads, how many fail, and how many panic.
    pub(super) failures: u64,
    pub(super) panics: u64,
    /// The longest load as a rule, in milliseconds.
    pub(super) load: u64,
    /// Of a thousand loads, how many take seconds.
    pub(super) slow_loads: u64,
    /// The longest pause of a client as a rule, in milliseconds.
    pub(super) pause: u64,
    pub(super) faults: Faults,
    /// The longest pause between two faults, in milliseconds.
    pub(super) fault_pause: u64,
    pub(super) kinds: [Settings; KINDS.len()],
    /// How long nodes whose store does not tell trust what it has confirmed.
    pub(super) local_trust: Duration,
    /// How many connections for data a node has.
    pub(super) lanes: usize,
    pub(super) wait: Duration,
    pub(super) store_timeout: Duration,
    pub(super) lag: u64,
    pub(super) slowness: Slowness,
    /// Whether the stores remember until when stamps last, as `cache-redis` does, or look each time.
    pub(super) remembers: bool,
}

impl Plan {
    /// The plan of a seed.
    pub(super) fn new(random: &mut Random) -> Self {
        let modes = modes(random);
        let calm = random.chance(300);
        let single = random.chance(400);
        let mut some = |of_thousand: u64, most: u64| {
            if random.chance(of_thousand) {
                random.below(1..most + 1)
            } else {
                0
            }
        };
        let faults = if calm {
            Faults::default()
        } else {
            Faults {
                breaks: some(500, 10),
                hangs: some(300, 6),
                restarts: some(200, 3),
                flushes: some(200, 5),
                evictions: some(400, 10),
                script_flushes: some(300, 8),
                read_only: some(150, 3),
                crashes: some(200, 3),
            }
        };
        let shares = Shares {
            invalidations: 60 + some(800, 250),
            saves: some(300, 60),
            updates: some(400, 120),
            peeks: some(400, 100),
            puts: some(300, 60),
            refreshes: some(300, 80),
        };
        let (cancels, failures, panics) = if single && calm {
            (0, 0, 0)
        } else {
            (some(500, 150), some(500, 250), some(200, 30))
        };
        let keys = keys(random);
        let quick = !calm && random.chance(400);
        let store_timeout = Duration::from_millis(if quick { 60 } else { 250 });
        let mut plan = Self {
            modes,
            clients: usize::try_from(random.below(1..5)).unwrap_or(1),
            head_start: if calm {
                Duration::from_millis(500)
            } else {
                Duration::ZERO
            },
            operations: random.below(30..150),
            keys,
            shares,
            targets: [45, 55, 88, 95],
            cancels,
            hasty: false,
            failures,
            panics,
            load: [1, 8, 30, 60][random.index(4)],
            slow_loads: if calm || random.chance(500) { 0 } else { 20 },
            pause: [2, 10, 40, 200][random.index(4)],
            faults,
            fault_pause: [4, 20, 100, 400, 1500][random.index(5)],
            kinds: Settings::of_kinds(random),
            local_trust: Duration::from_millis([0, 0, 0, 50, 400, 3_000][random.index(6)]),
            lanes: [1, 1, 2, 3][random.index(4)],
            wait: Duration::from_secs(if calm { 30 } else { [2, 30][random.index(2)] }),
            store_timeout,
            lag: [0, 30, 200][random.index(3)],
            slowness: Slowness {
                usual: [300, 2_000, 10_000][random.index(3)],
                often: if calm {
                    50
                } else {
                    [0, 20, 200][random.index(3)]
                },
                worst: if calm || quick { 20_000 } else { 80_000 },
                gaps: (200, 2_000),
            },
            remembers: false,
        };
        if plan.has_faults() && random.chance(300) {
            plan.crowd(random);
        }
        plan
    }

    /// Makes it a crowd at one value: everybody is quick, much is given up half way, and the server
    /// does much else between two commands of one request. Narrow races are wide here.
    fn crowd(&mut self, random: &mut Random) {
        self.modes = vec![Mode::Tracked; [2, 2, 3][random.index(3)]];
        let id = random.index(IDS);
        let other = [1, 1, LABELLED][random.index(3)];
        self.keys = vec![SimKey(id), SimKey(other * IDS + id)];
        self.keys.truncate([1, 2, 2][random.index(3)]);
        self.operations = random.below(100..400);
        self.slow_loads = 0;
        self.pause = [2, 10, 40][random.index(3)];
        self.shares = Shares {
            invalidations: random.below(30..250),
            saves: 0,
            updates: [0, random.below(0..200)][random.index(2)],
            peeks: random.below(0..100),
            puts: random.below(0..120),
            refreshes: random.below(0..250),
        };
        self.cancels = [0, 150, 300][random.index(3)];
        self.hasty = random.chance(700);
        self.targets = [25, 35, 88, 94];
        self.slowness.gaps = (500, [2_000, 8_000][random.index(2)]);
        self.slowness.often = [0, 20, 200][random.index(3)];
        self.slowness.worst = [20_000, 80_000][random.index(2)];
        if random.chance(500) {
            // Stamps are prolonged again and again, and many who ask for that don't wait for the
            // answer.
            self.load = [1, 8][random.index(2)];
            self.cancels = [150, 300][random.index(2)];
            self.hasty = true;
            self.lanes = 1;
            self.shares.refreshes += 100;
            self.slowness.gaps = (500, 8_000);
            let ttl = Duration::from_millis([100, 300][random.index(2)]);
            self.kinds = KINDS.map(|_| Settings::plain(ttl));
        } else {
            // Values are refreshed again and again.
            self.load = [8, 30][random.index(2)];
            self.clients = 4;
            for settings in &mut self.kinds {
                settings.ttl = Duration::from_millis([50, 300][random.index(2)]);
                settings.while_revalidate = Duration::from_secs(3);
            }
        }
    }

    /// Makes it a rush, in some runs in which things go wrong: many are at the same few values, and one
    /// thing goes wrong over and over. `beside`: what else a seed makes stays what it was.
    pub(super) fn rush(&mut self, beside: &mut Random) {
        if !self.has_faults() || !beside.chance(250) {
            return;
        }
        let id = beside.index(IDS);
        self.keys = vec![SimKey(id), SimKey(IDS + id)];
        self.clients = 4;
        self.operations = beside.below(150..400);
        self.load = [1, 8][beside.index(2)];
        self.slow_loads = 0;
        self.pause = [2, 10][beside.index(2)];
        self.shares = Shares {
            invalidations: beside.below(100..400),
            saves: 0,
            updates: 0,
            peeks: 0,
            puts: [0, beside.below(0..60)][beside.index(2)],
            refreshes: beside.below(0..200),
        };
        self.targets = [[55, 80, 92, 97], [25, 35, 92, 97]][beside.index(2)];
        // One request is quick and the next one is not.
        self.slowness.usual = [300, 2_000][beside.index(2)];
        self.slowness.often = 200;
        self.slowness.worst = 80_000;
        self.modes = vec![Mode::Tracked; 2];
        match beside.index(3) {
            0 => {
                // The server forgets its scripts all the time, in the middle of requests too.
                self.modes.resize([2, 3][beside.index(2)], Mode::Tracked);
                self.faults = Faults {
                    script_flushes: 8,
                    ..Faults::default()
                };
                self.cancels = 0;
            }
            1 => {
                // Nodes are cut off again and again, while they are written to.
                self.modes
                    .fill([Mode::Tracked, Mode::Checked][beside.index(2)]);
                self.faults = Faults {
                    breaks: 6,
                    hangs: 2,
                    ..Faults::default()
                };
                self.fault_pause = [100, 400][beside.index(2)];
            }
            _ => {
                // Values are replaced all the time, and not so often invalidated that there is none to be
                // replaced; the server does something else between two commands, but no connection is
                // so busy with it that nothing gets done.
                self.keys.truncate([1, 2][beside.index(2)]);
                self.load = 1;
                self.pause = [10, 40][beside.index(2)];
                self.shares.invalidations = beside.below(20..60);
                self.shares.puts = beside.below(50..300);
                self.shares.refreshes = beside.below(50..300);
                self.targets = [[5, 10, 92, 97], [40, 60, 92, 97]][beside.index(2)];
                self.cancels = [0, 150, 300][beside.index(3)];
                self.hasty = true;
                self.slowness.usual = 300;
                self.slowness.often = 0;
                self.slowness.gaps = (500, 2_000);
                self.faults = Faults {
                    breaks: 1,
                    ..Faults::default()
                };
                self.fault_pause = 1_500;
                let ttl = Duration::from_millis([100, 300, 5_000][beside.index(3)]);
                self.kinds = KINDS.map(|_| Settings::plain(ttl));
            }
        }
    }

    /// Whether anything goes wrong but slowness.
    pub(super) fn has_faults(&self) -> bool {
        self.faults.weights() != [0; 8]
    }

    /// Whether nothing goes wrong, and nodes are connected before they work.
    fn is_calm(&self) -> bool {
        !self.has_faults() && !self.head_start.is_zero()
    }

    /// What calls may be expected to keep to.
    #[must_use]
    pub(super) fn promises(&self) -> Promises {
        let quiet = self.failures == 0 && self.panics == 0 && self.cancels == 0;
        Promises {
            waits: if self.is_calm() {
                // Nothing is to be waited for but other loads, and those are short: far less than
                // the life of a lease, which is what a lost wake-up would cost.
                Duration::from_secs(4)
            } else {
                // Its waits for others, and for the store: while waiting, while reading, while
                // filling.
                self.wait + self.store_timeout * 4 + Duration::from_millis(200)
            },
            store: self.store_timeout,
            // On a machine that holds tasks up, it may do so several times.
            heard: if self.lag == 0 { Duration::ZERO } else { HEARD },
            // Over several connections one reply overtakes another. One that gainsays what is known by
            // then makes flights dirty (guard G17): their loads can't be stored, and others may begin.
            single: self.is_calm() && quiet && self.lanes == 1,
            kinds: self.kinds,
            lanes: self.lanes,
            local_trust: self.local_trust,
        }
    }

    /// The pause of a client before what it does next.
    pub(super) fn pause(&self, random: &mut Random) -> Duration {
        let most = if random.chance(30) { 2_000 } else { self.pause };
        random.millis(0..most.max(1))
    }

    /// Any of the run's keys.
    pub(super) fn key(&self, random: &mut Random) -> SimKey {
        self.keys[random.index(self.keys.len())]
    }

    /// Something to invalidate that concerns one of the run's keys.
    pub(super) fn target(&self, random: &mut Random) -> Target {
        let key = self.key(random);
        if key.kind() == LABELLED && random.chance(400) {
            return Target::Label(key.label());
        }
        let [user, group, one, kind] = self.targets;
        match random.below(0..100) {
            pick if pick < user => Target::User(key.id()),
            pick if pick < group => Target::Group(key.group()),
            pick if pick < one => Target::Key(key),
            pick if pick < kind => Target::Kind(key.kind()),
            _ => Target::All,
        }
    }

    /// How long a load takes before and after it reads the database, and how it ends.
    pub(super) fn load(&self, random: &mut Random) -> ([Duration; 2], End) {
        let mut takes = [Duration::ZERO; 2];
        for part in &mut takes {
            if !random.chance(250) {
                *part = random.millis(0..self.load.max(1));
            }
        }
        if random.chance(self.slow_loads) {
            takes[random.index(2)] = random.millis(100..14_000);
        }
        let end = if random.chance(self.failures) {
            End::Failure
        } else if random.chance(self.panics) {
            End::Panic
        } else {
            End::Value
        };
        (takes, end)
    }
}

fn modes(random: &mut Random) -> Vec<Mode> {
    let nodes = [1, 2, 2, 3][random.index(4)];
    match random.below(0..100) {
        0..6 => vec![Mode::Embedded],
        6..30 => vec![Mode::Checked; nodes],
        30..40 => vec![Mode::Checked, Mode::Tracked],
        _ => vec![Mode::Tracked; nodes],
    }
}

fn keys(random: &mut Random) -> Vec<SimKey> {
    let count = random.below(1..5);
    (0..count)
        .map(|_| {
            let id = random.index(IDS);
            let kind = match random.below(0..100) {
                0..15 => LOCAL,
                15..35 => LABELLED,
                _ => random.index(2),
            };
            SimKey(kind * IDS + id)
        })
        .collect()
}
