//! The companions: `key`, `peek`, `put`, `invalidate`, `refresh` and `uncached`, as associated
//! functions of an enum or as sibling methods.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Attribute;

use super::attributes::Attributes;
use super::call::Call;
use crate::layout::Layout;
use crate::model::Param;

/// Lints that only what is generated could trip: nobody is told about code they did not write.
fn quiet() -> TokenStream {
    quote! {
        #[allow(
            dead_code, deprecated, missing_docs, unreachable_pub, unused_mut, unused_variables,
            clippy::all, clippy::nursery, clippy::pedantic
        )]
    }
}

/// One companion before it is written out.
struct Companion<'a> {
    name: &'a str,
    doc: &'a str,
    attrs: &'a [Attribute],
    waits: bool,
    params: Vec<&'a Param>,
    value: Option<TokenStream>,
    output: TokenStream,
    body: TokenStream,
}

impl Call<'_> {
    /// The name of a companion.
    pub(super) fn companion(&self, name: &str) -> Ident {
        let function = &self.function.sig.ident;
        // A method's companion stands where the user asked for it, so that an error about it does.
        let span = match &self.args.companions {
            Some((token, _)) => token.span(),
            None => function.span(),
        };
        match self.layout {
            Layout::Siblings => format_ident!("{function}_{name}", span = span),
            _ => Ident::new(name, function.span()),
        }
    }

    /// Where the user asked for companions, if they did: a trait's impl has no place for them, and
    /// the compiler says so where the companions stand.
    fn asked_for(&self) -> Span {
        match &self.args.companions {
            Some((token, _)) => Span::call_site().located_at(token.span()),
            None => Span::call_site(),
        }
    }

    /// The companion as a path that can be called.
    pub(super) fn companion_path(&self, name: &str) -> TokenStream {
        let companion = self.companion(name);
        let function = &self.function.sig.ident;
        let turbofish = self.function.turbofish();
        if self.layout == Layout::Siblings {
            quote!(Self::#companion #turbofish)
        } else {
            quote!(#function::#companion #turbofish)
        }
    }

    /// All companions, the site's accessor among them.
    pub(super) fn companions(&self, attributes: &Attributes) -> TokenStream {
        let (accessor, uncached, refresh) = (
            self.accessor(),
            self.uncached(attributes),
            self.refresh(attributes),
        );
        let rest: TokenStream = [
            self.key_companion(attributes),
            self.peek(attributes),
            self.put(attributes),
            self.invalidate(attributes),
        ]
        .iter()
        .map(|companion| self.write(companion))
        .collect();
        quote!(#accessor #uncached #refresh #rest)
    }

    fn accessor(&self) -> TokenStream {
        let (name, vis, quiet) = (self.site_name(), &self.function.vis, quiet());
        let function = &self.function.sig.ident;
        let (item, marker) = match self.layout {
            Layout::Namespace => (None, quote!(#function)),
            _ => (
                Some(quote!(
                    enum __Here {}
                )),
                quote!(__Here),
            ),
        };
        let cfg = &Attributes::sort(&self.function.attrs).item;
        let site = self.site_static(&marker);
        let shell = quote_spanned! {self.asked_for()=>
            #vis fn #name() -> &'static ::cache_core::__private::Site {
                #item
                #site
                &__CACHED_SITE
            }
        };
        quote! {
            #(#cfg)*
            #quiet
            #[doc(hidden)]
            #shell
        }
    }

    fn uncached(&self, attributes: &Attributes) -> TokenStream {
        let name = self.companion("uncached");
        let mut sig = self.function.sig.clone();
        sig.ident = name;
        let (vis, attrs) = (&self.function.vis, &attributes.body);
        // So that the whole of the item is at the option's token too.
        let within = self.args.companions.is_some();
        let body = self.body(within);
        let body = if within {
            quote_spanned!(self.asked_for()=> { #body })
        } else {
            body
        };
        quote! {
            /// The function itself, past the cache.
            #(#attrs)*
            #[allow(
                dead_code, unreachable_pub, clippy::missing_const_for_fn, clippy::missing_errors_doc, clippy::missing_panics_doc,
                clippy::must_use_candidate, clippy::too_many_arguments
            )]
            #vis #sig #body
        }
    }

    fn refresh(&self, attributes: &Attributes) -> TokenStream {
        let mut sig = self.outer_signature();
        sig.ident = self.companion("refresh");
        let (vis, attrs, quiet) = (&self.function.vis, &attributes.companion, quiet());
        let params: Vec<_> = self.function.params.iter().collect();
        let (scope, place, key, tags) = (
            self.scope(&params, true),
            self.place(),
            self.key(),
            self.tags(),
        );
        let returned = self.returned();
        let load = self.load(&self.uncached_call());
        let shell = quote_spanned! {self.asked_for()=>
            #vis #sig {
                #scope
                let __ticket = ::cache_core::__private::refresh::<#returned, _, _>(#place, #key, #tags);
                #load
            }
        };
        quote! {
            /// Runs the function and caches what it returns, whatever is cached now.
            #(#attrs)*
            #quiet
            #shell
        }
    }

    fn key_companion<'a>(&'a self, attributes: &'a Attributes) -> Companion<'a> {
        let params = self.taken(|param| self.in_key(param));
        let (scope, identity, key) = (self.scope(&params, false), self.identity(), self.key());
        Companion {
            name: "key",
            doc: " The key of a call.",
            attrs: &attributes.companion,
            waits: false,
            params,
            value: None,
            output: quote!(::core::result::Result<::cache_core::Key, ::cache_core::Error>),
            body: quote!(#scope ::cache_core::__private::key(#identity, #key)),
        }
    }

    fn peek<'a>(&'a self, attributes: &'a Attributes) -> Companion<'a> {
        let params = self.taken(|param| self.in_key(param) || self.in_cache(param));
        let (scope, place, key) = (self.scope(&params, false), self.place(), self.key());
        let returned = self.returned();
        let (peek, wait) = self.verb("peek");
        Companion {
            name: "peek",
            doc: " What is cached for a call, without loading it.",
            attrs: &attributes.companion,
            waits: true,
            params,
            value: None,
            output: quote!(::core::option::Option<#returned>),
            body: quote!(#scope ::cache_core::__private::#peek::<#returned, _, _>(#place, #key) #wait),
        }
    }

    fn put<'a>(&'a self, attributes: &'a Attributes) -> Companion<'a> {
        let params =
            self.taken(|param| self.in_key(param) || self.in_tags(param) || self.in_cache(param));
        let (scope, place, key, tags) = (
            self.scope(&params, true),
            self.place(),
            self.key(),
            self.tags(),
        );
        let returned = self.returned();
        let (put, wait) = self.verb("put");
        // Its span keeps it apart from a parameter of the same name.
        let value = Ident::new("value", Span::mixed_site());
        Companion {
            name: "put",
            doc: " Caches a value as if the function had returned it; `false` where it is not cached.",
            attrs: &attributes.companion,
            waits: true,
            params,
            value: Some(quote!(#value: #returned)),
            output: quote!(bool),
            body: quote! {
                #scope
                let __ticket = ::cache_core::__private::refresh::<#returned, _, _>(#place, #key, #tags);
                ::cache_core::__private::#put(__ticket, #value) #wait
            },
        }
    }

    fn invalidate<'a>(&'a self, attributes: &'a Attributes) -> Companion<'a> {
        let params = self.taken(|param| self.in_key(param) || self.in_cache(param));
        let (scope, identity, key) = (self.scope(&params, false), self.identity(), self.key());
        let cache = self.cache();
        let (invalidate, wait) = self.verb("invalidate");
        Companion {
            name: "invalidate",
            doc: " Removes what is cached for a call.",
            attrs: &attributes.companion,
            waits: true,
            params,
            value: None,
            output: quote!(::core::result::Result<::cache_core::Invalidation, ::cache_core::Error>),
            body: quote! {
                #scope
                let __key = ::cache_core::__private::key(#identity, #key);
                ::cache_core::__private::#invalidate(#cache, __key) #wait
            },
        }
    }

    fn write(&self, companion: &Companion<'_>) -> TokenStream {
        let Companion {
            doc,
            attrs,
            params,
            value,
            output,
            body,
            ..
        } = companion;
        let name = self.companion(companion.name);
        let (vis, quiet) = (&self.function.vis, quiet());
        let (generics, bounds) = (
            &self.function.sig.generics,
            &self.function.sig.generics.where_clause,
        );
        let asyncness = (companion.waits && self.function.is_async())
            .then(|| quote_spanned!(self.asked_for()=> async));
        let this = self.function.receiver.is_some().then(|| quote!(&self,));
        let params = params.iter().map(
            |Param {
                 ident, attrs, ty, ..
             }| quote!(#(#attrs)* #ident: #ty,),
        );
        let shell = quote_spanned! {self.asked_for()=>
            #vis #asyncness fn #name #generics(#this #(#params)* #value) -> #output #bounds {
                #body
            }
        };
        quote! {
            #[doc = #doc]
            #(#attrs)*
            #quiet
            #shell
        }
    }

    fn taken(&self, of: impl Fn(&Param) -> bool) -> Vec<&Param> {
        self.function
            .params
            .iter()
            .filter(|param| of(param))
            .collect()
    }

    /// A runtime function in its waiting or its blocking form, and what follows its call.
    fn verb(&self, name: &str) -> (Ident, Option<TokenStream>) {
        if self.function.is_async() {
            return (format_ident!("{name}"), Some(quote!(.await)));
        }
        (format_ident!("{name}_blocking"), None)
    }

    /// The call of the function that holds the body.
    pub(super) fn uncached_call(&self) -> TokenStream {
        let uncached = self.companion_path("uncached");
        let this = self.function.receiver.as_ref().map(|receiver| {
            let token = receiver.self_token;
            quote!(#token,)
        });
        let params = self.function.params.iter().map(|param| &param.ident);
        quote!(#uncached(#this #(#params),*))
    }

    /// Loads by a ticket with a body: a future, or a value to be computed.
    pub(super) fn load(&self, body: &TokenStream) -> TokenStream {
        let span = Span::call_site();
        if self.function.is_async() {
            quote_spanned!(span=> ::cache_core::__private::load(__ticket, #body).await)
        } else {
            quote_spanned!(span=> ::cache_core::__private::load_blocking(__ticket, move || #body))
        }
    }
}
