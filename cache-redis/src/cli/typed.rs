//! URLs that were typed where none belongs: what is said of that quotes them, and they may hold a
//! password.

use std::borrow::Cow;

/// A text without the user's part of any URL in the arguments or the namespace's variable.
pub(super) fn masked(text: &str) -> String {
    let arguments = std::env::args_os().chain(std::env::var_os("CACHE_NAMESPACE"));
    let arguments: Vec<_> = arguments.skip(1).collect();
    without_users(text, arguments.iter().map(|typed| typed.to_string_lossy()))
}

/// A text of the parser of arguments without anything that could be an address. It quotes all sorts of
/// parts of them.
pub(super) fn masked_usage(text: &str) -> String {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let typed = arguments.iter().map(|typed| typed.to_string_lossy());
    without_addresses(&masked(text), typed)
}

fn without_addresses<'a>(text: &str, typed: impl Iterator<Item = Cow<'a, str>>) -> String {
    let mut text = text.to_owned();
    for argument in typed {
        let values = argument
            .match_indices('=')
            .map(|(at, _)| &argument[at + 1..]);
        // The longest first: a password may have a = in it.
        for part in std::iter::once(&*argument).chain(values) {
            if part.contains("://") || part.contains('@') {
                text = text.replace(part, "***");
            }
        }
    }
    text
}

fn without_users<'a>(text: &str, typed: impl Iterator<Item = Cow<'a, str>>) -> String {
    let mut text = text.to_owned();
    for argument in typed {
        let rest = argument.split_once("://").map(|(_, rest)| rest);
        let Some((user, _)) = rest.and_then(|rest| rest.rsplit_once('@')) else {
            continue;
        };
        // As it is, and as an error quotes it.
        let quoted = format!("{user:?}");
        for user in [user, &quoted[1..quoted.len() - 1]] {
            text = text.replace(&format!("://{user}@"), "://***@");
            text = without_cut(&text, user);
        }
    }
    text
}

/// The same where the quotation ends before the @ does: `"redis://:secr".. (90 bytes)`.
fn without_cut(text: &str, user: &str) -> String {
    const CUT: &str = "\".. (";
    let mut parts = text.split("://");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str("://");
        match part.split_once(CUT) {
            Some((begun, after)) if !begun.is_empty() && user.starts_with(begun) => {
                masked.extend(["***", CUT, after]);
            }
            _ => masked.push_str(part),
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_in_the_wrong_place_is_not_told() {
        let url = "redis://app:se=cr\"et@h:1";
        let of = |text: &str| without_users(text, [Cow::from("x"), Cow::from(url)].into_iter());
        assert_eq!(of(&format!("{url} is no key")), "redis://***@h:1 is no key");
        assert_eq!(of(&format!("{url:?}")), "\"redis://***@h:1\"");
        assert_eq!(
            of("namespace \"redis://app:se=\".. (90 bytes) is not"),
            "namespace \"redis://***\".. (90 bytes) is not"
        );
        for other in ["redis://127.0.0.1:1: refused", "a://b\".. (1", "app@h"] {
            assert_eq!(of(other), other);
        }
        let of = |text: &str, typed: &'static str| {
            without_addresses(text, std::iter::once(Cow::from(typed)))
        };
        let typed = "--timeout=redis://:se=cret@h";
        assert_eq!(
            of("'redis://:se=cret@h' for --timeout", typed),
            "'***' for --timeout"
        );
        assert_eq!(of("'cret@h'", typed), "'***'");
        assert_eq!(of("'app:secret@h'", "app:secret@h"), "'***'");
    }
}
