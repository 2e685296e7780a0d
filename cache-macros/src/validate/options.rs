//! The rules about options that stand together, and about what their expressions may use.

use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{Expr, PatIdent};

use crate::args::{Cached, Returns, Setting, TagsWith, Value};
use crate::errors::Errors;
use crate::mention::{mention, mentions, mentions_self_type};
use crate::model::Function;

/// What `#[cached(..)]` asks of its options.
pub(super) fn cached(args: &Cached, function: &Function, errors: &mut Errors) {
    for setting in &args.settings {
        constant(setting, function, errors);
    }
    timeouts(args, errors);
    strict(args, errors);
    plain(args, errors);
    for (option, closure) in closures(args) {
        value_alone(option, &closure, function, errors);
    }
}

/// A setting belongs to the function, not to a call.
fn constant(setting: &Setting, function: &Function, errors: &mut Errors) {
    let Value::Expr(expr) = &setting.value else {
        return;
    };
    let option = setting.option;
    let generic = function
        .type_params()
        .chain(function.const_params())
        .map(Ident::to_string);
    let used = function
        .all_names()
        .into_iter()
        .chain(generic)
        .find(|name| mentions(expr, name));
    let message = match used {
        Some(name) => format!(
            "`{option}` is the same for all calls, so it can't use `{name}`: write a constant, a text or a number"
        ),
        None if mentions_self_type(expr.to_token_stream()) => format!(
            "`{option}` is evaluated outside the `impl`: write the type's name instead of `Self`"
        ),
        None => return,
    };
    errors.aside(syn::Error::new_spanned(expr, message));
}

fn timeouts(args: &Cached, errors: &mut Errors) {
    if let (Some(soft), Some(hard)) = (args.set_by("soft_timeout"), args.set_by("hard_timeout"))
        && let (Value::Millis(short), Value::Millis(long)) = (&soft.value, &hard.value)
        && short > long
    {
        errors.aside(syn::Error::new_spanned(
            &soft.written,
            "`soft` is longer than `hard`, and would never be reached: write a shorter one, or leave it out",
        ));
    }
}

fn strict(args: &Cached, errors: &mut Errors) {
    if let (Some(consistency), Some(outage)) =
        (args.set_by("consistency"), args.set_by("outage_ttl"))
        && matches!(consistency.value, Value::Consistency("Strict"))
        && !matches!(outage.value, Value::Millis(0))
    {
        errors.aside(syn::Error::new_spanned(
            &outage.written,
            "`outage_ttl` serves without the shared tier, and `consistency = \"strict\"` asks it on every call: leave one of them out",
        ));
    }
}

/// With `returns = value` there is no `None` and no `Err` to speak of.
fn plain(args: &Cached, errors: &mut Errors) {
    if !matches!(args.returns, Some(Returns::Value)) {
        return;
    }
    for option in args.cache_none.iter().chain(&args.cache_err) {
        errors.aside(syn::Error::new_spanned(
            option,
            format!(
                "with `returns = value` whatever is returned is cached as it is: remove `{option}`, or `returns`"
            ),
        ));
    }
}

fn closures(args: &Cached) -> impl Iterator<Item = (&'static str, Expr)> {
    let tags = args.tags_with.as_ref().map(TagsWith::used);
    let given = [
        ("cache_if", args.cache_if.clone()),
        ("ttl_with", args.ttl_with.clone()),
        ("tags_with", tags),
    ];
    given
        .into_iter()
        .filter_map(|(option, closure)| Some((option, closure?)))
}

/// The value comes after the body, which may have moved the arguments.
fn value_alone(option: &str, closure: &Expr, function: &Function, errors: &mut Errors) {
    let mut bound = Bound(Vec::new());
    bound.visit_expr(closure);
    let instead = match option {
        "tags_with" => "write a tag that an argument names in `tags(..)`",
        "cache_if" => "take it from the value, or decide by it in `enabled`",
        _ => "take it from the value",
    };
    for name in function.all_names() {
        if bound.0.contains(&name) {
            continue;
        }
        if let Some(span) = mention(closure, &name) {
            errors.aside(syn::Error::new(
                span,
                format!(
                    "`{option}` sees the value alone, since the body has taken `{name}`: {instead}"
                ),
            ));
        }
    }
}

/// The names that a closure binds itself.
struct Bound(Vec<String>);

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, pat: &'ast PatIdent) {
        self.0.push(pat.ident.to_string());
        syn::visit::visit_pat_ident(self, pat);
    }
}
