//! From the call of a cached function, as `#[invalidates]` and `#[updates]` name it, to the calls of
//! its companions.

use proc_macro2::Ident;
use quote::format_ident;
use syn::{Expr, ExprCall, ExprMethodCall, ExprPath, PathArguments, PathSegment};

/// The same arguments for a companion: `f(x)` becomes `f::key(x)`, and `s.f(x)` becomes `s.f_key(x)`.
pub(super) fn companion(call: &Expr, name: &str) -> Expr {
    match call {
        Expr::Call(call) => {
            let func = match &*call.func {
                Expr::Path(path) => Expr::Path(companion_path(path, name)),
                other => other.clone(),
            };
            Expr::Call(ExprCall {
                func: Box::new(func),
                ..call.clone()
            })
        }
        Expr::MethodCall(call) => Expr::MethodCall(ExprMethodCall {
            method: sibling(&call.method, name),
            ..call.clone()
        }),
        other => other.clone(),
    }
}

/// The path of a companion, from the path of its function.
pub(super) fn companion_path(path: &ExprPath, name: &str) -> ExprPath {
    let mut path = path.clone();
    let owner = path
        .path
        .segments
        .iter()
        .rev()
        .nth(1)
        .map(|segment| segment.ident.to_string());
    // A type's name begins with a capital: then the companion is a sibling.
    let associated = path.qself.is_some()
        || owner.is_some_and(|owner| owner.starts_with(|first: char| first.is_uppercase()));
    if let Some(last) = path.path.segments.last_mut() {
        if associated {
            last.ident = sibling(&last.ident, name);
        } else {
            let ident = Ident::new(name, last.ident.span());
            let arguments = std::mem::replace(&mut last.arguments, PathArguments::None);
            path.path.segments.push(PathSegment { ident, arguments });
        }
    }
    path
}

/// The name of a method's companion.
pub(super) fn sibling(method: &Ident, name: &str) -> Ident {
    match name.strip_prefix("__") {
        Some(hidden) => format_ident!("__{method}_{hidden}", span = method.span()),
        None => format_ident!("{method}_{name}"),
    }
}
