//! Case 10: what it takes to invalidate a tag, by how many entries carry it.

use std::hint::black_box;
use std::time::Instant;

use cache_core::{Cache, Invalidation, Tag, cached};

use crate::cases::Case;
use crate::measure::Figure;
use crate::rows::{Bound, Row, Section, micros};
use crate::{Effort, Result, loaded, loads};

pub(super) const CASE: Case = Case {
    number: 10,
    title: "Invalidating a tag",
    about: "`invalidate_tags` in the process, of a tag that one entry carries, and of one that a million do; \
            before each time all of them are loaded again, so that both are asked of the same full cache, \
            and they take turns in being first. Afterwards every one of them is seen to be gone. The peers \
            have no tags.",
    limit: None,
    run,
};

const ENTRIES: u64 = 1_000_000;

#[cached(kind = "one", ttl = "1h", capacity = 2_000_000, tags("alone"))]
fn alone(id: u64) -> u64 {
    loaded(id)
}

#[cached(kind = "many", ttl = "1h", capacity = 2_000_000, tags("together"))]
fn together(id: u64) -> u64 {
    loaded(id)
}

fn run(effort: Effort) -> Result<Vec<Row>> {
    Cache::builder().capacity(2 << 30).try_build()?.install()?;
    let (mut one, mut many) = (Vec::new(), Vec::new());
    for round in 0..effort.of(2, 7) {
        let before = loads();
        alone(0);
        (0..ENTRIES).for_each(|id| {
            black_box(together(id));
        });
        // The first time all of them are new, and then all were invalidated.
        match loads() - before {
            loads if loads == ENTRIES + 1 => {}
            loads => return Err(format!("{loads} loads, where {} were to be", ENTRIES + 1).into()),
        }
        if round % 2 == 0 {
            one.push(invalidate("alone")?);
            many.push(invalidate("together")?);
        } else {
            many.push(invalidate("together")?);
            one.push(invalidate("alone")?);
        }
    }
    let [one, many] = [one, many].map(Figure::of_times);
    let what = "`invalidate_tags` of one tag";
    let mut section = Section::new(what, micros, "a million entries", many).by_best();
    section.beside("one entry", one, Some(Bound::AtMost(1.25)));
    Ok(section.rows())
}

fn invalidate(tag: &str) -> Result<f64> {
    let (cache, tag) = (Cache::current(), Tag::new(tag)?);
    let began = Instant::now();
    let invalidated = cache.invalidate_tags_blocking([tag]);
    let took = began.elapsed();
    if invalidated == Invalidation::Applied {
        return Ok(took.as_secs_f64() * 1e6);
    }
    Err("an invalidation in the process was not applied".into())
}
