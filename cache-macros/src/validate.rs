//! The rules across options and function. Each mistake is reported where it was made.

use proc_macro2::{Ident, Span};
use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Expr, GenericArgument, PatReference, PathArguments, ReturnType, Type, TypeImplTrait, TypePath,
    TypeReference, Visibility,
};

use crate::args::{Cached, Invalidates, Ttl};
use crate::errors::Errors;
use crate::mention::{mentions, mentions_self_type};
use crate::model::Function;
use crate::suggest;

/// Where the companions go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// An enum of the function's own name.
    Namespace,
    /// Methods beside the method.
    Siblings,
    /// There are none: in a trait's impl there is no place for them.
    Inline,
}

impl Layout {
    /// A macro sees neither the `impl` around a method nor whether it is a trait's. But a method
    /// with a visibility is in an inherent one.
    pub(crate) fn of(args: &Cached, function: &Function) -> Self {
        let wanted = args.companions.as_ref().map(|(_, wanted)| *wanted);
        let method = args.method || function.associated();
        match (method, wanted) {
            (_, Some(false)) => Self::Inline,
            (false, _) => Self::Namespace,
            (true, None) if matches!(function.vis, Visibility::Inherited) => Self::Inline,
            (true, _) => Self::Siblings,
        }
    }
}

/// What `#[cached(..)]` asks of its options and its function together.
pub(crate) fn cached(args: &Cached, function: &Function, errors: &mut Errors) {
    if !args.kind_written {
        errors.at(
            Span::call_site(),
            format!(
                "`kind` is missing: write `kind = \"{}\"`",
                example_kind(function)
            ),
        );
    }
    qualifiers("cached", function, errors);
    returned(args, function, errors);
    skipped(args, function, errors);
    receiver(args, function, errors);
    unnamed(args, function, errors);
    patterns(args, function, errors);
    ttl(args, function, errors);
}

/// What `#[invalidates(..)]` asks of its options and its function together.
pub(crate) fn invalidates(args: &Invalidates, function: &Function, errors: &mut Errors) {
    if !args.written {
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

fn returned(args: &Cached, function: &Function, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = &function.sig.output else {
        errors.on(
            &function.sig.ident,
            "there is nothing to cache: the function returns nothing; write the type of a value after `->`",
        );
        return;
    };
    if matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
        errors.on(ty, "there is nothing to cache in `()`: return a value");
        return;
    }
    if let Some(found) = find_impl(ty) {
        errors.on(
            found,
            "an `impl Trait` can't be stored: write the type itself",
        );
        return;
    }
    if boxed_future(ty) {
        errors.on(
            ty,
            "a future can't be stored: write an `async fn`; under #[async_trait], cache a method of the type and call it from the trait's",
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
    let parameter = match &**ty {
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

fn skipped(args: &Cached, function: &Function, errors: &mut Errors) {
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
    let meant = suggest::nearest(name, known)
        .map(|meant| format!(" (did you mean `{meant}`?)"))
        .unwrap_or_default();
    format!(
        "there is no argument `{name}`{meant}: the function has {}",
        suggest::list(known)
    )
}

fn receiver(args: &Cached, function: &Function, errors: &mut Errors) {
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
fn unnamed(args: &Cached, function: &Function, errors: &mut Errors) {
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

/// A pattern is opened by reference for keys and tags, which `&mut` does not allow.
fn patterns(args: &Cached, function: &Function, errors: &mut Errors) {
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
            .chain(&args.cache);
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
        errors.on(
            expr,
            format!("`ttl` is the same for all calls, so it can't use `{name}`: write a constant, a text or a number"),
        );
    } else if mentions_self_type(expr.to_token_stream()) {
        errors.on(
            expr,
            "`ttl` is evaluated outside the `impl`: write the type's name instead of `Self`",
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

/// A reference in what would be cached: an error type may borrow, since errors are not stored.
fn borrowed(ty: &Type) -> Option<&TypeReference> {
    match ty {
        Type::Reference(reference) => {
            let lasting = reference
                .lifetime
                .as_ref()
                .is_some_and(|name| name.ident == "static");
            (!lasting).then_some(reference)
        }
        Type::Paren(ty) => borrowed(&ty.elem),
        Type::Group(ty) => borrowed(&ty.elem),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(borrowed),
        Type::Array(array) => borrowed(&array.elem),
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
            types.take(stored).find_map(borrowed)
        }
        _ => None,
    }
}

fn boxed_future(ty: &Type) -> bool {
    let text = ty.to_token_stream().to_string();
    text.contains("Pin <") && text.contains("dyn") && text.contains("Future <")
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
