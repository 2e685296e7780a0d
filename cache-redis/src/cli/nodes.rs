//! `cache nodes`: the processes that share the cache, and whether they are there.

use std::time::Duration;

use cache_core::metrics::Node;
use serde_json::{Value, json};

use super::args::Nodes;
use super::ending::{Ending, Trouble};
use super::out::Out;
use super::session::Session;
use super::stats::over;
use super::table::Table;
use super::text::{shown_ms, size};

pub(super) async fn run(
    session: &Session,
    asked: &Nodes,
    out: &mut Out,
) -> Result<Ending, Trouble> {
    let (cache, _) = session.cache()?;
    let (_, fleet) = over(session, &cache, Duration::from_mins(1)).await?;
    let now = fleet.now_ms;
    let missing = fleet.missing().count();
    if asked.json {
        let nodes: Vec<Value> = fleet.nodes.iter().map(|node| plain(node, now)).collect();
        out.json(&json!({ "now_ms": now, "missing": missing, "nodes": nodes }))?;
    } else {
        out.table(&table(&fleet.nodes, now))?;
    }
    if fleet.nodes.is_empty() {
        session.suggest(out).await;
    }
    Ok(if missing == 0 {
        Ending::Fine
    } else {
        Ending::Found
    })
}

fn table(nodes: &[Node], now: u64) -> Table {
    let mut table = Table::new(&[
        "<node", "<host", "pid", "<version", "up", "seen ago", "<state", "<breaker", "pending",
        "entries", "bytes",
    ]);
    for node in nodes {
        let state = match (node.is_missing(now), node.trusted) {
            (true, _) => "missing",
            (false, true) => "told of changes",
            (false, false) => "asks each time",
        };
        table.row([
            node.id.to_string(),
            node.host.clone(),
            node.process.to_string(),
            node.version.clone(),
            shown_ms(node.seen_ms.saturating_sub(node.started_ms)),
            shown_ms(now.saturating_sub(node.seen_ms)),
            state.to_owned(),
            if node.breaker_open { "open" } else { "closed" }.to_owned(),
            node.invalidations_pending.to_string(),
            node.local_entries.to_string(),
            size(node.local_bytes),
        ]);
    }
    table
}

fn plain(node: &Node, now: u64) -> Value {
    json!({
        "id": node.id.to_string(),
        "host": node.host,
        "process": node.process,
        "version": node.version,
        "started_ms": node.started_ms,
        "seen_ms": node.seen_ms,
        "every_ms": node.every_ms,
        "missing": node.is_missing(now),
        "trusted": node.trusted,
        "breaker_open": node.breaker_open,
        "invalidations_pending": node.invalidations_pending,
        "local_entries": node.local_entries,
        "local_bytes": node.local_bytes,
    })
}
