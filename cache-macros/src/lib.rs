//! The attributes of cache-core: `#[cached(..)]` and `#[invalidates(..)]`. What they emit is thin;
//! the engine that it calls is in cache-core.

mod args;
mod errors;
mod expand;
mod fallback;
mod mention;
mod model;
mod suggest;
#[cfg(test)]
mod tests;
mod validate;

use proc_macro2::TokenStream;

use crate::args::{Cached, Invalidates};
use crate::errors::Errors;
use crate::model::Function;

/// Caches what a function returns.
#[proc_macro_attribute]
pub fn cached(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_cached(options.into(), item.into()).into()
}

/// Invalidates what is cached when a function has succeeded.
#[proc_macro_attribute]
pub fn invalidates(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_invalidates(options.into(), item.into()).into()
}

fn expand_cached(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Cached::parse(options, &mut errors);
    let function = function(&item, "cached", &mut errors);
    if let Some(function) = &function {
        validate::cached(&args, function, &mut errors);
    }
    match (errors.into_compile_errors(), function) {
        (None, Some(function)) => expand::cached(&args, &function),
        (errors, function) => {
            fallback::cached(&errors.unwrap_or_default(), &item, &args, function.as_ref())
        }
    }
}

fn expand_invalidates(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Invalidates::parse(options, &mut errors);
    let function = function(&item, "invalidates", &mut errors);
    if let Some(function) = &function {
        validate::invalidates(&args, function, &mut errors);
    }
    match (errors.into_compile_errors(), function) {
        (None, Some(function)) => expand::invalidates(&args, &function),
        (errors, _) => fallback::invalidates(&errors.unwrap_or_default(), &item),
    }
}

/// The function, or an error at what stands in its place.
fn function(item: &TokenStream, attribute: &str, errors: &mut Errors) -> Option<Function> {
    if let Ok(other) = syn::parse2::<syn::Item>(item.clone())
        && !matches!(other, syn::Item::Fn(_) | syn::Item::Verbatim(_))
    {
        errors.on(
            other,
            format!("#[{attribute}] goes on a function or a method"),
        );
        return None;
    }
    match syn::parse2(item.clone()) {
        Ok(function) => Some(function),
        Err(error) => {
            errors.add(error);
            None
        }
    }
}
