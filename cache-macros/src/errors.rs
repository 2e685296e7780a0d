//! Collects every mistake of one attribute, so that all of them are reported at once.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Errors {
    found: Option<syn::Error>,
    unsettled: bool,
}

impl Errors {
    /// A mistake at a span.
    pub(crate) fn at(&mut self, span: Span, message: impl Display) {
        self.add(syn::Error::new(span, message));
    }

    /// A mistake at the whole of some tokens.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// A mistake that something else found.
    pub(crate) fn add(&mut self, error: syn::Error) {
        self.unsettled = true;
        self.aside(error);
    }

    /// A mistake that changes nothing about what the companions take and return.
    pub(crate) fn aside(&mut self, error: syn::Error) {
        match &mut self.found {
            Some(errors) => errors.combine(error),
            None => self.found = Some(error),
        }
    }

    /// Whether it is known, for all the mistakes, what the companions take and return.
    pub(crate) fn settled(&self) -> bool {
        !self.unsettled
    }

    /// Whether none was found yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_none()
    }

    /// The mistakes as `compile_error!` calls, if there are any.
    pub(crate) fn into_compile_errors(self) -> Option<TokenStream> {
        self.found.map(syn::Error::into_compile_error)
    }
}
