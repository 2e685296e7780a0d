//! What a soak is to be.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::{Fault, WAIT};

/// What a soak is to be. Options are set by value.
#[derive(Clone, Debug)]
#[must_use = "a plan does nothing until it is run"]
pub struct Plan {
    pub(super) program: PathBuf,
    pub(super) seed: u64,
    pub(super) nodes: usize,
    pub(super) heartbeat: (Duration, Duration),
    pub(super) faults: Vec<Fault>,
    pub(super) lasts: Option<Duration>,
    pub(super) fault: Range<u64>,
    pub(super) pause: Range<u64>,
    pub(super) claimed: Option<Duration>,
    pub(super) wait: Duration,
    pub(super) aloud: bool,
}

impl Plan {
    /// Every fault once, with this binary, which must call [`run_node`](super::run_node) when its first argument is
    /// `node`, with the second one.
    pub fn new(program: impl Into<PathBuf>, seed: u64) -> Self {
        Self {
            program: program.into(),
            seed,
            nodes: 4,
            heartbeat: (Duration::from_secs(1), Duration::from_secs(1)),
            faults: Fault::ALL.to_vec(),
            lasts: None,
            fault: 500..3_000,
            pause: 1_500..5_000,
            claimed: None,
            wait: WAIT,
            aloud: false,
        }
    }

    /// How many processes there are. At least two. Default: 4.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes.max(2);
        self
    }

    /// Goes on with faults, all of them in turn, for so long. Default: until each was there once.
    pub fn lasts(mut self, lasts: Duration) -> Self {
        self.lasts = Some(lasts);
        self
    }

    /// Which faults there are. Default: all.
    pub fn faults(mut self, faults: &[Fault]) -> Self {
        self.faults = faults.to_vec();
        self
    }

    /// The heartbeat's interval and timeout, whose sum is B. Default: 1 s and 1 s, as everywhere.
    pub fn heartbeat(mut self, interval: Duration, timeout: Duration) -> Self {
        self.heartbeat = (interval, timeout);
        self
    }

    /// How long a fault lasts that knows no better, and how long all is well between two, in
    /// milliseconds. Default: half a second to three, and one and a half to five.
    pub fn pace(mut self, fault: Range<u64>, pause: Range<u64>) -> Self {
        (self.fault, self.pause) = (fault, pause);
        self
    }

    /// Judges by another bound than the one that holds: so that it can be seen whether anything
    /// would be noticed. Default: the one that holds.
    pub fn claimed(mut self, bound: Duration) -> Self {
        self.claimed = Some(bound);
        self
    }

    /// How long a call waits for another's load at most. Default: 30 s, as everywhere.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Tells on standard error what happens. Default: `false`.
    pub fn aloud(mut self, aloud: bool) -> Self {
        self.aloud = aloud;
        self
    }

    /// B.
    pub(super) fn bound(&self) -> Duration {
        self.heartbeat.0 + self.heartbeat.1
    }
}
