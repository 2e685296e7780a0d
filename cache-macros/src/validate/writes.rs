//! The rules about functions that write: `#[invalidates(..)]` and `#[updates(..)]`.

use proc_macro2::Span;
use syn::{Expr, ReturnType, Type};

use super::find_impl;
use crate::args::{Invalidates, Updates, bare};
use crate::errors::Errors;
use crate::model::Function;

/// What `#[invalidates(..)]` asks of its options and its function together.
pub(crate) fn invalidates(args: &Invalidates, function: &Function, errors: &mut Errors) {
    if !args.written && errors.is_empty() {
        errors.at(
            Span::call_site(),
            "nothing to invalidate: write `tags(\"user:{id}\")`, `of(user_profile(id))` or `kind = \"user_profile\"`",
        );
    }
    for item in &args.calls {
        if !named_call(item) {
            errors.on(
                item,
                "expected a call of a cached function with the arguments of its key: write `user_profile(user.id)`, or `self.profile(id)` for a method",
            );
        }
    }
    if args.when.before.is_some() && args.when.after.is_none() {
        if let Some(always) = &args.when.always {
            errors.on(
                always,
                "before the function has run nothing is known of what it returns, so `before` is always: remove `always`, or add `after`",
            );
        }
        if let Some(closure) = &args.tags_with {
            errors.at(
                closure.span(),
                "the value is there only after the function has run: add `after`, or remove `before`",
            );
        }
    }
    carries("invalidates", function, errors);
}

/// What `#[updates(..)]` asks of its options and its function together.
pub(crate) fn updates(args: &Updates, function: &Function, errors: &mut Errors) {
    if args.calls.is_empty() && errors.is_empty() {
        errors.at(
            Span::call_site(),
            "nothing to update: write the call whose value this function returns, such as `#[updates(user_profile(user.id))]`",
        );
    }
    for item in &args.calls {
        let own = match bare(item) {
            Expr::MethodCall(call) => {
                matches!(bare(&call.receiver), Expr::Path(path) if path.path.is_ident("self"))
            }
            _ => true,
        };
        if !named_call(item) {
            errors.on(
                item,
                "expected a call of a cached function with the arguments of its key and its tags: write `user_profile(user.id)`, or `self.profile(id)` for a method",
            );
        } else if !own {
            errors.on(
                item,
                "only a method of `self` is known here: write the type, as in `Users::profile(&users, id)`",
            );
        }
    }
    let returned = function.returned();
    if matches!(function.sig.output, ReturnType::Default) {
        errors.on(
            &function.sig.ident,
            "the function returns nothing that could be cached: return the new value, or write #[invalidates]",
        );
    } else if matches!(&returned, Type::Tuple(tuple) if tuple.elems.is_empty()) {
        errors.on(
            &returned,
            "there is nothing to cache in `()`: return the new value, or write #[invalidates]",
        );
    } else if let Some(found) = find_impl(&returned) {
        errors.on(
            found,
            "an `impl Trait` can't be stored: write the type itself",
        );
    }
    carries("updates", function, errors);
}

/// Whether an expression is a call that has companions.
fn named_call(item: &Expr) -> bool {
    match bare(item) {
        Expr::Call(call) => matches!(&*call.func, Expr::Path(_)),
        Expr::MethodCall(_) => true,
        _ => false,
    }
}

/// What a function must be, to have more around its body.
fn carries(attribute: &str, function: &Function, errors: &mut Errors) {
    if let Some(token) = &function.sig.constness {
        errors.on(token, "a `const fn` can't reach a cache: remove `const`");
    }
    if let Some(variadic) = &function.sig.variadic {
        errors.on(
            variadic,
            format!("#[{attribute}] doesn't go on a variadic function"),
        );
    }
}
