//! `cache invalidate`: the same as the library's, through a cache of its own on the namespace, so that
//! stamps, leases and pushes are as they are everywhere.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};

use cache_core::{Cache, Invalidation, Key, Kind, Tag};

use super::args::Invalidate;
use super::ending::{Ending, Trouble};
use super::entry::{is_suffix, plain, typed};
use super::heard::Cause;
use super::out::Out;
use super::scan::{Scan, literal};
use super::session::{Raw, Session};
use super::text::Safe;

pub(super) async fn run(
    session: &Session,
    asked: &Invalidate,
    out: &mut Out,
) -> Result<Ending, Trouble> {
    let wrong = |error: cache_core::Error| Trouble::usage(error.to_string());
    // Everything is looked at before anything is done.
    let tags: Vec<Tag> = asked
        .tag
        .iter()
        .map(|tag| Tag::new(tag))
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    let kinds: Vec<Kind> = asked
        .kind
        .iter()
        .map(|kind| Kind::new(kind))
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    let mut keys = Vec::new();
    for key in &asked.key {
        let (namespace, key) = typed(key).map_err(wrong)?;
        if let Some(namespace) = namespace.filter(|name| *name != session.namespace()) {
            return Err(Trouble::usage(format!(
                "{key} is of namespace {namespace}: name it with --namespace (it is {} now)",
                session.namespace()
            )));
        }
        keys.push(key);
    }
    if !asked.yes && (asked.all || !kinds.is_empty()) && !confirmed(session, asked)? {
        out.hint("nothing was invalidated");
        return Ok(Ending::Fine);
    }

    let (cache, cause) = session.cache()?;
    let issuer = Issuer { cache, cause };
    let mut names = BTreeSet::new();
    if !keys.is_empty() {
        let mut raw = session.raw().await?;
        names = other_names(session.namespace(), &keys, &mut raw, out).await?;
    }
    for tag in tags {
        let what = format!("tag {tag}");
        let done = issuer.cache.invalidate_tags([tag]).await;
        issuer.report(&what, done, out)?;
    }
    for key in keys {
        let what = format!("key {key}");
        let done = issuer.cache.invalidate_key(key).await;
        issuer.report(&what, done, out)?;
    }
    for name in names {
        let what = format!("key {name} (the same key of a function of the same name)");
        let key: Key = name.parse().map_err(wrong)?;
        let done = issuer.cache.invalidate_key(key).await;
        issuer.report(&what, done, out)?;
    }
    for kind in kinds {
        let done = issuer
            .cache
            .invalidate_kind(kind.as_str())
            .await
            .map_err(wrong)?;
        issuer.report(&format!("kind {kind}"), done, out)?;
    }
    if asked.all {
        let done = issuer.cache.clear().await;
        let what = format!("everything in namespace {}", session.namespace());
        issuer.report(&what, done, out)?;
    }
    Ok(Ending::Fine)
}

struct Issuer {
    cache: Cache,
    cause: Cause,
}

impl Issuer {
    /// Says that it is done; what was only queued goes with this process, and is not.
    fn report(&self, what: &str, done: Invalidation, out: &mut Out) -> Result<(), Trouble> {
        if done == Invalidation::Applied {
            out.line(&format!("invalidated {what}"))?;
            return Ok(());
        }
        let why = self.cause.take();
        let why = why.unwrap_or_else(|| "Redis did not answer in time".to_owned());
        Err(Trouble::failed(format!(
            "{what} was not invalidated: {why}"
        )))
    }
}

/// Whether the user means it.
fn confirmed(session: &Session, asked: &Invalidate) -> Result<bool, Trouble> {
    let what = if asked.all {
        "everything".to_owned()
    } else {
        format!("kind {}", asked.kind.join(", "))
    };
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Trouble::usage(format!(
            "to invalidate {what} without being asked, add --yes"
        )));
    }
    let question = format!(
        "Invalidate {what} in namespace {}? [y/N] ",
        session.namespace()
    );
    write!(io::stderr(), "{}", Safe(&question))?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The keys of the same calls under the other names that their functions may have: two functions of one
/// name in a kind are told apart by a suffix, and which of them has it differs between processes.
async fn other_names(
    namespace: &str,
    keys: &[Key],
    raw: &mut Raw,
    out: &mut Out,
) -> Result<BTreeSet<String>, Trouble> {
    let given: BTreeSet<String> = keys.iter().map(Key::to_string).collect();
    let mut names = BTreeSet::new();
    for key in keys {
        let name = format!("{}:{}:{}", key.kind(), plain(key.function()), key.args());
        names.insert(name);
    }
    // An entry, a lease of a load under way, or the tag of a value that stays in its process.
    let pattern = match keys {
        [key] => format!(
            "{namespace}:[elt]:?{}~*:{}*",
            literal(&format!("{}:{}", key.kind(), plain(key.function()))),
            literal(key.args())
        ),
        _ => format!("{namespace}:[elt]:?*~*"),
    };
    let mut scan = Scan::new(raw, pattern).await;
    while let Some(found) = scan.next(raw).await? {
        for name in found {
            let key = std::str::from_utf8(&name)
                .ok()
                .and_then(|name| call_in(namespace, name));
            if let Some(key) = key
                && keys.iter().any(|given| is_twin(given, key))
            {
                names.insert(key.to_owned());
            }
        }
        scan.progress(out, names.len());
    }
    Ok(names.difference(&given).cloned().collect())
}

/// The key of a call in a name in Redis that says something of it.
fn call_in<'a>(namespace: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix(namespace)?;
    let braced = |what| rest.strip_prefix(what)?.strip_suffix('}');
    braced(":e:{")
        .or_else(|| braced(":l:{"))
        .or_else(|| rest.strip_prefix(":t:~"))
}

/// Whether a call is of a function of the same name with a suffix, with the same arguments.
fn is_twin(given: &Key, call: &str) -> bool {
    let mut parts = call.splitn(3, ':');
    let (Some(kind), Some(function), Some(args)) = (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let suffixed = function.rsplit_once('~');
    kind == given.kind()
        && args == given.args()
        && suffixed
            .is_some_and(|(name, suffix)| name == plain(given.function()) && is_suffix(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_the_same_call_under_a_suffix() {
        let key: Key = "user:load:42".parse().expect("a key");
        for twin in ["user:load~0123abcd:42", "user:load~ffffffff:42"] {
            assert!(is_twin(&key, twin), "{twin}");
            let from: Key = twin.parse().expect("a key");
            assert!(is_twin(&from, "user:load~0123abcd:42"));
        }
        for other in [
            "user:load:42",
            "user:load~0123abcd:421",
            "user:load~0123abc:42",
            "user:loads~0123abcd:42",
            "users:load~0123abcd:42",
            "user:load~0123ABCD:42",
            "user",
        ] {
            assert!(!is_twin(&key, other), "{other}");
        }
    }

    #[test]
    fn calls_are_found_in_all_that_is_named_after_them() {
        for name in ["s:e:{a:b:1}", "s:l:{a:b:1}", "s:t:~a:b:1"] {
            assert_eq!(call_in("s", name), Some("a:b:1"), "{name}");
        }
        for name in ["s:t:a:b:1", "s:e:a:b:1", "t:e:{a:b:1}", "s:m:a:1"] {
            assert_eq!(call_in("s", name), None, "{name}");
        }
    }
}
