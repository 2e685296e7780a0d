//! What is told of a cache as a whole.

use super::{Family, Form, OUTCOME_LABEL, Read, Whole, flag, number};

/// The figures of the cache as a whole.
pub(in crate::metrics) static WHOLE: &[Family<Whole>] = &[
    Family {
        name: "cache_info",
        help: "Always 1, with the version of the library.",
        form: Form::Gauge,
        read: Read::Each("version", &[(env!("CARGO_PKG_VERSION"), |_| 1)]),
    },
    Family::gauge(
        "cache_uptime_seconds",
        "How long the cache has been there.",
        |cache| number(cache.snapshot.uptime_ms) / 1e3,
    ),
    Family::gauge(
        "cache_breaker_open",
        "1 while calls go past the shared tier because it does not answer or something is pending.",
        |cache| flag(cache.snapshot.breaker_open),
    ),
    Family::counter(
        "cache_breaker_opened_total",
        "How often calls began to go past the shared tier.",
        Read::One(|cache| number(cache.snapshot.breaker_opened)),
    ),
    Family::gauge(
        "cache_shared_trusted",
        "1 while local values are served without asking the shared tier, because it tells of every \
         change or because there is none.",
        |cache| flag(cache.trusted),
    ),
    Family::counter(
        "cache_trust_lost_total",
        "How often the shared tier lost touch, so that local values were not served unasked.",
        Read::One(|cache| number(cache.snapshot.trust_lost)),
    ),
    Family::counter(
        "cache_epoch_steps_total",
        "How often everything learnt so far was given up.",
        Read::One(|cache| number(cache.snapshot.epoch_steps)),
    ),
    Family::counter(
        "cache_distrusted_total",
        "How often the shared tier said something that makes no sense.",
        Read::One(|cache| number(cache.snapshot.distrusted)),
    ),
    Family::counter(
        "cache_invalidations_total",
        "Invalidations by tag, key or kind, by whether they took effect everywhere at once.",
        Read::Each(
            OUTCOME_LABEL,
            &[
                ("applied", |cache| cache.snapshot.invalidations_applied),
                ("queued", |cache| cache.snapshot.invalidations_queued),
            ],
        ),
    ),
    Family::gauge(
        "cache_invalidations_pending",
        "Tags and keys that wait to be invalidated in the shared tier.",
        |cache| number(cache.snapshot.invalidations_pending),
    ),
    Family::counter(
        "cache_invalidations_replayed_total",
        "Tags and keys that were invalidated in the shared tier once it could be reached again.",
        Read::One(|cache| number(cache.snapshot.invalidations_replayed)),
    ),
    Family::counter(
        "cache_queue_widened_total",
        "How often too much was pending to be kept one by one.",
        Read::One(|cache| number(cache.snapshot.queue_widened)),
    ),
    Family::counter(
        "cache_journal_errors_total",
        "How often the disk of the journal of invalidations failed or was too slow.",
        Read::One(|cache| number(cache.snapshot.journal_errors)),
    ),
    Family::gauge(
        "cache_policies_unclaimed",
        "Kinds that have a policy and that no function has used so far: most likely misspelt.",
        |cache| number(cache.snapshot.unclaimed_policies.len() as u64),
    ),
];
