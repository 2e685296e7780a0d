//! `cache sweep`: keys of the namespace that would stay for ever, or that nobody can read.
//!
//! Between finding a key and removing it, a node may write it again. So each removal is one script that
//! compares what is there with what was found.

use cache_core::Cache;
use redis::{Pipeline, Value, cmd};
use serde_json::json;

use super::args::Sweep;
use super::ending::{Ending, Trouble};
use super::entry::is_readable;
use super::ls::inspected;
use super::out::{Colour, Out};
use super::scan::Scan;
use super::session::{Raw, Session, bytes};
use super::text::lossy;
use crate::failure::Failure;

mod fault;

use fault::{Fault, Looks, Place};

/// How many keys are looked at, or removed, at a time.
const BATCH: usize = 32;
/// How many names of each sort are shown.
const EXAMPLES: usize = 3;
/// How many fields of a hash are looked at.
const FIELDS: usize = 16;

/// Removes the key if it is still as it was found: of this type, without an expiry if it had none,
/// beginning with these bytes and of this length. An entry that was written since begins with another
/// id, a lease or a stamp is another one.
const REMOVE: &str = "\
if redis.call('TYPE', KEYS[1]).ok ~= ARGV[1] then return 0 end
if ARGV[2] == 'endless' and redis.call('PTTL', KEYS[1]) ~= -1 then return 0 end
if ARGV[1] == 'string' then
  if redis.call('GETRANGE', KEYS[1], 0, 31) ~= ARGV[3] then return 0 end
  if redis.call('STRLEN', KEYS[1]) ~= tonumber(ARGV[4]) then return 0 end
end
return redis.call('UNLINK', KEYS[1])";

/// A key that should not be there.
struct Finding {
    name: Vec<u8>,
    fault: Fault,
    looks: Looks,
}

pub(super) async fn run(
    session: &Session,
    asked: &Sweep,
    out: &mut Out,
) -> Result<Ending, Trouble> {
    let (cache, _) = session.cache()?;
    let mut raw = session.raw().await?;
    let mut sums = [const { Sum::new() }; Fault::ALL.len()];
    let mut keys = 0_usize;
    let mut scan = Scan::new(&mut raw, format!("{}:*", session.namespace())).await;
    while let Some(names) = scan.next(&mut raw).await? {
        keys += names.len();
        for names in names.chunks(BATCH) {
            let mut found = look(session, &cache, &mut raw, names).await?;
            for finding in &found {
                sums[finding.fault as usize].add(&finding.name);
            }
            // At once: however many there are, none has to be kept in mind.
            if asked.yes {
                found.retain(|finding| finding.fault != Fault::Foreign || asked.foreign);
                remove(&mut raw, &found, &mut sums).await?;
            }
            scan.progress(out, sums.iter().map(|sum| sum.found).sum());
        }
    }
    if keys == 0 {
        session.suggest(out).await;
    }
    let left: usize = sums.iter().map(Sum::left).sum();
    if asked.json {
        let faults = Fault::ALL.iter().map(|fault| {
            let sum = &sums[*fault as usize];
            let about = json!({
                "found": sum.found,
                "removed": sum.removed,
                "changed": sum.changed,
                "examples": sum.examples,
            });
            (fault.name().to_owned(), about)
        });
        let faults: serde_json::Map<_, _> = faults.collect();
        out.json(&json!({ "keys": keys, "left": left, "faults": faults }))?;
    } else {
        tell(keys, &sums, asked, out)?;
    }
    Ok(if left == 0 {
        Ending::Fine
    } else {
        Ending::Found
    })
}

/// What was found of one sort.
struct Sum {
    found: usize,
    removed: usize,
    changed: usize,
    examples: Vec<String>,
}

impl Sum {
    const fn new() -> Self {
        Self {
            found: 0,
            removed: 0,
            changed: 0,
            examples: Vec::new(),
        }
    }

    fn add(&mut self, name: &[u8]) {
        self.found += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(lossy(name));
        }
    }

    fn left(&self) -> usize {
        self.found - self.removed - self.changed
    }
}

fn tell(keys: usize, sums: &[Sum], asked: &Sweep, out: &mut Out) -> Result<(), Trouble> {
    out.line(&format!("{keys} keys"))?;
    for fault in Fault::ALL {
        let sum = &sums[fault as usize];
        if sum.found == 0 {
            continue;
        }
        let mut line = format!(" {}: {}", fault.told(), sum.found);
        if sum.removed > 0 {
            line.extend([format!(", {} removed", sum.removed)]);
        }
        if sum.changed > 0 {
            line.extend([format!(", {} written again since, and kept", sum.changed)]);
        }
        out.marked(Colour::Yellow, "found", &line)?;
        for example in &sum.examples {
            out.line(&format!("      {example}"))?;
        }
        if sum.examples.len() < sum.found {
            out.line("      ..")?;
        }
    }
    let of_ours: usize = Fault::ALL
        .iter()
        .filter(|fault| **fault != Fault::Foreign)
        .map(|fault| sums[*fault as usize].left())
        .sum();
    let foreign = sums[Fault::Foreign as usize].left();
    if of_ours > 0 {
        out.hint("nothing was removed: --yes does it");
    }
    if foreign > 0 && !asked.foreign {
        out.hint(
            "keys that are none of this library's may be another program's, or a later version's: \
             --yes --foreign removes them too",
        );
    }
    Ok(())
}

/// What is wrong with these keys.
async fn look(
    session: &Session,
    cache: &Cache,
    raw: &mut Raw,
    names: &[Vec<u8>],
) -> Result<Vec<Finding>, Trouble> {
    let mut commands = Pipeline::with_capacity(names.len() * 4);
    for name in names {
        commands.cmd("TYPE").arg(name);
        commands.cmd("PTTL").arg(name);
        commands.cmd("STRLEN").arg(name);
        commands.cmd("GETRANGE").arg(name).arg(0).arg(31);
    }
    let answers = raw.all(&commands).await?;
    let mut findings = Vec::new();
    let mut entries = Vec::new();
    for (name, answers) in names.iter().zip(answers.chunks(4)) {
        let looks = read(raw, answers)?;
        let Some(mut looks) = looks else {
            continue; // Gone since.
        };
        let place = Place::of(session.namespace(), name);
        if looks.endless && matches!(place, Place::Nodes | Place::Figures(_)) {
            looks.fields = fields(raw, name).await?;
        }
        match fault::of(&place, &looks) {
            Some(fault) => findings.push(Finding {
                name: name.clone(),
                fault,
                looks,
            }),
            None if matches!(place, Place::Entry(_)) => entries.push((name.clone(), looks)),
            None => {}
        }
    }
    // Whether an entry can be read is for the cache to say: it takes all of its bytes.
    let names: Vec<Vec<u8>> = entries.iter().map(|(name, _)| name.clone()).collect();
    let read = inspected(cache, session.namespace(), &names).await?;
    for ((name, looks), inspection) in entries.into_iter().zip(read) {
        let entry = inspection.and_then(|found| found.shared);
        let is_damaged = entry.is_some_and(|entry| {
            // What was not looked at is judged by how it begins.
            entry.problem.is_some() && !(entry.too_large && is_readable(&looks.start))
        });
        if is_damaged {
            findings.push(Finding {
                name,
                fault: Fault::Entry,
                looks,
            });
        }
    }
    Ok(findings)
}

/// Some fields of a hash; none of what is no hash.
async fn fields(raw: &mut Raw, name: &[u8]) -> Result<Vec<String>, Trouble> {
    let mut command = cmd("HRANDFIELD");
    let mut commands = Pipeline::with_capacity(1);
    commands.add_command(command.arg(name).arg(FIELDS).clone());
    let fields = raw.all(&commands).await?.pop();
    let Some(Value::Array(fields)) = fields else {
        return Ok(Vec::new());
    };
    Ok(fields.iter().filter_map(bytes).map(lossy).collect())
}

/// How a key looks; nothing where there is none any more.
fn read(raw: &Raw, answers: &[Value]) -> Result<Option<Looks>, Trouble> {
    let [kind, left, length, start] = answers else {
        return Err(Failure::strange("the server's answers don't match the commands").into());
    };
    // Of another type than a string, the last two are refused.
    for answer in [kind, left] {
        raw.judged(answer.clone())?;
    }
    let kind = bytes(kind).map(lossy).unwrap_or_default();
    let endless = matches!(left, Value::Int(-1));
    if kind == "none" || matches!(left, Value::Int(-2)) {
        return Ok(None);
    }
    Ok(Some(Looks {
        endless,
        length: match length {
            Value::Int(length) => *length,
            _ => 0,
        },
        start: bytes(start).map(<[u8]>::to_vec).unwrap_or_default(),
        fields: Vec::new(),
        kind,
    }))
}

async fn remove(raw: &mut Raw, findings: &[Finding], sums: &mut [Sum]) -> Result<(), Trouble> {
    let mut commands = Pipeline::with_capacity(findings.len());
    for finding in findings {
        let looks = &finding.looks;
        let mut script = cmd("EVAL");
        script
            .arg(REMOVE)
            .arg(1)
            .arg(&finding.name)
            .arg(&looks.kind);
        script.arg(if looks.endless { "endless" } else { "same" });
        script.arg(&looks.start).arg(looks.length);
        commands.add_command(script);
    }
    let answers = raw.all(&commands).await?;
    for (finding, answer) in findings.iter().zip(answers) {
        let sum = &mut sums[finding.fault as usize];
        match raw.judged(answer)? {
            Value::Int(1) => sum.removed += 1,
            _ => sum.changed += 1,
        }
    }
    Ok(())
}
