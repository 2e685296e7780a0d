//! The one hidden function that a function and its companions share: it gives the call, to whoever asks for its
//! value, its key or a place for a value. So shape, key and tags are written, and checked, once.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::visit::{self, Visit};
use syn::{Expr, GenericParam, Lifetime, Member, Type, TypeReference, parse_quote};

use super::call::{Call, STORE, Use};
use super::warm::is_shared;
use crate::layout::Layout;
use crate::model::Param;

/// How an argument gets there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// It is `Copy`, as far as can be seen.
    Copied,
    /// By reference, which nobody notices.
    Lent,
    /// It is gone then: companions can do that.
    Moved,
}

impl Call<'_> {
    /// Whether there is one. Where the function has a cache or terms of its own, there is not: they may borrow.
    pub(super) fn is_shared(&self) -> bool {
        self.layout != Layout::Inline
            && self.args.cache.is_none()
            && self.batch().is_none()
            && self.terms().is_empty()
    }

    /// Whether the function itself and `refresh` use it, who need their arguments for the body too.
    pub(super) fn is_whole(&self) -> bool {
        self.is_shared()
            && self.args.enabled.is_none()
            && self.function.receiver.as_ref().is_none_or(is_shared)
            && !self.passed().any(|(_, passed)| passed == Passed::Moved)
    }

    fn passed(&self) -> impl Iterator<Item = (&Param, Passed)> {
        let taken = self.taken(STORE);
        // With a reference more there could be two lifetimes to choose from for what is returned.
        let lends =
            self.function.receiver.is_some() || !taken.iter().any(|param| has_lifetime(&param.ty));
        taken.into_iter().map(move |param| {
            let passed = if !param.named() {
                Passed::Moved
            } else if is_copied(&param.ty) {
                Passed::Copied
            } else if lends && self.is_lent(param) {
                Passed::Lent
            } else {
                Passed::Moved
            };
            (param, passed)
        })
    }

    /// Whether the options do the same with a reference to it.
    fn is_lent(&self, param: &Param) -> bool {
        let key = self.args.key.iter().flatten();
        key.chain(self.args.tag_values())
            .all(|expr| is_place(expr) || !param.mentioned(expr))
    }

    /// Its definition.
    pub(super) fn at_function(&self) -> TokenStream {
        let (rt, scope, returned) = (&self.runtime, self.scope(STORE), self.returned());
        let (identity, shape) = (self.identity(), self.shape());
        let (key, tags) = (self.key(), self.tags());
        let (name, vis) = (self.companion("__at"), &self.function.vis);
        let mut generics = self.function.sig.generics.clone();
        let aim: GenericParam = parse_quote!(__Aim: #rt::Aim);
        generics.params.push(aim);
        let bounds = &generics.where_clause;
        let this = self.function.receiver.as_ref().map(|_| quote!(&self,));
        let params = self.passed().map(|(param, passed)| {
            let Param {
                ident, attrs, ty, ..
            } = param;
            let lent = (passed == Passed::Lent).then(|| quote!(&));
            let ty = if lent.is_some() && matches!(ty, Type::ImplTrait(_)) {
                quote!((#ty))
            } else {
                quote!(#ty)
            };
            quote!(#(#attrs)* #ident: #lent #ty,)
        });
        let shell = quote_spanned! {self.asked_for()=>
            #vis fn #name #generics(#this #(#params)* __aim: __Aim) -> __Aim::Outcome<#returned> #bounds {
                #scope
                __aim.of::<#returned, _, _>(#identity, || #shape, #key, #tags)
            }
        };
        quote!(#[doc(hidden)] #[inline] #shell)
    }

    /// The call of it, for a companion that takes the arguments for these uses, if they are all it needs.
    pub(super) fn shared(&self, uses: &[Use], aim: &str) -> Option<TokenStream> {
        let names = |uses| self.taken(uses).into_iter().map(|param| &param.ident);
        (self.is_shared() && names(uses).eq(names(STORE))).then(|| self.at(aim))
    }

    /// The call of it.
    pub(super) fn at(&self, aim: &str) -> TokenStream {
        let (rt, aim) = (&self.runtime, Ident::new(aim, Span::call_site()));
        let (name, types) = (self.companion_name("__at"), self.function.generic_names());
        // What it is asked for is the last one.
        let turbofish = (!types.is_empty()).then(|| quote!(::<#(#types,)* _>));
        let this = self.function.receiver.as_ref().map(|receiver| {
            let token = receiver.self_token;
            quote!(#token,)
        });
        let params = self.passed().map(|(param, passed)| {
            let ident = &param.ident;
            let lent = (passed == Passed::Lent).then(|| quote!(&));
            quote!(#lent #ident,)
        });
        quote!(#name #turbofish(#this #(#params)* #rt::#aim))
    }

    /// `refresh`, by way of it.
    pub(super) fn reloaded(&self) -> TokenStream {
        let (rt, at, body) = (&self.runtime, self.at("Store"), self.uncached_call());
        if self.function.is_async() {
            quote!(#rt::reload(#at, #body))
        } else {
            quote!(#rt::reload_blocking(#at, move || #body))
        }
    }
}

/// Whether an expression is a name, or a field of what has one.
fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Path(path) => path.path.get_ident().is_some(),
        Expr::Field(field) => matches!(&field.member, Member::Named(_)) && is_place(&field.base),
        _ => false,
    }
}

/// Whether a type is known to be `Copy`.
fn is_copied(ty: &Type) -> bool {
    const COPIED: &[&str] = &[
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16",
        "u32", "u64", "u128", "usize",
    ];
    match ty {
        Type::Reference(reference) => reference.mutability.is_none(),
        Type::Path(path) => path
            .path
            .get_ident()
            .is_some_and(|name| COPIED.iter().any(|copied| name == copied)),
        Type::Paren(inner) => is_copied(&inner.elem),
        Type::Group(inner) => is_copied(&inner.elem),
        _ => false,
    }
}

/// Whether a type has a lifetime in it, as far as can be seen.
fn has_lifetime(ty: &Type) -> bool {
    struct Find(bool);

    impl<'ast> Visit<'ast> for Find {
        fn visit_lifetime(&mut self, _: &'ast Lifetime) {
            self.0 = true;
        }

        fn visit_type_reference(&mut self, _: &'ast TypeReference) {
            self.0 = true;
        }
    }

    let mut find = Find(false);
    visit::visit_type(&mut find, ty);
    find.0
}
