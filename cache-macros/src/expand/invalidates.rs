//! The expansion of `#[invalidates(..)]`: note what will be invalidated, run the body, carry it out.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Expr, ExprCall, ExprMethodCall, ExprPath, PathArguments, PathSegment};

use super::call::{cache, parts};
use super::edge;
use crate::args::Invalidates;
use crate::model::Function;

/// The expansion of `#[invalidates(..)]`.
pub(crate) fn invalidates(args: &Invalidates, function: &Function) -> TokenStream {
    let Function {
        attrs, vis, sig, ..
    } = function;
    let plan = plan(args);
    let returned = function.returned();
    let unnamed = matches!(&returned, syn::Type::ImplTrait(_));
    let (annotation, succeeded) = if unnamed {
        // No `Result` hides behind an `impl Trait` that anyone could take apart.
        (None, quote!(true))
    } else {
        let succeeded = quote! {
            ::cache_core::__private::shape::Success::succeeded(
                ::cache_core::__private::success!(#returned),
                &__returned,
            )
        };
        (Some(quote!(: #returned)), succeeded)
    };
    let body = function.block();
    let (run, finish) = if function.is_async() {
        let edge = (!unnamed).then(|| edge(function));
        (
            quote!(async move { #edge #body }.await),
            quote!(finish(#succeeded).await),
        )
    } else {
        let output = (!unnamed).then(|| quote!(-> #returned));
        let body = if unnamed {
            quote!({ #body })
        } else {
            quote!(#body)
        };
        (
            quote!((move || #output #body)()),
            quote!(finish_blocking(#succeeded)),
        )
    };
    let body = function.braced(quote! {
        let __armed = #plan;
        #[allow(clippy::let_unit_value, clippy::redundant_closure_call)]
        let __returned #annotation = #run;
        __armed.#finish;
        #[allow(clippy::unit_arg)]
        __returned
    });
    quote!(#(#attrs)* #vis #sig #body)
}

/// Noted before the body, which may move the arguments.
fn plan(args: &Invalidates) -> TokenStream {
    let cache = cache(args.cache.as_ref());
    let tags = args.tags.iter().map(|tag| {
        let parts = parts(tag);
        quote!(__plan.tag(#parts);)
    });
    let kinds = &args.kinds;
    let keys = args.keys.iter().map(key);
    quote! {
        {
            let mut __plan = ::cache_core::__private::Plan::new(#cache);
            #(#tags)*
            #(__plan.kind(#kinds);)*
            #(__plan.key(#keys);)*
            __plan.arm()
        }
    }
}

/// The key of a call: `f(x)` becomes `f::key(x)`, and `s.f(x)` becomes `s.f_key(x)`.
fn key(item: &Expr) -> TokenStream {
    match item {
        Expr::Call(call) => {
            let func = match &*call.func {
                Expr::Path(path) => Expr::Path(key_path(path)),
                other => other.clone(),
            };
            let call = ExprCall {
                func: Box::new(func),
                ..call.clone()
            };
            quote!(#call)
        }
        Expr::MethodCall(call) => {
            let method = format_ident!("{}_key", call.method);
            let call = ExprMethodCall {
                method,
                ..call.clone()
            };
            quote!(#call)
        }
        other => quote!(#other),
    }
}

fn key_path(path: &ExprPath) -> ExprPath {
    let mut path = path.clone();
    let owner = path
        .path
        .segments
        .iter()
        .rev()
        .nth(1)
        .map(|segment| segment.ident.to_string());
    // A type's name begins with a capital: then the companion is a sibling.
    let associated = path.qself.is_some()
        || owner.is_some_and(|owner| owner.starts_with(|first: char| first.is_uppercase()));
    if let Some(last) = path.path.segments.last_mut() {
        if associated {
            last.ident = format_ident!("{}_key", last.ident);
        } else {
            let ident = proc_macro2::Ident::new("key", last.ident.span());
            let arguments = std::mem::replace(&mut last.arguments, PathArguments::None);
            path.path.segments.push(PathSegment { ident, arguments });
        }
    }
    path
}
