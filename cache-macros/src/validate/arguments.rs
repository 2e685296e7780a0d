//! The rules about arguments, and about the key and the tags that are made of them.

use proc_macro2::Span;
use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Expr, GenericArgument, PatReference, PathArguments, PathSegment, Type};

use super::find_impl;
use crate::args::Cached;
use crate::errors::Errors;
use crate::mention::mentions;
use crate::model::Function;
use crate::suggest;

/// What is skipped must be there, and not be used.
pub(super) fn skipped(args: &Cached, function: &Function, errors: &mut Errors) {
    let names = function.names();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    for (index, name) in args.skip.iter().enumerate() {
        let text = name.to_string();
        if args.skip[..index].contains(name) {
            errors.on(name, format!("`{text}` is skipped twice: keep one"));
        } else if !known.contains(&text.as_str()) {
            errors.on(name, unknown_argument(&text, &known, function));
        } else if args.key.iter().flatten().any(|expr| mentions(expr, &text)) {
            errors.on(
                name,
                format!(
                    "`{text}` is skipped here and used in `key(..)`: remove it from one of them"
                ),
            );
        }
    }
}

/// A name alone, in the key or in a tag, is an argument's: nothing else in small letters would be
/// worth writing there. What is more than a name is the compiler's to judge.
pub(super) fn unknown(args: &Cached, function: &Function, errors: &mut Errors) {
    let names = function.names();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    for expr in args.key.iter().flatten().chain(args.tag_values()) {
        let Expr::Path(path) = expr else { continue };
        let Some(name) = path.path.get_ident() else {
            continue;
        };
        let text = name.to_string();
        let constant = text.starts_with(|first: char| !first.is_lowercase());
        let bound = function
            .params
            .iter()
            .any(|param| param.binds.contains(name));
        if !(constant || bound || known.contains(&text.as_str())) {
            errors.on(name, unknown_argument(&text, &known, function));
        }
    }
}

fn unknown_argument(name: &str, known: &[&str], function: &Function) -> String {
    if function
        .params
        .iter()
        .any(|param| param.binds.iter().any(|bind| bind == name))
    {
        return format!(
            "`{name}` is a part of an argument: give the whole argument a name, and take it apart in the body"
        );
    }
    if known.is_empty() {
        return format!("there is no argument `{name}`: the function has none with a name");
    }
    format!(
        "there is no argument `{name}`{}: the function has {}",
        suggest::meant(name, known),
        suggest::list(known)
    )
}

/// A method says what of `self` counts.
pub(super) fn receiver(args: &Cached, function: &Function, errors: &mut Errors) {
    let Some(span) = function.receiver_span() else {
        return;
    };
    let skipped = args.skip.iter().any(|name| name == "self");
    let used = args.key.iter().flatten().any(|expr| mentions(expr, "self"));
    if skipped || used {
        return;
    }
    let mut key = vec!["self.some_field".to_owned()];
    if let Some(written) = &args.key {
        key.extend(
            written
                .iter()
                .map(|expr| expr.to_token_stream().to_string()),
        );
    } else {
        let keyed = function
            .params
            .iter()
            .filter(|param| param.named() && !args.skips(&param.ident));
        key.extend(keyed.map(|param| param.ident.to_string()));
    }
    let key = key.join(", ");
    errors.at(
        span,
        format!(
            "say what of `self` the result depends on: `key({key})`, or `skip(self)` if on nothing of it"
        ),
    );
}

/// Arguments whose type has no name cannot be part of an identity.
pub(super) fn unnamed(args: &Cached, function: &Function, errors: &mut Errors) {
    for param in &function.params {
        let keyed = match &args.key {
            Some(key) => key.iter().any(|expr| param.mentioned(expr)),
            None => !args.skips(&param.ident),
        };
        if keyed && let Some(found) = find_impl(&param.ty) {
            let name = if param.named() {
                param.ident.to_string()
            } else {
                "x".into()
            };
            errors.on(
                found,
                format!(
                    "an `impl Trait` in the key has a type without a name, so calls with two types could not be told apart: write `fn {}<T: {}>({name}: T)`, or `skip({name})`",
                    function.name(),
                    found.bounds.to_token_stream(),
                ),
            );
        }
    }
}

/// A set as an argument is sorted; one inside of another type looks to serde like any list, so its
/// order, which differs from set to set, would be part of the key.
pub(super) fn sets(args: &Cached, function: &Function, errors: &mut Errors) {
    struct Sets(Vec<Span>);

    impl<'ast> Visit<'ast> for Sets {
        fn visit_path_segment(&mut self, segment: &'ast PathSegment) {
            if segment.ident == "HashSet" {
                self.0.push(segment.ident.span());
            }
            visit::visit_path_segment(self, segment);
        }
    }

    // What `key(..)` makes of an argument may be in order.
    if args.key.is_some() {
        return;
    }
    for param in &function.params {
        if args.skips(&param.ident) {
            continue;
        }
        let mut sets = Sets(Vec::new());
        match outermost(&param.ty) {
            Type::Path(path)
                if path
                    .path
                    .segments
                    .last()
                    .is_some_and(|last| last.ident == "HashSet") =>
            {
                // Of what is in it, another set would be as bad.
                if let Some(last) = path.path.segments.last() {
                    sets.visit_path_arguments(&last.arguments);
                }
            }
            ty => sets.visit_type(ty),
        }
        for span in sets.0 {
            errors.at(
                span,
                "a `HashSet` inside of another type has no order that calls agree on: write `BTreeSet`",
            );
        }
    }
}

/// The type behind references, pointers and `Option`.
fn outermost(ty: &Type) -> &Type {
    match ty {
        Type::Reference(reference) => outermost(&reference.elem),
        Type::Paren(paren) => outermost(&paren.elem),
        Type::Group(group) => outermost(&group.elem),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else {
                return ty;
            };
            let around = ["Option", "Box", "Arc", "Rc", "Cow"];
            let PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return ty;
            };
            let mut types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            match types.next() {
                Some(inside) if around.iter().any(|name| last.ident == name) => outermost(inside),
                _ => ty,
            }
        }
        _ => ty,
    }
}

/// A pattern is opened by reference for keys and tags, which `&mut` does not allow.
pub(super) fn patterns(args: &Cached, function: &Function, errors: &mut Errors) {
    struct Exclusive(Option<Span>);

    impl<'ast> Visit<'ast> for Exclusive {
        fn visit_pat_reference(&mut self, pat: &'ast PatReference) {
            if pat.mutability.is_some() {
                self.0 = Some(pat.span());
            }
            visit::visit_pat_reference(self, pat);
        }
    }

    for param in &function.params {
        let used = args
            .key
            .iter()
            .flatten()
            .chain(args.tag_values())
            .chain(args.conditions());
        if param.named() || !used.into_iter().any(|expr| param.mentioned(expr)) {
            continue;
        }
        let mut exclusive = Exclusive(None);
        exclusive.visit_pat(&param.pat);
        if let Some(span) = exclusive.0 {
            errors.at(
                span,
                "this pattern can't be opened without changing the argument: give the argument a name, and take it apart in the body",
            );
        }
    }
}
