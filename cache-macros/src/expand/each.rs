//! The expansion of `each = ids`: every element is a call like any other, and the function runs once
//! for those that are missing.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

use super::body::{local, located, moved};
use super::call::Call;
use crate::args::Template;
use crate::model::{Batch, Param};

impl<'a> Call<'a> {
    /// The argument whose elements are calls of their own.
    pub(super) fn batch(&self) -> Option<(&'a Param, Batch<'a>)> {
        let each = self.args.each.as_ref()?;
        let mut params = self.function.params.iter();
        let param = params.find(|param| param.ident == *each)?;
        Some((param, Batch::of(&param.ty)?))
    }

    /// The elements of the argument.
    fn elements(&self, param: &Param, batch: &Batch<'_>) -> TokenStream {
        let (rt, each) = (&self.runtime, &param.ident);
        let reference = (!batch.borrowed).then(|| quote!(&));
        quote!(#rt::elements(#reference #each))
    }

    /// The keys of all elements.
    pub(super) fn keys(&self, param: &Param, batch: &Batch<'_>) -> TokenStream {
        let (rt, each, elements) = (&self.runtime, &param.ident, self.elements(param, batch));
        let (identity, key) = (self.identity(), self.key());
        let one = unseen(each);
        quote!(#elements.iter().map(|#one| #rt::key(#identity, #key)))
    }

    /// Looks all elements up, unless they are to be `refreshed`, and runs the function, whose `body` is
    /// given, for the others.
    pub(super) fn batched(
        &self,
        (param, batch): (&Param, &Batch<'_>),
        refreshed: bool,
        body: &TokenStream,
    ) -> TokenStream {
        let (rt, each, returned) = (&self.runtime, &param.ident, self.returned());
        let (missing, ticket) = (local("__missing"), local("__ticket"));
        let elements = self.elements(param, batch);
        let (identity, shape, cache) = (self.identity(), self.element(&returned), self.cache());
        let (key, tags, terms) = (self.key(), self.tags(), self.terms());
        let again = self.again(param);
        let given = given(param, batch, &quote!(#missing));
        let (verb, wait, run) = if self.function.is_async() {
            (
                quote!(batch),
                Some(quote!(.await)),
                quote!(async move { #given #body.await }),
            )
        } else {
            (quote!(batch_blocking), None, quote!({ #given #body }))
        };
        let place = quote!(#identity, #shape, #cache);
        let one = unseen(each);
        let looked = if refreshed {
            quote!(::core::result::Result::Err(#rt::refresh(#place, #key, #tags)))
        } else {
            quote!(#rt::lookup(#place, #key, #tags))
        };
        let look = self.if_enabled(
            if terms.is_empty() {
                looked
            } else {
                quote!(#rt::told(#looked, |#ticket| #ticket #terms))
            },
            || quote!(::core::result::Result::Err(#rt::bypass(#place))),
        );
        let (look, shares) = match self.shares() {
            None => (look, None),
            Some(shares) => {
                let shared = local("__shared");
                let bypass = quote!(::core::result::Result::Err(#rt::bypass(#place)));
                (
                    quote!(if #shared { #look } else { #bypass }),
                    Some(quote!(let #shared: bool = #shares;)),
                )
            }
        };
        let generics = if self.function.is_async() {
            quote!(::<#returned, _, _, _, _, _, _>)
        } else {
            quote!(::<#returned, _, _, _, _>)
        };
        let batch = quote! {
            #rt::#verb #generics(
                #rt::shape!(#returned),
                #elements,
                |#one| #look,
                |#missing: ::std::vec::Vec<_>| { #again #run },
            ) #wait
        };
        match shares {
            None => batch,
            Some(shares) => quote!({ #shares #batch }),
        }
    }

    /// Asks whether the elements are what the entries are that they share with another function.
    fn shares(&self) -> Option<TokenStream> {
        self.args.entries_of.as_ref()?;
        let site = self.site();
        let tags = self.args.tags.iter().map(Template::pattern);
        let (own_ttl, late_tags) = (self.args.ttl_with.is_some(), self.args.tags_with.is_some());
        Some(quote!(#site.shares(&[#(#tags),*], #own_ttl, #late_tags)))
    }

    /// The shape of one element.
    fn element(&self, returned: &Type) -> TokenStream {
        let (span, rt) = (
            located(returned.span()),
            moved(&self.runtime, returned.span()),
        );
        let (none, local_only) = (self.args.cache_none.is_some(), self.args.local_only);
        quote_spanned! {span=>
            #rt::element::<#returned, _, _, _, _, #none, #local_only>(#rt::shape!(#returned))
        }
    }

    /// The other arguments, for one of several runs.
    fn again(&self, each: &Param) -> TokenStream {
        let others =
            self.function.params.iter().filter(|param| {
                param.ident != each.ident && !matches!(&param.ty, Type::Reference(_))
            });
        let others = others.map(|param| unseen(&param.ident));
        quote!(#(let #others = ::core::clone::Clone::clone(&#others);)*)
    }
}

/// A name as it is, in the place where the user wrote it, but none of their own tokens: lints about names
/// that hide others keep out.
fn unseen(name: &Ident) -> Ident {
    let mut unseen = name.clone();
    unseen.set_span(located(name.span()));
    unseen
}

/// The argument again, with the elements that are missing.
fn given(param: &Param, batch: &Batch<'_>, missing: &TokenStream) -> TokenStream {
    let (each, container) = (unseen(&param.ident), batch.container);
    if matches!(container, Type::Slice(_)) {
        return quote!(let #each = &#missing[..];);
    }
    let all = quote!(#missing.into_iter().collect::<#container>());
    if batch.borrowed {
        quote!(let #each = &#all;)
    } else {
        quote!(let #each = #all;)
    }
}
