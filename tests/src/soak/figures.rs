//! What is counted of a soak, for each kind of trouble.

use std::time::Duration;

/// The figures of all times with one kind of trouble, or with none.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// How often there was this trouble.
    pub(super) times: u64,
    /// For each invalidation that was applied, how long after that the last call elsewhere began
    /// that got an older value, in microseconds: four bytes for each invalidation of a run.
    delays: Vec<u32>,
    pub(super) queued: u64,
    /// Times at which a node had caught up with what it had queued, and the longest delay after one.
    pub(super) replays: u64,
    pub(super) replay_delay: u64,
    pub(super) calls: u64,
    pub(super) local: u64,
    pub(super) shared: u64,
    pub(super) coalesced: u64,
    pub(super) missed: u64,
    /// The longest call.
    pub(super) longest: u64,
    /// The longest from the end of the trouble until all nodes were well again.
    pub(super) healing: u64,
}

impl Figures {
    pub(super) fn applied(&mut self, behind: u64) {
        // Rounded up: what was late at all is not to look as if it were not.
        let micros = behind.div_ceil(1_000);
        self.delays.push(u32::try_from(micros).unwrap_or(u32::MAX));
    }

    pub(super) fn replayed(&mut self, behind: u64) {
        self.replays += 1;
        self.replay_delay = self.replay_delay.max(behind);
    }

    /// Adds those of another trouble.
    pub(super) fn join(&mut self, other: &Self) {
        self.times += other.times;
        self.delays.extend(&other.delays);
        self.queued += other.queued;
        self.replays += other.replays;
        self.replay_delay = self.replay_delay.max(other.replay_delay);
        self.calls += other.calls;
        self.local += other.local;
        self.shared += other.shared;
        self.coalesced += other.coalesced;
        self.missed += other.missed;
        self.longest = self.longest.max(other.longest);
        self.healing = self.healing.max(other.healing);
    }

    /// How many invalidations were applied.
    pub(super) fn invalidations(&self) -> usize {
        self.delays.len()
    }

    /// How many of them were followed by a call elsewhere that got an older value.
    pub(super) fn behind(&self) -> usize {
        self.delays.iter().filter(|delay| **delay > 0).count()
    }

    /// The delay that so many of a thousand applied invalidations did not exceed.
    pub(super) fn delay(&self, per_thousand: usize) -> Option<Duration> {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let last = delays.len().checked_sub(1)?;
        let delay = delays.get((last * per_thousand).div_ceil(1_000))?;
        Some(Duration::from_micros(u64::from(*delay)))
    }

    /// Local hits among calls, in percent.
    pub(super) fn local_share(&self) -> Option<f64> {
        share(self.local, self.asked())
    }

    fn asked(&self) -> u64 {
        self.local + self.shared + self.coalesced + self.missed
    }
}

#[allow(clippy::cast_precision_loss)]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}
