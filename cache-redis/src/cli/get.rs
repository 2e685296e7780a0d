//! `cache get`: what is stored at one key.

use cache_core::SharedEntry;
use redis::cmd;
use serde_json::{Value, json};

use super::args::Get;
use super::ending::{Ending, Trouble};
use super::entry::{payload, typed};
use super::ls::state;
use super::out::Out;
use super::session::{Session, bytes};
use super::text::{hex, moment, shown, shown_ms, size};
use crate::keys::Keys;

/// How many bytes of a value are shown as hexadecimal.
const SHOWN: usize = 4 << 10;

pub(super) async fn run(session: &Session, asked: &Get, out: &mut Out) -> Result<Ending, Trouble> {
    let wrong = |error: cache_core::Error| Trouble::usage(error.to_string());
    let (namespace, key) = typed(&asked.key).map_err(wrong)?;
    let of_key;
    let session = match namespace {
        Some(namespace) if namespace != session.namespace() => {
            if session.is_namespace_given() {
                return Err(Trouble::usage(format!(
                    "the key is of namespace {namespace}, and --namespace names {}",
                    session.namespace()
                )));
            }
            of_key = session.within(namespace)?;
            &of_key
        }
        _ => session,
    };
    let (cache, _) = session.cache()?;
    let found = if asked.value {
        cache.inspect_with_value(&key).await
    } else {
        cache.inspect(&key).await
    };
    if let Some(error) = found.shared_error {
        return Err(Trouble::failed(error));
    }
    let Some(entry) = &found.shared else {
        // Only for the hint: a user may lack the right to look.
        if matches!(session.is_empty().await, Ok(true)) {
            session.suggest(out).await;
        }
        return Err(Trouble::failed(format!(
            "there is no entry at {key} in namespace {}",
            session.namespace()
        )));
    };
    let mut raw_value = None;
    if asked.value && found.value.is_none() && entry.problem.is_none() {
        let name = Keys::new(session.namespace()).entry(&found.key);
        let mut raw = session.raw().await?;
        let stored = raw.one(cmd("GET").arg(name)).await?;
        raw_value = bytes(&stored).and_then(payload).map(<[u8]>::to_vec);
    }
    let value = found.value.as_deref();
    if asked.json {
        out.json(&plain(&found.key, entry, value, raw_value.as_deref()))?;
    } else {
        for line in told(&found.key, entry) {
            out.line(&line)?;
        }
        tell_value(value, raw_value.as_deref(), entry, out)?;
    }
    Ok(Ending::Fine)
}

fn told(key: &str, entry: &SharedEntry) -> Vec<String> {
    let mut lines = vec![
        format!("key    {key}"),
        format!("state  {}", state(entry)),
        format!("size   {}", size(entry.bytes)),
    ];
    if let Some(problem) = &entry.problem {
        lines.push(format!("why    {problem}"));
        return lines;
    }
    let left = entry
        .left_ms
        .map_or_else(|| "it never ends".to_owned(), shown_ms);
    let fresh = entry.ttl_ms.saturating_sub(entry.age_ms);
    lines.extend([
        format!(
            "stored {} UTC, {} ago",
            moment(entry.created_ms / 1000),
            shown_ms(entry.age_ms)
        ),
        format!("fresh  {} of {}", shown_ms(fresh), shown_ms(entry.ttl_ms)),
        format!("left   {left}"),
        format!(
            "load   {}",
            shown(std::time::Duration::from_micros(entry.cost_micros))
        ),
        format!("codec  {}", entry.codec),
    ]);
    for tag in &entry.tags {
        let gone = if tag.current { "" } else { "  (invalidated)" };
        let what = match tag.tag.as_str() {
            "~" => "  everything in the namespace",
            tag if tag.starts_with('~') => "  everything of the kind",
            _ => "",
        };
        lines.push(format!("tag    {}{what}{gone}", tag.tag));
    }
    lines
}

fn tell_value(
    value: Option<&str>,
    raw: Option<&[u8]>,
    entry: &SharedEntry,
    out: &mut Out,
) -> Result<(), Trouble> {
    if let Some(value) = value {
        out.line(&format!("value  {value}"))?;
    }
    let Some(raw) = raw else {
        return Ok(());
    };
    let shown = &raw[..raw.len().min(SHOWN)];
    let cut = if shown.len() < raw.len() { " ..." } else { "" };
    out.line(&format!("value  {} bytes: {}{cut}", raw.len(), hex(shown)))?;
    out.hint(&format!(
        "{} does not describe itself: only a process with the value's type can read it (its dashboard \
         does; Codec::MessagePack can be read by everybody)",
        entry.codec
    ));
    Ok(())
}

fn plain(key: &str, entry: &SharedEntry, value: Option<&str>, raw: Option<&[u8]>) -> Value {
    json!({
        "key": key,
        "state": state(entry),
        "valid": entry.is_valid(),
        "bytes": entry.bytes,
        "problem": entry.problem,
        "codec": entry.codec,
        "created_ms": entry.created_ms,
        "age_ms": entry.age_ms,
        "ttl_ms": entry.ttl_ms,
        "left_ms": entry.left_ms,
        "cost_micros": entry.cost_micros,
        "tags": entry.tags,
        "value": value,
        "value_bytes": raw.map(<[u8]>::len),
        "value_hex": raw.map(|raw| hex(&raw[..raw.len().min(SHOWN)])),
    })
}
