//! Case 8: a batch of a hundred keys, half of them cached.

use std::time::Instant;

use crate::cases::Case;
use crate::measure::Figure;
use crate::redis::Redis;
use crate::rows::{Bound, Row, Section, micros, times};
use crate::shared::{self, Batch, names};
use crate::{Effort, Result, loads};

pub(super) const CASE: Case = Case {
    number: 8,
    title: "A batch of 100, half of them cached",
    about: "One call for a hundred rows of 36 bytes, of which every other one is in Redis and none in the \
            process; one caller. The bare reader asks with one `MGET`, loads what is missing at once, and \
            stores nothing; ours takes leases, loads once, and stores, so that nobody loads what is being \
            loaded, and the next one finds it. The third sends what ours asks before it loads, entries, stamps and \
            leases, in two pipelines, and neither looks after what comes of it nor stores anything. A load \
            takes a millisecond, as a fast query does, or nothing: that shows the bookkeeping alone, and has no \
            target.",
    limit: Some(
        "The last row is what ours must ask before it loads, and nothing else: who has what, a lease for each missing \
            element, a stamp for its tag, and a look at both afterwards.",
    ),
    run,
};

const ROWS: u64 = 100;

fn run(effort: Effort) -> Result<Vec<Row>> {
    let redis = Redis::start()?;
    shared::install(&redis.url())?;
    shared::runtime()?.block_on(async {
        let batches = shared::batches(&redis.url()).await?;
        let mut first = 0;
        let mut rows = Vec::new();
        for (what, slow) in [("a load of 1 ms", true), ("a load of nothing", false)] {
            let mut rounds = vec![Vec::new(); batches.len()];
            for _ in 0..effort.of(50, 400) {
                for (batch, rounds) in batches.iter().zip(&mut rounds) {
                    rounds.push(one(batch, first, slow).await?);
                }
                first += ROWS;
            }
            let figures: Vec<_> = rounds.into_iter().map(Figure::of_times).collect();
            let mut section = Section::new(what, micros, batches[0].name, figures[0]);
            for (batch, figure) in batches.iter().zip(figures.iter().copied()).skip(1) {
                let is_bound = slow && batch.name == names::MGET_ALL;
                section.beside(batch.name, figure, is_bound.then_some(Bound::AtMost(1.3)));
                if batch.name == names::ASKED {
                    let more = figure.median / figures[1].median;
                    section.note(&format!("{} × one `MGET`", times(more)));
                }
            }
            rows.extend(section.rows());
        }
        Ok(rows)
    })
}

/// One batch of keys that were never asked for, but for every other one: how long it took.
async fn one(batch: &Batch, first: u64, slow: bool) -> Result<f64> {
    let ids: Vec<_> = (first..first + ROWS).collect();
    let cached: Vec<_> = ids.iter().copied().step_by(2).collect();
    shared::slow(false);
    batch.keep(&cached).await?;
    shared::slow(slow);
    let before = loads();
    let began = Instant::now();
    let found = batch.find(&ids).await?;
    let took = began.elapsed();
    let all_right = ids
        .iter()
        .all(|id| found.get(id).is_some_and(|value| value.id == *id));
    if !all_right || loads() - before != 1 {
        return Err(format!(
            "{}: {} of 100 with {} loads",
            batch.name,
            found.len(),
            loads() - before
        )
        .into());
    }
    Ok(took.as_secs_f64() * 1e6)
}
