//! What an entry takes, by the allocator's count: fills one cache with a million entries, named by the
//! only argument, and prints bytes an entry. A program of its own, since counting slows others down.

use std::alloc::System;
use std::process::ExitCode;

use cache_benchmarks::Result;
use cache_benchmarks::entries::{self, ENTRIES};
use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> ExitCode {
    match measured() {
        Ok(weight) => {
            println!("{weight}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::cast_precision_loss)] // Bytes are far below 2^52.
fn measured() -> Result<String> {
    let name = std::env::args()
        .nth(1)
        .ok_or("say whose entries are to be weighed")?;
    let filler = entries::filler(&name)?;
    let (counted, resident) = (ALLOCATOR.allocated(), entries::resident()?);
    let filled = (filler.fill)();
    let (more, much_more) = (
        ALLOCATOR.allocated() - counted,
        entries::resident()?.saturating_sub(resident),
    );
    // What was weighed is still there, or is said to be less.
    let left = filled();
    let entries = ENTRIES as f64;
    let (more, much_more) = (more as f64 / entries, much_more as f64 / entries);
    Ok(format!("{more} {much_more} {left}"))
}
