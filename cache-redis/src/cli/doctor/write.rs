//! A write, a read and a removal, with the library's own scripts.

use redis::{Pipeline, Value, cmd};

use super::Report;
use super::patient::Patient;
use crate::cli::ending::Trouble;
use crate::cli::session::bytes;
use crate::failure::Failure;
use crate::scripts::{self, Sending};

/// How long what is written stays if this program is killed, in milliseconds.
const LIFE: u32 = 10_000;

/// Takes a lease, fills an entry under it, reads it, and removes it. Returns whether it could be written.
pub(super) async fn check(patient: &mut Patient, report: &mut Report<'_>) -> Result<bool, Trouble> {
    let outcome = round_trip(patient).await;
    let written = outcome.is_ok();
    match outcome {
        Ok(()) => report.ok(
            "write",
            "written, read and removed, by the library's scripts",
        )?,
        Err(failure) => report.fail("write", failure.to_string())?,
    }
    Ok(written)
}

async fn round_trip(patient: &mut Patient) -> Result<(), Failure> {
    let (entry, lease) = (patient.key(""), patient.key("l"));
    let token = "d".repeat(32);
    let value = b"doctor";
    let mut commands = Pipeline::new();
    let keys = [&*entry, &*lease];
    scripts::LEASE
        .start(&mut commands, Sending::Source, &keys)
        .arg(&token)
        .arg(LIFE)
        .arg(0)
        .arg("")
        .arg(1024);
    scripts::FILL
        .start(&mut commands, Sending::Source, &keys)
        .arg(&token)
        .arg(&value[..])
        .arg(LIFE);
    commands.cmd("GET").arg(&entry);
    commands.cmd("PTTL").arg(&entry);
    commands.cmd("UNLINK").arg(&entry).arg(&lease);
    let mut answers = Vec::new();
    for answer in patient.raw.all(&commands).await? {
        answers.push(patient.raw.judged(answer)?);
    }
    let gone = patient.raw.one(cmd("GET").arg(&entry)).await?;
    let [_, filled, read, left, removed] = answers.as_slice() else {
        return Err(Failure::strange(
            "the server's answers don't match the commands",
        ));
    };
    let wrong = |what: &str| Err(Failure::protocol(format!("{what}: is this really Redis?")));
    match (filled, left, removed) {
        _ if *filled != Value::Int(1) => wrong("what was written did not take"),
        _ if bytes(read) != Some(value) => wrong("what was written is read as something else"),
        (_, Value::Int(..=0), _) => wrong("what was written has no expiry"),
        _ if *removed != Value::Int(1) || gone != Value::Nil => {
            wrong("what was removed is still there")
        }
        _ => Ok(()),
    }
}
