//! A local hit: a value for a call that need not ask anybody. In the common case a few words are
//! compared, and that is all.

use std::sync::Arc;
use std::time::Duration;

use super::outage::unit;
use super::{Engine, Function, spans};
use crate::key::Args;
use crate::local::{Age, Head, Held, KeyRef, Lent};
use crate::metrics::Count;

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

    /// The local tier's value, for a call of the function with this number that need not ask anybody. Counted,
    /// if there is one. Whatever is unusual is left to [`look_again`](Self::look_again).
    ///
    /// `early`: whether the call is the one that refreshes a value although it is fresh, once that was drawn.
    ///
    /// All of it is one piece of code, wherever the compiler cuts the crate into units: between its parts a
    /// call would cost as much as they do.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn hit(
        &self,
        number: u32,
        args: &Args,
        early: &mut Option<bool>,
    ) -> Option<Lent<'_>> {
        let function = self.functions.get(number)?;
        if !function.hits_at_once() {
            return None;
        }
        // In this order: what is trusted is of the latest epoch, and what has moved is counted
        // before it is looked at (`local/moves.rs`).
        let now = self.env.coarse_nanos();
        if !self.trusts_local_at(now) {
            return None;
        }
        let seen = self.cells.seen();
        let key = KeyRef::padded(number, args.as_bytes(), args.padded());
        let lent = self.local.lend(&key)?;
        let head = lent.head();
        if !head.stands(seen, || self.epoch()) {
            return None;
        }
        if !head.is_sure(now) {
            return self.hit_of_age(function, lent, now, early);
        }
        head.note_hit();
        Self::count_hit(function, false);
        Some(lent)
    }

    /// The same of an entry that stands, and that may be too old.
    #[cold]
    #[inline(never)]
    fn hit_of_age<'t>(
        &self,
        function: &Function,
        lent: Lent<'t>,
        now: u64,
        early: &mut Option<bool>,
    ) -> Option<Lent<'t>> {
        let mut stale = false;
        if !self.weighs(lent.head(), now, early, &mut stale) {
            return None;
        }
        lent.head().note_hit();
        Self::count_hit(function, stale);
        Some(lent)
    }

    /// The same where that has found nothing, for whatever reason.
    pub(crate) fn look_again(
        &self,
        function: &Function,
        args: &Args,
        early: &mut Option<bool>,
    ) -> Option<Arc<dyn Held>> {
        let key = KeyRef::padded(function.number, args.as_bytes(), args.padded());
        let held = self.local.find(&key)?;
        self.may_have(function, early, &*held).then_some(held)
    }

    /// Whether a call of a function may have a value that was found in the local tier, without asking
    /// anybody; counted if so.
    pub(super) fn may_have(
        &self,
        function: &Function,
        early: &mut Option<bool>,
        held: &dyn Held,
    ) -> bool {
        if function.settings.strict {
            return false;
        }
        let (now, head) = (self.env.coarse_nanos(), held.head());
        let told = self.trusts_local_at(now);
        let span = self.trusted_for();
        let seen = self.cells.seen();
        let mut stale = false;
        let hit = (told || span.is_some_and(|span| was_confirmed(head, now, span)))
            && head.stands(seen, || self.epoch())
            && self.weighs(head, now, early, &mut stale);
        if hit {
            Self::count_hit(function, stale);
        }
        hit
    }

    /// Whether an entry that stands is of the right age; `stale` is set where that is past its time to
    /// live.
    fn weighs(&self, head: &Head, now: u64, early: &mut Option<bool>, stale: &mut bool) -> bool {
        let (life, now) = (head.life(), Duration::from_nanos(now));
        match life.age(now) {
            Age::Quiet => {
                *stale = life.is_stale(now);
                true
            }
            Age::Early(left) => {
                let draw = || life.is_due(left, unit(self.env.draw()));
                !*early.get_or_insert_with(draw)
            }
            Age::Stale(_) | Age::Ended => false,
        }
    }

    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn count_hit(function: &Function, stale: bool) {
        let count = if stale {
            Count::HitStale
        } else {
            Count::HitLocal
        };
        function.kind.counters.add(count, 1);
        spans::hit(function, stale);
    }
}

/// Whether the store was asked about an entry not longer ago than that.
fn was_confirmed(head: &Head, now: u64, span: Duration) -> bool {
    Duration::from_nanos(now) < head.life().confirmed().saturating_add(span)
}
