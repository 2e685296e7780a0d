//! Case 9: what an entry takes.

use std::env;
use std::process::Command;

use crate::cases::Case;
use crate::entries::{ENTRIES, FILLERS, Filler};
use crate::measure::Figure;
use crate::rows::{Bound, Row, Section, bytes};
use crate::{Effort, Result};

pub(super) const CASE: Case = Case {
    number: 9,
    title: "Memory of an entry",
    about: "A million entries from `u64` to `u64`, loaded by calls or inserted, each cache in a process of its \
            own: what the global allocator has handed out and not got back, divided by a million, tables and \
            queues included; and by how much the memory grew that the process has in use, which has in it \
            what the allocator itself adds. Bounds are those of two million entries; ours are those in bytes, \
            which it always has.",
    limit: None,
    run,
};

/// What the entries of one cache take.
struct Weight {
    counted: Figure,
    in_use: f64,
    /// How many of them were there at the end.
    left: u64,
}

fn run(_: Effort) -> Result<Vec<Row>> {
    let ours = weighed(&FILLERS[0])?;
    let what = "bytes an entry";
    let mut section =
        Section::new(what, bytes, FILLERS[0].name, ours.counted).ours(Bound::AtMost(160.0));
    section.note(&told(&ours));
    for filler in &FILLERS[1..] {
        let weight = weighed(filler)?;
        section.beside(filler.name, weight.counted, None);
        section.note(&told(&weight));
    }
    if ours.left < ENTRIES {
        return Err(format!("only {} of {ENTRIES} entries were left", ours.left).into());
    }
    Ok(section.rows())
}

fn told(weight: &Weight) -> String {
    let in_use = format!("{} in use", bytes(weight.in_use));
    match weight.left {
        ENTRIES => in_use,
        left => format!("{in_use}; **{left} of them left**"),
    }
}

fn weighed(filler: &Filler) -> Result<Weight> {
    let program = env::current_exe()?.with_file_name("memory");
    let output = Command::new(program).arg(filler.name).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{}: {} {said}", filler.name, output.status).into());
    }
    let said = String::from_utf8(output.stdout)?;
    let words: Vec<_> = said.split_whitespace().collect();
    let [counted, in_use, left] = words[..] else {
        return Err(format!("{}: no three figures: {said}", filler.name).into());
    };
    Ok(Weight {
        counted: Figure::counted(counted.parse()?),
        in_use: in_use.parse()?,
        left: left.parse()?,
    })
}
