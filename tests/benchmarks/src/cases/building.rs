//! Case 12: how long a program that caches takes to build, with all it depends on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cases::Case;
use crate::measure::Figure;
use crate::rows::{Bound, Row, Section, seconds};
use crate::{Effort, Result};

pub(super) const CASE: Case = Case {
    number: 12,
    title: "A cold build",
    about: "`cargo build` of a program with one cached function in Redis and a `#[tokio::main]`, all that it depends \
            on from source, in an empty target folder; nothing is downloaded meanwhile. Ours: the three crates with \
            their default features, built as a registry's are, which is not incrementally. `cached`: the features that the same needs. Both with the versions of \
            the benchmarks' lock file. The processors' time is what the build costs, the clock's depends on how \
            many there are.",
    limit: None,
    run,
};

/// A program: its name, its manifest from the dependencies on, and its only file.
struct Program {
    name: &'static str,
    manifest: &'static str,
    source: &'static str,
}

/// Cargo builds what a path leads to incrementally, which costs half as much again, and what comes from a
/// registry not. Ours are measured as those who use them will have them; the program itself is as it is anywhere.
const OURS: Program = Program {
    name: "**cache-core, cache-macros, cache-redis**",
    manifest: "\
cache-core = { path = \"HERE/cache-core\" }
cache-redis = { path = \"HERE/cache-redis\" }
serde = { version = \"1\", features = [\"derive\"] }
tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }

[profile.dev.package]
cache-core = { incremental = false }
cache-macros = { incremental = false }
cache-redis = { incremental = false }
",
    source: "\
use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Row {
    id: u64,
    name: String,
}

#[cached(kind = \"row\", ttl = \"1h\")]
async fn row(id: u64) -> Result<Row, std::io::Error> {
    Ok(Row { id, name: id.to_string() })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    Cache::builder().shared(RedisStore::from_env()?).build().install()?;
    let row = row(7).await?;
    println!(\"{} {}\", row.id, row.name);
    Ok(())
}
",
};

const CACHED: Program = Program {
    name: "cached, `async` and `redis_tokio`",
    manifest: "\
cached = { version = \"4.1\", features = [\"async\", \"redis_tokio\"] }
serde = { version = \"1\", features = [\"derive\"] }
tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }
",
    source: "\
use cached::macros::concurrent_cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Row {
    id: u64,
    name: String,
}

#[concurrent_cached(
    redis = true,
    ttl_secs = 3600,
    map_error = |error| std::io::Error::other(format!(\"{error:?}\"))
)]
async fn row(id: u64) -> Result<Row, std::io::Error> {
    Ok(Row { id, name: id.to_string() })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let row = row(7).await?;
    println!(\"{} {}\", row.id, row.name);
    Ok(())
}
",
};

fn run(effort: Effort) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut times = [(); 4].map(|()| Vec::new());
    let mut crates = [0, 0];
    for _ in 0..effort.of(1, 3) {
        for (at, program) in [&OURS, &CACHED].into_iter().enumerate() {
            let (clock, processors, built) = built(program, &folder.path().join("program"))?;
            times[at].push(clock);
            times[at + 2].push(processors);
            crates[at] = built;
        }
    }
    let [ours, cached, ours_worked, cached_worked] = times.map(Figure::of_times);
    let mut rows = Vec::new();
    for (what, ours, cached) in [
        ("by the clock", ours, cached),
        ("processors' time", ours_worked, cached_worked),
    ] {
        let mut section = Section::new(what, seconds, OURS.name, ours);
        section.note(&format!("{} crates", crates[0]));
        section.beside(CACHED.name, cached, Some(Bound::AtMost(1.0)));
        section.note(&format!("{} crates", crates[1]));
        rows.extend(section.rows());
    }
    Ok(rows)
}

/// Builds it from nothing: seconds by the clock, seconds of all processors, and how many crates.
fn built(program: &Program, folder: &Path) -> Result<(f64, f64, usize)> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder.join("src"))?;
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = own.join("../..").canonicalize()?;
    let manifest = format!(
        "[workspace]\n[package]\nname = \"program\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n{}",
        program
            .manifest
            .replace("HERE", &here.display().to_string()),
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/main.rs"), program.source)?;
    fs::copy(own.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    // The shell has the times of what it waited for.
    let output = Command::new("bash")
        .args([
            "-c",
            "TIMEFORMAT='took %R %U %S'; time cargo build --offline",
        ])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_INCREMENTAL")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let took = said.lines().find_map(|line| line.strip_prefix("took "));
    let (Some(took), true) = (took, output.status.success()) else {
        return Err(format!("{}: {}\n{said}", program.name, output.status).into());
    };
    let times = took
        .split(' ')
        .map(str::parse)
        .collect::<Result<Vec<f64>, _>>()?;
    let [clock, user, system] = times[..] else {
        return Err(format!("no three times: {took}").into());
    };
    let crates = said
        .lines()
        .filter(|line| line.trim_start().starts_with("Compiling"))
        .count();
    Ok((clock, user + system, crates))
}
