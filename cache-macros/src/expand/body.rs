//! The user's body, set into what is generated: run, or put off until it is awaited.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

use crate::model::Function;

/// A variable of the expansion's own: nothing that the user has named so is hidden by it.
pub(super) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The place of the user's tokens, for tokens that are none of theirs: errors point there, and
/// lints about what people write keep out.
pub(super) fn located(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// A path of the expansion's own, in the place of the user's tokens. The whole of it: an error that
/// was half here and half there would show everything in between.
pub(super) fn moved(path: &TokenStream, to: Span) -> TokenStream {
    let moved = path.clone().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(to));
        token
    });
    moved.collect()
}

/// Statements in the place of the user's, as the signature promises: at once, or in a future.
pub(super) fn wrapped(function: &Function, statements: TokenStream) -> Group {
    function.braced(promised(function, statements))
}

/// What a function gives back for statements that may wait.
pub(super) fn promised(function: &Function, statements: TokenStream) -> TokenStream {
    match &function.deferred {
        None => statements,
        Some(deferred) if deferred.boxed => {
            quote!(::std::boxed::Box::pin(async move { #statements }))
        }
        // Not bare: it would look like something to be written as an `async fn`.
        Some(_) => quote!(::core::convert::identity(async move { #statements })),
    }
}

/// The body as an expression: what it returns, early or late, is its value.
pub(super) fn ran(function: &Function) -> TokenStream {
    let body = function.block();
    let returned = function.returned();
    if let Some(deferred) = &function.deferred {
        return closure(
            deferred.boxed.then_some(&function.sig.output),
            &body,
            &quote!(.await),
        );
    }
    // No `Result` hides behind an `impl Trait`, and a closure can't promise one.
    let named = !matches!(&returned, Type::ImplTrait(_));
    if function.is_async() {
        let edge = named.then(|| edge(function));
        return quote!(async move { #edge #body }.await);
    }
    closure(
        named.then(|| quote!(-> #returned)),
        &body,
        &TokenStream::new(),
    )
}

fn closure(output: Option<impl quote::ToTokens>, body: &Group, after: &TokenStream) -> TokenStream {
    if let Some(output) = output {
        return quote!((move || #output #body)() #after);
    }
    let body = Group::new(Delimiter::Brace, quote!(#body));
    quote!((move || #body)() #after)
}

/// Tells the compiler what an async block returns before it reads the body, so that a mismatch is
/// one error, at the return type's fault.
pub(super) fn edge(function: &Function) -> TokenStream {
    let returned = function.returned();
    let span = returned.span();
    let mut value = local("__returned");
    value.set_span(value.span().located_at(span));
    quote_spanned! {span=>
        #[allow(unknown_lints, unreachable_code, clippy::diverging_sub_expression, clippy::empty_loop, clippy::let_unit_value, clippy::needless_return, clippy::unreachable, clippy::let_with_type_underscore)]
        if false {
            let #value: #returned = loop {};
            return #value;
        }
    }
}

/// A call that gives a future which may have begun by being made, as one that begins when awaited.
pub(super) fn put_off(function: &Function, call: TokenStream) -> TokenStream {
    if function.deferred.is_some() {
        return quote!(async move { #call.await });
    }
    call
}
