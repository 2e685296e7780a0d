//! The rules across options and function. Each mistake is reported where it was made.

mod arguments;
mod each;
mod options;
mod returned;
mod writes;

use proc_macro2::Span;
use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{Type, TypeImplTrait};

use self::arguments::{patterns, receiver, sets, skipped, unknown, unnamed};
use self::returned::returned;
pub(crate) use self::writes::{invalidates, updates};
use crate::args::Cached;
use crate::errors::Errors;
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
    sets(args, function, errors);
    patterns(args, function, errors);
    options::cached(args, function, errors);
    each::each(args, function, errors);
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

fn example_kind(function: &Function) -> String {
    let name = function.name().to_lowercase();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    if name.is_empty() || !name.is_ascii() || name.len() > 64 {
        return "user_profile".into();
    }
    name.into()
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
