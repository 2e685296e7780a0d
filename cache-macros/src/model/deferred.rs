//! Functions that are no `async fn` and return a future all the same: what `#[async_trait]` makes of
//! one, and what is written so by hand.

use syn::Token;
use syn::punctuated::Punctuated;
use syn::{AssocType, GenericArgument, PathArguments, PathSegment, Type, TypeParamBound, TypePath};

/// The future that such a function returns.
pub(crate) struct Deferred {
    /// What comes out of it.
    pub(crate) output: Type,
    /// Whether it is in a box, `Pin<Box<dyn Future<..>>>` or futures-util's names of that, or else
    /// an `impl Future<..>`.
    pub(crate) boxed: bool,
}

impl Deferred {
    /// The future in a return type.
    pub(crate) fn find(ty: &Type) -> Option<Self> {
        match ty {
            Type::Paren(ty) => Self::find(&ty.elem),
            Type::Group(ty) => Self::find(&ty.elem),
            Type::ImplTrait(ty) => Some(Self {
                output: output(&ty.bounds)?,
                boxed: false,
            }),
            Type::Path(TypePath { path, .. }) => {
                let last = path.segments.last()?;
                let output = match last.ident.to_string().as_str() {
                    "BoxFuture" | "LocalBoxFuture" => argument(last)?.clone(),
                    "Pin" => pinned(argument(last)?)?,
                    _ => return None,
                };
                Some(Self {
                    output,
                    boxed: true,
                })
            }
            _ => None,
        }
    }
}

/// What comes out of a `Box<dyn Future<Output = T>>`.
fn pinned(ty: &Type) -> Option<Type> {
    let Type::Path(TypePath { path, .. }) = ty else {
        return None;
    };
    let last = path.segments.last().filter(|last| last.ident == "Box")?;
    match argument(last)? {
        Type::TraitObject(object) => output(&object.bounds),
        _ => None,
    }
}

/// The `Output` of a `Future` among bounds.
fn output(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Option<Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let last = bound.path.segments.last()?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else {
            return None;
        };
        if last.ident != "Future" {
            return None;
        }
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Output" => {
                Some(ty.clone())
            }
            _ => None,
        })
    })
}

/// The first type in a segment's brackets.
fn argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;

    use super::*;

    fn found(source: &str) -> Option<(String, bool)> {
        let ty = syn::parse_str(source).expect("a type");
        Deferred::find(&ty).map(|found| (found.output.to_token_stream().to_string(), found.boxed))
    }

    #[test]
    fn futures_are_known_by_their_usual_names() {
        let boxed = Some(("u8".to_owned(), true));
        for source in [
            "Pin<Box<dyn Future<Output = u8> + Send + 'a>>",
            "::core::pin::Pin<Box<dyn ::core::future::Future<Output = u8> + ::core::marker::Send>>",
            "BoxFuture<'a, u8>",
            "futures::future::LocalBoxFuture<'static, u8>",
        ] {
            assert_eq!(found(source), boxed, "{source}");
        }
        assert_eq!(
            found("impl Future<Output = u8> + Send"),
            Some(("u8".to_owned(), false))
        );
        for source in [
            "u8",
            "Pin<Box<u8>>",
            "Box<dyn Future<Output = u8>>",
            "impl Clone",
        ] {
            assert_eq!(found(source), None, "{source}");
        }
    }
}
