//! The expansion of `#[invalidates(..)]`: note what will be invalidated, run the body, carry it out.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Type;

use super::body::{local, ran, wrapped};
use super::call::{cache, late_tags, parts};
use super::target::companion;
use crate::args::Invalidates;
use crate::model::Function;

/// The expansion of `#[invalidates(..)]`.
pub(crate) fn invalidates(args: &Invalidates, function: &Function) -> TokenStream {
    let Function {
        attrs, vis, sig, ..
    } = function;
    let rt = args.root.runtime();
    let (plan, armed, output) = (local("__plan"), local("__armed"), local("__returned"));
    let noted = noted(args, &rt);
    let returned = function.returned();
    // No `Result` hides behind an `impl Trait` that anyone could take apart.
    let named = !matches!(&returned, Type::ImplTrait(_));
    let annotation = named.then(|| quote!(: #returned));
    let succeeded = if named && args.when.always.is_none() {
        quote!(#rt::shape::Success::succeeded(#rt::success!(#returned), &#output))
    } else {
        quote!(true)
    };
    let suffix = if function.is_async() { "" } else { "_blocking" };
    let wait = function.is_async().then(|| quote!(.await));
    let verb = |name: &str| format_ident!("{name}{suffix}");
    let (before, finish) = (verb("before"), verb("finish"));
    let before = args
        .when
        .before
        .is_some()
        .then(|| quote!(#plan.#before() #wait;));
    let late = args.tags_with.as_ref().map(|tags| {
        let closure = late_tags(&rt, tags);
        quote! {
            #armed.tags_with(
                #rt::shape::Success::value(#rt::success!(#returned), &#output),
                #closure,
            );
        }
    });
    let after = args.when.before.is_none() || args.when.after.is_some();
    let (arm, after) = if after {
        let mutable = late.is_some().then(|| quote!(mut));
        (
            Some(quote!(let #mutable #armed = #plan.arm();)),
            Some(quote!(#late #armed.#finish(#succeeded) #wait;)),
        )
    } else {
        (None, None)
    };
    let ran = ran(function);
    let body = wrapped(
        function,
        quote! {
            let #plan = #noted;
            #before
            #arm
            #[allow(clippy::let_unit_value, clippy::redundant_closure_call)]
            let #output #annotation = #ran;
            #after
            #[allow(clippy::unit_arg)]
            #output
        },
    );
    quote!(#(#attrs)* #vis #sig #body)
}

/// Noted before the body, which may move the arguments.
fn noted(args: &Invalidates, rt: &TokenStream) -> TokenStream {
    let (plan, cache) = (local("__plan"), cache(rt, args.cache.as_ref()));
    let tags = args.tags.iter().map(|tag| {
        let parts = parts(rt, tag);
        quote!(#plan.tag(#parts);)
    });
    let kinds = &args.kinds;
    let keys = args.calls.iter().map(|call| companion(call, "key"));
    quote! {
        {
            let mut #plan = #rt::Plan::new(#cache);
            #(#tags)*
            #(#plan.kind(#kinds);)*
            #(#plan.key(#keys);)*
            #plan
        }
    }
}
