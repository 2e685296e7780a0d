//! A local hit: a value for a call that need not ask anybody. In the common case a few words are
//! compared, and that is all.

use std::time::Duration;

use super::outage::unit;
use super::{Engine, Function, spans};
use crate::local::{Age, Head, Held, KeyRef, Seen};
use crate::metrics::Count;

/// What a call goes by that looks in the local tier. Read in the order of its fields: what is trusted is
/// of the latest epoch, and what has moved is counted before it is looked at (`local/moves.rs`).
struct Sight<'e> {
    engine: &'e Engine,
    /// The coarse clock's time, in nanoseconds.
    now: u64,
    /// Where events don't flow: how long ago a value may have been confirmed.
    span: Option<Duration>,
    seen: Seen,
}

impl Engine {
    /// Whether a local entry may be returned without asking the store, at this time of the coarse
    /// clock. To be asked before the epoch is looked at: whatever is trusted is of a later one.
    pub(crate) fn trusts_local(&self, now: Duration) -> bool {
        self.trusts_local_at(crate::local::nanoseconds(now))
    }

    #[inline]
    fn trusts_local_at(&self, now: u64) -> bool {
        self.store.is_none() || (self.trust.holds_at(now) && self.outage.usable())
    }

    /// Where events don't flow: how long ago a local value may have been confirmed to be served
    /// without asking. `None`: each one is asked about.
    pub(super) fn trusted_for(&self) -> Option<Duration> {
        let untold = !self.local_trust.is_zero() && !self.trust.is_proven();
        (untold && self.outage.usable()).then_some(self.local_trust)
    }

    /// The local tier's value for a call that need not ask anybody, counted. `early`: whether it is to
    /// be refreshed although it is fresh, once that was drawn.
    /// `take` takes it, where it is of the right type.
    pub(crate) fn local_hit(
        &self,
        function: &Function,
        key: KeyRef<'_>,
        early: &mut Option<bool>,
        take: &mut dyn FnMut(&dyn Held) -> bool,
    ) -> bool {
        let Some(sight) = self.sight(function) else {
            return false;
        };
        let mut stale = false;
        let serve = |head: &Head| sight.serves(head, early, &mut stale);
        let hit = self.local.hit(key, serve, take);
        if hit {
            Self::count_hit(function, stale);
        }
        hit
    }

    /// Whether a call of a function may have a value that was found in the local tier, without asking
    /// anybody; counted if so.
    pub(super) fn may_have(
        &self,
        function: &Function,
        early: &mut Option<bool>,
        held: &dyn Held,
    ) -> bool {
        let mut stale = false;
        let sight = self.sight(function);
        let hit = sight.is_some_and(|sight| sight.serves(held.head(), early, &mut stale));
        if hit {
            Self::count_hit(function, stale);
        }
        hit
    }

    /// `None` where each call asks.
    #[inline]
    fn sight(&self, function: &Function) -> Option<Sight<'_>> {
        if function.settings.strict {
            return None;
        }
        let now = self.env.coarse_nanos();
        let span = if self.trusts_local_at(now) {
            None
        } else {
            Some(self.trusted_for()?)
        };
        Some(Sight {
            engine: self,
            now,
            span,
            seen: self.cells.seen(),
        })
    }

    #[inline]
    fn count_hit(function: &Function, stale: bool) {
        function.kind.counters.count(if stale {
            Count::HitStale
        } else {
            Count::HitLocal
        });
        spans::hit(function, stale);
    }
}

impl Sight<'_> {
    /// Whether an entry is served. `stale` is set where it is past its time to live.
    #[inline]
    fn serves(&self, head: &Head, early: &mut Option<bool>, stale: &mut bool) -> bool {
        head.stands(self.seen, || self.engine.epoch())
            && ((self.span.is_none() && head.is_sure(self.now)) || self.weighs(head, early, stale))
    }

    /// The same of one that holds, and is not known to be fresh, far from its end, and told of.
    #[inline(never)]
    fn weighs(&self, head: &Head, early: &mut Option<bool>, stale: &mut bool) -> bool {
        let (life, now) = (head.life(), Duration::from_nanos(self.now));
        if let Some(span) = self.span
            && now >= life.confirmed().saturating_add(span)
        {
            return false;
        }
        match life.age(now) {
            Age::Quiet => {
                *stale = life.is_stale(now);
                true
            }
            Age::Early(left) => {
                let draw = || life.is_due(left, unit(self.engine.env.draw()));
                !*early.get_or_insert_with(draw)
            }
            Age::Stale(_) | Age::Ended => false,
        }
    }
}
