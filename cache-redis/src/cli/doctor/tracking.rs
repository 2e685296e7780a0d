//! Whether the server tells of changes: by having it tell of one.

use std::time::Instant;

use redis::cmd;

use super::Report;
use super::patient::Patient;
use crate::cli::ending::Trouble;
use crate::cli::text::shown;
use crate::dial::Tracking;
use crate::failure::Failure;

pub(super) async fn check(
    patient: &mut Patient,
    writes: bool,
    report: &mut Report<'_>,
) -> Result<(), Trouble> {
    match &patient.tracking {
        Tracking::Since(_) => {}
        Tracking::Refused(why) => {
            return report.warn(
                "tracking",
                format!(
                    "it can't tell of changes ({why}): each call asks it in one round trip whether a \
                     local value still stands"
                ),
            );
        }
        Tracking::Unasked => return report.skip(&["tracking"]),
    }
    if !writes {
        return report.warn(
            "tracking",
            "it was switched on, and is not proven: nothing can be written",
        );
    }
    let begun = Instant::now();
    match prove(patient).await {
        Ok(true) => report.ok(
            "tracking",
            format!("told of a change by another connection after {}", shown(begun.elapsed())),
        ),
        Ok(false) => report.fail(
            "tracking",
            format!(
                "it was switched on, and a change was not told of within {:?}: a proxy in between may \
                 swallow it; connect to Redis itself, or set tracking(false)",
                patient.timeout
            ),
        ),
        Err(failure) => report.fail("tracking", failure.to_string()),
    }
}

/// Reads a key, changes it over another connection, and waits to be told.
async fn prove(patient: &mut Patient) -> Result<bool, Failure> {
    let key = patient.key("t");
    patient
        .raw
        .one(cmd("GETRANGE").arg(&key).arg(0).arg(1))
        .await?;
    let mut other = patient.another().await?;
    other
        .one(cmd("SET").arg(&key).arg("x").arg("PX").arg(10_000))
        .await?;
    let told = async {
        while let Some(name) = patient.told.recv().await {
            if name == key.as_bytes() {
                return true;
            }
        }
        false
    };
    let told = tokio::time::timeout(patient.timeout, told).await;
    other.one(cmd("UNLINK").arg(&key)).await?;
    Ok(told.unwrap_or(false))
}
