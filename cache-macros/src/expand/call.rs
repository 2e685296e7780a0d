//! The pieces that every call into the runtime is made of: site, instance, shape, cache, key, tags,
//! terms.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut;
use syn::{Expr, ExprReference, PatIdent, Type};

use super::body::{local, located, moved};
use super::policy::policy;
use super::target::companion_path;
use crate::args::{Cached, Piece, Returns, Root, TagsWith, Template, bare};
use crate::layout::Layout;
use crate::model::{Function, Param};

/// One annotated function, with all that its expansion asks about.
pub(crate) struct Call<'a> {
    pub(crate) args: &'a Cached,
    pub(crate) function: &'a Function,
    pub(crate) layout: Layout,
    /// Whether the function belongs to a type, so that `Self` is part of its identity.
    pub(crate) method: bool,
    /// Where cache-core is, and what of it the expansion calls.
    pub(crate) root: &'a Root,
    pub(crate) runtime: TokenStream,
}

/// What an argument is needed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Key,
    Tags,
    Cache,
    Enabled,
}

/// What finding an entry takes.
pub(crate) const FIND: &[Use] = &[Use::Key, Use::Cache];
/// What storing a value takes.
pub(crate) const STORE: &[Use] = &[Use::Key, Use::Tags, Use::Cache];
/// What a call takes.
pub(crate) const CALL: &[Use] = &[Use::Key, Use::Tags, Use::Cache, Use::Enabled];

impl<'a> Call<'a> {
    pub(crate) fn new(args: &'a Cached, function: &'a Function) -> Self {
        Self {
            args,
            function,
            layout: Layout::of(args, function),
            method: args.method || function.associated(),
            root: &args.root,
            runtime: args.root.runtime(),
        }
    }

    /// The function that hands out the site's static, where the function does not own it.
    pub(crate) fn site_name(&self) -> Ident {
        match self.layout {
            Layout::Siblings => format_ident!("__{}_site", self.function.sig.ident),
            _ => format_ident!("__site"),
        }
    }

    /// A reference to the site.
    pub(crate) fn site(&self) -> TokenStream {
        if let Some(Expr::Path(of)) = self.args.entries_of.as_ref().map(bare) {
            let of = companion_path(of, "__site");
            return quote!(#of());
        }
        let name = self.site_name();
        let function = &self.function.sig.ident;
        match self.layout {
            Layout::Namespace => quote!(#function::#name()),
            Layout::Siblings => quote!(Self::#name()),
            Layout::Inline => quote!(&__CACHED_SITE),
        }
    }

    /// The site's static. `marker` is an item whose path tells the function's place.
    pub(crate) fn site_static(&self, marker: &TokenStream) -> TokenStream {
        let (root, rt) = (self.root, &self.runtime);
        let name = self.function.name();
        // A wrong kind was reported; what is emitted then never runs.
        let kind = self
            .args
            .kind
            .as_ref()
            .map_or_else(|| quote!(""), |kind| quote!(#kind));
        let policy = policy(root, &self.args.settings);
        let schema = match &self.args.schema {
            None => quote!(::core::option::Option::None),
            Some(schema) => quote!(::core::option::Option::Some(#schema)),
        };
        let version = self.args.version;
        let (own_ttl, late_tags) = (self.args.ttl_with.is_some(), self.args.tags_with.is_some());
        let tags = self.args.tags.iter().map(Template::pattern);
        quote! {
            static __CACHED_SITE: #rt::Site = #rt::Site::new(#rt::Spec {
                module: ::core::module_path!(),
                name: #name,
                kind: #kind,
                file: ::core::file!(),
                line: ::core::line!(),
                column: ::core::column!(),
                path: ::core::any::type_name::<#marker>,
                policy: #policy,
                schema: #schema,
                version: #version,
                own_ttl: #own_ttl,
                late_tags: #late_tags,
                tags: &[#(#tags),*],
            });
        }
    }

    /// The types that one static cannot tell apart.
    fn instance(&self) -> TokenStream {
        let rt = &self.runtime;
        let this = self.method.then(|| quote!(Self));
        let types: Vec<_> = this
            .into_iter()
            .chain(self.function.type_params().map(|ty| quote!(#ty)))
            .collect();
        let types = match types.as_slice() {
            [] => return quote!(#rt::Instance::SOLE),
            [one] => quote!(#one),
            // A type parameter may be unsized, which a tuple's elements may not.
            many => quote!((#(::core::marker::PhantomData<#many>),*)),
        };
        quote!(&#rt::Instance::of::<#types>())
    }

    pub(crate) fn shape(&self) -> TokenStream {
        let rt = &self.runtime;
        let returned = self.returned();
        let span = located(returned.span());
        let (none, err, local_only) = (
            self.args.cache_none.is_some(),
            self.args.cache_err.is_some(),
            self.args.local_only,
        );
        let found = match self.args.returns {
            Some(Returns::Value) => quote!(#rt::shape::Plain::<false, false, #local_only>),
            None if none || err || local_only => {
                quote!(#rt::shape!(#returned, #none, #err, #local_only))
            }
            None => quote!(#rt::shape!(#returned)),
        };
        let mut probed = local("__probed");
        probed.set_span(probed.span().located_at(span));
        let rt = moved(rt, span);
        let checked = quote_spanned!(span=> #rt::checked::<#returned, _, _, _, _>(#probed));
        quote!({ let #probed = #found; #checked })
    }

    /// The `cache` option as the runtime takes it.
    pub(crate) fn cache(&self) -> TokenStream {
        cache(&self.runtime, self.args.cache.as_ref())
    }

    /// `site, instance`: who is calling.
    pub(crate) fn identity(&self) -> TokenStream {
        let (site, instance) = (self.site(), self.instance());
        quote!(#site, #instance)
    }

    /// `site, instance, shape, cache`: where to look.
    pub(crate) fn place(&self) -> TokenStream {
        let (identity, shape, cache) = (self.identity(), self.shape(), self.cache());
        quote!(#identity, #shape, #cache)
    }

    /// The arguments of the key, by reference.
    pub(crate) fn key(&self) -> TokenStream {
        let mut items: Vec<TokenStream> = match &self.args.key {
            Some(key) => key
                .iter()
                .map(|expr| self.argument(&reference(expr), expr.span()))
                .collect(),
            None => self
                .automatic()
                .map(|param| self.automatic_argument(param))
                .collect(),
        };
        items.extend(self.function.const_params().map(|name| quote!(&#name)));
        let tuple = tuple(&items);
        quote!(&#tuple)
    }

    fn automatic(&self) -> impl Iterator<Item = &'a Param> {
        let args = self.args;
        self.function
            .params
            .iter()
            .filter(|param| !args.skips(&param.ident))
    }

    /// A parameter of the automatic key.
    fn automatic_argument(&self, param: &Param) -> TokenStream {
        let (ident, span) = (&param.ident, param.pat.span());
        self.argument(&quote_spanned!(located(span)=> &#ident), span)
    }

    /// A part of the key, so that an error about its type is where it was written.
    fn argument(&self, reference: &TokenStream, span: Span) -> TokenStream {
        let (rt, span) = (moved(&self.runtime, span), located(span));
        quote_spanned!(span=> #rt::argument(#reference))
    }

    /// The closure that says the tags.
    pub(crate) fn tags(&self) -> TokenStream {
        if self.args.tags.is_empty() {
            return quote!(|_| {});
        }
        let into = local("__tags");
        let tags = self.args.tags.iter().map(|tag| {
            let parts = parts(&self.runtime, tag);
            quote!(#into.tag(#parts);)
        });
        quote!(|#into| { #(#tags)* })
    }

    /// What else a ticket is told before its value is stored.
    pub(crate) fn terms(&self) -> TokenStream {
        let cache_if = self.args.cache_if.as_ref();
        let ttl_with = self.args.ttl_with.as_ref();
        let tags_with = self.args.tags_with.as_ref();
        let cache_if = cache_if.map(|closure| quote!(.cache_if(#closure)));
        let ttl_with = ttl_with.map(|closure| quote!(.ttl_with(#closure)));
        let tags_with = tags_with.map(|tags| {
            let closure = late_tags(&self.runtime, tags);
            quote!(.tags_with(#closure))
        });
        quote!(#cache_if #ttl_with #tags_with)
    }

    /// Whether an argument, or a part of it, is named in the options for a use.
    pub(crate) fn named_in(&self, param: &Param, what: Use) -> bool {
        match what {
            Use::Key => any(self.args.key.iter().flatten(), param),
            Use::Tags => any(self.args.tag_values(), param),
            Use::Cache => any(&self.args.cache, param),
            Use::Enabled => any(&self.args.enabled, param),
        }
    }

    /// The arguments that some uses need.
    pub(crate) fn taken(&self, uses: &[Use]) -> Vec<&'a Param> {
        let whole = |param: &Param| {
            uses.contains(&Use::Key) && self.args.key.is_none() && !self.args.skips(&param.ident)
        };
        let named = |param: &Param| uses.iter().any(|what| self.named_in(param, *what));
        self.function
            .params
            .iter()
            .filter(|param| whole(param) || named(param))
            .collect()
    }

    /// Opens by reference those patterns whose names the options use.
    pub(crate) fn scope(&self, uses: &[Use]) -> TokenStream {
        let opened =
            self.function.params.iter().filter(|param| {
                !param.named() && uses.iter().any(|what| self.named_in(param, *what))
            });
        opened
            .map(|Param { ident, pat, .. }| {
                let mut pat = pat.clone();
                Shared.visit_pat_mut(&mut pat);
                quote!(#[allow(unused_variables, clippy::pattern_type_mismatch)] let #pat = &#ident;)
            })
            .collect()
    }

    pub(crate) fn returned(&self) -> Type {
        self.function.returned()
    }
}

fn any<'a>(exprs: impl IntoIterator<Item = &'a Expr>, param: &Param) -> bool {
    exprs.into_iter().any(|expr| param.mentioned(expr))
}

/// Makes a pattern bind by shared reference only.
struct Shared;

impl VisitMut for Shared {
    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        pat.by_ref = None;
        pat.mutability = None;
        syn::visit_mut::visit_pat_ident_mut(self, pat);
    }
}

/// A `cache` option as the runtime takes it.
pub(super) fn cache(rt: &TokenStream, expr: Option<&Expr>) -> TokenStream {
    match expr {
        None => quote!(::core::option::Option::None),
        Some(expr) => {
            let (span, expr) = (located(expr.span()), reference(expr));
            let rt = moved(rt, span);
            quote_spanned!(span=> ::core::option::Option::Some(#rt::cache(#expr)))
        }
    }
}

/// The parts of a tag.
pub(super) fn parts(rt: &TokenStream, tag: &Template) -> TokenStream {
    let parts = tag.0.iter().map(|piece| match piece {
        Piece::Text(text) => quote!(#rt::Part::Text(#text)),
        Piece::Value(expr) => {
            let (span, expr) = (located(expr.span()), reference(expr));
            let rt = moved(rt, span);
            quote_spanned!(span=> #rt::Part::Value(#expr))
        }
    });
    quote!(&[#(#parts),*])
}

/// The closure that says the tags from the value.
pub(super) fn late_tags(rt: &TokenStream, tags: &TagsWith) -> TokenStream {
    match tags {
        TagsWith::Expr(expr) => quote!(#expr),
        TagsWith::Templates(closure, templates) => {
            let tags = templates.iter().map(|tag| {
                let parts = parts(rt, tag);
                quote!(#rt::tag(#parts))
            });
            let mut closure = closure.clone();
            closure.output = syn::ReturnType::Default;
            *closure.body = Expr::Verbatim(quote!([#(#tags),*]));
            quote!(#closure)
        }
    }
}

/// `&expr`, with parentheses where they are needed.
fn reference(expr: &Expr) -> TokenStream {
    let reference = ExprReference {
        attrs: Vec::new(),
        and_token: syn::token::And(located(expr.span())),
        mutability: None,
        expr: Box::new(expr.clone()),
    };
    quote!(#reference)
}

/// A tuple of any length: serde stops at 16 elements, so a longer one nests.
fn tuple(items: &[TokenStream]) -> TokenStream {
    const LONGEST: usize = 16;
    if items.len() <= LONGEST {
        return quote!((#(#items,)*));
    }
    let nested: Vec<_> = items.chunks(LONGEST).map(tuple).collect();
    tuple(&nested)
}
