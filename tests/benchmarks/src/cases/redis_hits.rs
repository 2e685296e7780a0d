//! Case 4: what a hit costs that Redis answers.

use std::time::Duration;

use cache_core::Cache;

use crate::cases::Case;
use crate::measure::Figure;
use crate::redis::Redis;
use crate::rows::{Bound, Row, Section, rate, times};
use crate::shared::{self, Contestant, names};
use crate::{Effort, Result, loads};

pub(super) const CASE: Case = Case {
    number: 4,
    title: "A hit in Redis, the local tier off",
    about: "Calls a second of so many callers at once, over 1,024 values in one Redis, each caller with keys of \
            its own, so that no two ask for one key at a time. The process keeps no value (`local = false` in the policy). \
            Client and server share the machine's processors. With two tags, the bare reader asks for three \
            keys each time; ours asks for stamps that it does not know, which Redis tells it when they \
            change, and with `strict` for all of them, its kind's too. `cached` has no tags: its figure is \
            the one without, and beside it stands how many a bare `GET` makes, which asks for the same. With one caller \
            a bare reader is there twice: its answers read on the callers' own runtime, and on a thread that belongs to it, \
            as ours does. Ours waits for Redis for up \
            to 5 s, as the others do, and not its 250 ms: fewer than five calls of a thousand load, or the case fails.",
    limit: Some(
        "`cached` sends what a bare `GET` sends: who asks in that way can't have more than the number beside its figure says. \
            One caller pays for the thread on which ours reads, as redis-rs does when it is read on one; it is there so that \
            neither a plain function on a runtime's thread nor the end of a runtime holds anybody up.",
    ),
    run,
};

const KEYS: u64 = 1_024;

fn run(effort: Effort) -> Result<Vec<Row>> {
    let redis = Redis::start()?;
    shared::install(&redis.url())?;
    shared::runtime()?.block_on(async {
        let plain = shared::plain(&redis.url()).await?;
        let tagged = shared::tagged(&redis.url()).await?;
        let mut rows = Vec::new();
        for (size, text) in [(36, "36 B"), (1 << 10, "1 KiB"), (64 << 10, "64 KiB")] {
            for (what, contestants) in [("no tags", &plain), ("two tags", &tagged)] {
                for contestant in contestants {
                    contestant.calls(16, KEYS, size, Duration::ZERO).await?;
                }
                for callers in [1, 64, 256] {
                    let what = format!("{text}, {callers} callers, {what}");
                    let there: Vec<_> = contestants
                        .iter()
                        .filter(|one| callers == 1 || !is_aside(one))
                        .collect();
                    rows.extend(compare(&what, &there, callers, size, effort).await?);
                }
            }
        }
        nothing_local()?;
        Ok(rows)
    })
}

/// What another thread costs one caller; many share what it costs.
fn is_aside(contestant: &Contestant) -> bool {
    [names::GET_ASIDE, names::MGET_ASIDE].contains(&contestant.name)
}

async fn compare(
    what: &str,
    contestants: &[&Contestant],
    callers: u64,
    size: usize,
    effort: Effort,
) -> Result<Vec<Row>> {
    let span = Duration::from_millis(effort.of(60, 250));
    let mut rounds = vec![Vec::new(); contestants.len()];
    let before = loads();
    let mut calls = 0.0;
    for _ in 0..effort.of(3, 7) {
        for (contestant, rounds) in contestants.iter().zip(&mut rounds) {
            let a_second = contestant.calls(callers, KEYS, size, span).await?;
            calls += a_second * span.as_secs_f64();
            rounds.push(a_second);
        }
    }
    // Ours runs the function where Redis does not answer in time, as on a machine that stalls.
    #[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
    let loaded = (loads() - before) as f64 / calls;
    if loaded > 0.005 {
        return Err(format!("{what}: {loaded:.4} of the calls loaded").into());
    }
    let figures: Vec<_> = rounds.into_iter().map(Figure::of_rates).collect();
    let bare = contestants.iter().position(|one| one.name == names::GET);
    let bare = bare.map(|at| figures[at]);
    let mut section = Section::new(what, rate, contestants[0].name, figures[0]);
    for (contestant, figure) in contestants.iter().zip(figures).skip(1) {
        let bound = match contestant.name {
            names::GET | names::MGET if callers == 1 => Some(0.85),
            names::GET | names::MGET => Some(0.9),
            names::CACHED => Some(1.1),
            _ => None,
        };
        section.beside(contestant.name, figure, bound.map(Bound::AtLeast));
        if contestant.name == names::CACHED
            && let Some(bare) = bare
        {
            let more = bare.median / figure.median;
            section.note(&format!("a bare `GET` makes {} × as many", times(more)));
        }
    }
    Ok(section.rows())
}

/// What the process itself had answered would be the figure of another case.
fn nothing_local() -> Result<()> {
    for (kind, figures) in Cache::current().snapshot().kinds {
        if figures.hits_local * 100 > figures.hits_shared {
            return Err(format!(
                "{kind}: {} hits in the process beside {} in Redis",
                figures.hits_local, figures.hits_shared
            )
            .into());
        }
    }
    Ok(())
}
