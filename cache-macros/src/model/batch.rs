//! The argument of a batch: a list or a set, of which each element is a call of its own.

use syn::{GenericArgument, PathArguments, Type, TypePath};

/// The type of such an argument, taken apart.
pub(crate) struct Batch<'a> {
    /// One element.
    pub(crate) element: &'a Type,
    /// What holds them, without a `&` before it.
    pub(crate) container: &'a Type,
    /// Whether there is one.
    pub(crate) borrowed: bool,
}

impl<'a> Batch<'a> {
    /// The elements in `&[K]`, `Vec<K>`, `&HashSet<K>` and their like.
    pub(crate) fn of(ty: &'a Type) -> Option<Self> {
        let (container, borrowed) = match bare(ty) {
            Type::Reference(reference) if reference.mutability.is_none() => {
                (bare(&reference.elem), true)
            }
            Type::Reference(_) => return None,
            owned => (owned, false),
        };
        let element = match container {
            Type::Slice(slice) if borrowed => &slice.elem,
            Type::Path(TypePath { path, .. }) => match &path.segments.last()?.arguments {
                PathArguments::AngleBracketed(arguments) => {
                    arguments.args.iter().find_map(|argument| match argument {
                        GenericArgument::Type(ty) => Some(ty),
                        _ => None,
                    })?
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(Self {
            element,
            container,
            borrowed,
        })
    }
}

fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(ty) => bare(&ty.elem),
        Type::Group(ty) => bare(&ty.elem),
        _ => ty,
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;

    use super::*;

    #[test]
    fn lists_and_sets_have_elements() {
        for (source, element, borrowed) in [
            ("&[u64]", Some("u64"), true),
            ("&'a [Id]", Some("Id"), true),
            ("Vec<u64>", Some("u64"), false),
            ("&std::collections::HashSet<String>", Some("String"), true),
            ("&mut Vec<u64>", None, true),
            ("u64", None, false),
            ("[u64; 3]", None, false),
        ] {
            let ty: Type = syn::parse_str(source).expect("a type");
            let found = Batch::of(&ty);
            let name = found
                .as_ref()
                .map(|found| found.element.to_token_stream().to_string());
            assert_eq!(name.as_deref(), element, "{source}");
            assert!(found.is_none_or(|found| found.borrowed == borrowed));
        }
    }
}
