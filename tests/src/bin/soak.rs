//! A soak from the command line: for so many minutes, with a page of figures at the end. Called with
//! `node`, it is one of the soak's processes.

use std::process::ExitCode;
use std::time::Duration;

use cache_tests::soak::{Fault, Plan, run_node};

const USAGE: &str = "soak --minutes N [--seed N] [--nodes N] [--report FILE] \
                     [--faults all|none|Killed,Slow] [--wait MILLISECONDS]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [node, seat] = &words[..]
        && node == "node"
    {
        return match run_node(seat) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    match asked(&words) {
        Ok(asked) => soak(&asked, &words),
        Err(wrong) => {
            eprintln!("{wrong}; write {USAGE}");
            ExitCode::from(2)
        }
    }
}

struct Asked {
    minutes: f64,
    seed: u64,
    nodes: usize,
    report: Option<String>,
    faults: Vec<Fault>,
    wait: Duration,
}

fn asked(words: &[String]) -> Result<Asked, String> {
    let mut asked = Asked {
        minutes: 10.0,
        seed: 1,
        nodes: 4,
        report: None,
        faults: Fault::ALL.to_vec(),
        wait: Duration::from_secs(30),
    };
    for pair in words.chunks(2) {
        let [word, value] = pair else {
            return Err(format!("{} needs a value", pair[0]));
        };
        let wrong = || format!("{word} {value} is not a number");
        match &**word {
            "--minutes" => {
                asked.minutes = value.parse().map_err(|_| wrong())?;
                if !(0.0..=10_000.0).contains(&asked.minutes) {
                    return Err(format!("--minutes {value} is out of range"));
                }
            }
            "--seed" => asked.seed = value.parse().map_err(|_| wrong())?,
            "--nodes" => asked.nodes = value.parse().map_err(|_| wrong())?,
            "--report" => asked.report = Some(value.clone()),
            "--wait" => asked.wait = Duration::from_millis(value.parse().map_err(|_| wrong())?),
            "--faults" => asked.faults = faults(value)?,
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(asked)
}

fn faults(names: &str) -> Result<Vec<Fault>, String> {
    let named = |name: &str| {
        let named = Fault::ALL
            .into_iter()
            .find(|fault| format!("{fault:?}") == name);
        named.ok_or_else(|| format!("there is no fault {name}: there are {:?}", Fault::ALL))
    };
    match names {
        "all" => Ok(Fault::ALL.to_vec()),
        "none" => Ok(Vec::new()),
        names => names.split(',').map(named).collect(),
    }
}

fn soak(asked: &Asked, words: &[String]) -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("the program does not know where it is: {error}");
            return ExitCode::FAILURE;
        }
    };
    let summary = Plan::new(program, asked.seed)
        .nodes(asked.nodes)
        .faults(&asked.faults)
        .wait(asked.wait)
        .lasts(Duration::from_secs_f64(asked.minutes * 60.0))
        .aloud(true)
        .run();
    let page = summary.page(&format!("./tests/soak {}", words.join(" ")));
    match &asked.report {
        Some(file) => {
            if let Err(error) = std::fs::write(file, &page) {
                eprintln!("{file} can't be written: {error}");
                print!("{page}");
            }
        }
        None => print!("{page}"),
    }
    println!("{}", summary.headline());
    for wrong in summary.wrongs() {
        println!("- {wrong}");
    }
    if summary.wrongs().is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
