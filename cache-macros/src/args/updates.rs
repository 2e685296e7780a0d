//! What `#[updates(..)]` takes: calls of cached functions, and options.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Expr, Token};

use super::options::Known;
use super::values::{self, Root};
use crate::errors::Errors;

const UPDATES: Known = Known {
    owner: "#[updates]",
    names: &["crate"],
    repeatable: &[],
    elsewhere: &[],
    aside: &[],
};

/// The calls whose values a function's return value becomes, and the options.
#[derive(Default)]
pub(crate) struct Updates {
    pub(crate) calls: Vec<Expr>,
    pub(crate) root: Root,
}

impl Updates {
    /// Reads the attribute; mistakes go to `errors`, the rest is still read.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut this = Self::default();
        values::parse(tokens, errors, |input, errors| {
            while !input.is_empty() && !option_follows(input) {
                match input.parse() {
                    Ok(call) => this.calls.push(call),
                    Err(error) => {
                        errors.add(error);
                        super::options::skip_to_comma(input);
                    }
                }
                if input.is_empty() || input.parse::<Token![,]>().is_err() {
                    break;
                }
            }
            UPDATES.read(input, errors, |name, input, _| this.option(name, input));
        });
        this
    }

    fn option(&mut self, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match name.to_string().as_str() {
            "crate" => self.root = Root::parse(name, input)?,
            other => unreachable!("`{other}` is listed as an option and not read"),
        }
        Ok(())
    }
}

/// Whether `name =` comes next.
fn option_follows(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.call(Ident::parse_any).is_ok() && ahead.peek(Token![=]) && !ahead.peek(Token![==])
}
