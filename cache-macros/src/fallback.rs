//! What is emitted beside the errors: the function as it was written, so that nothing else in the
//! file is wrong because of them.

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::Cached;
use crate::expand::attributes_of_item;
use crate::model::Function;
use crate::validate::Layout;

/// The errors, the function, and an empty companion to be imported.
pub(crate) fn cached(
    errors: &TokenStream,
    item: &TokenStream,
    args: &Cached,
    function: Option<&Function>,
) -> TokenStream {
    let companion = function
        .filter(|function| Layout::of(args, function) == Layout::Namespace)
        .map(|function| {
            let (name, vis) = (&function.sig.ident, &function.vis);
            let item = attributes_of_item(&function.attrs);
            quote! {
                #(#item)*
                #[doc(hidden)]
                #[allow(non_camel_case_types, dead_code, unreachable_pub)]
                #vis enum #name {}
            }
        });
    quote!(#errors #item #companion)
}

/// The errors and the function.
pub(crate) fn invalidates(errors: &TokenStream, item: &TokenStream) -> TokenStream {
    quote!(#errors #item)
}
