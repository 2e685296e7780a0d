//! The way to Redis: name, network, TLS, greeting. It is the library's `dial`, looked at from outside.

use std::sync::Arc;
use std::time::Instant;

use cache_core::Env;
use redis::{ProtocolVersion, PushInfo, PushKind, Value};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::certificate::Certificate;
use super::{Report, shown as certificates};
use crate::cli::ending::Trouble;
use crate::cli::session::Raw;
use crate::cli::text::shown;
use crate::coherence::PushHandler;
use crate::config::{Endpoint, Target};
use crate::dial::{Facts, SPEAKS_TLS, Stage, Tracking, dial_in_view};
use crate::failure::Failure;

/// The checks of this part.
pub(super) const STEPS: [&str; 4] = ["name", "network", "tls", "greeting"];

/// A connection, and what it is told of.
pub(super) struct Connected {
    pub(super) raw: Raw,
    pub(super) tracking: Tracking,
    pub(super) told: UnboundedReceiver<Vec<u8>>,
}

pub(super) async fn check(
    endpoint: &Endpoint,
    env: &Env,
    report: &mut Report<'_>,
) -> Result<Option<Connected>, Trouble> {
    let (tell, told) = unbounded_channel();
    let pushes: PushHandler = Arc::new(move |push: PushInfo| {
        for name in names(&push) {
            // Whoever no longer listens has heard enough.
            let _ = tell.send(name);
        }
    });
    let stage = Stage::default();
    let begun = Instant::now();
    let dialled = dial_in_view(endpoint, env, Some(&pushes), &stage).await;
    let (facts, took) = (stage.facts(), shown(begun.elapsed()));
    let failure = match dialled.as_ref().err() {
        None => None,
        Some(failure) => Some(explained(failure, endpoint, &stage).await),
    };
    let reached = if failure.is_some() {
        stage.reached()
    } else {
        u8::MAX
    };
    // What was passed, what was not, and what was not come to.
    let steps = [Stage::RESOLVE, Stage::CONNECT, Stage::ENCRYPT, Stage::GREET];
    for (check, step) in STEPS.into_iter().zip(steps) {
        if !is_needed(step, endpoint) {
            report.ok(check, unneeded(step))?;
        } else if step < reached {
            passed(check, step, endpoint, &facts, &took, report)?;
        } else if step == reached.max(Stage::RESOLVE) || is_socket(endpoint) {
            report.fail(check, failure.clone().unwrap_or_default())?;
        } else {
            report.skip(&[check])?;
        }
    }
    Ok(dialled.ok().map(|mut dialled| {
        let tracking = std::mem::replace(&mut dialled.tracking, Tracking::Unasked);
        Connected {
            raw: Raw::new(dialled, endpoint, endpoint.connect_timeout),
            tracking,
            told,
        }
    }))
}

/// What went wrong. A server that speaks TLS often hangs up before its reason can be read: it is asked
/// again, for that alone. Of a certificate that was not accepted, it is said whose it is.
async fn explained(failure: &Failure, endpoint: &Endpoint, stage: &Stage) -> String {
    // At a terminal the library's setting is an option.
    let text = failure.to_string();
    let text = text.replace(
        "to ca_certificate",
        "to --ca-certificate FILE (ca_certificate in the program)",
    );
    let Target::Tcp { host, .. } = &endpoint.target else {
        return text;
    };
    let is_asked = match stage.reached() {
        Stage::ENCRYPT => true,
        Stage::GREET => endpoint.tls.is_none() && failure.is_unavailable(),
        _ => false,
    };
    let Some(peer) = stage.facts().peer.filter(|_| is_asked) else {
        return text;
    };
    match certificates::certificate(peer, host).await {
        None => text,
        Some(_) if endpoint.tls.is_none() => SPEAKS_TLS.to_owned(),
        Some(certificate) => match Certificate::read(&certificate) {
            Some(certificate) => format!("{text} (it shows a {certificate})"),
            None => text,
        },
    }
}

fn is_socket(endpoint: &Endpoint) -> bool {
    matches!(endpoint.target, Target::Unix(_))
}

fn is_needed(step: u8, endpoint: &Endpoint) -> bool {
    match step {
        Stage::GREET => true,
        Stage::ENCRYPT => endpoint.tls.is_some(),
        _ => !is_socket(endpoint),
    }
}

fn unneeded(step: u8) -> &'static str {
    match step {
        Stage::ENCRYPT => "not used: what is sent can be read on the way",
        _ => "not needed for a socket",
    }
}

/// Says what was met at a step that was passed.
fn passed(
    check: &'static str,
    step: u8,
    endpoint: &Endpoint,
    facts: &Facts,
    took: &str,
    report: &mut Report<'_>,
) -> Result<(), Trouble> {
    match step {
        Stage::RESOLVE => {
            let mut addresses: Vec<String> = facts
                .addresses
                .iter()
                .map(|address| address.ip().to_string())
                .collect();
            addresses.dedup();
            report.ok(check, addresses.join(", "))
        }
        Stage::CONNECT => {
            let peer = facts.peer.map(|peer| peer.to_string()).unwrap_or_default();
            report.ok(check, format!("connected to {peer}"))
        }
        Stage::ENCRYPT => {
            // As people write it: rustls says TLSv1_3.
            let version = facts.tls.as_deref().unwrap_or_default();
            let version = version.replacen("TLSv", "TLS ", 1).replace('_', ".");
            let certificate = facts.certificate.as_deref().and_then(Certificate::read);
            match certificate {
                None => report.ok(check, version),
                Some(certificate) => {
                    let days = certificate.days_left();
                    let text = format!("{version}, {certificate}");
                    if days < SOON {
                        let text = format!("{text}: it ends in {days} days, renew it");
                        report.warn(check, text)
                    } else {
                        report.ok(check, text)
                    }
                }
            }
        }
        _ => {
            let user = endpoint.username.as_deref().unwrap_or("default");
            let database = endpoint.database;
            let text = format!("as user {user}, database {database}, ready after {took}");
            if facts.protocol == Some(ProtocolVersion::RESP3) {
                report.ok(check, format!("RESP3, {text}"))
            } else {
                report.warn(
                    check,
                    format!("RESP2, {text}: it speaks no RESP3, so it can't tell of changes"),
                )
            }
        }
    }
}

/// A certificate that ends within so many days is worth a word.
const SOON: i64 = 14;

/// The names in a push about changes.
fn names(push: &PushInfo) -> Vec<Vec<u8>> {
    let (PushKind::Invalidate, [Value::Array(names)]) = (&push.kind, push.data.as_slice()) else {
        return Vec::new();
    };
    let names = names.iter().filter_map(|name| match name {
        Value::BulkString(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}
