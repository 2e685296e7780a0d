//! Where the address comes from, and whether it can be one.

use super::Report;
use crate::cli::ending::Trouble;
use crate::cli::session::{Session, source};
use crate::config::Endpoint;

/// The variables that may say where Redis is, the first ones first.
const VARIABLES: [&str; 7] = [
    "UPSTASH_REDIS_URL",
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "REDIS_DB",
];

/// The place that is to be dialled, and its name without secrets.
pub(super) fn check(
    session: &Session,
    report: &mut Report<'_>,
) -> Result<Option<(Endpoint, String)>, Trouble> {
    let config = match session.config() {
        Ok(config) => config,
        Err(error) => {
            report.fail("source", error.to_string())?;
            return Ok(None);
        }
    };
    let (from, described) = (config.source(), config.describe());
    let told = source(&config);
    // As the library: with tracking, so that the handshake is the same.
    let endpoint = match config.endpoint() {
        Ok(endpoint) => endpoint,
        Err(error) => {
            report.fail("source", format!("{told}: {error}"))?;
            return Ok(None);
        }
    };
    let mut text = format!("{told}: {described}, namespace {}", session.namespace());
    let unused = unused(from);
    if !unused.is_empty() {
        text.extend([format!(" (set too, and not used: {})", unused.join(", "))]);
    }
    let quoted = endpoint.password.as_deref().is_some_and(is_quoted);
    if quoted {
        report.warn(
            "source",
            format!("{text}; the password begins and ends with a quote: take the quotes away, unless they belong to it"),
        )?;
    } else {
        report.ok("source", text)?;
    }
    Ok(Some((endpoint, described)))
}

/// Which variables are set, and not looked at: one that was thought to count may be among them.
fn unused(from: &str) -> Vec<&'static str> {
    let is_set = |name: &&&str| {
        std::env::var_os(name).is_some_and(|value| !value.to_string_lossy().trim().is_empty())
    };
    let used = match from {
        "url" => 0,
        "UPSTASH_REDIS_URL" => 1,
        "REDIS_URL" => 2,
        _ => return Vec::new(),
    };
    VARIABLES[used..].iter().filter(is_set).copied().collect()
}

fn is_quoted(password: &str) -> bool {
    ['"', '\''].iter().any(|quote| {
        password.len() > 1 && password.starts_with(*quote) && password.ends_with(*quote)
    })
}
