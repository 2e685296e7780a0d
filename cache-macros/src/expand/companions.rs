//! The companions: `key`, `peek`, `put`, `invalidate`, `refresh`, `uncached` and `warm`, as
//! associated functions of an enum or as sibling methods.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse_quote;

use super::attributes::Attributes;
use super::body::{local, promised};
use super::call::{CALL, Call, FIND, STORE, Use};
use crate::layout::Layout;
use crate::model::Param;

/// Lints that only what is generated could trip: nobody is told about code they did not write.
pub(super) fn quiet() -> TokenStream {
    quote! {
        #[allow(
            deprecated, missing_docs, unreachable_pub, unused,
            clippy::all, clippy::nursery, clippy::pedantic
        )]
    }
}

/// How a companion is waited for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Wait {
    /// Not at all.
    #[default]
    None,
    /// Its body gives a future that borrows nothing of it: cheaper to compile than an `async fn`.
    Future,
    /// The same, and the body asks which cache is the current one, so not before it is awaited.
    Later,
    /// It is an `async fn`.
    Async,
}

/// One companion before it is written out.
#[derive(Default)]
struct Companion<'a> {
    name: &'a str,
    /// For users; what the macros alone call has none, and is hidden.
    doc: Option<&'a str>,
    /// How it is waited for, where the function is an async one.
    waits: Wait,
    /// Whether a method's is one.
    method: bool,
    params: Vec<&'a Param>,
    /// Parameters of the companion's own.
    more: TokenStream,
    /// What it returns; nothing for `()`.
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
        let hidden = name.strip_prefix("__");
        match (self.layout, hidden) {
            (Layout::Siblings, None) => format_ident!("{function}_{name}", span = span),
            (Layout::Siblings, Some(name)) => format_ident!("__{function}_{name}", span = span),
            _ => Ident::new(name, function.span()),
        }
    }

    /// Where the user asked for companions, if they did: a trait's impl has no place for them, and
    /// the compiler says so where the companions stand.
    pub(super) fn asked_for(&self) -> Span {
        match &self.args.companions {
            Some((token, _)) => Span::call_site().located_at(token.span()),
            None => Span::call_site(),
        }
    }

    /// The companion as a path that can be called.
    pub(super) fn companion_path(&self, name: &str) -> TokenStream {
        let (path, turbofish) = (self.companion_name(name), self.function.turbofish());
        quote!(#path #turbofish)
    }

    /// The same without the types that it is for.
    pub(super) fn companion_name(&self, name: &str) -> TokenStream {
        let companion = self.companion(name);
        let function = &self.function.sig.ident;
        if self.layout == Layout::Siblings {
            quote!(Self::#companion)
        } else {
            quote!(#function::#companion)
        }
    }

    /// All companions but `uncached`, the site's accessor among them.
    pub(super) fn companions(&self, attributes: &Attributes) -> TokenStream {
        let accessor = self.args.entries_of.is_none();
        let accessor = accessor.then(|| self.accessor(attributes));
        let refresh = self.refresh(attributes);
        if self.batch().is_some() {
            // The others are about the value of one element, for which there is no type to be named.
            let [key, invalidate] = [self.key_companion(), self.invalidate()]
                .map(|companion| self.write(&companion, attributes));
            return quote!(#accessor #refresh #key #invalidate);
        }
        let subject = self
            .is_shared()
            .then(|| self.marked(&self.at_function(), attributes));
        let rest = [
            self.key_companion(),
            self.peek(),
            self.put(),
            self.invalidate(),
            self.updating(),
        ];
        let rest = rest
            .iter()
            .map(|companion| self.write(companion, attributes));
        let warm = self.warm().map(|warm| self.offered(&warm, attributes));
        quote!(#accessor #refresh #subject #(#rest)* #warm)
    }

    /// A companion for users, with what the function's attributes say of it.
    fn offered(&self, item: &TokenStream, attributes: &Attributes) -> TokenStream {
        let attrs = &attributes.companion;
        self.marked(&quote!(#(#attrs)* #item), attributes)
    }

    /// An item that is generated.
    fn marked(&self, item: &TokenStream, attributes: &Attributes) -> TokenStream {
        // Elsewhere they stand on the `impl`.
        let own = (self.layout == Layout::Siblings).then(|| {
            let (cfg, quiet) = (&attributes.item, quiet());
            quote!(#(#cfg)* #quiet)
        });
        quote!(#own #item)
    }

    fn accessor(&self, attributes: &Attributes) -> TokenStream {
        let (rt, name, vis) = (&self.runtime, self.site_name(), &self.function.vis);
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
        let site = self.site_static(&marker);
        let shell = quote_spanned! {self.asked_for()=>
            #vis fn #name() -> &'static #rt::Site {
                #item
                #site
                &__CACHED_SITE
            }
        };
        self.marked(&quote!(#[doc(hidden)] #[inline] #shell), attributes)
    }

    pub(super) fn uncached(&self, attributes: &Attributes) -> TokenStream {
        let name = self.companion("uncached");
        let mut sig = self.function.sig.clone();
        sig.ident = name;
        let (vis, attrs) = (&self.function.vis, &attributes.body);
        let cfg = (self.layout == Layout::Siblings).then_some(&attributes.item);
        let cfg = cfg.into_iter().flatten();
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
            #(#cfg)*
            #(#attrs)*
            #[inline]
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
        let (rt, vis, returned) = (&self.runtime, &self.function.vis, self.returned());
        let body = if let Some((param, batch)) = self.batch() {
            let scope = self.scope(CALL);
            let batched = self.batched((param, &batch), true, &self.uncached_call());
            promised(self.function, quote!(#scope #batched))
        } else {
            // The future that loads is the function's own: it need not be wrapped in another.
            if self.function.is_async() {
                sig.asyncness = None;
                sig.output = parse_quote!(-> impl ::core::future::Future<Output = #returned>);
            }
            if self.is_whole() {
                self.reloaded()
            } else {
                let (scope, ticket) = (self.scope(CALL), local("__ticket"));
                let refreshed = self.if_enabled(self.refreshed(), || {
                    let place = self.place();
                    quote!(#rt::bypass::<#returned, _>(#place))
                });
                let load = self.loading(&self.uncached_call());
                let body = quote! {
                    #scope
                    let #ticket = #refreshed;
                    #load
                };
                if self.function.is_async() {
                    self.later(&body)
                } else {
                    body
                }
            }
        };
        let shell = quote_spanned!(self.asked_for()=> #vis #sig { #body });
        let doc = " Runs the function and caches what it returns, whatever is cached now.";
        self.offered(&quote!(#[doc = #doc] #[inline] #shell), attributes)
    }

    fn key_companion(&self) -> Companion<'_> {
        let (root, rt) = (self.root, &self.runtime);
        Companion {
            name: "key",
            doc: Some(" The key of a call."),
            method: true,
            params: self.taken(&[Use::Key]),
            output: quote!(::core::result::Result<#root::Key, #root::Error>),
            body: self.shared(FIND, "Name").map_or_else(
                || {
                    let scope = self.scope(&[Use::Key]);
                    let (identity, key) = (self.identity(), self.key());
                    quote!(#scope #rt::key(#identity, #key))
                },
                |subject| quote!(#subject.key()),
            ),
            ..Companion::default()
        }
    }

    fn peek(&self) -> Companion<'_> {
        let (rt, returned, peek) = (&self.runtime, self.returned(), self.verb("peek"));
        let (waits, body) = if let Some(subject) = self.shared(FIND, "Name") {
            (Wait::Future, quote!(#subject.#peek()))
        } else {
            let (scope, place, key) = (self.scope(FIND), self.place(), self.key());
            let sought = quote!(#rt::seek::<#returned, _, _>(#place, #key));
            (Wait::Later, quote!(#scope #rt::#peek(#sought)))
        };
        Companion {
            name: "peek",
            doc: Some(" What is cached for a call, without loading it."),
            waits,
            method: true,
            params: self.taken(FIND),
            output: quote!(::core::option::Option<#returned>),
            body,
            ..Companion::default()
        }
    }

    fn put(&self) -> Companion<'_> {
        let (rt, returned) = (&self.runtime, self.returned());
        let (put, value) = (self.verb("put"), local("value"));
        let (waits, body) = if let Some(subject) = self.shared(STORE, "Store") {
            (Wait::Future, quote!(#subject.#put(#value)))
        } else {
            let (scope, ticket) = (self.scope(STORE), local("__ticket"));
            let (refreshed, terms) = (self.refreshed(), self.terms());
            let body = quote! {
                #scope
                let #ticket = #refreshed;
                #rt::#put(#ticket #terms, #value)
            };
            (Wait::Later, body)
        };
        Companion {
            name: "put",
            doc: Some(
                " Caches a value as if the function had returned it; `false` where it is not cached.",
            ),
            waits,
            method: true,
            params: self.taken(STORE),
            more: quote!(#value: #returned),
            output: quote!(bool),
            body,
        }
    }

    fn invalidate(&self) -> Companion<'_> {
        let (root, rt) = (self.root, &self.runtime);
        let (cache, invalidate) = (self.cache(), self.verb("invalidate"));
        let body = if let Some((param, batch)) = self.batch() {
            let (invalidate, keys) = (self.verb("invalidate_all"), self.keys(param, &batch));
            let scope = self.scope(FIND);
            quote!(#scope #rt::#invalidate(#cache, #keys))
        } else if let Some(subject) = self.shared(FIND, "Name") {
            quote!(#rt::#invalidate(#cache, #subject.key()))
        } else {
            let (scope, at) = (self.scope(FIND), local("__key"));
            let (identity, key) = (self.identity(), self.key());
            quote! {
                #scope
                let #at = #rt::key(#identity, #key);
                #rt::#invalidate(#cache, #at)
            }
        };
        let borrows = self.args.cache.is_some() || self.batch().is_some();
        Companion {
            name: "invalidate",
            doc: Some(" Removes what is cached for a call."),
            waits: if borrows { Wait::Async } else { Wait::Future },
            method: true,
            params: self.taken(FIND),
            output: quote!(::core::result::Result<#root::Invalidation, #root::Error>),
            body,
            ..Companion::default()
        }
    }

    /// What an `#[updates]` function notes before it writes.
    fn updating(&self) -> Companion<'_> {
        let (rt, returned) = (&self.runtime, self.returned());
        Companion {
            name: "__updating",
            method: true,
            params: self.taken(STORE),
            output: quote!(#rt::Updating<#returned>),
            body: self.shared(STORE, "Store").map_or_else(
                || {
                    let (scope, place) = (self.scope(STORE), self.place());
                    let (key, tags) = (self.key(), self.tags());
                    let (ticket, terms) = (local("__ticket"), self.terms());
                    quote! {
                        #scope
                        #rt::updating::<#returned, _, _>(#place, #key, #tags, |#ticket| #ticket #terms)
                    }
                },
                |subject| quote!(#subject.updating()),
            ),
            ..Companion::default()
        }
    }

    fn write(&self, companion: &Companion<'_>, attributes: &Attributes) -> TokenStream {
        let Companion {
            params,
            more,
            output,
            body,
            ..
        } = companion;
        let name = self.companion(companion.name);
        let vis = &self.function.vis;
        let (generics, bounds) = (
            &self.function.sig.generics,
            &self.function.sig.generics.where_clause,
        );
        let waits = if self.function.is_async() {
            companion.waits
        } else {
            Wait::None
        };
        let output = match waits {
            Wait::None | Wait::Async => quote!(#output),
            Wait::Future | Wait::Later => quote!(impl ::core::future::Future<Output = #output>),
        };
        let body = match waits {
            Wait::Later => self.later(body),
            Wait::None | Wait::Future | Wait::Async => body.clone(),
        };
        let (asyncness, wait) = if waits == Wait::Async {
            let asyncness = quote_spanned!(self.asked_for()=> async);
            (Some(asyncness), Some(quote!(.await)))
        } else {
            (None, None)
        };
        let this = self.function.receiver.as_ref().filter(|_| companion.method);
        let this = this.map(|_| quote!(&self,));
        // One element is asked for its key.
        let batch = self.batch().filter(|_| companion.name == "key");
        let params = params.iter().map(|param| {
            let Param {
                ident, attrs, ty, ..
            } = param;
            let ty = match &batch {
                Some((each, batch)) if each.ident == *ident => batch.element,
                _ => ty,
            };
            quote!(#(#attrs)* #ident: #ty,)
        });
        // In the options it is a reference to one.
        let element = batch.as_ref().map(|(each, _)| {
            let each = &each.ident;
            quote!(#[allow(clippy::shadow_same)] let #each = &#each;)
        });
        let shell = quote_spanned! {self.asked_for()=>
            #vis #asyncness fn #name #generics(#this #(#params)* #more) -> #output #bounds {
                #element
                #body #wait
            }
        };
        match companion.doc {
            Some(doc) => self.offered(&quote!(#[doc = #doc] #[inline] #shell), attributes),
            None => self.marked(&quote!(#[doc(hidden)] #[inline] #shell), attributes),
        }
    }

    /// A body that gives a future, as one that begins when it is awaited.
    fn later(&self, body: &TokenStream) -> TokenStream {
        let rt = &self.runtime;
        quote!(#rt::later(move || { #body }))
    }

    /// A runtime function in its waiting or its blocking form.
    fn verb(&self, name: &str) -> Ident {
        if self.function.is_async() {
            return format_ident!("{name}");
        }
        format_ident!("{name}_blocking")
    }
}
