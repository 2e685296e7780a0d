//! The options of the two attributes, typed, each checked as far as it can be on its own.

mod duration;
mod options;
mod template;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, Lit, LitInt, LitStr};

use self::options::{Known, Name, bare, flag, list, value};
use crate::errors::Errors;

pub(crate) use self::template::{Piece, Template};

const CACHED: Known = Known {
    attribute: "cached",
    names: &[
        "kind",
        "ttl",
        "tags",
        "key",
        "skip",
        "cache",
        "schema",
        "returns",
        "companions",
        "method",
    ],
    repeatable: &[],
    aside: &["kind", "ttl", "tags", "schema"],
};

const INVALIDATES: Known = Known {
    attribute: "invalidates",
    names: &["tags", "kind", "key", "cache"],
    repeatable: &["kind"],
    aside: &[],
};

/// How long a value is fresh.
pub(crate) enum Ttl {
    /// Known and checked at compile time.
    Millis(u64),
    /// Evaluated when the function registers.
    Expr(Box<Expr>),
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
    pub(crate) ttl: Option<Ttl>,
    pub(crate) tags: Vec<Template>,
    pub(crate) key: Option<Vec<Expr>>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) cache: Option<Expr>,
    pub(crate) schema: Option<u64>,
    pub(crate) returns: Option<Returns>,
    /// The option's own token, and whether it says yes.
    pub(crate) companions: Option<(Ident, bool)>,
    pub(crate) method: bool,
    /// Whether `kind` was written at all, so that a wrong one is not also called missing.
    pub(crate) kind_written: bool,
}

impl Cached {
    /// Reads the attribute; mistakes go to `errors`, the rest is still read.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut this = Self {
            // A text without a name is most likely the kind.
            kind_written: tokens
                .clone()
                .into_iter()
                .next()
                .is_some_and(|token| matches!(token, TokenTree::Literal(_))),
            ..Self::default()
        };
        parse(tokens, errors, |input, errors| {
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
        match name.to_string().as_str() {
            "kind" => {
                self.kind_written = true;
                self.kind = Some(kind(name, input)?);
            }
            "ttl" => self.ttl = Some(ttl(&value(name, input, "ttl = \"30m\"")?)?),
            "tags" => self.tags = tags(name, input, errors)?,
            "key" => self.key = Some(list(name, input, "key(id, self.tenant)")?),
            "skip" => {
                self.skip = list::<Name>(name, input, "skip(db)")?
                    .into_iter()
                    .map(|Name(name)| name)
                    .collect();
            }
            "cache" => self.cache = Some(value(name, input, "cache = expression")?),
            "schema" => self.schema = Some(schema(&value(name, input, "schema = 2")?)?),
            "returns" => self.returns = Some(returns(&value(name, input, "returns = value")?)?),
            "companions" => self.companions = Some((name.clone(), flag(name, input)?)),
            "method" => self.method = flag(name, input)?,
            other => unreachable!("`{other}` is listed as an option and not read"),
        }
        Ok(())
    }

    /// Whether a parameter is skipped.
    pub(crate) fn skips(&self, name: &Ident) -> bool {
        self.skip.contains(name)
    }

    /// The expressions in the tags' braces.
    pub(crate) fn tag_values(&self) -> impl Iterator<Item = &Expr> {
        self.tags.iter().flat_map(Template::values)
    }
}

/// The options of `#[invalidates(..)]`.
#[derive(Default)]
pub(crate) struct Invalidates {
    pub(crate) tags: Vec<Template>,
    pub(crate) kinds: Vec<LitStr>,
    pub(crate) keys: Vec<Expr>,
    pub(crate) cache: Option<Expr>,
    /// Whether something to invalidate was written at all, right or wrong.
    pub(crate) written: bool,
}

impl Invalidates {
    /// Reads the attribute; mistakes go to `errors`, the rest is still read.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut this = Self::default();
        parse(tokens, errors, |input, errors| {
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
        let option = name.to_string();
        self.written |= option != "cache";
        match option.as_str() {
            "kind" => self.kinds.push(kind(name, input)?),
            "tags" => self.tags = tags(name, input, errors)?,
            "key" => self.keys = list(name, input, "key(user_profile(id))")?,
            "cache" => self.cache = Some(value(name, input, "cache = expression")?),
            other => unreachable!("`{other}` is listed as an option and not read"),
        }
        Ok(())
    }
}

fn parse(
    tokens: TokenStream,
    errors: &mut Errors,
    read: impl FnOnce(ParseStream<'_>, &mut Errors),
) {
    let all = |input: ParseStream<'_>| {
        read(input, errors);
        Ok(())
    };
    // The reader consumes everything and keeps its own errors.
    let _ = all.parse2(tokens);
}

fn kind(name: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
    const EXAMPLE: &str = "kind = \"user_profile\"";
    let expr: Expr = value(name, input, EXAMPLE)?;
    let Expr::Lit(ExprLit {
        lit: Lit::Str(literal),
        ..
    }) = bare(&expr)
    else {
        return Err(syn::Error::new_spanned(
            &expr,
            format!("a kind is fixed in the source: write a text, such as `{EXAMPLE}`"),
        ));
    };
    let text = literal.value();
    let wrong = |what: String| Err(syn::Error::new(literal.span(), what));
    match text.bytes().next() {
        None => {
            return wrong(format!(
                "the kind is empty: write a name, such as `{EXAMPLE}`"
            ));
        }
        Some(b'a'..=b'z') => {}
        Some(_) => {
            return wrong(format!(
                "the kind `{text}` must start with a letter from a to z, such as `{EXAMPLE}`"
            ));
        }
    }
    if text.len() > 64 {
        return wrong(format!(
            "the kind has {} bytes: the longest has 64",
            text.len()
        ));
    }
    let allowed = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.');
    if let Some(stranger) = text.chars().find(|c| !allowed(c)) {
        return wrong(format!(
            "the kind `{text}` has a {stranger:?} in it: write letters from a to z, digits, `_`, `-` and `.`"
        ));
    }
    Ok(literal.clone())
}

fn tags(name: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Vec<Template>> {
    let mut templates = Vec::new();
    for expr in list::<Expr>(name, input, "tags(\"user:{id}\")")? {
        match template::from_expr(&expr) {
            Ok(template) => templates.push(template),
            Err(error) => errors.aside(error),
        }
    }
    Ok(templates)
}

fn ttl(expr: &Expr) -> syn::Result<Ttl> {
    let wrong = |what: String| syn::Error::new(expr.span(), what);
    let millis = match bare(expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => {
            unsuffixed(number)?;
            let seconds = number
                .base10_parse()
                .map_err(|_| wrong("the time to live is longer than 366 days".into()))?;
            duration::seconds_to_millis(seconds)
        }
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => duration::parse(&text.value()),
        Expr::Lit(_) => Err(
            "a time to live is whole seconds or a text: write `1800`, `\"30m\"` or `\"1500ms\"`"
                .into(),
        ),
        Expr::Unary(syn::ExprUnary {
            op: syn::UnOp::Neg(_),
            expr: inner,
            ..
        }) if matches!(**inner, Expr::Lit(_)) => {
            Err("a time to live can't be negative: write `1800` or `\"30m\"`".into())
        }
        _ => return Ok(Ttl::Expr(Box::new(expr.clone()))),
    };
    millis.map(Ttl::Millis).map_err(wrong)
}

fn schema(expr: &Expr) -> syn::Result<u64> {
    if let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = bare(expr)
    {
        unsuffixed(number)?;
        if let Ok(number) = number.base10_parse() {
            return Ok(number);
        }
    }
    Err(syn::Error::new_spanned(
        expr,
        "a schema is a whole number: write `schema = 2`, and a higher one whenever the meaning of the value changes",
    ))
}

fn unsuffixed(number: &LitInt) -> syn::Result<()> {
    if number.suffix().is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(
        number.span(),
        format!(
            "`{number}` has a suffix: write `{}`, or a text with a unit, such as `\"30m\"`",
            number.base10_digits()
        ),
    ))
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
