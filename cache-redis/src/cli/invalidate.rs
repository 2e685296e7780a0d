//! `cache invalidate`: the same as the library's, through a cache of its own on the namespace, so that
//! stamps, leases and pushes are as they are everywhere.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};

use cache_core::{Cache, Invalidation, Key, Kind, Tag};
use redis::cmd;

use super::args::Invalidate;
use super::ending::{Ending, Trouble};
use super::entry::{is_suffix, plain, typed};
use super::heard::Cause;
use super::out::Out;
use super::scan::{Scan, literal};
use super::session::{Session, bytes};
use super::text::Safe;
use crate::failure::Failure;
use crate::keys::Keys;

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

    let is_used = stands(session, "~").await == Some(true);
    let unknown = unknown(session, &kinds).await;
    // What was asked for comes first: looking for more may be refused, or take long.
    let mut issuer = Issuer::new(session)?;
    for tag in &tags {
        issuer.invalidate(What::Tag(tag)).await?;
    }
    for key in &keys {
        issuer.invalidate(What::Key(key)).await?;
    }
    for kind in &kinds {
        issuer.invalidate(What::Kind(kind)).await?;
    }
    if asked.all {
        issuer.invalidate(What::All).await?;
    }
    let mut unseen = None;
    if !keys.is_empty() && !issuer.done.is_empty() {
        match other_names(session, &keys, out).await {
            Ok(names) => {
                for name in &names {
                    issuer.invalidate(What::Twin(name)).await?;
                }
            }
            Err(Unseen { refused, why }) => {
                let text = format!(
                    "other names that the functions of these keys may have were not looked for: {why}"
                );
                if refused {
                    unseen = Some(text);
                } else {
                    issuer.failed.push(text);
                }
            }
        }
    }
    // Only now is anything written: nobody may read it, and nothing depends on that.
    for done in &issuer.done {
        out.line(&format!("invalidated {done}"))?;
    }
    for text in issuer.failed.iter().chain(&unseen) {
        out.hint(text);
    }
    let [done, failed] = [issuer.done.len(), issuer.failed.len()];
    if failed > 0 {
        let of = done + failed;
        return Err(Trouble::failed(format!("{failed} of {of} not done")));
    }
    if is_used {
        for kind in unknown {
            out.hint(&format!(
                "nothing of kind {kind} was stored: `cache stats` shows how kinds are spelt"
            ));
        }
        return Ok(Ending::Fine);
    }
    match session.is_empty().await {
        Ok(false) => Ok(Ending::Fine),
        Ok(true) => {
            session.suggest(out).await;
            Ok(Ending::Found)
        }
        Err(trouble) => {
            out.hint(&format!(
                "whether anything is in namespace {} can't be seen: {trouble}",
                session.namespace()
            ));
            Ok(Ending::Fine)
        }
    }
}

/// The kinds of which nothing is stored.
async fn unknown<'k>(session: &Session, kinds: &'k [Kind]) -> Vec<&'k Kind> {
    let mut unknown = Vec::new();
    for kind in kinds {
        if stands(session, &format!("~{kind}")).await == Some(false) {
            unknown.push(kind);
        }
    }
    unknown
}

/// Whether a tag's stamp is there, where Redis tells: each entry in the namespace depends on that of all of
/// it, and each of a kind on the kind's. Asked before they are removed.
async fn stands(session: &Session, tag: &str) -> Option<bool> {
    let mut raw = session.raw().await.ok()?;
    let stamp = Keys::new(session.namespace()).stamp(tag);
    let answer = raw.one(cmd("GET").arg(stamp)).await.ok()?;
    Some(bytes(&answer).is_some())
}

/// One thing to be invalidated.
enum What<'a> {
    Tag(&'a Tag),
    Key(&'a Key),
    Twin(&'a Key),
    Kind(&'a Kind),
    All,
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Key(key) | Self::Twin(key) => write!(f, "key {key}"),
            Self::Kind(kind) => write!(f, "kind {kind}"),
            Self::All => f.write_str("everything"),
        }
    }
}

/// Invalidates one thing after the other, and keeps in mind what became of each.
struct Issuer<'a> {
    session: &'a Session,
    cache: Cache,
    cause: Cause,
    done: Vec<String>,
    failed: Vec<String>,
}

impl<'a> Issuer<'a> {
    fn new(session: &'a Session) -> Result<Self, Trouble> {
        let (cache, cause) = session.cache()?;
        Ok(Self {
            session,
            cache,
            cause,
            done: Vec::new(),
            failed: Vec::new(),
        })
    }

    async fn invalidate(&mut self, what: What<'_>) -> Result<(), Trouble> {
        let outcome = match what {
            What::Tag(tag) => Ok(self.cache.invalidate_tags([tag.clone()]).await),
            What::Key(key) | What::Twin(key) => Ok(self.cache.invalidate_key(key.clone()).await),
            What::Kind(kind) => self.cache.invalidate_kind(kind.as_str()).await,
            What::All => Ok(self.cache.clear().await),
        };
        let mut text = format!("{what} in namespace {}", self.session.namespace());
        if let What::Twin(_) = what {
            text.push_str(" (the same key of a function of the same name)");
        }
        let why = match outcome {
            Ok(Invalidation::Applied) => {
                self.done.push(text);
                return Ok(());
            }
            // It goes with this process, and is not done.
            Ok(_) => self.cause.told(),
            Err(error) => Some(error.to_string()),
        };
        let why = why.unwrap_or_else(|| "Redis did not answer in time".to_owned());
        self.failed
            .push(format!("{text} was not invalidated: {why}"));
        // A cache that has queued something sends nothing else before that, and it may be refused for
        // ever.
        (self.cache, self.cause) = self.session.cache()?;
        Ok(())
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

/// Why other names were not looked for.
struct Unseen {
    /// The user may not look: there is nothing to be repeated.
    refused: bool,
    why: String,
}

impl From<Failure> for Unseen {
    fn from(failure: Failure) -> Self {
        Self {
            refused: failure.is_refusal(),
            why: failure.to_string(),
        }
    }
}

impl From<Trouble> for Unseen {
    fn from(trouble: Trouble) -> Self {
        Self {
            refused: false,
            why: trouble.to_string(),
        }
    }
}

/// The keys of the same calls under the other names that their functions may have: two functions of one
/// name in a kind are told apart by a suffix, and which of them has it differs between processes.
async fn other_names(session: &Session, keys: &[Key], out: &mut Out) -> Result<Vec<Key>, Unseen> {
    let namespace = session.namespace();
    let mut raw = session.raw().await?;
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
    let mut scan = Scan::new(&mut raw, pattern).await;
    while let Some(found) = scan.next(&mut raw).await? {
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
    let others = names.difference(&given);
    Ok(others.filter_map(|name| name.parse().ok()).collect())
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
