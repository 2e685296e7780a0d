//! The companion that makes many calls: `f::warm(items)`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::visit::Visit;
use syn::visit_mut::{self, VisitMut};
use syn::{
    GenericParam, Generics, Lifetime, LifetimeParam, ParenthesizedGenericArguments, Receiver,
    ReceiverKind, Type, TypeFnPtr, TypeImplTrait, TypeReference, WherePredicate, parse_quote,
};

use super::body::local;
use super::call::Call;
use crate::layout::Layout;

impl Call<'_> {
    /// There is none where a call's arguments can't be written as the items of an iterator, or its
    /// receiver serves one call only.
    pub(super) fn warm(&self) -> Option<TokenStream> {
        let function = self.function;
        let receiver = function.receiver.as_ref();
        if !receiver.is_none_or(is_shared)
            || function.params.is_empty()
            || function.params.iter().any(|param| unnamed(&param.ty))
        {
            return None;
        }
        let (root, rt, vis) = (self.root, &self.runtime, &function.vis);
        let (name, items) = (self.companion("warm"), local("__items"));
        let mut generics = function.sig.generics.clone();
        let item = self.item(&mut generics);
        let bounds = &generics.where_clause;
        let this = receiver.map(|receiver| quote!(#receiver,));
        // Not the arguments' own names: one of them may be the function's.
        let given: Vec<Ident> = (0..function.params.len())
            .map(|index| local(&format!("__given_{index}")))
            .collect();
        let pattern = tuple(&given);
        let call = self.own_call(&given);
        let returned = self.returned();
        let success = quote!(#rt::success!(#returned));
        let (made, warm) = if function.is_async() {
            (
                quote!(impl ::core::future::Future<Output = bool>),
                quote!(warm),
            )
        } else {
            (quote!(bool), quote!(warm_blocking))
        };
        let shell = quote_spanned! {self.asked_for()=>
            #vis fn #name #generics(
                #this #items: impl ::core::iter::IntoIterator<Item = #item>
            ) -> #root::Warm<impl ::core::iter::Iterator<Item = #made>> #bounds {
                #rt::#warm(#items, #success, move |#pattern| #call)
            }
        };
        Some(quote! {
            /// Makes a call for each of many arguments, so that what they load is cached.
            #[inline]
            #shell
        })
    }

    /// The type of one call's arguments, its lifetimes named in the generics.
    fn item(&self, generics: &mut Generics) -> TokenStream {
        let mut names = Names::default();
        let types: Vec<Type> = self
            .function
            .params
            .iter()
            .map(|param| {
                let mut ty = param.ty.clone();
                names.visit_type_mut(&mut ty);
                ty
            })
            .collect();
        for lifetime in names.new {
            let param = GenericParam::Lifetime(LifetimeParam::new(lifetime));
            generics.params.insert(0, param);
        }
        if !names.bounds.is_empty() {
            generics.make_where_clause().predicates.extend(names.bounds);
        }
        tuple(&types)
    }

    /// A call as a user writes it.
    fn own_call(&self, given: &[Ident]) -> TokenStream {
        let (name, turbofish) = (&self.function.sig.ident, self.function.turbofish());
        let this = self.function.receiver.as_ref().map(|_| quote!(self,));
        let owner = (self.layout == Layout::Siblings).then(|| quote!(Self::));
        quote!(#owner #name #turbofish(#this #(#given),*))
    }
}

/// One thing as it is, more of them as a tuple.
fn tuple(items: &[impl quote::ToTokens]) -> TokenStream {
    match items {
        [one] => quote!(#one),
        many => quote!((#(#many),*)),
    }
}

/// Whether a receiver is `&self`.
pub(super) fn is_shared(receiver: &Receiver) -> bool {
    matches!(&receiver.kind, ReceiverKind::Reference(_, _, None))
}

/// Whether a type has an `impl Trait` in it.
fn unnamed(ty: &Type) -> bool {
    struct Find(bool);

    impl<'ast> Visit<'ast> for Find {
        fn visit_type_impl_trait(&mut self, _: &'ast TypeImplTrait) {
            self.0 = true;
        }
    }

    let mut find = Find(false);
    find.visit_type(ty);
    find.0
}

/// Gives the lifetimes that a type leaves out a name, and says what its references need: an argument
/// implies both, the item of an iterator does not.
#[derive(Default)]
struct Names {
    new: Vec<Lifetime>,
    bounds: Vec<WherePredicate>,
}

impl Names {
    fn name(&mut self) -> Lifetime {
        let name = format!("'__{}", self.new.len());
        let lifetime = Lifetime::new(&name, Span::mixed_site());
        self.new.push(lifetime.clone());
        lifetime
    }
}

impl VisitMut for Names {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.name();
        }
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        if reference.lifetime.is_none() {
            reference.lifetime = Some(self.name());
        }
        visit_mut::visit_type_reference_mut(self, reference);
        let (elem, lifetime) = (&reference.elem, &reference.lifetime);
        self.bounds.push(parse_quote!(#elem: #lifetime));
    }

    // What a function takes or returns has lifetimes of its own.
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {
    }

    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
}
