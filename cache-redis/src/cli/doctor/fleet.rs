//! Whether the figures of the fleet can be read.

use std::time::Duration;

use super::Report;
use crate::cli::ending::Trouble;
use crate::cli::session::Session;
use crate::cli::stats::over;

pub(super) async fn check(session: &Session, report: &mut Report<'_>) -> Result<(), Trouble> {
    let (cache, _) = session.cache()?;
    let fleet = match over(session, &cache, Duration::from_mins(1)).await {
        Ok((_, fleet)) => fleet,
        Err(Trouble::Failed(why)) => return report.fail("fleet", why),
        Err(trouble) => return Err(trouble),
    };
    let missing = fleet.missing().count();
    let nodes = fleet.nodes.len();
    if missing > 0 {
        return report.warn(
            "fleet",
            format!("nodes missing: {missing} of {nodes}; cache nodes shows which"),
        );
    }
    if nodes == 0 {
        let namespace = session.namespace();
        return report.ok(
            "fleet",
            format!(
                "no node has reported in namespace {namespace}: none runs, or they use another one"
            ),
        );
    }
    report.ok(
        "fleet",
        format!("nodes that report: {nodes}, none is missing"),
    )
}
