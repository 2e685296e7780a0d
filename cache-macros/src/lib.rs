//! The attributes of cache-core.
use proc_macro::TokenStream;
/// Stand-in.
#[proc_macro_attribute]
pub fn cached(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}
/// Stand-in.
#[proc_macro_attribute]
pub fn invalidates(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}
