//! The page: the tables of all cases, what they were measured on, and the notes that are written by hand.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::cases::{CASES, Case};
use crate::rows::Row;
use crate::{Effort, Result};

/// What is written by hand, and stays.
const NOTES: &str = include_str!("../notes.md");
/// Whose versions the page has: all of them decide what is measured.
const CRATES: &[&str] = &[
    "accelerator",
    "cached",
    "foldhash",
    "foyer-memory",
    "hitbox",
    "hitbox-fn",
    "hitbox-moka",
    "moka",
    "papaya",
    "quick_cache",
    "redis",
    "tokio",
];

/// A case's table.
pub fn table(rows: &[Row]) -> String {
    let mut text = "\
| what | who | median | best | ours ÷ this | target | |
| --- | --- | ---: | ---: | ---: | ---: | --- |
"
    .to_owned();
    let mut before = "";
    for row in rows {
        let what = if row.what == before { "" } else { &row.what };
        before = &row.what;
        let ratio = row.ratio.map(|ratio| format!("{ratio:.2}"));
        let met = row.met.map(|met| if met { "met" } else { "**not met**" });
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {what} | {} | {} | {} | {} | {} | {} |",
            row.who,
            row.figure,
            row.best,
            ratio.unwrap_or_default(),
            row.target.as_deref().unwrap_or_default(),
            met.unwrap_or_default(),
        );
    }
    text
}

/// The whole page.
///
/// # Errors
///
/// When the machine does not say what it is.
pub fn page(results: &[(&Case, Vec<Row>)], effort: Effort, command: &str) -> Result<String> {
    let mut text = format!(
        "# Benchmarks\n\n\
         Written by `{command}`; the notes at the end are those of tests/benchmarks/notes.md. Contestants take \
         turns within one run: figures of one table can be compared with each other, and only with those. Each is \
         configured as its documentation says is fastest for what is asked, in the code under \
         tests/benchmarks/src. Every hit was checked to be one, with the right value.\n\n\
         *Median* and *best* are those of the rounds. *Ours ÷ this* is our median divided by the row's (where a \
         case says so, the best rounds'): below 1 ours takes less time, or makes fewer calls a second.\n\n"
    );
    if effort == Effort::Quick {
        text += "**A quick run, for a first look: the figures are rough.**\n\n";
    }
    text += &summary(results);
    for (case, rows) in results {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "## {}. {}\n\n{}\n\n",
            case.number, case.title, case.about
        );
        text += &table(rows);
        text.push('\n');
        if let Some(limit) = case.limit
            && rows.iter().any(|row| row.met == Some(false))
        {
            let _ = write!(
                text,
                "*What stands in the way*: {limit} [More](#limits-and-evidence).\n\n"
            );
        }
    }
    if results.len() < CASES.len() {
        text += "Not all cases were run.\n\n";
    }
    text += &machine()?;
    text.push('\n');
    text += NOTES;
    Ok(text)
}

fn summary(results: &[(&Case, Vec<Row>)]) -> String {
    let mut text = "\
| case | | targets met |
| ---: | --- | --- |
"
    .to_owned();
    for (case, rows) in results {
        let judged = rows.iter().filter_map(|row| row.met);
        let (met, all) = judged.fold((0, 0), |(met, all), this| {
            (met + usize::from(this), all + 1)
        });
        let met = if met == all {
            format!("{met} of {all}")
        } else {
            format!("**{met} of {all}**")
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {} | {} | {met} |", case.number, case.title);
    }
    text.push('\n');
    text
}

fn machine() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism()?;
    let rows = [
        ("date", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])?),
        (
            "processor",
            model.map_or("unknown", |(_, model)| model).to_owned(),
        ),
        ("cores", cores.to_string()),
        ("kernel", said("uname", &["-sr"])?),
        ("compiler", said("rustc", &["--version"])?),
        (
            "Redis",
            version(&said(&crate::redis::program(), &["--version"])?),
        ),
        ("crates", crates()),
        (
            "load average at the end",
            fs::read_to_string("/proc/loadavg").unwrap_or_default(),
        ),
    ];
    let mut text = "## What it was measured on\n\n| | |\n| --- | --- |\n".to_owned();
    for (name, value) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {name} | {} |", value.trim());
    }
    Ok(text)
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    Ok(String::from_utf8(output.stdout)?)
}

/// `Redis server v=7.0.15 sha=..` is 7.0.15.
fn version(said: &str) -> String {
    let mut words = said.split_whitespace();
    let version = words.find_map(|word| word.strip_prefix("v="));
    version.unwrap_or("unknown").to_owned()
}

/// The versions that were built, as the lock file has them.
fn crates() -> String {
    let lock = include_str!("../Cargo.lock");
    let mut packages = lock.split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_matches(&[' ', '=', '"'][..]))
        };
        Some((field("name")?, field("version")?))
    });
    let found: Vec<_> = packages
        .by_ref()
        .filter(|(name, _)| CRATES.contains(name))
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    found.join(", ")
}
