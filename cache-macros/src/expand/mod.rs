//! From the model to tokens. What is emitted is thin: it names the site and the arguments, and
//! calls the runtime.

mod attributes;
mod call;
mod companions;
mod invalidates;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{FnArg, Signature};

use self::attributes::Attributes;
use self::call::Call;
use crate::args::Cached;
use crate::layout::Layout;
use crate::model::{Function, Param};

pub(crate) use self::invalidates::invalidates;

/// The expansion of `#[cached(..)]`.
pub(crate) fn cached(args: &Cached, function: &Function) -> TokenStream {
    let call = Call::new(args, function);
    match call.layout {
        Layout::Namespace => call.namespace(),
        Layout::Siblings => call.siblings(),
        Layout::Inline => call.inline(),
    }
}

/// The companions alone, without the function; empty, if it is not `known` what they take.
pub(crate) fn companions(args: &Cached, function: &Function, known: bool) -> TokenStream {
    let call = Call::new(args, function);
    let attributes = Attributes::sort(&function.attrs);
    let companions = if known {
        call.companions(&attributes)
    } else {
        TokenStream::new()
    };
    match call.layout {
        Layout::Namespace => call.namespace_of(&attributes, &companions),
        Layout::Siblings => companions,
        Layout::Inline => TokenStream::new(),
    }
}

impl Call<'_> {
    fn namespace(&self) -> TokenStream {
        let attributes = Attributes::sort(&self.function.attrs);
        let (function, companions) = (self.outer(&attributes), self.companions(&attributes));
        let namespace = self.namespace_of(&attributes, &companions);
        quote!(#function #namespace)
    }

    /// The enum of the function's name, with its companions.
    fn namespace_of(&self, attributes: &Attributes, companions: &TokenStream) -> TokenStream {
        let (name, vis) = (&self.function.sig.ident, &self.function.vis);
        let item = &attributes.item;
        quote! {
            #(#item)*
            #[doc(hidden)]
            #[allow(non_camel_case_types, dead_code, unreachable_pub, clippy::all, clippy::nursery, clippy::pedantic)]
            #vis enum #name {}

            #(#item)*
            impl #name {
                #companions
            }
        }
    }

    fn siblings(&self) -> TokenStream {
        let attributes = Attributes::sort(&self.function.attrs);
        let (function, companions) = (self.outer(&attributes), self.companions(&attributes));
        quote!(#function #companions)
    }

    /// The function of the user's name: looks, and on a miss loads.
    fn outer(&self, attributes: &Attributes) -> TokenStream {
        let (attrs, vis, sig) = (
            &attributes.function,
            &self.function.vis,
            self.outer_signature(),
        );
        let params: Vec<_> = self.function.params.iter().collect();
        let (scope, lookup) = (self.scope(&params, true), self.lookup());
        let load = self.load(&self.uncached_call());
        let body = self.function.braced(quote! {
            #scope
            let __ticket = #lookup;
            #load
        });
        quote!(#(#attrs)* #vis #sig #body)
    }

    /// All in one function, which may stand where nothing else may be declared.
    fn inline(&self) -> TokenStream {
        let (attrs, vis, sig) = (
            &self.function.attrs,
            &self.function.vis,
            self.outer_signature(),
        );
        let params: Vec<_> = self.function.params.iter().collect();
        let (scope, lookup) = (self.scope(&params, true), self.lookup());
        let site = self.site_static(&quote!(__Here));
        let (items, body) = if self.method {
            (None, self.inline_body())
        } else {
            self.nested_body()
        };
        let load = self.load(&body);
        let body = self.function.braced(quote! {
            #items
            let __ticket = {
                enum __Here {}
                #site
                #scope
                #lookup
            };
            #load
        });
        quote!(#(#attrs)* #vis #sig #body)
    }

    /// The body as a block, since only there it can use `self` and `Self`.
    fn inline_body(&self) -> TokenStream {
        let body = self.function.block();
        let opened = self.function.params.iter().filter(|param| !param.bare());
        let opened = opened.map(|Param { pat, ident, .. }| quote!(let #pat = #ident;));
        if !self.function.is_async() {
            return quote!({ #(#opened)* #body });
        }
        let edge = edge(self.function);
        quote!(async move { #edge #(#opened)* #body })
    }

    /// The body as a function inside the function: there it cannot use the generics of an `impl`
    /// around it, which the key would not tell apart.
    fn nested_body(&self) -> (Option<TokenStream>, TokenStream) {
        let mut sig = self.function.sig.clone();
        sig.ident = quote::format_ident!("__uncached", span = sig.ident.span());
        let (name, body, turbofish) = (&sig.ident, self.body(false), self.function.turbofish());
        let params = self.function.params.iter().map(|param| &param.ident);
        let call = quote!(#name #turbofish(#(#params),*));
        (
            Some(quote!(#[allow(clippy::too_many_arguments)] #sig #body)),
            call,
        )
    }

    /// The body for a function of its own, where what only the options use is not unused; or for a
    /// block within one.
    fn body(&self, within: bool) -> TokenStream {
        let body = &self.function.body;
        let used: Vec<_> = self
            .function
            .params
            .iter()
            .filter(|param| {
                let named_in_key = self.args.key.is_some() && self.in_key(param);
                (named_in_key || self.in_tags(param) || self.in_cache(param))
                    && param.named()
                    && !param.mentioned(body)
            })
            .map(|param| &param.ident)
            .collect();
        let block = self.function.block();
        match (used.is_empty(), within) {
            (true, false) => quote!(#body),
            (true, true) => quote!(#block),
            (false, _) => quote!({ #(let _ = &#used;)* #block }),
        }
    }

    fn lookup(&self) -> TokenStream {
        let (place, key, tags, returned) = (self.place(), self.key(), self.tags(), self.returned());
        quote! {
            match ::cache_core::__private::lookup::<#returned, _, _>(#place, #key, #tags) {
                ::core::result::Result::Ok(__found) => return __found,
                ::core::result::Result::Err(__ticket) => __ticket,
            }
        }
    }

    /// The signature with a name for every argument.
    fn outer_signature(&self) -> Signature {
        let mut sig = self.function.sig.clone();
        let mut params = self.function.params.iter();
        for input in &mut sig.inputs {
            match input {
                FnArg::Receiver(receiver) => {
                    // Where the body has a function of its own, it is mutable only there.
                    if self.layout != Layout::Inline
                        && matches!(
                            receiver.kind,
                            syn::ReceiverKind::Value | syn::ReceiverKind::Typed(..)
                        )
                    {
                        receiver.mutability = None;
                    }
                }
                FnArg::Typed(typed) => {
                    if let Some(Param { ident, .. }) = params.next() {
                        *typed.pat = syn::parse_quote!(#ident);
                    }
                }
            }
        }
        sig
    }
}

/// Tells the compiler what an async block returns before it reads the body, so that a mismatch is
/// one error, at the return type's fault.
pub(super) fn edge(function: &Function) -> TokenStream {
    let returned = function.returned();
    let span = returned.span();
    quote_spanned! {span=>
        #[allow(unknown_lints, unreachable_code, clippy::diverging_sub_expression, clippy::empty_loop, clippy::let_unit_value, clippy::needless_return, clippy::unreachable, clippy::let_with_type_underscore)]
        if false {
            let __returned: #returned = loop {};
            return __returned;
        }
    }
}
