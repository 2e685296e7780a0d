//! The pieces that every call into the runtime is made of: site, instance, shape, cache, key, tags.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut;
use syn::{Expr, ExprReference, PatIdent, Type};

use crate::args::{Cached, Piece, Returns, Template, Ttl};
use crate::layout::Layout;
use crate::model::{Function, Param};

/// One annotated function, with all that its expansion asks about.
pub(crate) struct Call<'a> {
    pub(crate) args: &'a Cached,
    pub(crate) function: &'a Function,
    pub(crate) layout: Layout,
    /// Whether the function belongs to a type, so that `Self` is part of its identity.
    pub(crate) method: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn new(args: &'a Cached, function: &'a Function) -> Self {
        Self {
            args,
            function,
            layout: Layout::of(args, function),
            method: args.method || function.associated(),
        }
    }

    /// The function that hands out the site's static, where the function does not own it.
    pub(crate) fn site_name(&self) -> Ident {
        match self.layout {
            Layout::Siblings => format_ident!("__{}_site", self.function.sig.ident),
            _ => format_ident!("__site"),
        }
    }

    /// A reference to the site.
    pub(crate) fn site(&self) -> TokenStream {
        let name = self.site_name();
        let function = &self.function.sig.ident;
        match self.layout {
            Layout::Namespace => quote!(#function::#name()),
            Layout::Siblings => quote!(Self::#name()),
            Layout::Inline => quote!(&__CACHED_SITE),
        }
    }

    /// The site's static. `marker` is an item whose path tells the function's place.
    pub(crate) fn site_static(&self, marker: &TokenStream) -> TokenStream {
        let name = self.function.name();
        // A wrong kind was reported; what is emitted then never runs.
        let kind = self
            .args
            .kind
            .as_ref()
            .map_or_else(|| quote!(""), |kind| quote!(#kind));
        let ttl = match &self.args.ttl {
            None => quote!(),
            Some(Ttl::Millis(millis)) => {
                quote!(.ttl(::core::time::Duration::from_millis(#millis)))
            }
            Some(Ttl::Expr(expr)) => quote!(.ttl(#expr)),
        };
        let schema = match &self.args.schema {
            None => quote!(::core::option::Option::None),
            Some(schema) => quote!(::core::option::Option::Some(#schema)),
        };
        quote! {
            static __CACHED_SITE: ::cache_core::__private::Site =
                ::cache_core::__private::Site::new(::cache_core::__private::Spec {
                    module: ::core::module_path!(),
                    name: #name,
                    kind: #kind,
                    file: ::core::file!(),
                    line: ::core::line!(),
                    column: ::core::column!(),
                    path: || ::core::any::type_name::<#marker>(),
                    policy: || ::cache_core::Policy::new() #ttl,
                    schema: #schema,
                    version: 0,
                    own_ttl: false,
                    late_tags: false,
                });
        }
    }

    /// The types that one static cannot tell apart.
    fn instance(&self) -> TokenStream {
        let this = self.method.then(|| quote!(Self));
        let types: Vec<_> = this
            .into_iter()
            .chain(self.function.type_params().map(|ty| quote!(#ty)))
            .collect();
        let types = match types.as_slice() {
            [] => quote!(()),
            [one] => quote!(#one),
            // A type parameter may be unsized, which a tuple's elements may not.
            many => quote!((#(::core::marker::PhantomData<#many>),*)),
        };
        quote!(::cache_core::__private::Instance::of::<#types>())
    }

    fn shape(&self) -> TokenStream {
        let returned = self.function.returned();
        let span = located(returned.span());
        let probed = match self.args.returns {
            Some(Returns::Value) => {
                quote!(::cache_core::__private::shape::Plain::<false, false, false>)
            }
            None => quote!(::cache_core::__private::shape!(#returned)),
        };
        let checked =
            quote_spanned!(span=> ::cache_core::__private::checked::<#returned, _, _>(__probed));
        quote!({ let __probed = #probed; #checked })
    }

    /// The `cache` option as the runtime takes it.
    pub(crate) fn cache(&self) -> TokenStream {
        cache(self.args.cache.as_ref())
    }

    /// `site, instance`: who is calling.
    pub(crate) fn identity(&self) -> TokenStream {
        let (site, instance) = (self.site(), self.instance());
        quote!(#site, #instance)
    }

    /// `site, instance, shape, cache`: where to look.
    pub(crate) fn place(&self) -> TokenStream {
        let (identity, shape, cache) = (self.identity(), self.shape(), self.cache());
        quote!(#identity, #shape, #cache)
    }

    /// The arguments of the key, by reference.
    pub(crate) fn key(&self) -> TokenStream {
        let mut items: Vec<TokenStream> = match &self.args.key {
            Some(key) => key
                .iter()
                .map(|expr| argument(&reference(expr), expr.span()))
                .collect(),
            None => self.automatic().map(automatic).collect(),
        };
        items.extend(self.function.const_params().map(|name| quote!(&#name)));
        let tuple = tuple(&items);
        quote!(&#tuple)
    }

    fn automatic(&self) -> impl Iterator<Item = &'a Param> {
        let args = self.args;
        self.function
            .params
            .iter()
            .filter(|param| !args.skips(&param.ident))
    }

    /// The closure that says the tags.
    pub(crate) fn tags(&self) -> TokenStream {
        if self.args.tags.is_empty() {
            return quote!(|_| {});
        }
        let tags = self.args.tags.iter().map(|tag| {
            let parts = parts(tag);
            quote!(__tags.tag(#parts);)
        });
        quote!(|__tags| { #(#tags)* })
    }

    /// Whether the key is made from a parameter.
    pub(crate) fn in_key(&self, param: &Param) -> bool {
        match &self.args.key {
            Some(key) => key.iter().any(|expr| param.mentioned(expr)),
            None => !self.args.skips(&param.ident),
        }
    }

    /// Whether a tag is made from a parameter.
    pub(crate) fn in_tags(&self, param: &Param) -> bool {
        self.args.tag_values().any(|expr| param.mentioned(expr))
    }

    /// Whether the `cache` option mentions a parameter.
    pub(crate) fn in_cache(&self, param: &Param) -> bool {
        self.args
            .cache
            .as_ref()
            .is_some_and(|expr| param.mentioned(expr))
    }

    /// Opens by reference those patterns whose names the expressions use.
    pub(crate) fn scope(&self, params: &[&Param], tags: bool) -> TokenStream {
        let opened = params.iter().filter(|param| {
            let key = self
                .args
                .key
                .iter()
                .flatten()
                .any(|expr| param.mentioned(expr));
            !param.named() && (key || self.in_cache(param) || tags && self.in_tags(param))
        });
        opened
            .map(|Param { ident, pat, .. }| {
                let mut pat = pat.clone();
                Shared.visit_pat_mut(&mut pat);
                quote!(#[allow(unused_variables)] let #pat = &#ident;)
            })
            .collect()
    }

    pub(crate) fn returned(&self) -> Type {
        self.function.returned()
    }
}

/// Makes a pattern bind by shared reference only.
struct Shared;

impl VisitMut for Shared {
    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        pat.by_ref = None;
        pat.mutability = None;
        syn::visit_mut::visit_pat_ident_mut(self, pat);
    }
}

/// A `cache` option as the runtime takes it.
pub(crate) fn cache(expr: Option<&Expr>) -> TokenStream {
    match expr {
        None => quote!(::core::option::Option::None),
        Some(expr) => {
            let (span, expr) = (located(expr.span()), reference(expr));
            quote_spanned!(span=> ::core::option::Option::Some(::cache_core::__private::cache(#expr)))
        }
    }
}

/// The parts of a tag.
pub(crate) fn parts(tag: &Template) -> TokenStream {
    let parts = tag.0.iter().map(|piece| match piece {
        Piece::Text(text) => quote!(::cache_core::__private::Part::Text(#text)),
        Piece::Value(expr) => {
            let (span, expr) = (located(expr.span()), reference(expr));
            quote_spanned!(span=> ::cache_core::__private::Part::Value(#expr))
        }
    });
    quote!(&[#(#parts),*])
}

/// A parameter of the automatic key.
fn automatic(param: &Param) -> TokenStream {
    let (ident, span) = (&param.ident, param.pat.span());
    argument(&quote_spanned!(located(span)=> &#ident), span)
}

/// A part of the key, so that an error about its type is where it was written.
fn argument(reference: &TokenStream, span: Span) -> TokenStream {
    let span = located(span);
    quote_spanned!(span=> ::cache_core::__private::argument(#reference))
}

/// The place of the user's tokens, for tokens that are none of theirs: errors point there, and
/// lints about what people write keep out.
fn located(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// `&expr`, with parentheses where they are needed.
fn reference(expr: &Expr) -> TokenStream {
    let reference = ExprReference {
        attrs: Vec::new(),
        and_token: syn::token::And(located(expr.span())),
        mutability: None,
        expr: Box::new(expr.clone()),
    };
    quote!(#reference)
}

/// A tuple of any length: serde stops at 16 elements, so a longer one nests.
fn tuple(items: &[TokenStream]) -> TokenStream {
    const LONGEST: usize = 16;
    if items.len() <= LONGEST {
        return quote!((#(#items,)*));
    }
    let nested: Vec<_> = items.chunks(LONGEST).map(tuple).collect();
    tuple(&nested)
}
