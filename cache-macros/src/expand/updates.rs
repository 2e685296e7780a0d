//! The expansion of `#[updates(..)]`: note what the write will replace, run it, and hand what it
//! returned to the cached functions it is the value of.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::body::{local, located, moved, ran, wrapped};
use super::target::companion;
use crate::args::Updates;
use crate::model::Function;

/// The expansion of `#[updates(..)]`.
pub(crate) fn updates(args: &Updates, function: &Function) -> TokenStream {
    let Function {
        attrs, vis, sig, ..
    } = function;
    let rt = args.root.runtime();
    let (returned, output) = (function.returned(), local("__returned"));
    let names: Vec<Ident> = (0..args.calls.len())
        .map(|index| local(&format!("__updating_{index}")))
        .collect();
    let noted = args.calls.iter().zip(&names).map(|(call, name)| {
        let updating = companion(call, "__updating");
        quote!(let #name = #updating;)
    });
    let begin = if function.is_async() {
        quote!(begin().await)
    } else {
        quote!(begin_blocking())
    };
    // What one of them ends, the others are not to take for another write.
    let begun = names.iter().enumerate().map(|(index, name)| {
        let first = (index > 0).then(|| &names[0]).into_iter();
        quote!(let #name = #name #(.beside(&#first))* .#begin;)
    });
    let finished = names.iter().map(|name| {
        let outcome = local("__outcome");
        let updated = quote!(#name.end(#outcome));
        let updated = if function.is_async() {
            quote!(#updated.await)
        } else {
            quote!(#rt::block_on(#updated))
        };
        // At the type: there it is said that it does not fit.
        let (span, at) = (located(returned.span()), moved(&rt, returned.span()));
        let split = quote_spanned! {span=>
            let (#output, #outcome) = #at::outcome(#at::shape!(#returned), #output);
        };
        quote!(#split #updated;)
    });
    let ran = ran(function);
    let body = wrapped(
        function,
        quote! {
            #(#noted)*
            #(#begun)*
            #[allow(clippy::redundant_closure_call)]
            let #output: #returned = #ran;
            #(#finished)*
            #output
        },
    );
    quote!(#(#attrs)* #vis #sig #body)
}
