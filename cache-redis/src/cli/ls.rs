//! `cache ls`: the entries that are stored, as they are found.

use cache_core::{Cache, Inspection, Key, Kind, SharedEntry};
use serde_json::json;
use tokio::task::JoinSet;

use super::args::Ls;
use super::ending::{Ending, Trouble};
use super::entry::key_in;
use super::out::Out;
use super::scan::Scan;
use super::session::Session;
use super::text::{lossy, shown_ms, size};

/// How many entries are read at a time: they share one connection, and are as large as they are.
const AT_A_TIME: usize = 16;

pub(super) async fn run(session: &Session, asked: &Ls, out: &mut Out) -> Result<Ending, Trouble> {
    let namespace = session.namespace();
    let pattern = match &asked.kind {
        Some(kind) => {
            let kind = Kind::new(kind).map_err(|error| Trouble::usage(error.to_string()))?;
            format!("{namespace}:e:{{{kind}:*")
        }
        None => format!("{namespace}:e:*"),
    };
    let (cache, _) = session.cache()?;
    let mut raw = session.raw().await?;
    let mut scan = Scan::new(&mut raw, pattern).await;
    let mut listing = Listing {
        asked,
        shown: 0,
        looked_at: 0,
    };
    while let Some(names) = scan.next(&mut raw).await? {
        scan.progress(out, listing.shown);
        for names in names.chunks(AT_A_TIME) {
            let found = inspected(&cache, namespace, names).await?;
            for (name, found) in names.iter().zip(found) {
                if !listing.show(name, found, out)? {
                    out.hint(&format!(
                        "there may be more: these were the first {}; --limit 0 shows all",
                        asked.limit
                    ));
                    return Ok(Ending::Fine);
                }
            }
            scan.progress(out, listing.shown);
        }
    }
    if listing.looked_at == 0 && asked.kind.is_none() {
        session.suggest(out).await;
    }
    Ok(Ending::Fine)
}

/// What is at these names, as far as they can be keys of entries.
pub(super) async fn inspected(
    cache: &Cache,
    namespace: &str,
    names: &[Vec<u8>],
) -> Result<Vec<Option<Inspection>>, Trouble> {
    let mut found: Vec<Option<Inspection>> = vec![None; names.len()];
    let mut reading = JoinSet::new();
    for (at, name) in names.iter().enumerate() {
        let key = key_in(namespace, name).and_then(|key| key.parse::<Key>().ok());
        if let Some(key) = key {
            let cache = cache.clone();
            reading.spawn(async move { (at, cache.inspect(&key).await) });
        }
    }
    while let Some(read) = reading.join_next().await {
        let (at, inspection) = read
            .map_err(|error| Trouble::failed(format!("an entry can't be looked at ({error})")))?;
        if let Some(error) = inspection.shared_error {
            return Err(Trouble::failed(error));
        }
        found[at] = Some(inspection);
    }
    Ok(found)
}

struct Listing<'a> {
    asked: &'a Ls,
    shown: usize,
    looked_at: usize,
}

impl Listing<'_> {
    /// Shows one; returns whether another one is wanted.
    fn show(
        &mut self,
        name: &[u8],
        found: Option<Inspection>,
        out: &mut Out,
    ) -> Result<bool, Trouble> {
        self.looked_at += 1;
        let (key, entry) = match found {
            // Gone since it was found, or of another type than entries are.
            Some(Inspection { shared: None, .. }) => return Ok(true),
            Some(Inspection {
                key,
                shared: Some(entry),
                ..
            }) => (key, entry),
            None => {
                let mut entry = SharedEntry::default();
                entry.problem = Some("its key is none of this library's".to_owned());
                (lossy(name), entry)
            }
        };
        if let Some(wanted) = &self.asked.tag
            && !entry.tags.iter().any(|tag| tag.tag == *wanted)
        {
            return Ok(true);
        }
        if self.asked.limit > 0 && self.shown == self.asked.limit {
            return Ok(false);
        }
        if self.asked.json {
            out.json(&json!({
                "key": key,
                "state": state(&entry),
                "valid": entry.is_valid(),
                "bytes": entry.bytes,
                "age_ms": entry.age_ms,
                "ttl_ms": entry.ttl_ms,
                "left_ms": entry.left_ms,
                "cost_micros": entry.cost_micros,
                "codec": entry.codec,
                "problem": entry.problem,
                "tags": entry.tags,
            }))?;
        } else {
            if self.shown == 0 {
                let [age, left, size] = ["age", "left", "size"];
                out.line(&format!(
                    "{age:>8}  {left:>8}  {size:>10}  {:<11}  key",
                    "state"
                ))?;
            }
            let left = entry
                .left_ms
                .map_or_else(|| "never ends".to_owned(), shown_ms);
            let age = if entry.problem.is_some() {
                "-".to_owned()
            } else {
                shown_ms(entry.age_ms)
            };
            out.line(&format!(
                "{age:>8}  {left:>8}  {:>10}  {:<11}  {key}",
                size(entry.bytes),
                state(&entry),
            ))?;
        }
        self.shown += 1;
        Ok(true)
    }
}

/// What an entry is worth.
pub(super) fn state(entry: &SharedEntry) -> &'static str {
    if entry.too_large {
        "too large"
    } else if entry.problem.is_some() {
        "unreadable"
    } else if !entry.is_valid() {
        "invalidated"
    } else if entry.age_ms >= entry.ttl_ms {
        "stale"
    } else {
        "fresh"
    }
}
