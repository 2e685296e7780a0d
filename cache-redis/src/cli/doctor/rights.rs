//! Whether the user may do what the library does: each command is tried on a key of our own. Trying is
//! better than asking, which takes a right of its own.

use redis::{Pipeline, Value, cmd};

use super::Report;
use super::patient::Patient;
use crate::cli::ending::Trouble;
use crate::failure::Failure;

pub(super) async fn check(patient: &mut Patient, report: &mut Report<'_>) -> Result<(), Trouble> {
    let tried = commands(&patient.key(""));
    let mut pipeline = Pipeline::with_capacity(tried.len());
    for (_, command) in &tried {
        pipeline.add_command(command.clone());
    }
    let answers = match patient.raw.all(&pipeline).await {
        Ok(answers) => answers,
        Err(failure) => return report.fail("rights", failure.to_string()),
    };
    let mut lacking = Vec::new();
    let mut keys = false;
    for ((name, _), answer) in tried.iter().zip(answers) {
        let Value::ServerError(error) = answer else {
            continue;
        };
        let detail = error.details().unwrap_or_default();
        if error.code() == "NOPERM" {
            // Of the key, or of the command.
            if detail.contains("key") && !detail.contains("command") {
                keys = true;
            } else if !lacking.contains(name) {
                lacking.push(*name);
            }
        } else if detail.starts_with("unknown command") {
            let failure = Failure::of_server(&error, &patient.endpoint.secrets);
            return report.fail("rights", format!("{failure}: {name}"));
        }
    }
    if lacking.is_empty() && !keys {
        return report.ok(
            "rights",
            format!("user {} may run all that the cache needs", patient.user()),
        );
    }
    let mut grant = format!("ACL SETUSER {}", patient.user());
    if keys {
        grant.push_str(&format!(" ~{}:*", patient.namespace()));
    }
    for name in &lacking {
        grant.push_str(&format!(" +{name}"));
    }
    let only_figures = !keys && lacking.iter().all(|name| FIGURES.contains(name));
    let text = format!("user {} lacks permissions: run {grant}", patient.user());
    if only_figures {
        report.warn(
            "rights",
            format!("{text} (without them there are no figures of the fleet; all else works)"),
        )
    } else {
        report.fail("rights", text)
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

/// What the library sends, on keys that nobody else has, so that nothing comes of it.
fn commands(key: &str) -> Vec<(&'static str, redis::Cmd)> {
    let hash = format!("{key}h");
    let on = |name: &'static str, key: &str, rest: &[&str]| {
        let mut command = cmd(name);
        command.arg(key).arg(rest);
        (name, command)
    };
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
        on("del", key, &[]),
        on("unlink", key, &[]),
        ("eval", eval),
        ("evalsha", evalsha),
        on("hget", &hash, &["x"]),
        on("hset", &hash, &["x", "1"]),
        on("hincrby", &hash, &["x", "1"]),
        on("hrandfield", &hash, &[]),
        on("pexpireat", &hash, &["1"]),
        on("hdel", &hash, &["x"]),
        ("time", cmd("TIME")),
    ]
}
