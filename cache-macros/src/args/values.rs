//! Reads the values of options, and refuses at compile time what could only fail later.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, Lit, LitInt, LitStr, Path};

use super::duration::Purpose;
use super::options::{bare, list, value};
use super::template::{self, Template};
use crate::errors::Errors;
use crate::suggest;

/// What an option sets, as far as it is known at compile time.
pub(crate) enum Value {
    /// A duration, checked.
    Millis(u64),
    /// A number of things.
    Count(usize),
    /// A part of one.
    Part(f64),
    Flag(bool),
    /// A variant of `Consistency`.
    Consistency(&'static str),
    /// Evaluated when the function registers.
    Expr(Box<Expr>),
}

/// The path of cache-core: its own, or what `crate = path` says.
#[derive(Clone, Default)]
pub(crate) struct Root(Option<Path>);

impl Root {
    pub(crate) fn parse(name: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        const EXAMPLE: &str = "crate = my_crate::cache_core";
        let expr: Expr = value(name, input, EXAMPLE)?;
        let path = match bare(&expr) {
            Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
            // As some other attributes take it.
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => text.parse_with(Path::parse_mod_style).ok(),
            _ => None,
        };
        path.map(|path| Self(Some(path))).ok_or_else(|| {
            syn::Error::new_spanned(
                &expr,
                format!("expected the path where cache-core is found: write `{EXAMPLE}`"),
            )
        })
    }

    /// Where what the macros call is.
    pub(crate) fn runtime(&self) -> TokenStream {
        quote!(#self::__private)
    }
}

impl ToTokens for Root {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.0 {
            Some(path) => path.to_tokens(tokens),
            None => tokens.extend(quote!(::cache_core)),
        }
    }
}

/// Hands the options of an attribute to `read`.
pub(super) fn parse(
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

/// Whether the first thing written is a text without a name.
pub(super) fn begins_with_text(tokens: &TokenStream) -> bool {
    tokens
        .clone()
        .into_iter()
        .next()
        .is_some_and(|token| matches!(token, TokenTree::Literal(_)))
}

pub(super) fn kind(name: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
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

pub(super) fn tags(
    name: &Ident,
    input: ParseStream<'_>,
    errors: &mut Errors,
) -> syn::Result<Vec<Template>> {
    let exprs: Vec<Expr> = list(name, input, "tags(\"user:{id}\")")?;
    Ok(templates(&exprs, errors))
}

/// The templates that are written right; the others go to `errors`.
pub(super) fn templates<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    errors: &mut Errors,
) -> Vec<Template> {
    let mut templates = Vec::new();
    for expr in exprs {
        match template::from_expr(expr) {
            Ok(template) => templates.push(template),
            Err(error) => errors.aside(error),
        }
    }
    templates
}

pub(super) fn duration(expr: &Expr, purpose: Purpose) -> syn::Result<Value> {
    let wrong = |what: String| syn::Error::new(expr.span(), what);
    let millis = match bare(expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => {
            unsuffixed(number, ", or a text with a unit, such as `\"30m\"`")?;
            number
                .base10_parse()
                .map_err(|_| format!("{} is longer than 366 days", purpose.the))
                .and_then(|seconds| purpose.seconds(seconds))
        }
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => purpose.parse(&text.value()),
        Expr::Lit(_) => Err(format!(
            "{} is whole seconds or a text: write `1800`, `\"30m\"` or `\"1500ms\"`",
            purpose.a
        )),
        _ if negative(expr) => Err(format!(
            "{} can't be negative: write `1800` or `\"30m\"`",
            purpose.a
        )),
        _ => return Ok(Value::Expr(Box::new(expr.clone()))),
    };
    millis.map(Value::Millis).map_err(wrong)
}

/// The part of the ttl by which it is shortened.
pub(super) fn jitter(expr: &Expr) -> syn::Result<Value> {
    let part = match bare(expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Float(number),
            ..
        }) if number.suffix().is_empty() || number.suffix() == "f64" => {
            number.base10_parse::<f64>().ok()
        }
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) if number.suffix().is_empty() => number.base10_parse::<f64>().ok(),
        Expr::Lit(_) => None,
        _ if negative(expr) => None,
        _ => return Ok(Value::Expr(Box::new(expr.clone()))),
    };
    part.filter(|part| (0.0..=0.9).contains(part))
        .map(Value::Part)
        .ok_or_else(|| {
            syn::Error::new_spanned(
                expr,
                "`jitter` is the part of the ttl, from 0 to 0.9, up to which it may be shortened: write `jitter = 0.1`",
            )
        })
}

pub(super) fn capacity(expr: &Expr) -> syn::Result<Value> {
    let wrong = |what: &str| Err(syn::Error::new_spanned(expr, what));
    match bare(expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => {
            if number.suffix() != "usize" {
                unsuffixed(number, "")?;
            }
            match number.base10_parse() {
                Ok(0) => wrong(
                    "a capacity of zero keeps nothing: write how many entries this process keeps, such as `capacity = 1000`",
                ),
                Ok(count) => Ok(Value::Count(count)),
                Err(_) => wrong("the capacity is more than there can be: write `capacity = 1000`"),
            }
        }
        _ if negative(expr) || matches!(bare(expr), Expr::Lit(_)) => {
            wrong("a capacity is a whole number of entries: write `capacity = 1000`")
        }
        _ => Ok(Value::Expr(Box::new(expr.clone()))),
    }
}

pub(super) fn consistency(expr: &Expr) -> syn::Result<Value> {
    const KNOWN: [&str; 2] = ["strict", "bounded"];
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = bare(expr)
    else {
        return Err(syn::Error::new_spanned(
            expr,
            "`consistency` takes a text: write `consistency = \"strict\"` or `consistency = \"bounded\"`",
        ));
    };
    match text.value().as_str() {
        "strict" => Ok(Value::Consistency("Strict")),
        "bounded" => Ok(Value::Consistency("Bounded")),
        other => Err(syn::Error::new(
            text.span(),
            format!(
                "unknown consistency `{other}`{}: write `consistency = \"strict\"` or `consistency = \"bounded\"`",
                suggest::meant(other, &KNOWN)
            ),
        )),
    }
}

/// A whole number, written out.
pub(super) fn number(expr: &Expr, wrong: &str) -> syn::Result<u64> {
    if let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = bare(expr)
    {
        unsuffixed(number, "")?;
        if let Ok(number) = number.base10_parse() {
            return Ok(number);
        }
    }
    Err(syn::Error::new_spanned(expr, wrong))
}

fn negative(expr: &Expr) -> bool {
    matches!(
        bare(expr),
        Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr: inner, .. })
            if matches!(**inner, Expr::Lit(_))
    )
}

fn unsuffixed(number: &LitInt, or: &str) -> syn::Result<()> {
    if number.suffix().is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(
        number.span(),
        format!(
            "`{number}` has a suffix: write `{}`{or}",
            number.base10_digits()
        ),
    ))
}
