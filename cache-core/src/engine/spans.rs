//! Calls as `tracing` shows them: a span `cached` for each call that the local tier alone could not
//! answer, a span `load` in it while the function runs, and an event for each local hit. Where nobody
//! listens, a call pays for a look at one word.
//!
//! No span or event has a key, an argument or a value: those are the users', and may be secret.

use tracing::field::Empty;
use tracing::{Level, Span};

use super::{Function, Invalidation};
use crate::metrics::Count;

/// What all of them are filtered by.
const TARGET: &str = "cache_core";

/// A call, at level DEBUG. What comes of it is recorded later: `outcome`, and the `tier` that answered.
pub(crate) fn call(function: &Function) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "cached",
        kind = function.kind.name,
        function = &*function.name,
        outcome = Empty,
        tier = Empty,
    )
}

/// The function's own run, at level DEBUG. Whether it failed is recorded later, as `outcome`.
pub(crate) fn load(function: &Function) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "load",
        kind = function.kind.name,
        outcome = Empty,
    )
}

/// Records what came of a load.
pub(crate) fn loaded(span: &Span, is_error: bool) {
    span.record("outcome", if is_error { "error" } else { "ok" });
}

/// Records what came of a call, if this says so.
pub(crate) fn record(span: &Span, count: Count) {
    if span.is_disabled() {
        return;
    }
    let (outcome, tier) = match count {
        Count::HitLocal => ("hit", Some("local")),
        Count::HitShared => ("hit", Some("shared")),
        // It may be from either, which nobody kept.
        Count::HitStale => ("stale", None),
        Count::HitOutage => ("outage", Some("local")),
        Count::Coalesced => ("coalesced", Some("local")),
        Count::Miss => ("miss", None),
        _ => return,
    };
    span.record("outcome", outcome);
    if let Some(tier) = tier {
        span.record("tier", tier);
    }
}

/// Says, at level TRACE, that a call was answered by the local tier at once.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(super) fn hit(function: &Function, stale: bool) {
    if tracing::enabled!(target: TARGET, Level::TRACE) {
        say_hit(function, stale);
    }
}

#[cold]
fn say_hit(function: &Function, stale: bool) {
    tracing::trace!(
        target: TARGET,
        kind = function.kind.name,
        function = &*function.name,
        outcome = if stale { "stale" } else { "hit" },
        tier = "local",
        "cached",
    );
}

/// Says, at level DEBUG, that something was invalidated: how many tags and keys, and what came of it.
pub(super) fn invalidated(tags: usize, keys: usize, outcome: Invalidation) {
    let outcome = match outcome {
        Invalidation::Applied => "applied",
        Invalidation::Queued => "queued",
        Invalidation::Collected => "collected",
        Invalidation::Started => "started",
    };
    tracing::debug!(target: TARGET, tags, keys, outcome, "invalidated");
}
