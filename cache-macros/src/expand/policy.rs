//! What the attribute says of the function's policy, as one expression.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::args::{Root, Setting, Value};

/// The policy, or a function that gives it.
pub(super) fn policy(root: &Root, settings: &[Setting]) -> TokenStream {
    let rt = root.runtime();
    let is_known = settings
        .iter()
        .all(|setting| !matches!(setting.value, Value::Expr(_)));
    let settings = settings.iter().map(|setting| {
        let method = Ident::new(setting.method, Span::call_site());
        let value = value(root, &setting.value);
        quote!(.#method(#value))
    });
    let policy = quote!(#root::Policy::new() #(#settings)*);
    if is_known {
        quote!(#rt::Given::Known(#policy))
    } else {
        quote!(#rt::Given::Asked(|| #policy))
    }
}

fn value(root: &Root, value: &Value) -> TokenStream {
    match value {
        Value::Millis(millis) => quote!(::core::time::Duration::from_millis(#millis)),
        Value::Count(count) => quote!(#count),
        Value::Part(part) => quote!(#part),
        Value::Flag(flag) => quote!(#flag),
        Value::Consistency(name) => {
            let name = Ident::new(name, Span::call_site());
            quote!(#root::Consistency::#name)
        }
        Value::Expr(expr) => quote!(#expr),
    }
}
