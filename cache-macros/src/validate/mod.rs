//! The rules across options and function. Each mistake is reported where it was made.

mod arguments;
mod returned;

use proc_macro2::{Ident, Span};
use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{Expr, Type, TypeImplTrait};

use self::arguments::{patterns, receiver, skipped, unknown, unnamed};
use self::returned::returned;
use crate::args::{Cached, Invalidates, Ttl};
use crate::errors::Errors;
use crate::mention::{mentions, mentions_self_type};
use crate::model::Function;

/// What `#[cached(..)]` asks of its options and its function together.
pub(crate) fn cached(args: &Cached, function: &Function, errors: &mut Errors) {
    if !args.kind_written {
        errors.aside(syn::Error::new(
            Span::call_site(),
            format!(
                "`kind` is missing: write `kind = \"{}\"`",
                example_kind(function)
            ),
        ));
    }
    qualifiers("cached", function, errors);
    returned(args, function, errors);
    skipped(args, function, errors);
    receiver(args, function, errors);
    unknown(args, function, errors);
    unnamed(args, function, errors);
    patterns(args, function, errors);
    ttl(args, function, errors);
}

/// What `#[invalidates(..)]` asks of its options and its function together.
pub(crate) fn invalidates(args: &Invalidates, function: &Function, errors: &mut Errors) {
    if !args.written && errors.is_empty() {
        errors.at(
            Span::call_site(),
            "nothing to invalidate: write `tags(\"user:{id}\")`, `key(user_profile(id))` or `kind = \"user_profile\"`",
        );
    }
    for item in &args.keys {
        if let Err(error) = call(item) {
            errors.add(error);
        }
    }
    if let Some(token) = &function.sig.constness {
        errors.on(token, "a `const fn` can't reach a cache: remove `const`");
    }
    if let Some(variadic) = &function.sig.variadic {
        errors.on(variadic, "#[invalidates] doesn't go on a variadic function");
    }
}

fn qualifiers(attribute: &str, function: &Function, errors: &mut Errors) {
    let sig = &function.sig;
    if let Some(token) = &sig.constness {
        errors.on(token, "a `const fn` can't be cached: remove `const`");
    }
    if !matches!(sig.safety, syn::Safety::Default) {
        errors.on(
            &sig.safety,
            format!(
                "#[{attribute}] doesn't go on an `{}` function: a hit skips the body that its callers vouch for; cache a safe function that wraps it",
                sig.safety.to_token_stream()
            ),
        );
    }
    if let Some(abi) = &sig.abi {
        errors.on(
            abi,
            format!("#[{attribute}] doesn't go on an `extern` function: cache a Rust function that it calls"),
        );
    }
    if let Some(variadic) = &sig.variadic {
        errors.on(
            variadic,
            format!("#[{attribute}] doesn't go on a variadic function"),
        );
    }
}

/// The time to live belongs to the function, not to a call.
fn ttl(args: &Cached, function: &Function, errors: &mut Errors) {
    let Some(Ttl::Expr(expr)) = &args.ttl else {
        return;
    };
    let names = function.names();
    let generic = function
        .type_params()
        .chain(function.const_params())
        .map(Ident::to_string);
    if let Some(name) = names
        .into_iter()
        .chain(generic)
        .find(|name| mentions(expr, name))
    {
        errors.aside(syn::Error::new_spanned(
            expr,
            format!("`ttl` is the same for all calls, so it can't use `{name}`: write a constant, a text or a number"),
        ));
    } else if mentions_self_type(expr.to_token_stream()) {
        errors.aside(syn::Error::new_spanned(
            expr,
            "`ttl` is evaluated outside the `impl`: write the type's name instead of `Self`",
        ));
    }
}

fn example_kind(function: &Function) -> String {
    let name = function.name().to_lowercase();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    if name.is_empty() || !name.is_ascii() || name.len() > 64 {
        return "user_profile".into();
    }
    name.into()
}

/// A `key(..)` item of `#[invalidates]` must be a call.
fn call(item: &Expr) -> Result<(), syn::Error> {
    let fine = match item {
        Expr::Call(call) => matches!(&*call.func, Expr::Path(_)),
        Expr::MethodCall(_) => true,
        _ => false,
    };
    if fine {
        return Ok(());
    }
    Err(syn::Error::new_spanned(
        item,
        "expected a call of a cached function with the arguments of its key: write `user_profile(user.id)`, or `self.profile(id)` for a method",
    ))
}

/// The first `impl Trait` in a type.
fn find_impl(ty: &Type) -> Option<&TypeImplTrait> {
    struct Find<'a>(Option<&'a TypeImplTrait>);

    impl<'ast> Visit<'ast> for Find<'ast> {
        fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
            self.0.get_or_insert(ty);
        }
    }

    let mut find = Find(None);
    find.visit_type(ty);
    find.0
}
