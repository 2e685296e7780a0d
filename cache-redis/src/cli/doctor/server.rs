//! Whether the server answers, and what it is.

use redis::{Value, cmd};

use super::Report;
use super::patient::{Patient, field};
use crate::cli::ending::Trouble;
use crate::failure::Failure;

/// Whether it answers at all.
pub(super) async fn ping(patient: &mut Patient, report: &mut Report<'_>) -> Result<bool, Trouble> {
    match patient.raw.one(&cmd("PING")).await {
        Ok(Value::SimpleString(text)) if text == "PONG" => {
            report.ok("ping", "answered")?;
            Ok(true)
        }
        Ok(_) => {
            report.fail("ping", Failure::garbage().to_string())?;
            Ok(false)
        }
        Err(failure) => {
            report.fail("ping", failure.to_string())?;
            // Said no is not said nothing.
            Ok(!failure.is_unavailable())
        }
    }
}

/// The oldest line that the library works with.
const OLDEST: (u32, u32) = (6, 2);

pub(super) async fn version(patient: &mut Patient, report: &mut Report<'_>) -> Result<(), Trouble> {
    let information = patient.text(&cmd("INFO")).await?;
    let Some(information) = information else {
        return report.warn(
            "server",
            "it does not say what it is: the user may not run INFO (+info), so version, memory and \
             replication can't be looked at",
        );
    };
    let version = field(&information, "redis_version").unwrap_or("of an unknown version");
    let name = match field(&information, "server_name") {
        Some(name) if name != "redis" => format!("{name}, as Redis"),
        _ => "Redis".to_owned(),
    };
    let role = field(&information, "role").unwrap_or("unknown");
    let mode = field(&information, "redis_mode").unwrap_or("standalone");
    let text = format!("{name} {version}, {mode}, {role}");
    match mode {
        "cluster" => {
            return report.fail(
                "server",
                format!(
                    "{text}: Redis Cluster is not supported: connect to a Redis that is not sharded"
                ),
            );
        }
        "sentinel" => {
            return report.fail(
                "server",
                format!("{text}: this is a Sentinel, which stores nothing: write the address of the primary it watches"),
            );
        }
        _ => {}
    }
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    let line = (parts.next().flatten(), parts.next().flatten());
    if let (Some(major), Some(minor)) = line
        && (major, minor) < OLDEST
    {
        return report.fail(
            "server",
            format!("{text}: the cache needs Redis 6.2 or later"),
        );
    }
    if role == "slave" {
        let primary = field(&information, "master_host").unwrap_or("another host");
        let port = field(&information, "master_port").unwrap_or("6379");
        return report.warn(
            "server",
            format!("{text}: a replica of {primary}:{port}, which is to be connected to instead"),
        );
    }
    report.ok("server", text)
}
