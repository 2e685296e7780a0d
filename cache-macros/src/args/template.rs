//! A tag's template: text with Rust expressions in braces, such as `"user:{user.id}"`.

use syn::spanned::Spanned as _;
use syn::{Expr, LitStr};

/// One piece of a template.
pub(crate) enum Piece {
    /// Taken as it stands.
    Text(String),
    /// Evaluated at each call.
    Value(Box<Expr>),
}

/// A tag with its holes.
pub(crate) struct Template(pub(crate) Vec<Piece>);

impl Template {
    /// Reads a template; an error is at the literal, which is as near as a stable compiler gets.
    pub(crate) fn parse(literal: &LitStr) -> syn::Result<Self> {
        let error = |message: String| syn::Error::new(literal.span(), message);
        let source = literal.value();
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = source.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(after) = after.strip_prefix(brace) {
                text.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(error(
                    "`}` without a `{` before it: write `}}` for a brace in the text".into(),
                ));
            }
            let end = closing(after).ok_or_else(|| {
                error("`{` is never closed: write `{{` for a brace in the text".into())
            })?;
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Value(Box::new(hole(&after[..end], literal)?)));
            rest = &after[end + 1..];
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        if pieces.is_empty() {
            return Err(error(
                "a tag can't be empty: write what it stands for, such as `\"user:{id}\"`".into(),
            ));
        }
        Ok(Self(pieces))
    }

    /// What is written, with `{}` for each value.
    pub(crate) fn pattern(&self) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Value(_) => "{}",
        });
        pieces.collect()
    }

    /// The expressions in the holes.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Expr> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Value(value) => Some(&**value),
            Piece::Text(_) => None,
        })
    }
}

/// The expression in one pair of braces.
fn hole(source: &str, literal: &LitStr) -> syn::Result<Expr> {
    let error = |message: String| syn::Error::new(literal.span(), message);
    if source.trim().is_empty() {
        return Err(error(
            "nothing in the braces: name an argument, such as `{id}`".into(),
        ));
    }
    // Parsing through a literal of the same span gives every token that span.
    LitStr::new(source, literal.span())
        .parse::<Expr>()
        .map_err(|_| match specified(source) {
            Some((value, _)) if LitStr::new(value, literal.span()).parse::<Expr>().is_ok() => error(format!(
                "`{{{source}}}` has a format specification, which tags don't take: write `{{{}}}`, or `{{format!(..)}}` with the text you want",
                value.trim()
            )),
            _ => error(format!(
                "`{source}` in the braces is no expression: write an argument, a field or a call, such as `{{user.id}}`"
            )),
        })
}

/// Splits at the first single colon outside brackets.
fn specified(source: &str) -> Option<(&str, &str)> {
    let bytes = source.as_bytes();
    let single = |at: usize| {
        bytes[at] == b':' && bytes.get(at + 1) != Some(&b':') && (at == 0 || bytes[at - 1] != b':')
    };
    (0..bytes.len())
        .find(|at| single(*at))
        .map(|at| (&source[..at], &source[at + 1..]))
}

/// Where the brace that was opened just before `source` closes.
fn closing(source: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in source.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The template in an expression of a `tags(..)` list.
pub(crate) fn from_expr(expr: &Expr) -> syn::Result<Template> {
    if let Expr::Lit(syn::ExprLit {
        lit: syn::Lit::Str(literal),
        ..
    }) = super::options::bare(expr)
    {
        return Template::parse(literal);
    }
    let written = quote::quote!(#expr).to_string();
    let example = match expr {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    };
    Err(syn::Error::new(
        expr.span(),
        format!(
            "a tag is a text with its values in braces: write `\"{}\"`",
            example.map_or_else(
                || format!("name:{{{written}}}"),
                |name| format!("{name}:{{{name}}}")
            ),
        ),
    ))
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;
    use quote::ToTokens as _;

    use super::*;

    fn pieces(source: &str) -> Result<Vec<String>, String> {
        let literal = LitStr::new(source, Span::call_site());
        let template = Template::parse(&literal).map_err(|error| error.to_string())?;
        Ok(template
            .0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => format!("'{text}'"),
                Piece::Value(value) => value.to_token_stream().to_string(),
            })
            .collect())
    }

    #[test]
    fn text_and_expressions_take_turns() {
        assert_eq!(pieces("user:{id}"), Ok(vec!["'user:'".into(), "id".into()]));
        assert_eq!(
            pieces("{a.b}/{f(\"}\")}"),
            Ok(vec!["a . b".into(), "'/'".into(), "f (\"}\")".into()])
        );
        assert_eq!(pieces("all"), Ok(vec!["'all'".into()]));
        assert_eq!(pieces("{{x}}"), Ok(vec!["'{x}'".into()]));
        assert_eq!(
            pieces("{if x { 1 } else { 2 }}"),
            Ok(vec!["if x { 1 } else { 2 }".into()])
        );
    }

    #[test]
    fn each_mistake_is_told_apart() {
        assert!(pieces("").unwrap_err().contains("can't be empty"));
        assert!(pieces("a}").unwrap_err().contains("without a `{`"));
        assert!(pieces("{a").unwrap_err().contains("never closed"));
        assert!(pieces("{}").unwrap_err().contains("nothing in the braces"));
        assert!(
            pieces("{id:?}")
                .unwrap_err()
                .contains("format specification")
        );
        assert!(pieces("{a b}").unwrap_err().contains("no expression"));
        assert!(pieces("{a::b}").is_ok());
    }
}
