//! Whether the user may do what the library does: each command is tried on a key of our own. Trying is
//! better than asking, which takes a right of its own.

use redis::{Cmd, Pipeline, Value, cmd};

use super::Report;
use super::patient::Patient;
use crate::cli::ending::Trouble;
use crate::failure::Failure;

pub(super) async fn check(patient: &mut Patient, report: &mut Report<'_>) -> Result<(), Trouble> {
    let key = patient.key("");
    let mut denied = Denied::default();
    let mut outcome = tried(patient, &harmless(&key), &mut denied).await;
    let can_remove = ["del", "unlink"]
        .iter()
        .any(|name| !denied.commands.contains(name));
    // A hash has no expiry until it is given one: it is only made where it can be removed again.
    if outcome.is_ok() && can_remove {
        outcome = tried(patient, &hashes(&format!("{key}h")), &mut denied).await;
    }
    // What an application's user may not do of this is no fault; and a proxy may not know it.
    let mut beyond = Denied::default();
    if outcome.is_ok()
        && let Err(failure) = tried(patient, &terminal(&key), &mut beyond).await
        && failure.is_unavailable()
    {
        outcome = Err(failure);
    }
    if let Err(failure) = outcome {
        return report.fail("rights", failure.to_string());
    }
    let user = patient.user();
    let terminal = if beyond.commands.is_empty() {
        String::new()
    } else {
        format!(
            "; this program's ls, sweep and invalidate --key need more, the cache does not: \
             ACL SETUSER {user} +{}",
            beyond.commands.join(" +")
        )
    };
    let Denied {
        commands: lacking,
        keys,
    } = denied;
    if lacking.is_empty() && !keys {
        return report.ok(
            "rights",
            format!("user {user} may run all that the cache needs{terminal}"),
        );
    }
    let mut grant = format!("ACL SETUSER {user}");
    if keys {
        grant.extend([format!(" ~{}:*", patient.namespace())]);
    }
    grant.extend(lacking.iter().map(|name| format!(" +{name}")));
    let only_figures = !keys && lacking.iter().all(|name| FIGURES.contains(name));
    let text = format!("user {user} lacks permissions: run {grant}");
    if only_figures {
        report.warn(
            "rights",
            format!(
                "{text} (without them there are no figures of the fleet; all else works){terminal}"
            ),
        )
    } else {
        report.fail("rights", format!("{text}{terminal}"))
    }
}

/// What only the figures of the fleet need.
const FIGURES: [&str; 7] = [
    "hget",
    "hset",
    "hincrby",
    "hdel",
    "hrandfield",
    "pexpireat",
    "time",
];

/// What the user may not do.
#[derive(Default)]
struct Denied {
    commands: Vec<&'static str>,
    /// Whether the namespace's keys are out of bounds.
    keys: bool,
}

type Named = (&'static str, Cmd);

/// Sends commands, and notes those that were denied.
async fn tried(
    patient: &mut Patient,
    commands: &[Named],
    denied: &mut Denied,
) -> Result<(), Failure> {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for (_, command) in commands {
        pipeline.add_command(command.clone());
    }
    let answers = patient.raw.all(&pipeline).await?;
    for ((name, _), answer) in commands.iter().zip(answers) {
        let Value::ServerError(error) = answer else {
            continue;
        };
        let detail = error.details().unwrap_or_default();
        if error.code() == "NOPERM" {
            if detail.contains("key") && !detail.contains("command") {
                denied.keys = true;
            } else if !denied.commands.contains(name) {
                denied.commands.push(name);
            }
        } else if detail.starts_with("unknown command") {
            let failure = Failure::of_server(&error, &patient.endpoint.secrets);
            return Err(failure.at(&name.to_ascii_uppercase()));
        }
    }
    Ok(())
}

fn on(name: &'static str, key: &str, rest: &[&str]) -> Named {
    let mut command = cmd(name);
    command.arg(key).arg(rest);
    (name, command)
}

/// What the library sends, on a key that nobody else has, so that nothing comes of it.
fn harmless(key: &str) -> Vec<Named> {
    let mut eval = cmd("EVAL");
    eval.arg("return 1").arg(1).arg(key);
    let mut evalsha = cmd("EVALSHA");
    evalsha.arg("0".repeat(40)).arg(1).arg(key);
    vec![
        on("get", key, &[]),
        on("mget", key, &[]),
        on("getrange", key, &["0", "1"]),
        on("strlen", key, &[]),
        on("set", key, &["x", "PX", "10000"]),
        on("pttl", key, &[]),
        on("pexpire", key, &["10000"]),
        on("pexpireat", key, &["1"]),
        on("del", key, &[]),
        on("unlink", key, &[]),
        ("eval", eval),
        ("evalsha", evalsha),
        on("hget", key, &["x"]),
        on("hdel", key, &["x"]),
        on("hrandfield", key, &[]),
        ("time", cmd("TIME")),
    ]
}

/// What this program sends besides.
fn terminal(key: &str) -> Vec<Named> {
    vec![on("scan", "0", &["COUNT", "1"]), on("type", key, &[])]
}

/// What makes a hash, and what takes it away again.
fn hashes(key: &str) -> Vec<Named> {
    vec![
        on("hset", key, &["x", "1"]),
        on("hincrby", key, &["x", "1"]),
        on("del", key, &[]),
        on("unlink", key, &[]),
    ]
}
