//! What is expected: a committed file of names and figures, and how it is held against what was
//! measured.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// A name, and how much.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
}

/// The figures of the committed file.
pub(crate) struct Expected(Vec<Figure>);

const HEAD: &str = "\
# What one call takes, as ./tests/instructions counts it, on Linux on x86-64. Written by UPDATE=1
# ./tests/instructions: a change of more than 3 % (15 % of a miss) belongs into the commit that made it, and its why.
";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("expected.txt")
}

impl Expected {
    pub(crate) fn read() -> Result<Self, String> {
        let text = match fs::read_to_string(path()) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("expected.txt can't be read: {error}")),
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap_or((line, ""));
                let value = value
                    .parse()
                    .map_err(|error| format!("expected.txt: \"{line}\": {error}"))?;
                Ok(Figure {
                    name: name.trim_end().to_owned(),
                    value,
                })
            })
            .collect::<Result<_, String>>()
            .map(Self)
    }

    /// Prints each figure beside what was expected, and fails if one is not within the tolerance.
    pub(crate) fn judge(
        &self,
        figures: &[Figure],
        tolerance: impl Fn(&str) -> f64,
    ) -> Result<(), String> {
        let mut wrong = String::new();
        for Figure { name, value } in figures {
            let known = self.0.iter().find(|figure| figure.name == *name);
            let Some(known) = known.map(|figure| figure.value) else {
                println!("{name:<28} {value:>8.1}, of which nothing is expected");
                // Writing to a string does not fail.
                let _ = writeln!(wrong, "  {name} is not in expected.txt");
                continue;
            };
            let (ratio, tolerance) = (value / known, tolerance(name));
            println!("{name:<28} {value:>8.1}, expected {known:>8.1}: {ratio:.3}");
            if ratio > 1.0 + tolerance {
                let _ = writeln!(
                    wrong,
                    "  {name} has become dearer: {known:.1} to {value:.1}"
                );
            } else if ratio < 1.0 - tolerance {
                let _ = writeln!(
                    wrong,
                    "  {name} has become cheaper: {known:.1} to {value:.1}"
                );
            }
        }
        for Figure { name, .. } in &self.0 {
            if !figures.iter().any(|figure| figure.name == *name) {
                let _ = writeln!(wrong, "  {name} is expected, and was not measured");
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(format!(
            "not as instructions/expected.txt has it:\n{wrong}\
             if that is meant, run UPDATE=1 ./tests/instructions, and commit the file with the reason"
        ))
    }
}

/// Writes the file anew.
pub(crate) fn write(figures: &[Figure]) -> Result<(), String> {
    let mut text = HEAD.to_owned();
    for Figure { name, value } in figures {
        println!("{name:<28} {value:>8.1}");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name} {value:.1}");
    }
    fs::write(path(), text).map_err(|error| format!("expected.txt can't be written: {error}"))
}
