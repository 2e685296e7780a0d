//! The options of `#[invalidates(..)]`.

use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{Expr, LitStr};

use super::closure::TagsWith;
use super::options::{Known, flag, list, value};
use super::template::Template;
use super::values::{self, Root};
use crate::errors::Errors;

const INVALIDATES: Known = Known {
    owner: "#[invalidates]",
    names: &[
        "tags",
        "tags_with",
        "of",
        "kind",
        "before",
        "after",
        "always",
        "cache",
        "crate",
    ],
    repeatable: &["kind"],
    elsewhere: &[("key", "of"), ("keys", "of"), ("calls", "of")],
    aside: &[],
};

/// When the invalidation is carried out.
#[derive(Default)]
pub(crate) struct When {
    /// The option's own token, where it is on.
    pub(crate) before: Option<Ident>,
    pub(crate) after: Option<Ident>,
    /// Whatever is returned.
    pub(crate) always: Option<Ident>,
}

/// The options of `#[invalidates(..)]`.
#[derive(Default)]
pub(crate) struct Invalidates {
    pub(crate) tags: Vec<Template>,
    pub(crate) tags_with: Option<TagsWith>,
    pub(crate) kinds: Vec<LitStr>,
    /// The calls whose entries go.
    pub(crate) calls: Vec<Expr>,
    pub(crate) cache: Option<Expr>,
    pub(crate) when: When,
    pub(crate) root: Root,
    /// Whether something to invalidate was written at all, right or wrong.
    pub(crate) written: bool,
}

impl Invalidates {
    /// Reads the attribute; mistakes go to `errors`, the rest is still read.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut this = Self::default();
        values::parse(tokens, errors, |input, errors| {
            INVALIDATES.read(input, errors, |name, input, errors| {
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
        let on = |input| Ok::<_, syn::Error>(flag(name, input)?.then(|| name.clone()));
        let option = name.to_string();
        self.written |= matches!(option.as_str(), "tags" | "tags_with" | "of" | "kind");
        match option.as_str() {
            "kind" => self.kinds.push(values::kind(name, input)?),
            "tags" => self.tags = values::tags(name, input, errors)?,
            "tags_with" => self.tags_with = Some(TagsWith::parse(name, input, errors)?),
            "of" => self.calls = list(name, input, "of(user_profile(id))")?,
            "before" => self.when.before = on(input)?,
            "after" => self.when.after = on(input)?,
            "always" => self.when.always = on(input)?,
            "cache" => self.cache = Some(value(name, input, "cache = expression")?),
            "crate" => self.root = Root::parse(name, input)?,
            other => unreachable!("`{other}` is listed as an option and not read"),
        }
        Ok(())
    }
}
