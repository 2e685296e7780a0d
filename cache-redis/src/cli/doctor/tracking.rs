//! Whether the server tells of changes: by having it tell of one.

use std::time::Instant;

use redis::cmd;

use super::Report;
use super::patient::{Patient, field};
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
        Ok(true) => {
            let proof = format!(
                "told of a change by another connection after {}",
                shown(begun.elapsed())
            );
            match Table::of(patient).await? {
                Some(table) if table.is_full() => {
                    report.warn("tracking", format!("{proof}; {}", table.advice()))
                }
                _ => report.ok("tracking", proof),
            }
        }
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

/// How many keys the server remembers that it has to tell somebody of, and how many it may.
struct Table {
    keys: u64,
    most: u64,
}

impl Table {
    /// As many as a server remembers that is not told otherwise.
    const USUAL: u64 = 1_000_000;

    /// None where it won't say.
    async fn of(patient: &mut Patient) -> Result<Option<Self>, Trouble> {
        let information = patient.text(cmd("INFO").arg("stats")).await?;
        let keys = information
            .as_deref()
            .and_then(|information| field(information, "tracking_total_keys"))
            .and_then(|keys| keys.parse().ok());
        let Some(keys) = keys else { return Ok(None) };
        let most = patient.setting("tracking-table-max-keys").await;
        let most = most
            .and_then(|most| most.parse().ok())
            .unwrap_or(Self::USUAL);
        Ok(Some(Self { keys, most }))
    }

    /// Whether nine tenths are taken. Zero stands for no limit.
    fn is_full(&self) -> bool {
        self.most > 0 && self.keys >= self.most - self.most / 10
    }

    fn advice(&self) -> String {
        let Self { keys, most } = self;
        format!(
            "but it remembers {keys} keys that nodes were given, of {most} at most: beyond that it \
             forgets some, and says that they changed, so that nodes drop what is still good and each \
             miss costs it more: raise tracking-table-max-keys (0: no limit) to several times the \
             entries and tags in use"
        )
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
