//! Case 1: what a local hit costs.

use std::time::Duration;

use crate::cases::Case;
use crate::local::{self, names};
use crate::measure::{Contestant, alternate};
use crate::rows::{Bound, Row, Section, nanos};
use crate::{Effort, Result};

pub(super) const CASE: Case = Case {
    number: 1,
    title: "A local hit",
    about: "One call of a function whose value is cached in the process, one after the other on one \
            thread, going round a thousand keys. The stores are asked with a bare `get`, and what it \
            finds is cloned: a function around them, and its key, would come on top. All take turns of a \
            few milliseconds, of which the thread's own processor time counts. Stores that \
            can be given a hasher have foldhash, unless it says otherwise.",
    limit: Some(
        "A map whose entries expire is the least that a cache of them can be: it has a row. Ours adds to it that the \
            arguments are packed for one map of all functions, and what is found is checked for its type; a map for each function \
            would spare that, and be compiled for each. The clone and the drop of an `Arc`, 11 to 15 ns, are in every row of it.",
    ),
    run,
};

fn run(effort: Effort) -> Result<Vec<Row>> {
    let mut rows = compare("`fn(u64) -> u64`", &local::numbers()?, effort, 0.4)?;
    rows.extend(compare(
        "`async fn(u64) -> Arc<String>`",
        &local::awaited()?,
        effort,
        0.4,
    )?);
    Ok(rows)
}

/// Ours beside the others: so many times `#[concurrent_cached]`, and twice a bare map.
pub(super) fn compare(
    what: &str,
    contestants: &[Contestant],
    effort: Effort,
    of_concurrent: f64,
) -> Result<Vec<Row>> {
    let turns = effort.of(20, 150);
    let figures = alternate(contestants, turns, Duration::from_millis(4))?;
    let mut section = Section::new(what, nanos, contestants[0].name, figures[0]);
    for (contestant, figure) in contestants.iter().zip(&figures).skip(1) {
        let bound = match contestant.name {
            names::CONCURRENT => Some(Bound::AtMost(of_concurrent)),
            names::PAPAYA => Some(Bound::AtMost(2.0)),
            _ => None,
        };
        section.beside(contestant.name, *figure, bound);
    }
    Ok(section.rows())
}
