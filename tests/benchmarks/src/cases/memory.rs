//! Case 9: what an entry takes.

use std::env;
use std::process::Command;

use crate::cases::Case;
use crate::entries::{FILLERS, Filler};
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
    run,
};

fn run(_: Effort) -> Result<Vec<Row>> {
    let mut figures = Vec::new();
    for filler in FILLERS {
        figures.push((filler.name, weighed(filler)?));
    }
    let (ours, first) = figures[0];
    let what = "bytes an entry";
    let mut section = Section::new(what, bytes, ours, first.0).ours(Bound::AtMost(160.0));
    section.note(&resident(first.1));
    for (name, (counted, in_use)) in figures.into_iter().skip(1) {
        section.beside(name, counted, None);
        section.note(&resident(in_use));
    }
    Ok(section.rows())
}

fn resident(in_use: f64) -> String {
    format!("{} in use", bytes(in_use))
}

fn weighed(filler: &Filler) -> Result<(Figure, f64)> {
    let program = env::current_exe()?.with_file_name("memory");
    let output = Command::new(program).arg(filler.name).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{}: {} {said}", filler.name, output.status).into());
    }
    let said = String::from_utf8(output.stdout)?;
    let (counted, in_use) = said.trim().split_once(' ').ok_or("no two figures")?;
    Ok((Figure::counted(counted.parse()?), in_use.parse()?))
}
