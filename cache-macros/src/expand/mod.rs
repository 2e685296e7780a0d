//! From the model to tokens. What is emitted is thin: it names the site and the arguments, and
//! calls the runtime.

mod at;
mod attributes;
mod body;
mod call;
mod companions;
mod each;
mod invalidates;
mod policy;
mod target;
mod updates;
mod warm;

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{FnArg, Signature};

use self::attributes::Attributes;
use self::body::{edge, local, located, put_off, wrapped};
use self::call::{CALL, Call};
use crate::args::Cached;
use crate::layout::Layout;
use crate::model::{Function, Param};

pub(crate) use self::invalidates::invalidates;
pub(crate) use self::updates::updates;

/// The expansion of `#[cached(..)]`.
pub(crate) fn cached(args: &Cached, function: &Function) -> TokenStream {
    let call = Call::new(args, function);
    if call.layout == Layout::Inline {
        return call.inline();
    }
    let attributes = Attributes::sort(&function.attrs);
    let (outer, companions) = (call.outer(&attributes), call.beside(&attributes, true));
    quote!(#outer #companions)
}

/// The companions alone, without the function; empty, if it is not `known` what they take.
pub(crate) fn companions(args: &Cached, function: &Function, known: bool) -> TokenStream {
    let call = Call::new(args, function);
    call.beside(&Attributes::sort(&function.attrs), known)
}

impl Call<'_> {
    /// What stands beside the function.
    fn beside(&self, attributes: &Attributes, known: bool) -> TokenStream {
        let (uncached, others) = if known {
            (self.uncached(attributes), self.companions(attributes))
        } else {
            (TokenStream::new(), TokenStream::new())
        };
        match self.layout {
            Layout::Namespace => self.namespace(attributes, &uncached, &others),
            Layout::Siblings => quote!(#uncached #others),
            Layout::Inline => TokenStream::new(),
        }
    }

    /// The enum of the function's name, with its companions: first the one whose body is the user's.
    fn namespace(
        &self,
        attributes: &Attributes,
        uncached: &TokenStream,
        others: &TokenStream,
    ) -> TokenStream {
        let (name, vis) = (&self.function.sig.ident, &self.function.vis);
        let (item, quiet) = (&attributes.item, companions::quiet());
        quote! {
            #(#item)*
            #[doc(hidden)]
            #[allow(non_camel_case_types, dead_code, unreachable_pub, clippy::all, clippy::nursery, clippy::pedantic)]
            #vis enum #name {}

            #(#item)*
            impl #name {
                #uncached
            }

            #(#item)*
            #quiet
            impl #name {
                #others
            }
        }
    }

    /// The function of the user's name: looks, and on a miss loads.
    fn outer(&self, attributes: &Attributes) -> TokenStream {
        let (attrs, vis, sig) = (
            &attributes.function,
            &self.function.vis,
            self.outer_signature(),
        );
        let scope = if self.is_whole() {
            TokenStream::new()
        } else {
            self.scope(CALL)
        };
        let called = self.called(&scope, &self.uncached_call());
        let body = wrapped(self.function, called);
        let unwarned = self.unwarned();
        quote!(#(#attrs)* #unwarned #vis #sig #body)
    }

    /// All in one function, which may stand where nothing else may be declared.
    fn inline(&self) -> TokenStream {
        let (attrs, vis, sig) = (
            &self.function.attrs,
            &self.function.vis,
            self.outer_signature(),
        );
        let scope = self.scope(CALL);
        let site = self.site_static(&quote!(__Here));
        let (items, body) = if self.method {
            (None, self.inline_body())
        } else {
            self.nested_body()
        };
        let within = quote!(enum __Here {} #site #scope);
        let called = self.called(&within, &body);
        let body = wrapped(self.function, quote!(#items #called));
        let unwarned = self.unwarned();
        quote!(#(#attrs)* #unwarned #vis #sig #body)
    }

    /// Looks, and runs the body where that finds nothing. `within`: what looking takes.
    fn called(&self, within: &TokenStream, body: &TokenStream) -> TokenStream {
        if let Some((param, batch)) = self.batch() {
            let batched = self.batched((param, &batch), false, body);
            return quote!(#within #batched);
        }
        let (lookup, load, ticket) = (self.lookup(), self.load(body), local("__ticket"));
        let lookup = match self.layout {
            Layout::Inline => quote!({ #within #lookup }),
            _ => lookup,
        };
        let before = (self.layout != Layout::Inline).then_some(within);
        quote! {
            #before
            let #ticket = #lookup;
            #load
        }
    }

    /// An argument that the body doesn't use is handed to it all the same, and the name of a batch
    /// stands for several things.
    fn unwarned(&self) -> TokenStream {
        let unused = |param: &Param| param.ident.to_string().starts_with('_');
        let unused = self.function.params.iter().any(unused);
        let unused = unused.then(|| quote!(#[allow(clippy::used_underscore_binding)]));
        let several = self.batch().map(|_| {
            quote!(#[allow(clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)])
        });
        quote!(#unused #several)
    }

    /// The body as a block, since only there it can use `self` and `Self`.
    fn inline_body(&self) -> TokenStream {
        let opened = self.function.params.iter().filter(|param| !param.bare());
        let opened = opened.map(|Param { pat, ident, .. }| quote!(let #pat = #ident;));
        if self.function.deferred.is_some() {
            let body = body::ran(self.function);
            return quote!(async move { #(#opened)* #body });
        }
        let body = self.function.block();
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
        sig.ident = Ident::new("__uncached", sig.ident.span());
        let (name, body, turbofish) = (&sig.ident, self.body(false), self.function.turbofish());
        let params = self.function.params.iter().map(|param| &param.ident);
        let call = put_off(self.function, quote!(#name #turbofish(#(#params),*)));
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
                let named = CALL.iter().any(|what| self.named_in(param, *what));
                named && param.named() && !param.mentioned(body)
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

    /// The ticket of a miss; a hit returns.
    fn lookup(&self) -> TokenStream {
        let (rt, ticket, found) = (&self.runtime, local("__ticket"), local("__found"));
        if self.is_whole() {
            let at = self.at("Look");
            return quote! {
                match #at {
                    ::core::result::Result::Ok(#found) => return #found,
                    ::core::result::Result::Err(#ticket) => #ticket,
                }
            };
        }
        let (place, key, tags, returned) = (self.place(), self.key(), self.tags(), self.returned());
        let looked = quote! {
            match #rt::lookup::<#returned, _, _>(#place, #key, #tags) {
                ::core::result::Result::Ok(#found) => return #found,
                ::core::result::Result::Err(#ticket) => #ticket,
            }
        };
        self.if_enabled(looked, || quote!(#rt::bypass::<#returned, _>(#place)))
    }

    /// A ticket past what is cached.
    fn refreshed(&self) -> TokenStream {
        let rt = &self.runtime;
        let (place, key, tags, returned) = (self.place(), self.key(), self.tags(), self.returned());
        quote!(#rt::refresh::<#returned, _, _>(#place, #key, #tags))
    }

    /// A ticket, where `enabled` says so, and otherwise one past the cache.
    fn if_enabled(
        &self,
        ticket: TokenStream,
        otherwise: impl FnOnce() -> TokenStream,
    ) -> TokenStream {
        let Some(enabled) = &self.args.enabled else {
            return ticket;
        };
        let otherwise = otherwise();
        let (on, span) = (local("__enabled"), located(enabled.span()));
        let asked = quote_spanned!(span=> let #on: bool = #enabled;);
        quote!({
            #asked
            if #on { #ticket } else { #otherwise }
        })
    }

    /// Loads by a ticket with a body: a future, or a value to be computed.
    fn load(&self, body: &TokenStream) -> TokenStream {
        let (loading, wait) = (
            self.loading(body),
            self.function.is_async().then(|| quote!(.await)),
        );
        quote!(#loading #wait)
    }

    /// The same, not awaited yet.
    fn loading(&self, body: &TokenStream) -> TokenStream {
        let (rt, ticket, terms) = (&self.runtime, local("__ticket"), self.terms());
        if self.function.is_async() {
            quote!(#rt::load(#ticket #terms, #body))
        } else {
            quote!(#rt::load_blocking(#ticket #terms, move || #body))
        }
    }

    /// The call of the function that holds the body.
    fn uncached_call(&self) -> TokenStream {
        let uncached = self.companion_path("uncached");
        let this = self.function.receiver.as_ref().map(|receiver| {
            let token = receiver.self_token;
            quote!(#token,)
        });
        let params = self.function.params.iter().map(|param| &param.ident);
        put_off(self.function, quote!(#uncached(#this #(#params),*)))
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
