//! Case 6: a mixed workload, in several processes.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cases::Case;
use crate::measure::Figure;
use crate::mixed::{NAMES, NODES, Plan, Tally, Truth};
use crate::redis::Redis;
use crate::rows::{Bound, Row, Section, rate};
use crate::{Effort, Result};

pub(super) const CASE: Case = Case {
    number: 6,
    title: "Reads and invalidations in four processes",
    about: "Four processes of 32 tasks each on one Redis, all on this machine. Each call draws one of a million \
            items by Zipf's law (exponent 0.99); 95 % read it through the cache, from a function that takes a \
            millisecond, and 5 % write it and then invalidate it: by the item's tag, or by its key where there \
            are no tags. They begin with nothing cached, and two seconds before they are counted. A read is *stale* that returns a version older than \
            one whose invalidation had been acknowledged, to whichever process, before the read began; *late* \
            is one that began more than two seconds after the acknowledgement, which no word on its way \
            explains. Who serves late ones is no measure for those who don't.",
    limit: None,
    run,
};

const WARM: Duration = Duration::from_secs(2);

fn run(effort: Effort) -> Result<Vec<Row>> {
    let mut rounds = vec![Vec::new(); NAMES.len()];
    let mut sums = vec![Tally::default(); NAMES.len()];
    let span = Duration::from_secs(effort.of(1, 4));
    for _ in 0..effort.of(1, 3) {
        for at in 0..NAMES.len() {
            let tally = together(at, span)?;
            #[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
            rounds[at].push(tally.calls as f64 / span.as_secs_f64());
            sums[at] = sum(sums[at], tally);
        }
    }
    let figures: Vec<_> = rounds.into_iter().map(Figure::of_rates).collect();
    let mut section = Section::new("calls a second", rate, NAMES[0], figures[0])
        .claim("none late", sums[0].late == 0);
    section.note(&told(sums[0]));
    for at in 1..NAMES.len() {
        // Our own second way is beside the first one, and not against it.
        let rival = at > 1 && sums[at].late == 0;
        section.beside(NAMES[at], figures[at], rival.then_some(Bound::AtLeast(1.0)));
        section.note(&told(sums[at]));
    }
    Ok(section.rows())
}

#[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
fn told(tally: Tally) -> String {
    let loads = 100.0 * tally.loads as f64 / tally.reads.max(1) as f64;
    format!(
        "{} stale, {} of them late, of {} reads; {loads:.1} % loaded; {} failed",
        tally.stale, tally.late, tally.reads, tally.failed
    )
}

fn sum(one: Tally, other: Tally) -> Tally {
    Tally {
        calls: one.calls + other.calls,
        reads: one.reads + other.reads,
        loads: one.loads + other.loads,
        stale: one.stale + other.stale,
        late: one.late + other.late,
        failed: one.failed + other.failed,
    }
}

/// What all processes of one contestant did, on a Redis of their own.
fn together(contestant: usize, span: Duration) -> Result<Tally> {
    let redis = Redis::start()?;
    // In memory where that can be: a disk is none of the contestants' business.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)?
    } else {
        tempfile::tempdir()?
    };
    Truth::create(folder.path())?;
    let mut nodes = Vec::new();
    for node in 0..NODES {
        let plan = Plan {
            contestant,
            node,
            url: redis.url(),
            folder: folder.path().to_owned(),
            warm: WARM,
            span,
        };
        let child = Command::new(env::current_exe()?)
            .args(["node", &serde_json::to_string(&plan)?])
            .stdout(Stdio::piped())
            .spawn()?;
        nodes.push(child);
    }
    let mut tally = Tally::default();
    for node in nodes {
        let output = node.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("{}: {}", NAMES[contestant], output.status).into());
        }
        tally = sum(tally, serde_json::from_slice(&output.stdout)?);
    }
    Ok(tally)
}
