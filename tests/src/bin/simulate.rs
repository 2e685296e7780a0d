//! Runs of the simulation from the command line: as many seeds as wanted, or one in full.

use std::process::ExitCode;
use std::time::Instant;

use cache_tests::simulation::Guard;
use cache_tests::simulation::hunt::{hunt, report};

const USAGE: &str = "simulate --seeds N [--from S], or simulate --seed S; with --without G1, a \
                     guard is left out (needs the feature sabotage)";

fn main() -> ExitCode {
    match asked() {
        Ok(Asked::One(seed, removed)) => {
            print!("{}", report(seed, removed, true));
            ExitCode::SUCCESS
        }
        Ok(Asked::Many(from, seeds, removed)) => many(from, seeds, removed),
        Err(wrong) => {
            eprintln!("{wrong}; write {USAGE}");
            ExitCode::from(2)
        }
    }
}

enum Asked {
    One(u64, Option<Guard>),
    Many(u64, u64, Option<Guard>),
}

fn asked() -> Result<Asked, String> {
    let (mut seed, mut seeds, mut from, mut removed) = (None, 1_000, 0, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        let number = || {
            let parsed = value.parse::<u64>();
            parsed.map_err(|_| format!("{word} {value} is not a number"))
        };
        match &*word {
            "--seed" => seed = Some(number()?),
            "--seeds" => seeds = number()?,
            "--from" => from = number()?,
            "--without" => {
                let named = Guard::ALL
                    .into_iter()
                    .find(|guard| format!("{guard:?}") == value);
                removed = Some(named.ok_or_else(|| format!("there is no guard {value}"))?);
                if cfg!(not(feature = "sabotage")) {
                    return Err("built without the feature sabotage".to_owned());
                }
            }
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(match seed {
        Some(seed) => Asked::One(seed, removed),
        None => Asked::Many(from, seeds, removed),
    })
}

fn many(from: u64, seeds: u64, removed: Option<Guard>) -> ExitCode {
    let began = Instant::now();
    let broke = hunt(from..from.saturating_add(seeds), removed, None);
    let took = began.elapsed();
    if let Some(seed) = broke {
        print!("{}", report(seed, removed, false));
        ExitCode::FAILURE
    } else {
        println!("{seeds} seeds from {from} keep every rule, in {took:.1?}");
        ExitCode::SUCCESS
    }
}
