//! How many instructions a call takes, and how many round trips a miss, held against
//! `expected.txt`: times depend on the machine and on whatever else it does, these hardly at all.
//! `./tests/instructions` runs it; `UPDATE=1` writes the file anew.

mod calls;
mod counted;
mod expected;

use std::process::{Command, ExitCode, Stdio};

use calls::CALLS;
use expected::{Expected, Figure};

/// How much more, or less, is still the same: the seeds of hash maps differ from run to run.
const TOLERANCE: f64 = 0.03;
/// The same of a miss, which takes turns with the cache's own thread: whose turn it is how often, and so
/// how often it is woken, is not the same from one build and one machine to the next.
const TOLERANCE_OF_A_MISS: f64 = 0.15;
/// How often each call is counted, for the same reason; the median counts.
const ROUNDS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match arguments.as_slice() {
        [] => compare(),
        [name, times] => calls::run(name, times),
        _ => Err("nothing is to be said here; one call alone is NAME TIMES".to_owned()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("instructions: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything, and holds it against what is expected.
fn compare() -> Result<(), String> {
    let mut figures = Vec::new();
    for call in CALLS {
        let mut rounds = (0..ROUNDS)
            .map(|_| instructions(call.name, call.times))
            .collect::<Result<Vec<_>, _>>()?;
        rounds.sort_by(f64::total_cmp);
        figures.push(Figure {
            name: format!("{} instructions", call.name),
            value: rounds[ROUNDS / 2],
        });
    }
    figures.push(Figure {
        name: "miss round-trips".to_owned(),
        value: calls::round_trips()?,
    });
    let expected = Expected::read()?;
    if std::env::var_os("UPDATE").is_some() {
        return expected::write(&figures);
    }
    expected.judge(&figures, |name| match name {
        "miss instructions" => TOLERANCE_OF_A_MISS,
        _ => TOLERANCE,
    })
}

/// What one more call takes: the difference of two runs, by how many calls they differ. So whatever a
/// program does once is in neither.
fn instructions(name: &str, times: u64) -> Result<f64, String> {
    let once = counting(name, times)?;
    let twice = counting(name, times * 2)?;
    let (once, twice) = (once.count()?, twice.count()?);
    let more = twice.checked_sub(once).ok_or_else(|| {
        format!("{name}: {twice} instructions for twice the calls of {once}, which can't be")
    })?;
    #[allow(clippy::cast_precision_loss)] // Counts are far below 2^52.
    Ok(more as f64 / times as f64)
}

/// A run under way: both of a call's run side by side.
struct Counting {
    name: String,
    process: std::process::Child,
}

fn counting(name: &str, times: u64) -> Result<Counting, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let process = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--branch-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(program)
        .args([name, &times.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("valgrind can't be started ({error}): ./tests/run installs it"))?;
    Ok(Counting {
        name: name.to_owned(),
        process,
    })
}

impl Counting {
    /// The instructions of the whole run, from what valgrind says at its end: `I   refs:  1,234`.
    fn count(self) -> Result<u64, String> {
        let output = self
            .process
            .wait_with_output()
            .map_err(|error| format!("{}: {error}", self.name))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let counted = said.lines().find_map(|line| {
            let (name, count) = line.rsplit_once("refs:")?;
            let count = name.trim_end().ends_with('I').then_some(count)?;
            count.trim().replace(',', "").parse().ok()
        });
        match counted {
            Some(count) if output.status.success() => Ok(count),
            _ => Err(format!("{}: {}\n{said}", self.name, output.status)),
        }
    }
}
