//! What a seed makes of the settings of a kind: any mix of what a policy can say, or nothing.

use std::time::Duration;

use cache_core::{Consistency, Policy};

use super::keys::KINDS;
use super::random::Random;

/// The settings of one kind.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub(super) struct Settings {
    pub(super) ttl: Duration,
    /// Stale while revalidate.
    pub(super) while_revalidate: Duration,
    /// Stale if error.
    pub(super) if_error: Duration,
    pub(super) early: bool,
    pub(super) jitter: f64,
    pub(super) soft: Option<Duration>,
    pub(super) hard: Option<Duration>,
    pub(super) outage_ttl: Duration,
    pub(super) strict: bool,
    /// Nothing is kept in the process.
    pub(super) elsewhere: bool,
}

impl Settings {
    /// Those of each kind.
    pub(super) fn of_kinds(random: &mut Random) -> [Self; KINDS.len()] {
        let ttl = Duration::from_millis([300, 800, 5_000, 60_000][random.index(4)]);
        let plain = random.chance(400);
        KINDS.map(|_| {
            if plain {
                Self::plain(ttl)
            } else {
                Self::any(random, ttl)
            }
        })
    }

    /// Those of a kind whose policy says nothing but its ttl.
    pub(super) fn plain(ttl: Duration) -> Self {
        Self {
            ttl,
            early: true,
            ..Self::default()
        }
    }

    fn any(random: &mut Random, ttl: Duration) -> Self {
        let mut span = |of_thousand: u64, spans: [u64; 3]| {
            let some = random.chance(of_thousand);
            let span = Duration::from_millis(spans[random.index(3)]);
            if some { span } else { Duration::ZERO }
        };
        let while_revalidate = span(500, [100, 600, 3_000]);
        let if_error = span(500, [100, 1_000, 5_000]);
        let hard = Some(span(350, [20, 100, 1_000])).filter(|hard| !hard.is_zero());
        let soft = Some(span(350, [5, 40, 300])).filter(|soft| !soft.is_zero());
        let outage_ttl = span(350, [300, 2_000, 10_000]);
        let strict = random.chance(200);
        Self {
            ttl: if random.chance(700) {
                ttl
            } else {
                Duration::from_millis([300, 2_000][random.index(2)])
            },
            while_revalidate,
            if_error,
            early: random.chance(750),
            jitter: [0.0, 0.0, 0.1, 0.9][random.index(4)],
            soft: soft.map(|soft| hard.map_or(soft, |hard| soft.min(hard))),
            hard,
            outage_ttl: if strict { Duration::ZERO } else { outage_ttl },
            strict,
            elsewhere: false,
        }
    }

    /// Has the values of some kinds not be kept in the process, in some runs.
    pub(super) fn elsewhere(kinds: &mut [Self; KINDS.len()], random: &mut Random) {
        if random.chance(150) {
            for kind in kinds {
                kind.elsewhere = random.chance(600);
            }
        }
    }

    /// The same as a policy.
    #[must_use]
    pub(super) fn policy(&self, wait: Duration) -> Policy {
        let mut policy = Policy::new()
            .ttl(self.ttl)
            .wait(wait)
            .stale_while_revalidate(self.while_revalidate)
            .stale_if_error(self.if_error)
            .early(self.early)
            .jitter(self.jitter)
            .outage_ttl(self.outage_ttl);
        if let Some(soft) = self.soft {
            policy = policy.soft_timeout(soft);
        }
        if let Some(hard) = self.hard {
            policy = policy.hard_timeout(hard);
        }
        if self.elsewhere {
            policy = policy.local(false);
        }
        if self.strict {
            policy = policy.consistency(Consistency::Strict);
        }
        policy
    }

    /// How long a value is kept past its ttl.
    #[must_use]
    pub(super) fn grace(&self) -> Duration {
        self.while_revalidate.max(self.if_error)
    }
}
