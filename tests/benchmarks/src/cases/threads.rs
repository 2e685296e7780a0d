//! Case 3: what a local hit costs while another thread makes the same calls.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::local::{self, names};
use crate::measure::{Asked, BATCH, Contestant, Figure};
use crate::rows::{Bound, Row, Section, nanos, times};
use crate::{Effort, Result, loads};

pub(super) const CASE: Case = Case {
    number: 3,
    title: "Two threads",
    about: "What a call costs each of two threads that make the same calls at once, on a thousand keys \
            or all on one. The best of the rounds counts, since a virtual machine's second processor is not \
            always all there: a loop that shares nothing shows what it allows. The clone of an `Arc` is an \
            increment that all threads share, whoever makes it: there a bare map is the measure.",
    limit: Some(
        "The count of an `Arc` is on a line that both threads write, and what ours takes on one thread (case 1) comes on \
            top of that. The map whose entries expire is the least that a cache can be.",
    ),
    run,
};

const LOOP: &str = "a loop that shares nothing";
const SPAN: Duration = Duration::from_millis(15);

fn run(effort: Effort) -> Result<Vec<Row>> {
    let mut numbers = local::numbers()?;
    numbers.retain(|contestant| contestant.name != names::PAPAYA_DEFAULT);
    numbers.push(Contestant::plain(LOOP, spun));
    let texts = local::texts()?;
    let mut rows = Vec::new();
    for (keys, asked) in [
        ("a thousand keys", Asked::Batch(0)),
        ("one hot key", Asked::Hot),
    ] {
        rows.extend(beside_itself(keys, asked, &numbers, effort)?);
        rows.extend(beside_a_map(keys, asked, &texts, effort)?);
    }
    Ok(rows)
}

/// Values that nobody counts references to: two threads beside one.
fn beside_itself(
    keys: &str,
    asked: Asked,
    contestants: &[Contestant],
    effort: Effort,
) -> Result<Vec<Row>> {
    let [one, two] = alternate(contestants, asked, effort)?;
    let what = format!("`u64`, {keys}");
    let mut section = Section::new(&what, nanos, &on(2, &contestants[0]), two[0]).by_best();
    section.beside(&on(1, &contestants[0]), one[0], Some(Bound::AtMost(1.2)));
    for (at, contestant) in contestants.iter().enumerate().skip(1) {
        section.beside(&on(2, contestant), two[at], None);
        section.note(&format!(
            "{} × one thread's",
            times(two[at].best / one[at].best)
        ));
    }
    Ok(section.rows())
}

/// Values that carry a count of references: two threads beside two on a bare map.
fn beside_a_map(
    keys: &str,
    asked: Asked,
    contestants: &[Contestant],
    effort: Effort,
) -> Result<Vec<Row>> {
    let [_, two] = alternate(contestants, asked, effort)?;
    let what = format!("`Arc<String>`, {keys}");
    let mut section = Section::new(&what, nanos, &on(2, &contestants[0]), two[0]).by_best();
    for (at, contestant) in contestants.iter().enumerate().skip(1) {
        let bound = (contestant.name == names::PAPAYA).then_some(Bound::AtMost(1.3));
        section.beside(&on(2, contestant), two[at], bound);
    }
    Ok(section.rows())
}

fn on(threads: usize, contestant: &Contestant) -> String {
    let threads = if threads == 1 {
        "one thread"
    } else {
        "two threads"
    };
    format!("{} ({threads})", contestant.name)
}

/// Lets all contestants have their turn on one thread, and on two.
fn alternate(contestants: &[Contestant], asked: Asked, effort: Effort) -> Result<[Vec<Figure>; 2]> {
    let mut rounds = [(); 2].map(|()| vec![Vec::new(); contestants.len()]);
    let before = loads();
    for _ in 0..effort.of(8, 40) {
        for (at, contestant) in contestants.iter().enumerate() {
            for (threads, rounds) in [1, 2].into_iter().zip(&mut rounds) {
                rounds[at].push(a_call(contestant, asked, threads));
            }
        }
    }
    match loads() - before {
        0 => Ok(rounds.map(|rounds| rounds.into_iter().map(Figure::of_times).collect())),
        more => Err(format!("{more} loads where there were to be hits only").into()),
    }
}

/// The nanoseconds of a call on each of so many threads, in the mean.
#[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
fn a_call(contestant: &Contestant, asked: Asked, threads: usize) -> f64 {
    let begin = Barrier::new(threads);
    let timed = || {
        begin.wait();
        let (began, mut calls) = (Instant::now(), 0);
        while began.elapsed() < SPAN {
            contestant.run(asked);
            calls += BATCH;
        }
        began.elapsed().as_nanos() as f64 / calls as f64
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(timed)).collect();
        let sum: f64 = running
            .into_iter()
            .map(|thread| thread.join().expect("it only calls"))
            .sum();
        sum / threads as f64
    })
}

/// As long as a hit, and all in registers.
fn spun(key: u64) -> u64 {
    let mut state = key | 1;
    for _ in 0..8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    state
}
