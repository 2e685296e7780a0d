//! Options that are closures over the cached value: `cache_if = |value| ..` and its kin.

use proc_macro2::{Ident, Span};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Block, Expr, ExprClosure, ExprLit, Lit, Stmt};

use super::options::{bare, value};
use super::template::Template;
use super::values::templates;
use crate::errors::Errors;

/// A closure with one parameter, or the path of a function.
pub(super) fn closure(name: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<Expr> {
    let expr: Expr = value(name, input, example)?;
    let wrong = |what: String| Err(syn::Error::new_spanned(&expr, what));
    match bare(&expr) {
        Expr::Path(_) => Ok(expr),
        Expr::Closure(closure) => {
            if let Some(asyncness) = &closure.asyncness {
                return Err(syn::Error::new_spanned(
                    asyncness,
                    format!("`{name}` is asked at once and can't wait: remove `async`"),
                ));
            }
            match closure.inputs.len() {
                1 => Ok(bare(&expr).clone()),
                count => Err(syn::Error::new_spanned(
                    closure,
                    format!(
                        "`{name}` is given the value and nothing else, and this takes {}: write `{example}`",
                        match count {
                            0 => "no parameter".to_owned(),
                            count => format!("{count} parameters"),
                        }
                    ),
                )),
            }
        }
        _ => wrong(format!(
            "`{name}` takes a closure over the cached value: write `{example}`"
        )),
    }
}

/// How the tags are known from the value.
pub(crate) enum TagsWith {
    /// A closure whose body is an array of templates; they stand for that body.
    Templates(Box<ExprClosure>, Vec<Template>),
    /// Whatever gives tags.
    Expr(Box<Expr>),
}

impl TagsWith {
    pub(super) fn parse(
        name: &Ident,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<Self> {
        let expr = closure(
            name,
            input,
            "tags_with = |order| [\"customer:{order.customer}\"]",
        )?;
        if let Expr::Closure(closure) = &expr
            && let Some(texts) = texts(&closure.body)
        {
            let templates = templates(texts, errors);
            return Ok(Self::Templates(Box::new(closure.clone()), templates));
        }
        Ok(Self::Expr(Box::new(expr)))
    }

    /// Where it was written.
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Expr(expr) => expr.span(),
            Self::Templates(closure, _) => closure.inputs.span(),
        }
    }

    /// A closure that uses what this one does.
    pub(crate) fn used(&self) -> Expr {
        match self {
            Self::Expr(expr) => (**expr).clone(),
            Self::Templates(closure, templates) => {
                let values = templates.iter().flat_map(Template::values);
                let mut closure = (**closure).clone();
                *closure.body = syn::parse_quote!([#(#values),*]);
                Expr::Closure(closure)
            }
        }
    }
}

/// The elements of an array in which a text stands: all of them must be templates then.
fn texts(body: &Expr) -> Option<syn::punctuated::Iter<'_, Expr>> {
    match bare(body) {
        Expr::Array(array) => elements(array),
        Expr::Reference(reference) => texts(&reference.expr),
        Expr::Block(block) => texts(single(&block.block)?),
        _ => None,
    }
}

fn elements(array: &syn::ExprArray) -> Option<syn::punctuated::Iter<'_, Expr>> {
    let text = |expr: &Expr| {
        matches!(
            bare(expr),
            Expr::Lit(ExprLit {
                lit: Lit::Str(_),
                ..
            })
        )
    };
    array.elems.iter().any(text).then(|| array.elems.iter())
}

/// The expression that is all there is in a block.
fn single(block: &Block) -> Option<&Expr> {
    match block.stmts.as_slice() {
        [Stmt::Expr(expr, None)] => Some(bare(expr)),
        _ => None,
    }
}
