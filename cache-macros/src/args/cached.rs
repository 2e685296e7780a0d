//! The options of `#[cached(..)]`.

use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{Expr, LitStr};

use super::closure::{TagsWith, closure};
use super::duration::Purpose;
use super::options::{Known, Name, bare, flag, group, list, value};
use super::template::Template;
use super::values::{self, Root, Value};
use crate::errors::Errors;

const CACHED: Known = Known {
    owner: "#[cached]",
    names: &[
        "kind",
        "ttl",
        "ttl_with",
        "tags",
        "tags_with",
        "key",
        "skip",
        "cache",
        "cache_none",
        "cache_err",
        "cache_if",
        "local_only",
        "stale_while_revalidate",
        "stale_if_error",
        "outage_ttl",
        "jitter",
        "early",
        "timeout",
        "consistency",
        "capacity",
        "enabled",
        "each",
        "entries_of",
        "schema",
        "version",
        "returns",
        "companions",
        "method",
        "crate",
    ],
    repeatable: &[],
    elsewhere: &[
        ("name", "kind"),
        ("time", "ttl"),
        ("time_to_live", "ttl"),
        ("expires", "ttl"),
        ("ttl_secs", "ttl"),
        ("convert", "key"),
        ("ignore", "skip"),
        ("unless", "cache_if"),
        ("condition", "cache_if"),
        ("option", "cache_none"),
        ("result", "cache_err"),
        ("size", "capacity"),
        ("max_capacity", "capacity"),
        ("max_size", "capacity"),
        ("refresh", "stale_while_revalidate"),
    ],
    aside: &[
        "kind",
        "ttl",
        "ttl_with",
        "tags",
        "tags_with",
        "cache_none",
        "cache_err",
        "cache_if",
        "stale_while_revalidate",
        "stale_if_error",
        "outage_ttl",
        "jitter",
        "early",
        "timeout",
        "consistency",
        "capacity",
        "enabled",
        "schema",
        "version",
    ],
};

const TIMEOUT: Known = Known {
    owner: "`timeout`",
    names: &["soft", "hard"],
    repeatable: &[],
    elsewhere: &[],
    aside: &["soft", "hard"],
};

const TTL: Purpose = Purpose {
    the: "the time to live",
    a: "a time to live",
    zero: Some("caches nothing: remove the attribute, or write a longer one"),
};

/// Durations past the time to live: the option, which is also the policy's method, and an example.
const SPANS: [(&str, &str, Purpose); 3] = [
    (
        "stale_while_revalidate",
        "stale_while_revalidate = \"5m\"",
        Purpose::option("`stale_while_revalidate`", None),
    ),
    (
        "stale_if_error",
        "stale_if_error = \"1h\"",
        Purpose::option("`stale_if_error`", None),
    ),
    (
        "outage_ttl",
        "outage_ttl = \"1m\"",
        Purpose::option("`outage_ttl`", None),
    ),
];

/// One field of the function's policy.
pub(crate) struct Setting {
    /// The option, as messages call it.
    pub(crate) option: &'static str,
    /// The method of `Policy` that sets it.
    pub(crate) method: &'static str,
    pub(crate) value: Value,
    /// What was written.
    pub(crate) written: Expr,
}

/// What the return type is, where the user says so.
#[derive(Clone, Copy)]
pub(crate) enum Returns {
    /// A value, whatever it looks like.
    Value,
}

/// The options of `#[cached(..)]`.
#[derive(Default)]
pub(crate) struct Cached {
    pub(crate) kind: Option<LitStr>,
    /// What the attribute says of the policy.
    pub(crate) settings: Vec<Setting>,
    pub(crate) tags: Vec<Template>,
    pub(crate) tags_with: Option<TagsWith>,
    pub(crate) cache_if: Option<Expr>,
    pub(crate) ttl_with: Option<Expr>,
    pub(crate) key: Option<Vec<Expr>>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) cache: Option<Expr>,
    pub(crate) enabled: Option<Expr>,
    /// The argument whose elements are calls of their own.
    pub(crate) each: Option<Ident>,
    /// The function whose entries they are.
    pub(crate) entries_of: Option<Expr>,
    /// The options' own tokens, where they are on.
    pub(crate) cache_none: Option<Ident>,
    pub(crate) cache_err: Option<Ident>,
    pub(crate) local_only: bool,
    pub(crate) schema: Option<u64>,
    pub(crate) version: u64,
    pub(crate) returns: Option<Returns>,
    /// The option's own token, and whether it says yes.
    pub(crate) companions: Option<(Ident, bool)>,
    pub(crate) method: bool,
    pub(crate) root: Root,
    /// Whether `kind` was written at all, so that a wrong one is not also called missing.
    pub(crate) kind_written: bool,
}

impl Cached {
    /// Reads the attribute; mistakes go to `errors`, the rest is still read.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut this = Self {
            // A text without a name is most likely the kind.
            kind_written: values::begins_with_text(&tokens),
            ..Self::default()
        };
        values::parse(tokens, errors, |input, errors| {
            CACHED.read(input, errors, |name, input, errors| {
                this.option(name, input, errors)
            });
        });
        this
    }

    fn option(
        &mut self,
        name: &Ident,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        const SCHEMA: &str = "a schema is a whole number: write `schema = 2`, and a higher one whenever the meaning of the value changes";
        const VERSION: &str = "a version is a whole number: write `version = 2`, and a higher one to leave all that was cached before behind";
        match name.to_string().as_str() {
            "kind" => {
                self.kind_written = true;
                self.kind = Some(values::kind(name, input)?);
            }
            "tags" => self.tags = values::tags(name, input, errors)?,
            "tags_with" => self.tags_with = Some(TagsWith::parse(name, input, errors)?),
            "cache_if" => {
                let example = "cache_if = |value| !value.is_empty()";
                self.cache_if = Some(closure(name, input, example)?);
            }
            "ttl_with" => {
                let example = "ttl_with = |value| value.expires_in";
                self.ttl_with = Some(closure(name, input, example)?);
            }
            "key" => self.key = Some(list(name, input, "key(id, self.tenant)")?),
            "skip" => {
                self.skip = list::<Name>(name, input, "skip(db)")?
                    .into_iter()
                    .map(|Name(name)| name)
                    .collect();
            }
            "cache" => self.cache = Some(value(name, input, "cache = expression")?),
            "enabled" => self.enabled = Some(value(name, input, "enabled = expression")?),
            "each" => {
                let Name(each) = value(name, input, "each = ids")?;
                self.each = Some(each);
            }
            "entries_of" => {
                self.kind_written = true;
                self.entries_of = Some(value(name, input, "entries_of = user")?);
            }
            "local_only" => self.local_only = flag(name, input)?,
            "schema" => {
                let expr = value(name, input, "schema = 2")?;
                self.schema = Some(values::number(&expr, SCHEMA)?);
            }
            "version" => {
                let expr = value(name, input, "version = 2")?;
                self.version = values::number(&expr, VERSION)?;
            }
            "returns" => self.returns = Some(returns(&value(name, input, "returns = value")?)?),
            "companions" => self.companions = Some((name.clone(), flag(name, input)?)),
            "method" => self.method = flag(name, input)?,
            "crate" => self.root = Root::parse(name, input)?,
            _ => self.setting(name, input, errors)?,
        }
        Ok(())
    }

    /// An option that goes into the function's policy.
    fn setting(
        &mut self,
        name: &Ident,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        match name.to_string().as_str() {
            "ttl" => self.duration("ttl", "ttl", TTL, &value(name, input, "ttl = \"30m\"")?)?,
            "cache_none" => {
                if self.negative(name, "cache_none", "none_ttl", input)? {
                    self.cache_none = Some(name.clone());
                }
            }
            "cache_err" => {
                if self.negative(name, "cache_err", "err_ttl", input)? {
                    self.cache_err = Some(name.clone());
                }
            }
            "jitter" => {
                let expr = value(name, input, "jitter = 0.1")?;
                let value = values::jitter(&expr)?;
                self.set("jitter", "jitter", value, &expr);
            }
            "capacity" => {
                let expr = value(name, input, "capacity = 1000")?;
                let value = values::capacity(&expr)?;
                self.set("capacity", "capacity", value, &expr);
            }
            "consistency" => {
                let expr = value(name, input, "consistency = \"strict\"")?;
                let value = values::consistency(&expr)?;
                self.set("consistency", "consistency", value, &expr);
            }
            "early" => {
                let early = flag(name, input)?;
                self.set(
                    "early",
                    "early",
                    Value::Flag(early),
                    &syn::parse_quote!(#early),
                );
            }
            "timeout" => {
                let inner = group(name, input, "timeout(soft = \"200ms\", hard = \"2s\")")?;
                values::parse(inner, errors, |input, errors| {
                    TIMEOUT.read(input, errors, |name, input, _| self.timeout(name, input));
                });
            }
            other => {
                let Some((option, example, purpose)) = SPANS.iter().find(|span| span.0 == other)
                else {
                    unreachable!("`{other}` is listed as an option and not read")
                };
                self.duration(option, option, *purpose, &value(name, input, example)?)?;
            }
        }
        Ok(())
    }

    fn timeout(&mut self, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        const ZERO: Option<&str> = Some("lets no load end: leave it out for none");
        if name == "soft" {
            let expr = value(name, input, "soft = \"200ms\"")?;
            let purpose = Purpose::option("`soft`", ZERO);
            return self.duration("timeout(soft = ..)", "soft_timeout", purpose, &expr);
        }
        let expr = value(name, input, "hard = \"2s\"")?;
        let purpose = Purpose::option("`hard`", ZERO);
        self.duration("timeout(hard = ..)", "hard_timeout", purpose, &expr)
    }

    /// `cache_none` or `cache_err`: on, off, or with a time to live of its own.
    fn negative(
        &mut self,
        name: &Ident,
        option: &'static str,
        method: &'static str,
        input: ParseStream<'_>,
    ) -> syn::Result<bool> {
        if !input.peek(syn::Token![=]) {
            return Ok(true);
        }
        let expr: Expr = value(name, input, &format!("{option} = \"10s\""))?;
        if let Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Bool(on),
            ..
        }) = bare(&expr)
        {
            return Ok(on.value);
        }
        let purpose = Purpose {
            zero: Some("keeps nothing: leave the option out"),
            ..TTL
        };
        self.duration(option, method, purpose, &expr)?;
        Ok(true)
    }

    fn duration(
        &mut self,
        option: &'static str,
        method: &'static str,
        purpose: Purpose,
        expr: &Expr,
    ) -> syn::Result<()> {
        let value = values::duration(expr, purpose)?;
        self.set(option, method, value, expr);
        Ok(())
    }

    fn set(&mut self, option: &'static str, method: &'static str, value: Value, written: &Expr) {
        self.settings.push(Setting {
            option,
            method,
            value,
            written: written.clone(),
        });
    }

    /// What the attribute says of one field of the policy.
    pub(crate) fn set_by(&self, method: &str) -> Option<&Setting> {
        self.settings
            .iter()
            .find(|setting| setting.method == method)
    }

    /// Whether a parameter is skipped.
    pub(crate) fn skips(&self, name: &Ident) -> bool {
        self.skip.contains(name)
    }

    /// The expressions in the tags' braces.
    pub(crate) fn tag_values(&self) -> impl Iterator<Item = &Expr> {
        self.tags.iter().flat_map(Template::values)
    }

    /// The expressions over the arguments that are neither in the key nor in a tag.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Expr> {
        self.cache.iter().chain(&self.enabled)
    }
}

fn returns(expr: &Expr) -> syn::Result<Returns> {
    match bare(expr) {
        Expr::Path(path) if path.path.is_ident("value") => Ok(Returns::Value),
        _ => Err(syn::Error::new_spanned(
            expr,
            "`returns` takes `value`: whatever the function returns is then cached as it is",
        )),
    }
}
