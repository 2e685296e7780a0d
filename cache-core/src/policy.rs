//! The settings of a kind. What operators set wins over what the attribute says, and that over the
//! defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::codec::Codec;
use crate::kind::Kind;
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    #[serde(default, deserialize_with = "duration")]
    pub(crate) ttl: Option<Duration>,
    #[serde(default)]
    pub(crate) enabled: Option<bool>,
    #[serde(default)]
    pub(crate) codec: Option<Codec>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) wait: Option<Duration>,
    #[serde(default)]
    pub(crate) max_bytes: Option<usize>,
}

impl Policy {
    /// A policy that decides nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a value is fresh. Default: the attribute's `ttl`, else five minutes.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Whether the kind is cached at all. Default: `true`.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// How values are written in the shared tier. Default: bincode, or MessagePack for types that
    /// bincode cannot carry. Entries in any codec can be read while changing over.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// How long a call waits for another's load, in all, before it runs the function itself.
    /// Default: 30 s.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The most bytes an encoded value may have to be stored or read. Default: 8 MiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    fn check(&self, kind: &str) -> Result<()> {
        if let Some(ttl) = self.ttl {
            ttl::check(ttl).map_err(|error| {
                Error::new(error.kind(), format!("policy of kind {kind:?}: {error}"))
            })?;
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
    pub(crate) codec: Option<Codec>,
    pub(crate) wait: Duration,
    pub(crate) max_bytes: usize,
    /// How long a lease lasts unless it is renewed.
    pub(crate) lease: Duration,
}

impl Settings {
    pub(crate) fn decide(policy: &Policy, attribute_ttl: Option<Duration>) -> Self {
        Self {
            ttl: policy
                .ttl
                .or(attribute_ttl)
                .unwrap_or(Duration::from_mins(5)),
            codec: policy.codec,
            wait: policy.wait.unwrap_or(Duration::from_secs(30)),
            max_bytes: policy.max_bytes.unwrap_or(8 << 20),
            lease: Duration::from_secs(10),
        }
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

    pub(crate) fn of(&self, kind: &str) -> Policy {
        self.0.get(kind).cloned().unwrap_or_default()
    }

    /// Reads policies from TOML: a table `[kinds.NAME]` each.
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
}

/// A duration in a policy file: seconds as a number, or a text like `"30m"`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(u64),
        Text(String),
    }
    use serde::de::Error as _;

    let duration = match Written::deserialize(deserializer) {
        Ok(Written::Seconds(seconds)) => Duration::from_secs(seconds),
        Ok(Written::Text(text)) => ttl::parse(&text).map_err(D::Error::custom)?,
        Err(_) => {
            return Err(D::Error::custom(
                "a duration is a whole number of seconds or a text like \"30m\"",
            ));
        }
    };
    ttl::check(duration).map_err(D::Error::custom)?;
    Ok(Some(duration))
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
             [kinds.settings]\nttl = 7200\nenabled = false\n",
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
            Policy::new().ttl(Duration::from_hours(2)).enabled(false)
        );
        assert_eq!(policies.of("other"), Policy::new());
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
            ("[kinds.a]\ncodec = \"json\"", "json"),
        ] {
            let error = read(toml).expect_err(toml).to_string();
            assert!(error.starts_with("cache.toml: "), "{error}");
            assert!(error.contains(wanted), "{toml}: {error}");
        }
    }
}
