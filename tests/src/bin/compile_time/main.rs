//! What 200 annotated functions cost the compiler: builds a crate of them with and without the
//! attribute, in turn, and fails where the one takes more than twice as long as the other.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// How much longer the annotated crate may take.
const BOUND: f64 = 2.0;
/// Ten functions each.
const MODULES: usize = 20;
const SERVICE: &str = include_str!("service.txt");
const MODULE: &str = include_str!("module.txt");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const USAGE: &str = "compile-time [--rounds N] [--keep FOLDER] [--way debug|check|release]";

type Failed = Box<dyn Error>;

/// The crate without the attribute, and with it.
const VARIANTS: [&str; 2] = ["plain", "annotated"];

/// How the crate is built. Only the first is held to the bound.
const WAYS: [(&str, &[&str]); 3] = [
    ("debug", &["build"]),
    ("check", &["check"]),
    ("release", &["build", "--release"]),
];

fn main() -> ExitCode {
    match asked().and_then(measure) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// What is to be measured.
struct Asked {
    rounds: usize,
    /// Where the crates are written and left; else in a folder that goes away.
    folder: Option<PathBuf>,
    /// The only way to build that is measured; else all are.
    way: Option<String>,
}

fn asked() -> Result<Asked, Failed> {
    let (mut rounds, mut folder, mut way) = (5, None, None);
    let words: Vec<String> = std::env::args().skip(1).collect();
    for pair in words.chunks(2) {
        match pair {
            [word, value] if word == "--rounds" => rounds = value.parse()?,
            [word, value] if word == "--keep" => folder = Some(PathBuf::from(value)),
            [word, value] if word == "--way" && WAYS.iter().any(|(name, _)| name == value) => {
                way = Some(value.clone());
            }
            _ => return Err(format!("{} is not understood; write {USAGE}", pair[0]).into()),
        }
    }
    if rounds == 0 {
        return Err("--rounds 0 measures nothing; write 1 or more".into());
    }
    Ok(Asked {
        rounds,
        folder,
        way,
    })
}

/// Prints the figures; says whether the bound is kept.
fn measure(asked: Asked) -> Result<bool, Failed> {
    let Asked {
        rounds,
        folder,
        way,
    } = asked;
    let temporary = tempfile::tempdir()?;
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    write(&folder)?;
    let mut kept = true;
    println!("200 functions, medians of {rounds} builds of the crate alone, not incremental:");
    for (at, (name, command)) in WAYS.into_iter().enumerate() {
        if way.as_deref().is_some_and(|way| way != name) {
            continue;
        }
        let mut costs: [Vec<Cost>; 2] = Default::default();
        for (variant, _) in VARIANTS.iter().zip(&costs) {
            // The dependencies, once.
            build(&folder, command, variant)?;
        }
        // In turn, so that whatever else the machine does falls on both.
        for _ in 0..rounds {
            for (variant, costs) in VARIANTS.iter().zip(&mut costs) {
                costs.push(build(&folder, command, variant)?);
            }
        }
        let [plain, annotated] = costs.map(median);
        let ratio = annotated.cpu.as_secs_f64() / plain.cpu.as_secs_f64();
        println!(
            "{name:>8}: {:.2} s of processor time ({:.2} s in all) without the attribute, \
             {:.2} s ({:.2} s) with it: {ratio:.2} times ({:.2})",
            plain.cpu.as_secs_f64(),
            plain.wall.as_secs_f64(),
            annotated.cpu.as_secs_f64(),
            annotated.wall.as_secs_f64(),
            annotated.wall.as_secs_f64() / plain.wall.as_secs_f64(),
        );
        kept &= at > 0 || ratio <= BOUND;
    }
    if !kept {
        println!("the annotated crate may take {BOUND} times as long at most");
    }
    Ok(kept)
}

/// A workspace with both crates. They have the same dependencies, of the versions that are used here.
fn write(folder: &Path) -> Result<(), Failed> {
    fs::create_dir_all(folder)?;
    fs::copy(
        Path::new(ROOT).join("Cargo.lock"),
        folder.join("Cargo.lock"),
    )?;
    let core = fs::canonicalize(Path::new(ROOT).join("cache-core"))?;
    let core = core.to_str().ok_or("the path to cache-core is not UTF-8")?;
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "[workspace]\nresolver = \"3\"\nmembers = [\"plain\", \"annotated\"]\n\
             [workspace.dependencies]\ncache-core = {{ path = {core:?} }}\n\
             serde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n\
             [profile.dev]\nincremental = false\n"
        ),
    )?;
    for variant in VARIANTS {
        let source = folder.join(variant).join("src");
        fs::create_dir_all(&source)?;
        fs::write(
            folder.join(variant).join("Cargo.toml"),
            format!(
                "[package]\nname = \"{variant}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                 [dependencies]\ncache-core.workspace = true\nserde.workspace = true\n\
                 serde_json.workspace = true\n"
            ),
        )?;
        fs::write(source.join("service.rs"), SERVICE)?;
        let mut root = String::from("#![allow(dead_code, unused_imports)]\npub mod service;\n");
        for module in 0..MODULES {
            writeln!(root, "pub mod module_{module};")?;
            let mut text = MODULE.replace("NN", &module.to_string());
            if variant == "plain" {
                text = without_the_attribute(&text);
            }
            fs::write(source.join(format!("module_{module}.rs")), text)?;
        }
        fs::write(source.join("lib.rs"), root)?;
    }
    Ok(())
}

fn without_the_attribute(text: &str) -> String {
    let lines = text.lines();
    lines
        .filter(|line| !line.trim_start().starts_with("#[cached("))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[derive(Clone, Copy)]
struct Cost {
    cpu: Duration,
    wall: Duration,
}

/// Builds one crate, and nothing else once its dependencies are built.
fn build(folder: &Path, command: &[&str], variant: &str) -> Result<Cost, Failed> {
    let root = folder.join(variant).join("src/lib.rs");
    fs::File::options()
        .append(true)
        .open(&root)?
        .set_modified(std::time::SystemTime::now())?;
    let (before, began) = (spent_by_children()?, Instant::now());
    let built = Command::new(env!("CARGO"))
        .args(command)
        .args(["--quiet", "--package", variant, "--target-dir"])
        .arg(folder.join("target"))
        .current_dir(folder)
        .status()?;
    if !built.success() {
        return Err(format!("{command:?} of the {variant} crate failed, see above").into());
    }
    Ok(Cost {
        cpu: spent_by_children()?.saturating_sub(before),
        wall: began.elapsed(),
    })
}

/// What the processes that this one has waited for, and theirs, have used of the processors.
fn spent_by_children() -> Result<Duration, Failed> {
    // After the name, which may hold spaces: the 14th and 15th field are the children's ticks, of a
    // hundredth of a second each.
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/self/stat is strange")?;
    let ticks = fields.split(' ').skip(13).take(2);
    let sum = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(sum * 10))
}

fn median(mut costs: Vec<Cost>) -> Cost {
    let middle = costs.len() / 2;
    let mut median = costs[middle];
    costs.sort_by_key(|cost| cost.cpu);
    median.cpu = costs[middle].cpu;
    costs.sort_by_key(|cost| cost.wall);
    median.wall = costs[middle].wall;
    median
}
