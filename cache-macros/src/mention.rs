//! Which names an expression mentions: that decides which parameters a companion takes.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens;

/// Whether the tokens mention a variable of this name. Fields, methods and path segments of the
/// same name don't count; a name captured by a format string does.
pub(crate) fn mentions(tokens: &impl ToTokens, name: &str) -> bool {
    mention(tokens, name).is_some()
}

/// Where the tokens first mention a variable of this name.
pub(crate) fn mention(tokens: &impl ToTokens, name: &str) -> Option<Span> {
    in_stream(tokens.to_token_stream(), name)
}

fn in_stream(tokens: TokenStream, name: &str) -> Option<Span> {
    // What stands before a token: how many dots, how many colons.
    let (mut dots, mut colons) = (0_u32, 0_u32);
    for token in tokens {
        let selected = dots == 1 || colons == 2;
        let found = match &token {
            TokenTree::Ident(ident) => (!selected && ident == name).then(|| ident.span()),
            TokenTree::Group(group) => in_stream(group.stream(), name),
            TokenTree::Literal(literal) => {
                captured(&literal.to_string(), name).then(|| literal.span())
            }
            TokenTree::Punct(_) => None,
        };
        if found.is_some() {
            return found;
        }
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '.' => dots += 1,
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            _ => (dots, colons) = (0, 0),
        }
    }
    None
}

/// Whether a literal is a string with `{name}` or `{name:..}` in it.
fn captured(literal: &str, name: &str) -> bool {
    literal.ends_with('"')
        && literal.match_indices('{').any(|(at, _)| {
            literal[at + 1..]
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['}', ':', '.']))
        })
}

/// Whether the tokens use `Self`, other than inside an item of their own that has a `Self`.
pub(crate) fn mentions_self_type(tokens: TokenStream) -> bool {
    let mut item = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ident == "Self" && !item => return true,
            TokenTree::Ident(ident) if ident == "impl" || ident == "trait" => item = true,
            TokenTree::Punct(punct) if punct.as_char() == ';' => item = false,
            TokenTree::Group(group) => {
                let nested = item && group.delimiter() == Delimiter::Brace;
                if nested {
                    item = false;
                } else if !item && mentions_self_type(group.stream()) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(source: &str, name: &str) -> bool {
        mentions(&source.parse::<TokenStream>().expect("tokens"), name)
    }

    #[test]
    fn variables_count_and_members_do_not() {
        assert!(named("id", "id"));
        assert!(named("f(a, &id.x)", "id"));
        assert!(named("0..id", "id"));
        assert!(named("S { x: id }", "id"));
        assert!(named("format!(\"{id:?}\")", "id"));
        assert!(!named("user.id", "id"));
        assert!(!named("user.id()", "id"));
        assert!(!named("module::id", "id"));
        assert!(!named("\"id\"", "id"));
        assert!(!named("\"{idx}\"", "id"));
    }

    #[test]
    fn self_of_a_nested_item_is_not_ours() {
        let uses = |source: &str| mentions_self_type(source.parse().expect("tokens"));
        assert!(uses("{ Self::new() }"));
        assert!(!uses(
            "{ struct A; impl A { fn new() -> Self { Self } } A::new() }"
        ));
        assert!(uses("{ trait T { fn f() -> Self; } Self::g() }"));
    }
}
