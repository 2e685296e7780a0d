//! `cache stats`: what the fleet has counted over a range of minutes.

use std::ops::RangeInclusive;
use std::time::Duration;

use cache_core::metrics::{Fleet, Minute};
use cache_core::{Cache, KindSnapshot, Snapshot};
use serde_json::{Map, Value, json};

use super::args::Stats;
use super::ending::{Ending, Trouble};
use super::out::Out;
use super::session::Session;
use super::table::Table;
use super::text::{moment, percent, shown, shown_us};

pub(super) async fn run(
    session: &Session,
    asked: &Stats,
    out: &mut Out,
) -> Result<Ending, Trouble> {
    let (cache, _) = session.cache()?;
    let (range, fleet) = over(session, &cache, asked.since).await?;
    let mut sum = fleet.sum();
    if let Some(kind) = &asked.kind {
        sum.kinds.retain(|name, _| name == kind);
    }
    let gaps = Gaps::of(&range, &fleet);
    if asked.json {
        out.json(&json!({
            "from": range.start() * 60,
            "to": (range.end() + 1) * 60,
            "minutes": gaps.of,
            "gaps": gaps.count,
            "kinds": kinds(&sum),
            "totals": totals(&sum),
        }))?;
    } else {
        let (from, to) = (moment(range.start() * 60), moment((range.end() + 1) * 60));
        out.line(&format!(
            "{} from {from} to {to} UTC{}",
            session.namespace(),
            gaps.told()
        ))?;
        out.table(&table(&sum))?;
        for line in whole(&sum) {
            out.line(&line)?;
        }
    }
    if fleet.minutes.is_empty() && fleet.nodes.is_empty() {
        session.suggest(out).await;
    } else if let Some(kind) = &asked.kind
        && sum.kinds.is_empty()
    {
        out.hint(&format!("no figures for kind {kind} in this time"));
    }
    Ok(Ending::Fine)
}

/// The figures of the last so long, with the minute that is running, by Redis's clock.
pub(super) async fn over(
    session: &Session,
    cache: &Cache,
    span: Duration,
) -> Result<(RangeInclusive<Minute>, Fleet), Trouble> {
    let minutes = span.as_secs().div_ceil(60).max(1);
    let range = |now: Minute| now.saturating_sub(minutes - 1)..=now;
    let here = range(cache.minute());
    let fleet = session.fleet(cache, here.clone()).await?;
    let there = range(fleet.now_ms / 60_000);
    if fleet.now_ms == 0 || there == here {
        return Ok((here, fleet));
    }
    // This machine's clock is another one, or the minute has just ended.
    let fleet = session.fleet(cache, there.clone()).await?;
    Ok((there, fleet))
}

/// Minutes of which nothing is known.
struct Gaps {
    count: u64,
    of: u64,
}

impl Gaps {
    fn of(range: &RangeInclusive<Minute>, fleet: &Fleet) -> Self {
        let mut gaps = Self { count: 0, of: 0 };
        for minute in range.clone() {
            gaps.of += 1;
            // The one that is running may have no report yet.
            if minute != *range.end() && !fleet.minutes.contains_key(&minute) {
                gaps.count += 1;
            }
        }
        gaps
    }

    fn told(&self) -> String {
        match self.count {
            0 => String::new(),
            count => format!(", no figures for {count} of {} minutes", self.of),
        }
    }
}

fn table(sum: &Snapshot) -> Table {
    let mut table = Table::new(&[
        "<kind",
        "hit %",
        "local",
        "shared",
        "stale",
        "outage",
        "joined",
        "misses",
        "loads",
        "errors",
        "p50",
        "p95",
        "p99",
        "saved",
        "invalidations",
    ]);
    for (name, kind) in &sum.kinds {
        table.row(row(name, kind, kind.time_saved()));
    }
    if sum.kinds.len() != 1 {
        table.row(row("all", &all(sum), all_saved(sum)));
    }
    table
}

/// All kinds as if they were one.
fn all(sum: &Snapshot) -> KindSnapshot {
    let mut all = KindSnapshot::default();
    for kind in sum.kinds.values() {
        all.add(kind);
    }
    all
}

fn row(name: &str, kind: &KindSnapshot, saved: Duration) -> Vec<String> {
    let times = &kind.load_time;
    vec![
        name.to_owned(),
        percent(kind.hit_ratio()),
        kind.hits_local.to_string(),
        kind.hits_shared.to_string(),
        kind.hits_stale.to_string(),
        kind.hits_outage.to_string(),
        kind.coalesced.to_string(),
        kind.misses.to_string(),
        kind.loads.to_string(),
        errors(kind).to_string(),
        shown_us(times.p50_micros),
        shown_us(times.p95_micros),
        shown_us(times.p99_micros),
        shown(saved),
        kind.invalidations_applied
            .saturating_add(kind.invalidations_queued)
            .to_string(),
    ]
}

/// Whatever Redis holds, a sum ends at the largest number.
pub(super) fn calls(kind: &KindSnapshot) -> u64 {
    kind.hits().saturating_add(kind.misses)
}

pub(super) fn errors(kind: &KindSnapshot) -> u64 {
    kind.load_errors.saturating_add(kind.load_timeouts)
}

/// The sum over the kinds: the mean load of one says nothing of the hits of another.
fn all_saved(sum: &Snapshot) -> Duration {
    let each = sum.kinds.values().map(KindSnapshot::time_saved);
    each.fold(Duration::ZERO, Duration::saturating_add)
}

/// What was counted of the caches as a whole, where there is anything to tell.
fn whole(sum: &Snapshot) -> Vec<String> {
    let mut lines = vec![format!(
        "invalidations: {} applied, {} queued, {} replayed",
        sum.invalidations_applied, sum.invalidations_queued, sum.invalidations_replayed
    )];
    let of_note = [
        (sum.breaker_opened, "times a breaker opened"),
        (
            sum.trust_lost,
            "times a connection that told of changes was lost",
        ),
        (sum.queue_widened, "times a queue of invalidations was full"),
        (sum.distrusted, "answers of Redis that made no sense"),
        (sum.journal_errors, "times a journal could not be written"),
    ];
    for (count, what) in of_note {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    }
    lines
}

fn kinds(sum: &Snapshot) -> Value {
    let kinds = sum.kinds.iter();
    Value::Object(
        kinds
            .map(|(name, kind)| {
                (
                    name.clone(),
                    Value::Object(figures(kind, kind.time_saved())),
                )
            })
            .collect(),
    )
}

/// All kinds, and what is counted of the caches as a whole. Where both count something of one name,
/// that is the whole's: an invalidation of a tag belongs to no kind.
fn totals(sum: &Snapshot) -> Value {
    let mut totals = figures(&all(sum), all_saved(sum));
    for (name, count) in sum.counters() {
        totals.insert(name.to_owned(), count.into());
    }
    Value::Object(totals)
}

fn figures(kind: &KindSnapshot, saved: Duration) -> Map<String, Value> {
    let times = &kind.load_time;
    let mut figures = Map::new();
    for (name, count) in kind.counters() {
        figures.insert(name.to_owned(), count.into());
    }
    let more = [
        ("calls", json!(calls(kind))),
        ("hits", json!(kind.hits())),
        ("hit_ratio", json!(kind.hit_ratio())),
        ("load_micros", json!(times.total_micros)),
        ("p50_micros", json!(times.p50_micros)),
        ("p95_micros", json!(times.p95_micros)),
        ("p99_micros", json!(times.p99_micros)),
        (
            "time_saved_micros",
            json!(u64::try_from(saved.as_micros()).unwrap_or(u64::MAX)),
        ),
    ];
    figures.extend(more.map(|(name, value)| (name.to_owned(), value)));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_minutes_that_are_over() {
        let mut fleet = Fleet::default();
        fleet.minutes.insert(11, Snapshot::default());
        let gaps = Gaps::of(&(10..=13), &fleet);
        assert_eq!((gaps.count, gaps.of), (2, 4));
        assert_eq!(gaps.told(), ", no figures for 2 of 4 minutes");
        fleet.minutes.insert(10, Snapshot::default());
        fleet.minutes.insert(12, Snapshot::default());
        assert_eq!(Gaps::of(&(10..=13), &fleet).told(), "");
    }

    #[test]
    fn hostile_sums_end_at_the_largest_number() {
        let mut kind = KindSnapshot::default();
        for (name, count) in kind.clone().counters() {
            assert_eq!(count, 0, "{name}");
            kind.add_field(name, u64::MAX);
        }
        kind.add_field("load_micros", u64::MAX);
        kind.add_field("load_below_micros.64", 1);
        let figures = figures(&kind, kind.time_saved());
        assert_eq!(figures["calls"], json!(u64::MAX));
        assert_eq!(
            row("kind", &kind, kind.time_saved())[9],
            u64::MAX.to_string()
        );
        let mut sum = Snapshot::default();
        for name in ["one", "two"] {
            sum.kinds.insert(name.to_owned(), kind.clone());
        }
        assert_eq!(totals(&sum)["misses"], json!(u64::MAX));
        assert_eq!(table(&sum).lines().count(), 4);
    }

    #[test]
    fn what_kinds_saved_adds_up() {
        let mut sum = Snapshot::default();
        for (name, hits, micros) in [("often", 1000, 10), ("slow", 1, 90_000)] {
            let mut kind = KindSnapshot::default();
            kind.add_field("hits_local", hits);
            kind.add_field("load_micros", micros);
            kind.add_field("load_below_micros.96", 1);
            sum.kinds.insert(name.to_owned(), kind);
        }
        assert_eq!(all_saved(&sum), Duration::from_millis(100));
        assert_eq!(totals(&sum)["time_saved_micros"], json!(100_000));
    }
}
