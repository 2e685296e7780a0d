//! Runs the cases, each in a process of its own, and makes the page: see `./tests/compare --help`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fs};

use cache_benchmarks::cases::{CASES, Case};
use cache_benchmarks::rows::Row;
use cache_benchmarks::{Effort, Result, mixed, page, shared};

const HELP: &str = "\
Compares ours with its peers, and writes docs/benchmarks.md.

./tests/compare [--quick] [--report FILE] [CASE ..]

  CASE           the numbers of the cases to run, and to print; the page is not written then
  --quick        less of everything, for a first look; the page is not written then
  --report FILE  writes the page here, whatever was run
";

/// What was asked for.
struct Asked {
    cases: Vec<&'static Case>,
    effort: Effort,
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        // What this program starts of itself.
        ["one", number, effort] => one(number, effort),
        ["node", plan] => node(plan),
        _ => asked(&arguments).and_then(|asked| all(&asked, &arguments)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn asked(arguments: &[String]) -> Result<Asked> {
    let mut asked = Asked {
        cases: Vec::new(),
        effort: Effort::Full,
        report: None,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => asked.effort = Effort::Quick,
            "--report" => {
                let file = words.next().ok_or("--report needs a file")?;
                asked.report = Some(file.into());
            }
            number => asked.cases.push(case(number)?),
        }
    }
    if asked.cases.is_empty() {
        asked.cases = CASES.iter().collect();
        if asked.effort == Effort::Full && asked.report.is_none() {
            asked.report = Some("docs/benchmarks.md".into());
        }
    }
    Ok(asked)
}

fn case(number: &str) -> Result<&'static Case> {
    let found = CASES.iter().find(|case| case.number.to_string() == number);
    let wrong = || format!("there is no case {number}: write a number from 1 to 12, or --help");
    found.ok_or_else(|| wrong().into())
}

fn all(asked: &Asked, arguments: &[String]) -> Result<()> {
    let mut results = Vec::new();
    for &case in &asked.cases {
        eprintln!("{}. {}", case.number, case.title);
        let rows = in_its_process(case, asked.effort)?;
        println!(
            "## {}. {}\n\n{}",
            case.number,
            case.title,
            page::table(&rows)
        );
        results.push((case, rows));
    }
    if let Some(file) = &asked.report {
        // Where the page lies is nobody else's business.
        let words = arguments.iter().map(String::as_str);
        let said = words.filter(|word| *word != "--report" && file.to_str() != Some(word));
        let command: Vec<_> = ["./tests/compare"].into_iter().chain(said).collect();
        fs::write(
            file,
            page::page(&results, asked.effort, &command.join(" "))?,
        )?;
    }
    Ok(())
}

/// A case does not inherit what the one before has left: installed caches, threads, warm maps.
fn in_its_process(case: &Case, effort: Effort) -> Result<Vec<Row>> {
    let output = Command::new(env::current_exe()?)
        .args(["one", &case.number.to_string(), effort.of("quick", "full")])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("case {}: {}", case.number, output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn one(number: &str, effort: &str) -> Result<()> {
    let effort = match effort {
        "quick" => Effort::Quick,
        _ => Effort::Full,
    };
    let rows = (case(number)?.run)(effort)?;
    println!("{}", serde_json::to_string(&rows)?);
    Ok(())
}

fn node(plan: &str) -> Result<()> {
    let tally = shared::runtime()?.block_on(mixed::run(serde_json::from_str(plan)?))?;
    println!("{}", serde_json::to_string(&tally)?);
    Ok(())
}
