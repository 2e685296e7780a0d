//! The annotated function: its signature taken apart, its body left as it is.

mod batch;
mod deferred;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::visit::Visit;
use syn::{
    Attribute, FnArg, GenericParam, Pat, PatIdent, Receiver, ReturnType, Signature, Token, Type,
    Visibility,
};

pub(crate) use self::batch::Batch;
pub(crate) use self::deferred::Deferred;
use crate::mention::{mentions, mentions_self_type};

/// A function with a body.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) params: Vec<Param>,
    /// The future that it returns, where it is no `async fn` and does.
    pub(crate) deferred: Option<Deferred>,
}

/// A parameter other than the receiver.
pub(crate) struct Param {
    /// Its name outside the body: its own, or one made up where it is a pattern.
    pub(crate) ident: Ident,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) pat: Pat,
    pub(crate) ty: Type,
    /// The names its pattern binds, where it is more than a name.
    pub(crate) binds: Vec<Ident>,
}

impl Param {
    fn new(index: usize, attrs: Vec<Attribute>, pat: Pat, ty: Type) -> Self {
        let (ident, binds) = if let Pat::Ident(PatIdent {
            by_ref: None,
            subpat: None,
            ident,
            ..
        }) = &pat
        {
            (ident.clone(), Vec::new())
        } else {
            let name = format!("__argument_{index}");
            (Ident::new(&name, Span::mixed_site()), bindings(&pat))
        };
        Self {
            ident,
            attrs,
            pat,
            ty,
            binds,
        }
    }

    /// Whether it has a name of its own.
    pub(crate) fn named(&self) -> bool {
        matches!(&self.pat, Pat::Ident(pat) if pat.ident == self.ident)
    }

    /// Whether it is a name and nothing else, not even `mut`.
    pub(crate) fn bare(&self) -> bool {
        self.named() && matches!(&self.pat, Pat::Ident(pat) if pat.mutability.is_none())
    }

    /// Whether the tokens mention it, or a name that it binds.
    pub(crate) fn mentioned(&self, tokens: &impl ToTokens) -> bool {
        if self.named() {
            return mentions(tokens, &self.ident.to_string());
        }
        self.binds
            .iter()
            .any(|name| mentions(tokens, &name.to_string()))
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(syn::Error::new(
                sig.ident.span(),
                "there is no body to wrap here: put the attribute on the function in the `impl`",
            ));
        }
        let body = match input.parse()? {
            TokenTree::Group(body) => body,
            other => {
                return Err(syn::Error::new(
                    other.span(),
                    "expected the function's body",
                ));
            }
        };
        let deferred = match &sig.output {
            ReturnType::Type(_, ty) if sig.asyncness.is_none() => Deferred::find(ty),
            _ => None,
        };
        let mut receiver = None;
        let mut params = Vec::new();
        for (index, input) in sig.inputs.iter().enumerate() {
            match input {
                FnArg::Receiver(this) => receiver = Some(this.clone()),
                FnArg::Typed(typed) => params.push(Param::new(
                    index,
                    typed.attrs.clone(),
                    (*typed.pat).clone(),
                    (*typed.ty).clone(),
                )),
            }
        }
        Ok(Self {
            attrs,
            vis,
            sig,
            body,
            receiver,
            params,
            deferred,
        })
    }
}

impl Function {
    /// Its name without `r#`.
    pub(crate) fn name(&self) -> String {
        self.sig.ident.unraw().to_string()
    }

    /// Whether what it returns has to be awaited.
    pub(crate) fn is_async(&self) -> bool {
        self.sig.asyncness.is_some() || self.deferred.is_some()
    }

    /// The type of what it returns, once that has been awaited.
    pub(crate) fn returned(&self) -> Type {
        if let Some(deferred) = &self.deferred {
            return deferred.output.clone();
        }
        match &self.sig.output {
            ReturnType::Type(_, ty) => (**ty).clone(),
            ReturnType::Default => syn::parse_quote!(()),
        }
    }

    /// Whether it belongs to a type, as far as can be seen from within.
    pub(crate) fn associated(&self) -> bool {
        self.receiver.is_some()
            || mentions_self_type(self.sig.to_token_stream())
            || mentions_self_type(self.body.stream())
    }

    pub(crate) fn type_params(&self) -> impl Iterator<Item = &Ident> {
        self.sig.generics.type_params().map(|param| &param.ident)
    }

    pub(crate) fn const_params(&self) -> impl Iterator<Item = &Ident> {
        self.sig.generics.const_params().map(|param| &param.ident)
    }

    /// `::<T, N>`, or nothing.
    pub(crate) fn turbofish(&self) -> TokenStream {
        let idents = self.generic_names();
        if idents.is_empty() {
            return TokenStream::new();
        }
        quote!(::<#(#idents),*>)
    }

    /// Its types and constants.
    pub(crate) fn generic_names(&self) -> Vec<&Ident> {
        self.sig
            .generics
            .params
            .iter()
            .filter_map(|param| match param {
                GenericParam::Type(param) => Some(&param.ident),
                GenericParam::Const(param) => Some(&param.ident),
                GenericParam::Lifetime(_) => None,
            })
            .collect()
    }

    /// The names of the parameters that have one.
    pub(crate) fn names(&self) -> Vec<String> {
        let this = self.receiver.as_ref().map(|_| "self".to_owned());
        let named = self.params.iter().filter(|param| param.named());
        this.into_iter()
            .chain(named.map(|param| param.ident.to_string()))
            .collect()
    }

    /// Those, and the names that patterns bind.
    pub(crate) fn all_names(&self) -> Vec<String> {
        let binds = self.params.iter().flat_map(|param| &param.binds);
        let mut names = self.names();
        names.extend(binds.map(ToString::to_string));
        names
    }

    /// Another body in the place of its own. The braces stay the user's: else the compiler takes the
    /// function for generated, and never says that it is unused.
    pub(crate) fn braced(&self, body: TokenStream) -> Group {
        let mut braced = Group::new(Delimiter::Brace, body);
        braced.set_span(self.body.span());
        braced
    }

    /// Its body as a block inside another. The braces are at the user's, but not theirs: else the
    /// compiler calls them superfluous around a body of one line.
    pub(crate) fn block(&self) -> Group {
        let mut block = Group::new(Delimiter::Brace, self.body.stream());
        block.set_span(Span::call_site().located_at(self.body.span()));
        block
    }

    /// Where the receiver is written.
    pub(crate) fn receiver_span(&self) -> Option<Span> {
        self.receiver
            .as_ref()
            .map(|receiver| receiver.self_token.span)
    }
}

fn bindings(pat: &Pat) -> Vec<Ident> {
    struct Names(Vec<Ident>);

    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, pat: &'ast PatIdent) {
            self.0.push(pat.ident.clone());
            syn::visit::visit_pat_ident(self, pat);
        }
    }

    let mut names = Names(Vec::new());
    names.visit_pat(pat);
    names.0
}
