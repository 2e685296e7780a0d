//! The rules about batches: `each = ids`, and `entries_of = user`.

use syn::{Expr, ReceiverKind, Type};

use crate::args::{Cached, Returns, bare};
use crate::errors::Errors;
use crate::model::{Batch, Function};
use crate::suggest;

/// What a batch asks of its options and its function.
pub(super) fn each(args: &Cached, function: &Function, errors: &mut Errors) {
    if let Some(of) = &args.entries_of {
        entries_of(of, args, errors);
    }
    let Some(each) = &args.each else { return };
    let names = function.names();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let param = function.params.iter().find(|param| param.ident == *each);
    let Some(param) = param.filter(|param| param.named()) else {
        let text = each.to_string();
        errors.on(
            each,
            format!(
                "there is no argument `{text}`{} whose elements are looked up one by one",
                suggest::meant(&text, &known)
            ),
        );
        return;
    };
    if args.skips(each) {
        errors.on(
            each,
            format!("the elements of `{each}` tell the calls apart: remove it from `skip(..)`"),
        );
    }
    if Batch::of(&param.ty).is_none() {
        errors.on(
            &param.ty,
            format!("`{each}` is no list that can be taken apart: write `&[K]`, `Vec<K>` or a set"),
        );
    }
    let again = "the function may run more than once for a batch";
    for other in &function.params {
        if matches!(&other.ty, Type::Reference(reference) if reference.mutability.is_some()) {
            errors.on(
                &other.ty,
                format!("{again}, so `&mut` can't be handed to it"),
            );
        }
    }
    if let Some(receiver) = &function.receiver
        && !matches!(receiver.kind, ReceiverKind::Reference(_, _, None))
    {
        errors.on(receiver, format!("{again}: take `&self`"));
    }
    if let Some(option) = &args.cache_err {
        errors.on(
            option,
            "a batch fails as a whole, and nothing of it is cached then: remove `cache_err`",
        );
    }
    if matches!(args.returns, Some(Returns::Value)) {
        errors.on(
            each,
            "a batch returns a map, which is taken apart: remove `returns`",
        );
    }
}

/// The entries are the other function's, and so is what is said of them.
fn entries_of(of: &Expr, args: &Cached, errors: &mut Errors) {
    if !matches!(bare(of), Expr::Path(_)) {
        errors.on(
            of,
            "expected the name of a cached function: write `entries_of = user`, or `entries_of = Self::user`",
        );
    }
    if args.each.is_none() {
        errors.on(
            of,
            "only a batch shares the entries of another function: add `each = ids`, with the argument's name",
        );
    }
    if let Some(kind) = &args.kind {
        errors.on(
            kind,
            "the kind is that of the function in `entries_of`: remove `kind`",
        );
    }
    for setting in &args.settings {
        errors.on(
            &setting.written,
            format!(
                "`{0}` is said by the function in `entries_of`: remove `{0}`",
                setting.option
            ),
        );
    }
}
