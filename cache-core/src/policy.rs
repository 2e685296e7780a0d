//! The settings of a kind. What operators set wins over what the attribute says, and that over the
//! defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::codec::Codec;
use crate::kind::Kind;
use crate::local::Life;
use crate::{Error, ErrorKind, Result, ttl};

/// Settings of one kind; each left out is decided by the function's attribute, or by its default.
///
/// ```
/// use std::time::Duration;
/// use cache_core::{Cache, Policy};
///
/// let cache = Cache::builder()
///     .policy("shift_data", Policy::new().ttl(Duration::from_secs(60)))
///     .build();
/// # drop(cache);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    #[serde(default, deserialize_with = "duration")]
    pub(crate) ttl: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) none_ttl: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) err_ttl: Option<Duration>,
    #[serde(default)]
    pub(crate) enabled: Option<bool>,
    #[serde(default)]
    pub(crate) codec: Option<Codec>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) wait: Option<Duration>,
    #[serde(default)]
    pub(crate) max_bytes: Option<usize>,
    #[serde(default)]
    pub(crate) capacity: Option<usize>,
    #[serde(default, deserialize_with = "span")]
    pub(crate) stale_while_revalidate: Option<Duration>,
    #[serde(default, deserialize_with = "span")]
    pub(crate) stale_if_error: Option<Duration>,
    #[serde(default)]
    pub(crate) early: Option<bool>,
    #[serde(default)]
    pub(crate) jitter: Option<f64>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) soft_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) hard_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "span")]
    pub(crate) outage_ttl: Option<Duration>,
    pub(crate) local: Option<bool>,
    #[serde(default)]
    pub(crate) consistency: Option<Consistency>,
}

/// How late a node may notice what another one has invalidated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Consistency {
    /// Local values are served without asking while the shared tier tells of changes: another node's
    /// invalidation is seen as soon as its push has been handled, and within the bound of the store's
    /// heartbeat in any case.
    #[default]
    Bounded,
    /// Entry and stamps are checked with the shared tier on every call, in one round trip: once an
    /// invalidation has returned `Applied`, no call that begins anywhere gets what was before it.
    Strict,
}

impl Policy {
    /// A policy that decides nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ttl: None,
            none_ttl: None,
            err_ttl: None,
            enabled: None,
            codec: None,
            wait: None,
            max_bytes: None,
            capacity: None,
            stale_while_revalidate: None,
            stale_if_error: None,
            early: None,
            jitter: None,
            soft_timeout: None,
            hard_timeout: None,
            outage_ttl: None,
            local: None,
            consistency: None,
        }
    }

    /// How long a value is fresh. Default: the attribute's `ttl`, else five minutes. Where a function
    /// has `ttl_with`, it is the longest that may come of it; left out, a day is.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long a `None` is fresh, for functions with `cache_none`. Default: as long as a value.
    #[must_use]
    pub const fn none_ttl(mut self, ttl: Duration) -> Self {
        self.none_ttl = Some(ttl);
        self
    }

    /// How long an `Err` is fresh, for functions with `cache_err`. Default: as long as a value.
    #[must_use]
    pub const fn err_ttl(mut self, ttl: Duration) -> Self {
        self.err_ttl = Some(ttl);
        self
    }

    /// Whether the kind is cached at all. Default: `true`.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// How values are written in the shared tier. Default: bincode, or MessagePack for types that
    /// bincode cannot carry. Entries in any codec can be read while changing over.
    #[must_use]
    pub const fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// How long a call waits for another's load, in all, before it runs the function itself.
    /// Default: 30 s.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The most bytes an encoded value may have to be stored or read. Default: 8 MiB.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// The most entries that each function of the kind may have in this process; those that were not
    /// asked for lately make room. All entries together are bounded in bytes besides
    /// ([`CacheBuilder::capacity`](crate::CacheBuilder::capacity)). Default: no bound but that one.
    #[must_use]
    pub const fn capacity(mut self, entries: usize) -> Self {
        self.capacity = Some(entries);
        self
    }

    /// How long past its ttl a value may still be served while one call, in the whole fleet, loads a
    /// new one. That call waits for its load, since the function may borrow its arguments; the others
    /// don't. Default: zero.
    #[must_use]
    pub const fn stale_while_revalidate(mut self, span: Duration) -> Self {
        self.stale_while_revalidate = Some(span);
        self
    }

    /// How long past its ttl a value may still be served where the function returned an `Err`, or ran
    /// into a timeout. For a second after that it is served without running the function again.
    /// Default: zero.
    #[must_use]
    pub const fn stale_if_error(mut self, span: Duration) -> Self {
        self.stale_if_error = Some(span);
        self
    }

    /// Whether one call may load a new value shortly before the old one ends, with a chance that
    /// grows with the cost of a load, so that callers of a value that is much asked for never all miss
    /// at once (`XFetch`). Default: `true`.
    #[must_use]
    pub const fn early(mut self, early: bool) -> Self {
        self.early = Some(early);
        self
    }

    /// The part of the ttl, from 0 to 0.9, up to which it is shortened by chance, so that what was
    /// stored at one time does not end at one time. Default: 0.
    #[must_use]
    pub const fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = Some(fraction);
        self
    }

    /// How long a call waits for another's load before it takes a stale value, where
    /// [`stale_if_error`](Self::stale_if_error) has one. The call that loads waits for its load.
    /// Default: none.
    #[must_use]
    pub const fn soft_timeout(mut self, timeout: Duration) -> Self {
        self.soft_timeout = Some(timeout);
        self
    }

    /// How long a load may take. Then the key is free for another call to load, and what this one
    /// still brings is stored nowhere: its caller gets it, or, where
    /// [`stale_if_error`](Self::stale_if_error) has a value, that value at once, and the load of an
    /// `async fn` is dropped. Default: none.
    #[must_use]
    pub const fn hard_timeout(mut self, timeout: Duration) -> Self {
        self.hard_timeout = Some(timeout);
        self
    }

    /// How long local values are served, and new ones kept in this process, while the shared tier
    /// cannot be reached: for that long another node's invalidation may go unnoticed. This node's own
    /// are obeyed at once. Default: zero; functions run.
    #[must_use]
    pub const fn outage_ttl(mut self, span: Duration) -> Self {
        self.outage_ttl = Some(span);
        self
    }

    /// Whether values are kept in this process too. Without, each call asks the shared tier: for values
    /// that are large, and seldom asked for twice by one process. Where there is no shared tier, nothing
    /// is kept. Default: `true`.
    #[must_use]
    pub const fn local(mut self, local: bool) -> Self {
        self.local = Some(local);
        self
    }

    /// How late a node may notice what another one has invalidated. Default:
    /// [`Consistency::Bounded`].
    #[must_use]
    pub const fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = Some(consistency);
        self
    }

    /// This policy, and where it decides nothing, the other.
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            ttl: self.ttl.or(other.ttl),
            none_ttl: self.none_ttl.or(other.none_ttl),
            err_ttl: self.err_ttl.or(other.err_ttl),
            enabled: self.enabled.or(other.enabled),
            codec: self.codec.or(other.codec),
            wait: self.wait.or(other.wait),
            max_bytes: self.max_bytes.or(other.max_bytes),
            capacity: self.capacity.or(other.capacity),
            stale_while_revalidate: self.stale_while_revalidate.or(other.stale_while_revalidate),
            stale_if_error: self.stale_if_error.or(other.stale_if_error),
            early: self.early.or(other.early),
            jitter: self.jitter.or(other.jitter),
            soft_timeout: self.soft_timeout.or(other.soft_timeout),
            hard_timeout: self.hard_timeout.or(other.hard_timeout),
            outage_ttl: self.outage_ttl.or(other.outage_ttl),
            local: self.local.or(other.local),
            consistency: self.consistency.or(other.consistency),
        }
    }

    /// Whether it makes sense.
    pub(crate) fn check(&self, kind: &str) -> Result<()> {
        let refused = |what: String| {
            Err(Error::new(
                ErrorKind::Config,
                format!("policy of kind {kind:?}: {what}"),
            ))
        };
        for ttl in [self.ttl, self.none_ttl, self.err_ttl]
            .into_iter()
            .flatten()
        {
            ttl::check(ttl).map_err(|error| {
                Error::new(error.kind(), format!("policy of kind {kind:?}: {error}"))
            })?;
        }
        for (name, span) in [
            ("stale_while_revalidate", self.stale_while_revalidate),
            ("stale_if_error", self.stale_if_error),
            ("outage_ttl", self.outage_ttl),
        ] {
            if span.is_some_and(|span| span > ttl::LONGEST) {
                return refused(format!(
                    "{name} of {span:?} is longer than 366 days: write a shorter one, or zero for none"
                ));
            }
        }
        if let Some(jitter) = self.jitter
            && !(0.0..=0.9).contains(&jitter)
        {
            return refused(format!(
                "jitter = {jitter} is out of range: write the part of the ttl, from 0 to 0.9, up to \
                 which it may be shortened, such as 0.1"
            ));
        }
        for (name, timeout) in [
            ("soft_timeout", self.soft_timeout),
            ("hard_timeout", self.hard_timeout),
        ] {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                return refused(format!(
                    "{name} of zero lets no load end: leave it out for none"
                ));
            }
        }
        if let (Some(soft), Some(hard)) = (self.soft_timeout, self.hard_timeout)
            && soft > hard
        {
            return refused(format!(
                "soft_timeout of {soft:?} is longer than hard_timeout of {hard:?}: \
                 write a shorter one, or leave it out"
            ));
        }
        if self.consistency == Some(Consistency::Strict)
            && self.outage_ttl.is_some_and(|span| !span.is_zero())
        {
            return refused(
                "consistency = \"strict\" asks the shared tier on every call, and outage_ttl serves \
                 without it: leave one of them out"
                    .to_owned(),
            );
        }
        if let Some(codec) = self.codec
            && !codec.is_here()
        {
            return refused(format!(
                "codec = \"{codec}\" takes a feature that is left out by default: add \
                 `features = [\"{codec}\"]` to cache-core in Cargo.toml, or write \"bincode\""
            ));
        }
        if self.capacity == Some(0) {
            return refused(
                "capacity = 0 lets this process keep nothing: leave it out for no bound of its own, \
                 or write enabled = false"
                    .to_owned(),
            );
        }
        if self.max_bytes == Some(0) {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "policy of kind {kind:?}: max_bytes = 0 lets nothing be stored: \
                     leave it out for 8 MiB, or write enabled = false"
                ),
            ));
        }
        Ok(())
    }
}

/// What is decided for one function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) ttl: Duration,
    pub(crate) none_ttl: Option<Duration>,
    pub(crate) err_ttl: Option<Duration>,
    /// The longest that a value is fresh, whatever is said of it.
    pub(crate) longest_ttl: Duration,
    pub(crate) codec: Option<Codec>,
    pub(crate) wait: Duration,
    pub(crate) max_bytes: usize,
    /// How many entries may be local.
    pub(crate) capacity: Option<usize>,
    /// How long a lease lasts unless it is renewed.
    pub(crate) lease: Duration,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) early: bool,
    pub(crate) jitter: f64,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) hard_timeout: Option<Duration>,
    pub(crate) outage_ttl: Duration,
    pub(crate) strict: bool,
    /// Whether values are kept in this process.
    pub(crate) local: bool,
}

/// The longest that a value is fresh which says so itself, where no `ttl` does.
const LONGEST_OF_ITS_OWN: Duration = Duration::from_hours(24);

impl Settings {
    /// What a policy comes to. `own_ttl`: whether each value says how long it is fresh.
    pub(crate) fn decide(policy: &Policy, own_ttl: bool) -> Self {
        let ttl = policy.ttl.unwrap_or(Duration::from_mins(5));
        let longest_ttl = if own_ttl {
            policy.ttl.unwrap_or(LONGEST_OF_ITS_OWN)
        } else {
            [policy.none_ttl, policy.err_ttl]
                .into_iter()
                .flatten()
                .fold(ttl, Duration::max)
        };
        let strict = policy.consistency == Some(Consistency::Strict);
        Self {
            ttl,
            none_ttl: policy.none_ttl,
            err_ttl: policy.err_ttl,
            longest_ttl,
            codec: policy.codec,
            wait: policy.wait.unwrap_or(Duration::from_secs(30)),
            max_bytes: policy.max_bytes.unwrap_or(8 << 20),
            capacity: policy.capacity,
            lease: Duration::from_secs(10),
            stale_while_revalidate: policy.stale_while_revalidate.unwrap_or_default(),
            stale_if_error: policy.stale_if_error.unwrap_or_default(),
            early: policy.early.unwrap_or(true),
            jitter: policy.jitter.unwrap_or_default(),
            soft_timeout: policy.soft_timeout,
            hard_timeout: policy.hard_timeout,
            // One policy can't say both; where the attribute's and the operators' do, what is
            // stricter wins.
            outage_ttl: policy.outage_ttl.filter(|_| !strict).unwrap_or_default(),
            strict,
            local: policy.local.unwrap_or(true),
        }
    }

    /// How long a value is kept past its time to live.
    pub(crate) fn grace(&self) -> Duration {
        self.stale_while_revalidate.max(self.stale_if_error)
    }

    /// The longest life of an entry.
    pub(crate) fn longest(&self) -> Duration {
        self.longest_ttl.saturating_add(self.grace())
    }

    /// The life of an entry that was asked for at `asked`, is fresh and kept for so long from then on,
    /// and took `cost` to load.
    pub(crate) fn life(
        &self,
        asked: Duration,
        fresh: Duration,
        kept: Duration,
        cost: Duration,
    ) -> Life {
        let life = Life::new(
            asked.saturating_add(fresh),
            asked.saturating_add(kept),
            cost,
            asked,
        );
        if self.early { life } else { life.unhurried() }
    }

    /// How long a new value is fresh that should be so for `ttl`; `chance` is drawn from 0 to 1.
    pub(crate) fn fresh(&self, ttl: Duration, chance: f64) -> Duration {
        let ttl = ttl.min(self.longest_ttl);
        if self.jitter == 0.0 {
            return ttl;
        }
        let shortened = ttl.mul_f64(1.0 - self.jitter * chance);
        shortened.max(Duration::from_millis(1)).min(ttl)
    }
}

/// The policies of all kinds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies(BTreeMap<String, Policy>);

impl Policies {
    /// Sets the policy of a kind.
    pub(crate) fn set(&mut self, kind: &str, policy: Policy) -> Result<()> {
        Kind::new(kind)?;
        policy.check(kind)?;
        self.0.insert(kind.to_owned(), policy);
        Ok(())
    }

    /// The kinds that have one.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn of(&self, kind: &str) -> Policy {
        self.0.get(kind).cloned().unwrap_or_default()
    }

    /// Reads policies from TOML: a table `[kinds.NAME]` each.
    #[cfg(any(test, feature = "policy-file"))]
    pub(crate) fn read(&mut self, toml: &str, place: &str) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default)]
            kinds: BTreeMap<String, Policy>,
        }
        let in_place = |what: &dyn std::fmt::Display| {
            Error::new(
                ErrorKind::Config,
                format!("{place}: {}", what.to_string().trim_end()),
            )
        };
        let file: File = toml::from_str(toml).map_err(|error| in_place(&error))?;
        for (kind, policy) in file.kinds {
            self.set(&kind, policy).map_err(|error| in_place(&error))?;
        }
        Ok(())
    }

    /// Says what to add, since the library that reads TOML is not here.
    #[cfg(not(any(test, feature = "policy-file")))]
    #[expect(clippy::unused_self, reason = "it is read into where it can be")]
    pub(crate) fn read(&mut self, _toml: &str, place: &str) -> Result<()> {
        Err(Error::new(
            ErrorKind::Config,
            format!(
                "{place}: policies in TOML take a feature that is left out by default: add \
                 `features = [\"policy-file\"]` to cache-core in Cargo.toml"
            ),
        ))
    }
}

/// A duration in a policy file: seconds as a number, or a text like `"30m"`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    use serde::de::Error as _;

    let duration = written(deserializer)?;
    ttl::check(duration).map_err(D::Error::custom)?;
    Ok(Some(duration))
}

/// The same, where zero means none.
fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    written(deserializer).map(Some)
}

fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(u64),
        Text(String),
    }
    use serde::de::Error as _;

    match Written::deserialize(deserializer) {
        Ok(Written::Seconds(seconds)) => Ok(Duration::from_secs(seconds)),
        Ok(Written::Text(text)) => ttl::parse(&text).map_err(D::Error::custom),
        Err(_) => Err(D::Error::custom(
            "a duration is a whole number of seconds or a text like \"30m\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Policies> {
        let mut policies = Policies::default();
        policies.read(toml, "cache.toml").map(|()| policies)
    }

    #[test]
    fn a_policy_file_is_read() {
        let policies = read(
            "[kinds.shift_data]\nttl = \"15m\"\ncodec = \"messagepack\"\n\
             [kinds.settings]\nttl = 7200\nenabled = false\ncapacity = 1000\n\
             [kinds.rates]\nstale_if_error = \"1h\"\nstale_while_revalidate = 0\njitter = 0.1\n\
             soft_timeout = \"200ms\"\nconsistency = \"strict\"\n",
        )
        .expect("a good file");
        assert_eq!(
            policies.of("shift_data"),
            Policy::new()
                .ttl(Duration::from_mins(15))
                .codec(Codec::MessagePack)
        );
        assert_eq!(
            policies.of("settings"),
            Policy::new()
                .ttl(Duration::from_hours(2))
                .enabled(false)
                .capacity(1_000)
        );
        assert_eq!(
            policies.of("rates"),
            Policy::new()
                .stale_if_error(Duration::from_hours(1))
                .stale_while_revalidate(Duration::ZERO)
                .jitter(0.1)
                .soft_timeout(Duration::from_millis(200))
                .consistency(Consistency::Strict)
        );
        assert_eq!(policies.of("other"), Policy::new());
    }

    #[test]
    fn jitter_shortens_and_never_prolongs() {
        let policy = Policy::new().ttl(Duration::from_secs(100)).jitter(0.2);
        let settings = Settings::decide(&policy, false);
        assert_eq!(settings.fresh(settings.ttl, 0.0), Duration::from_secs(100));
        assert_eq!(settings.fresh(settings.ttl, 0.5), Duration::from_secs(90));
        assert_eq!(settings.fresh(settings.ttl, 1.0), Duration::from_secs(80));
        let policy = Policy::new().ttl(Duration::from_millis(1)).jitter(0.9);
        let settings = Settings::decide(&policy, false);
        assert_eq!(settings.fresh(settings.ttl, 1.0), Duration::from_millis(1));
    }

    #[test]
    fn what_is_wrong_in_a_policy_file_is_named_with_its_place() {
        for (toml, wanted) in [
            ("[kinds.a]\nttl = \"5 parsecs\"", "parsecs"),
            ("[kinds.a]\nttl = 0", "line 2"),
            ("[kinds.a]\nttl = true", "whole number of seconds"),
            ("[kinds.a]\ntll = 5", "tll"),
            ("[kinds.\"A b\"]\nttl = 5", "A b"),
            ("[kind.a]\nttl = 5", "kind"),
            ("[kinds.a]\nmax_bytes = 0", "max_bytes"),
            ("[kinds.a]\ncapacity = 0", "enabled = false"),
            ("[kinds.a]\ncapacity = -1", "line 2"),
            ("[kinds.a]\ncodec = \"json\"", "json"),
            ("[kinds.a]\nstale_if_error = 99999999999", "366 days"),
            ("[kinds.a]\njitter = 1.0", "0 to 0.9"),
            ("[kinds.a]\njitter = nan", "0 to 0.9"),
            ("[kinds.a]\nhard_timeout = 0", "line 2"),
            (
                "[kinds.a]\nsoft_timeout = 2\nhard_timeout = 1",
                "soft_timeout of 2s",
            ),
            ("[kinds.a]\nconsistency = \"eventual\"", "eventual"),
            (
                "[kinds.a]\nconsistency = \"strict\"\noutage_ttl = 5",
                "leave one of them out",
            ),
        ] {
            let error = read(toml).expect_err(toml).to_string();
            assert!(error.starts_with("cache.toml: "), "{error}");
            assert!(error.contains(wanted), "{toml}: {error}");
        }
    }
}
