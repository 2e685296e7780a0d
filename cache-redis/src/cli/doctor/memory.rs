//! What happens when the server's memory is full.

use redis::cmd;

use super::Report;
use super::patient::{Patient, field};
use crate::cli::ending::Trouble;
use crate::cli::text::size;

/// The limit, the policy at it, and how much is used.
struct Memory {
    limit: u64,
    policy: String,
    used: u64,
}

pub(super) async fn check(patient: &mut Patient, report: &mut Report<'_>) -> Result<(), Trouble> {
    let Some(memory) = look(patient).await? else {
        return report.warn(
            "memory",
            "its limit and eviction policy can't be seen: the user may run neither INFO nor CONFIG GET; \
             see that the policy is allkeys-lru or volatile-lru",
        );
    };
    let Memory {
        limit,
        policy,
        used,
    } = memory;
    if limit == 0 {
        return report.ok(
            "memory",
            format!(
                "{} used, no limit (maxmemory 0): writes are never refused and nothing is evicted; \
                 entries expire, so what is used is bounded by what is asked for",
                size(used)
            ),
        );
    }
    let share = used.saturating_mul(100) / limit;
    let text = format!("{share} % of {} used, {policy}", size(limit));
    match policy.as_str() {
        "noeviction" => {
            let fix =
                "set maxmemory-policy allkeys-lru, or volatile-lru where other keys must stay";
            if used >= limit {
                report.fail(
                    "memory",
                    format!("{text}: it is full, and refuses writes: {fix}"),
                )
            } else {
                report.warn(
                    "memory",
                    format!("{text}: when it is full, writes are refused, and functions run on each call: {fix}"),
                )
            }
        }
        policy if policy.starts_with("volatile-") => report.ok(
            "memory",
            format!(
                "{text}: only keys with an expiry are evicted, and all of the cache's have one"
            ),
        ),
        _ => report.ok(
            "memory",
            format!("{text}: when it is full, old entries make room; that only loses entries"),
        ),
    }
}

async fn look(patient: &mut Patient) -> Result<Option<Memory>, Trouble> {
    let information = patient.text(cmd("INFO").arg("memory")).await?;
    let information = information.unwrap_or_default();
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    let used = number(field(&information, "used_memory")).unwrap_or(0);
    if let (Some(limit), Some(policy)) = (
        number(field(&information, "maxmemory")),
        field(&information, "maxmemory_policy"),
    ) {
        return Ok(Some(Memory {
            limit,
            policy: policy.to_owned(),
            used,
        }));
    }
    let limit = patient.setting("maxmemory").await;
    let policy = patient.setting("maxmemory-policy").await;
    Ok(limit
        .and_then(|limit| limit.parse().ok())
        .zip(policy)
        .map(|(limit, policy)| Memory {
            limit,
            policy,
            used,
        }))
}
