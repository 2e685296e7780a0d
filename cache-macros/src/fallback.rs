//! What is emitted beside the errors: the function as it was written, and companions as far as they
//! are known, so that nothing else is wrong because of them, and an editor still completes.

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::Cached;
use crate::expand;
use crate::model::Function;

/// The function, with its companions; empty ones, if it is not `settled` what they take.
pub(crate) fn cached(
    item: &TokenStream,
    args: Cached,
    function: &Function,
    settled: bool,
) -> TokenStream {
    // What is wrong was reported, and must not be met again.
    let args = Cached {
        settings: Vec::new(),
        cache_if: None,
        ttl_with: None,
        tags_with: None,
        enabled: None,
        cache_none: None,
        cache_err: None,
        ..args
    };
    let companions = expand::companions(&args, function, settled);
    quote!(#item #companions)
}
