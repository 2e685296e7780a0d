//! How far away the server is, and what time it is there.

use std::time::{Duration, Instant};

use redis::{Value, cmd};

use super::Report;
use super::patient::Patient;
use crate::cli::ending::Trouble;
use crate::cli::session::bytes;
use crate::cli::text::shown;
use crate::failure::Failure;

/// How many pings are sent.
const PINGS: usize = 100;
/// How often the clock is asked: the answer that came soonest says most.
const LOOKS: usize = 5;
/// A call waits for Redis for so long, if nothing else is set.
const STORE_TIMEOUT: Duration = Duration::from_millis(250);
/// A shared hit that takes longer is worth a word.
const FAR: Duration = Duration::from_millis(10);
/// A clock that is further off shows in figures and ages.
const OFF: Duration = Duration::from_secs(2);

pub(super) async fn latency(patient: &mut Patient, report: &mut Report<'_>) -> Result<(), Trouble> {
    let ping = cmd("PING");
    let mut times = Vec::with_capacity(PINGS);
    for number in 0..PINGS {
        report.out.progress(|| format!("ping {number} of {PINGS}"));
        let begun = Instant::now();
        if let Err(failure) = patient.raw.one(&ping).await {
            return report.fail("latency", failure.to_string());
        }
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let [least, median, most_of, most] =
        [0, PINGS / 2, PINGS * 99 / 100 - 1, PINGS - 1].map(|at| times[at]);
    let text = format!(
        "{PINGS} pings: min {}, p50 {}, p99 {}, max {}",
        shown(least),
        shown(median),
        shown(most_of),
        shown(most)
    );
    if most_of >= STORE_TIMEOUT {
        report.warn(
            "latency",
            format!("{text}: calls that take {STORE_TIMEOUT:?} go past the cache: raise store_timeout, or move closer"),
        )
    } else if median >= FAR {
        report.warn(
            "latency",
            format!("{text}: is Redis in another region? each shared hit takes as long"),
        )
    } else {
        report.ok("latency", text)
    }
}

pub(super) async fn clock(patient: &mut Patient, report: &mut Report<'_>) -> Result<(), Trouble> {
    let mut best: Option<(Duration, i128)> = None;
    for _ in 0..LOOKS {
        let (sent, begun) = (patient.env.wall(), Instant::now());
        let there = match patient.raw.one(&cmd("TIME")).await {
            Ok(answer) => time(&answer),
            Err(failure) => return report.warn("clock", failure.to_string()),
        };
        let Some(there) = there else {
            let failure = Failure::strange("the server's answer to TIME makes no sense");
            return report.fail("clock", failure.to_string());
        };
        let trip = begun.elapsed();
        let off = difference(sent, trip, there);
        if best.is_none_or(|(least, _)| trip < least) {
            best = Some((trip, off));
        }
    }
    let off = best.map_or(0, |(_, off)| off);
    let amount = Duration::from_micros(u64::try_from(off.unsigned_abs()).unwrap_or(u64::MAX));
    let text = format!(
        "Redis's clock is {} {} this machine's",
        shown(amount),
        if off < 0 { "behind" } else { "ahead of" }
    );
    if amount >= OFF {
        return report.warn(
            "clock",
            format!(
                "{text}: ages are shown wrong, and figures count for another minute; nothing else \
                 depends on it; see that both keep time by NTP"
            ),
        );
    }
    report.ok("clock", text)
}

/// How far the clock there is ahead, in microseconds: it was read in the middle of the trip.
fn difference(sent: Duration, trip: Duration, there: Duration) -> i128 {
    let micros = |span: Duration| i128::try_from(span.as_micros()).unwrap_or(i128::MAX);
    micros(there) - micros(sent) - micros(trip / 2)
}

/// The answer to a TIME.
fn time(answer: &Value) -> Option<Duration> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let [seconds, micros] = parts.as_slice() else {
        return None;
    };
    let number = |value| std::str::from_utf8(bytes(value)?).ok()?.parse::<u64>().ok();
    Some(Duration::from_secs(number(seconds)?) + Duration::from_micros(number(micros)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_taken_in_the_middle_of_the_trip() {
        let at = Duration::from_secs;
        assert_eq!(difference(at(100), at(2), at(101)), 0);
        assert_eq!(difference(at(100), at(2), at(111)), 10_000_000);
        assert_eq!(difference(at(100), Duration::ZERO, at(97)), -3_000_000);
    }
}
