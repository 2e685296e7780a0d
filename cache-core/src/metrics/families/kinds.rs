//! What is told of each kind.

use super::{Family, Form, OUTCOME_LABEL, OfKind, Read, number};

/// The figures of each kind, which have its name as a label.
pub(in crate::metrics) static KINDS: &[Family<OfKind>] = &[
    Family::counter(
        "cache_requests_total",
        "Calls, by how they were answered.",
        Read::Each(
            OUTCOME_LABEL,
            &[
                ("hit_local", |kind| kind.figures.hits_local),
                ("hit_shared", |kind| kind.figures.hits_shared),
                ("hit_stale", |kind| kind.figures.hits_stale),
                ("hit_outage", |kind| kind.figures.hits_outage),
                ("coalesced", |kind| kind.figures.coalesced),
                ("miss", |kind| kind.figures.misses),
                ("bypassed", |kind| kind.figures.bypassed),
            ],
        ),
    ),
    Family::counter(
        "cache_loads_total",
        "How often the functions ran.",
        Read::One(|kind| number(kind.figures.loads)),
    ),
    Family {
        name: "cache_load_duration_seconds",
        help: "How long the functions took.",
        form: Form::Histogram,
        read: Read::Times(|kind| &kind.figures.load_time),
    },
    Family::counter(
        "cache_load_errors_total",
        "How often the functions returned an error.",
        Read::One(|kind| number(kind.figures.load_errors)),
    ),
    Family::counter(
        "cache_load_timeouts_total",
        "How often the functions took longer than their hard timeout.",
        Read::One(|kind| number(kind.figures.load_timeouts)),
    ),
    Family::counter(
        "cache_refreshes_total",
        "How often the functions ran although there was a value that could have been served.",
        Read::One(|kind| number(kind.figures.refreshes)),
    ),
    Family::counter(
        "cache_rescued_total",
        "Calls whose load failed and that were answered with the value from before.",
        Read::One(|kind| number(kind.figures.rescued)),
    ),
    Family::counter(
        "cache_fills_refused_total",
        "Loads whose value was not stored because the lease was gone by then.",
        Read::One(|kind| number(kind.figures.fills_refused)),
    ),
    Family::counter(
        "cache_updates_total",
        "Writes that bring their value along, by whether it was stored.",
        Read::Each(
            OUTCOME_LABEL,
            &[
                ("stored", |kind| kind.figures.updates),
                ("refused", |kind| kind.figures.updates_refused),
            ],
        ),
    ),
    Family::counter(
        "cache_kind_invalidations_total",
        "Invalidations of a key of the kind or of the whole kind, by whether they took effect \
         everywhere at once.",
        Read::Each(
            OUTCOME_LABEL,
            &[
                ("applied", |kind| kind.figures.invalidations_applied),
                ("queued", |kind| kind.figures.invalidations_queued),
            ],
        ),
    ),
    Family::counter(
        "cache_store_errors_total",
        "Calls to the shared tier that failed or took too long.",
        Read::One(|kind| number(kind.figures.store_errors)),
    ),
    Family::counter(
        "cache_undecodable_total",
        "Entries whose bytes could not be trusted.",
        Read::One(|kind| number(kind.figures.undecodable)),
    ),
    Family::counter(
        "cache_unkeyed_total",
        "Calls whose arguments could not be made a key.",
        Read::One(|kind| number(kind.figures.unkeyed)),
    ),
    Family::counter(
        "cache_evictions_total",
        "Local entries that had to make room.",
        Read::One(|kind| number(kind.figures.evictions)),
    ),
    Family::counter(
        "cache_saved_seconds_total",
        "The time that hits saved: each at the mean time of the loads until then.",
        Read::One(|kind| kind.saved_seconds),
    ),
    Family::gauge("cache_local_entries", "Local entries there are.", |kind| {
        number(kind.figures.local_entries)
    }),
    Family::gauge(
        "cache_local_bytes",
        "Bytes that local entries take, estimated.",
        |kind| number(kind.figures.local_bytes),
    ),
];
