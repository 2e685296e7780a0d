//! Reads `name = value`, `name(..)` and `name` one after the other: the one place that knows
//! about unknown names, names given twice, and how to go on after a mistake.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, LitBool, LitStr, Token};

use crate::errors::Errors;
use crate::suggest;

/// The options that an attribute takes.
pub(crate) struct Known {
    /// Who takes them, as messages call it.
    pub(crate) owner: &'static str,
    pub(crate) names: &'static [&'static str],
    /// Those that may be given more than once.
    pub(crate) repeatable: &'static [&'static str],
    /// What others call them.
    pub(crate) elsewhere: &'static [(&'static str, &'static str)],
    /// Those that companions don't depend on.
    pub(crate) aside: &'static [&'static str],
}

impl Known {
    /// Reads all options; `each` reads what follows a known name.
    pub(crate) fn read(
        &self,
        input: ParseStream<'_>,
        errors: &mut Errors,
        mut each: impl FnMut(&Ident, ParseStream<'_>, &mut Errors) -> syn::Result<()>,
    ) {
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let aside = self.is_aside(input);
            if let Err(error) = self.one(input, &mut seen, errors, &mut each) {
                if aside {
                    errors.aside(error);
                } else {
                    errors.add(error);
                }
                skip_to_comma(input);
            }
            if input.is_empty() {
                break;
            }
            if let Err(error) = input.parse::<Token![,]>() {
                errors.at(error.span(), "expected a comma between two options");
                skip_to_comma(input);
                let _ = input.parse::<Token![,]>();
            }
        }
    }

    fn one(
        &self,
        input: ParseStream<'_>,
        seen: &mut Vec<Ident>,
        errors: &mut Errors,
        each: &mut impl FnMut(&Ident, ParseStream<'_>, &mut Errors) -> syn::Result<()>,
    ) -> syn::Result<()> {
        if !input.peek(Ident::peek_any) {
            return Err(self.nameless(input));
        }
        let name = input.call(Ident::parse_any)?;
        let text = name.to_string();
        if !self.names.contains(&text.as_str()) {
            return Err(syn::Error::new(
                name.span(),
                format!(
                    "unknown option `{text}`{}: {} takes {}",
                    self.meant(&text),
                    self.owner,
                    suggest::list(self.names)
                ),
            ));
        }
        let again = seen.contains(&name) && !self.repeatable.contains(&text.as_str());
        if again {
            return Err(syn::Error::new(
                name.span(),
                format!("`{text}` is given twice: keep one"),
            ));
        }
        seen.push(name.clone());
        each(&name, input, errors)
    }
}

impl Known {
    /// What an unknown name was meant to be, if that can be guessed.
    fn meant(&self, name: &str) -> String {
        let mut elsewhere = self.elsewhere.iter();
        match elsewhere.find(|(theirs, _)| *theirs == name) {
            Some((_, ours)) => suggest::did_you_mean(ours),
            None => suggest::meant(name, self.names),
        }
    }

    /// Whether the option that comes next, as it is or as it was meant, can be wrong without harm
    /// to anything else.
    fn is_aside(&self, input: ParseStream<'_>) -> bool {
        let Ok(name) = input.fork().call(Ident::parse_any) else {
            return true;
        };
        let name = name.to_string();
        let meant = self.names.iter().find(|known| **known == name).copied();
        meant
            .or_else(|| suggest::nearest(&name, self.names))
            .is_none_or(|meant| self.aside.contains(&meant))
    }

    /// Something that doesn't begin with a name.
    fn nameless(&self, input: ParseStream<'_>) -> syn::Error {
        let takes = suggest::list(self.names);
        match input.fork().parse::<LitStr>() {
            Ok(text) => syn::Error::new(
                text.span(),
                format!(
                    "expected an option by its name: write `kind = {}` if this is the kind; {} takes {takes}",
                    text.token(),
                    self.owner
                ),
            ),
            Err(_) => input.error(format!(
                "expected an option by its name: {} takes {takes}",
                self.owner
            )),
        }
    }
}

/// After a mistake, goes on with the next option.
pub(crate) fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        let _ = input.parse::<TokenTree>();
    }
}

/// What follows `=`; `example` says what to write where there is none.
pub(crate) fn value<T: Parse>(
    name: &Ident,
    input: ParseStream<'_>,
    example: &str,
) -> syn::Result<T> {
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(
            name.span(),
            format!("`{name}` needs a value: write `{example}`"),
        ));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(
            name.span(),
            format!("`{name}` needs a value: write `{example}`"),
        ));
    }
    input.parse()
}

/// An expression without the invisible brackets that a `macro_rules!` fragment has.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => bare(&group.expr),
        Expr::Paren(paren) => bare(&paren.expr),
        _ => expr,
    }
}

/// What stands in the parentheses after a name: at least one item.
pub(crate) fn list<T: Parse>(
    name: &Ident,
    input: ParseStream<'_>,
    example: &str,
) -> syn::Result<Vec<T>> {
    let inner = group(name, input, example)?;
    let items = Punctuated::<T, Token![,]>::parse_terminated.parse2(inner)?;
    Ok(items.into_iter().collect())
}

/// The tokens in the parentheses after a name: at least one.
pub(crate) fn group(
    name: &Ident,
    input: ParseStream<'_>,
    example: &str,
) -> syn::Result<TokenStream> {
    if input.peek(syn::token::Paren) {
        let group: Group = input.parse()?;
        if !group.stream().is_empty() {
            return Ok(group.stream());
        }
    }
    Err(syn::Error::new(
        name.span(),
        format!("`{name}` needs a list: write `{example}`"),
    ))
}

/// A name alone, or `name = true` or `name = false`.
pub(crate) fn flag(name: &Ident, input: ParseStream<'_>) -> syn::Result<bool> {
    if !input.peek(Token![=]) {
        return Ok(true);
    }
    input.parse::<Token![=]>()?;
    input
        .parse::<LitBool>()
        .map(|value| value.value)
        .map_err(|error| {
            syn::Error::new(
                error.span(),
                format!("`{name}` is on or off: write `{name}` or `{name} = false`"),
            )
        })
}

/// The name of a parameter, `self` included.
pub(crate) struct Name(pub(crate) Ident);

impl Parse for Name {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let expr: Expr = input.parse()?;
        match &expr {
            Expr::Path(path) => path.path.get_ident().cloned(),
            _ => None,
        }
        .map(Self)
        .ok_or_else(|| syn::Error::new_spanned(&expr, "expected the name of an argument"))
    }
}
