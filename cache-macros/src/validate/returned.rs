//! The rules about what a cached function returns.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{GenericArgument, PathArguments, ReturnType, Type, TypePath, TypeReference};

use super::find_impl;
use crate::args::Cached;
use crate::errors::Errors;
use crate::layout::Layout;
use crate::model::{Deferred, Function};

/// What is returned must be something to store.
pub(super) fn returned(args: &Cached, function: &Function, errors: &mut Errors) {
    if matches!(function.sig.output, ReturnType::Default) {
        errors.on(
            &function.sig.ident,
            "there is nothing to cache: the function returns nothing; write the type of a value after `->`",
        );
        return;
    }
    let ty = &function.returned();
    if matches!(ty, Type::Never(_)) {
        errors.on(
            ty,
            "there is nothing to cache: a function that returns `!` never gives a value",
        );
        return;
    }
    if matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
        errors.on(ty, "there is nothing to cache in `()`: return a value");
        return;
    }
    if let Some(found) = find_impl(ty).filter(|_| Deferred::find(ty).is_none()) {
        errors.on(
            found,
            "an `impl Trait` can't be stored: write the type itself",
        );
        return;
    }
    if Deferred::find(ty).is_some() {
        errors.on(
            ty,
            "a future can't be stored: await it in the function, and return what comes out of it",
        );
        return;
    }
    if let Some(reference) = borrowed(ty) {
        errors.on(
            reference,
            "a reference can't be stored: return owned data, such as a `String`, a `Vec` or an `Arc`",
        );
        return;
    }
    let parameter = match ty {
        Type::Path(path) => path.path.get_ident(),
        _ => None,
    };
    if let Some(name) = parameter
        && args.returns.is_none()
        && function.type_params().any(|param| param == name)
    {
        errors.on(
            ty,
            format!(
                "`{name}` could be a `Result` or an `Option` or a value: return `Result<{name}, _>` or `Option<{name}>`, or write `returns = value` to cache it as it is"
            ),
        );
    }
    if Layout::of(args, function) != Layout::Inline
        && let Some(span) = elided(ty)
    {
        errors.at(
            span,
            "the companions of a cached function return this type too: give the lifetime a name, or write `companions = false`",
        );
    }
}

/// What is known to hold values of its parameters' types, and so is no owned data with a reference.
const CONTAINERS: &[&str] = &[
    "Arc", "BTreeMap", "BTreeSet", "Box", "HashMap", "HashSet", "Option", "Result", "Vec",
    "VecDeque",
];

/// A reference in what would be cached: an error type may borrow, since errors are not stored.
fn borrowed(ty: &Type) -> Option<&TypeReference> {
    reference(ty, true)
}

/// A reference; one that is `'static` only where it is `held`, and not just a type's parameter.
fn reference(ty: &Type, held: bool) -> Option<&TypeReference> {
    match ty {
        Type::Reference(reference) => {
            let lasting = reference
                .lifetime
                .as_ref()
                .is_some_and(|name| name.ident == "static");
            (held || !lasting).then_some(reference)
        }
        Type::Paren(ty) => reference(&ty.elem, held),
        Type::Group(ty) => reference(&ty.elem, held),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(|ty| reference(ty, held)),
        Type::Array(array) => reference(&array.elem, held),
        Type::Path(TypePath { path, .. }) => {
            let last = path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return None;
            };
            let types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            let stored = if last.ident == "Result" {
                1
            } else {
                usize::MAX
            };
            let held = held && CONTAINERS.iter().any(|name| last.ident == name);
            types.take(stored).find_map(|ty| reference(ty, held))
        }
        _ => None,
    }
}

/// A lifetime that is left to be inferred from the arguments.
fn elided(ty: &Type) -> Option<Span> {
    struct Find(Option<Span>);

    impl<'ast> Visit<'ast> for Find {
        fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
            if lifetime.ident == "_" {
                self.0.get_or_insert(lifetime.span());
            }
        }

        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            if reference.lifetime.is_none() {
                self.0.get_or_insert(reference.and_token.span());
            }
            visit::visit_type_reference(self, reference);
        }

        // What a function takes or returns has lifetimes of its own.
        fn visit_parenthesized_generic_arguments(
            &mut self,
            _: &'ast syn::ParenthesizedGenericArguments,
        ) {
        }

        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
    }

    let mut find = Find(None);
    find.visit_type(ty);
    find.0
}
