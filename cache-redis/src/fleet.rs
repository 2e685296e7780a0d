//! The figures of all nodes, in Redis: what a report writes there, and what a reader makes of what it
//! finds.
//!
//! Each minute of each kind is a hash that all nodes add to, and so is each minute of the cache as a
//! whole, which names the kinds. Every part of a report is a script on one key, which does nothing where
//! the report, or a later one of the node, is in already.

use std::time::Duration;

use cache_core::metrics::Report;
use redis::Pipeline;

use crate::keys::{Keys, sequence_field};
use crate::scripts::{self, Sending};

mod counts;
mod node;
mod reader;

pub(crate) use reader::read;

/// How many reports a minute has: always there, so that a minute without it is a gap.
const REPORTS: &str = "reports";
/// What the name of a kind follows that has figures in a minute.
const KIND: &str = "kind.";
/// What belongs to the cache as a whole is at the place of a kind without a name.
const WHOLE: &str = "";

/// How long figures are kept after their minute, and nodes after they were last seen.
const KEPT: Duration = Duration::from_hours(24);
/// The last moment Redis is told, in milliseconds: a clock far off must not make an error of it.
const LAST: u64 = 253_402_300_799_999;

/// What a report sends.
///
/// The minute as a whole comes after its kinds, so that whoever finds a report counted there finds all of
/// it; and the node last, so that it is not seen before its figures are.
pub(crate) fn commands(report: &Report, keys: &Keys, sending: Sending) -> Pipeline {
    let added = &report.added;
    let mut commands = Pipeline::with_capacity(added.kinds.len() + 2);
    for (kind, figures) in &added.kinds {
        add(&mut commands, sending, keys, report, kind, figures.fields());
    }
    let named = added.kinds.keys().map(|kind| (format!("{KIND}{kind}"), 1));
    let whole = added.fields().chain([(REPORTS.to_owned(), 1)]).chain(named);
    add(&mut commands, sending, keys, report, WHOLE, whole);
    scripts::NODE
        .start(&mut commands, sending, &[keys.nodes()])
        .arg(report.node.id.to_string())
        .arg(node::text(&report.node))
        .arg(u8::from(report.leaving))
        .arg(millis(KEPT));
    commands
}

fn add(
    commands: &mut Pipeline,
    sending: Sending,
    keys: &Keys,
    report: &Report,
    kind: &str,
    figures: impl Iterator<Item = (String, u64)>,
) {
    // A moment, not a life from now on: sent again, it is the same.
    let end = report.minute.saturating_add(1).saturating_mul(60_000);
    let script = scripts::REPORT.start(commands, sending, &[keys.figures(kind, report.minute)]);
    script
        .arg(sequence_field(report.node.id))
        .arg(report.sequence)
        .arg(end.saturating_add(millis(KEPT)).min(LAST));
    for (name, count) in figures {
        // Redis adds up to 2^63.
        script
            .arg(name)
            .arg(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Ways in for the fuzzer.
#[cfg(feature = "fuzzing")]
mod doors {
    use cache_core::Kind;
    use cache_core::metrics::{KindSnapshot, Node};
    use redis::Value;

    use super::{counts, node};
    use crate::failure::Secrets;

    pub(crate) fn kind_of(answer: Value) -> Option<KindSnapshot> {
        let fields = counts::fields(answer, &Secrets::default()).ok()?;
        Some(counts::kind(fields))
    }

    pub(crate) fn kinds_of(answer: Value) -> Option<Vec<Kind>> {
        let fields = counts::fields(answer, &Secrets::default()).ok()?;
        counts::whole(fields).map(|(_, kinds)| kinds)
    }

    pub(crate) fn node_of(id: &[u8], text: &[u8]) -> Option<Node> {
        node::read(id, text)
    }

    pub(crate) fn text_of(node: &Node) -> String {
        node::text(node)
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) use doors::{kind_of, kinds_of, node_of, text_of};

#[cfg(test)]
mod tests;
