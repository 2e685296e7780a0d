//! Entries as they lie in Redis: their keys, and where the value begins.

use cache_core::Key;

/// The key of a call in a key of Redis: what stands between the braces.
pub(super) fn key_in<'a>(namespace: &str, name: &'a [u8]) -> Option<&'a str> {
    let name = std::str::from_utf8(name).ok()?;
    let key = name.strip_prefix(namespace)?.strip_prefix(":e:{")?;
    key.strip_suffix('}')
}

/// The parts of a key that was typed: of a namespace where it was copied out of Redis.
pub(super) fn typed(text: &str) -> Result<(Option<&str>, Key), cache_core::Error> {
    if let Some((namespace, rest)) = text.split_once(':')
        && let Some(inner) = rest
            .strip_prefix("e:{")
            .or_else(|| rest.strip_prefix("l:{"))
            .and_then(|inner| inner.strip_suffix('}'))
    {
        return Ok((Some(namespace), inner.parse()?));
    }
    Ok((None, text.parse()?))
}

/// The name of a function without the suffix that tells it from another one of its name.
pub(super) fn plain(function: &str) -> &str {
    match function.rsplit_once('~') {
        Some((plain, suffix)) if is_suffix(suffix) => plain,
        _ => function,
    }
}

pub(super) fn is_suffix(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether bytes begin as entries do.
pub(super) fn is_entry(start: &[u8]) -> bool {
    start.starts_with(b"\xcache")
}

/// Whether they do in the format that this version reads.
pub(super) fn is_readable(start: &[u8]) -> bool {
    is_entry(start) && start.get(4) == Some(&1)
}

/// The encoded value in an entry of format 1; the entry was read by the cache before, and found whole.
pub(super) fn payload(entry: &[u8]) -> Option<&[u8]> {
    const TAGS: usize = 88;
    let number = |at: usize| {
        let bytes = entry.get(at..at + 2)?;
        Some(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    };
    let mut at = TAGS + 2;
    for _ in 0..number(TAGS)? {
        at += 2 + number(at)? + 8;
    }
    entry.get(at + 4..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_as_they_are_seen() {
        let (namespace, key) = typed("shifts:e:{user:user:42}").expect("a key");
        assert_eq!(
            (namespace, key.to_string().as_str()),
            (Some("shifts"), "user:user:42")
        );
        let (namespace, key) = typed("user:user:'a:{b'").expect("a key");
        assert_eq!((namespace, key.args()), (None, "'a:{b'"));
        assert!(typed("user").is_err());
        assert_eq!(key_in("shifts", b"shifts:e:{a:b:1}"), Some("a:b:1"));
        assert_eq!(key_in("shift", b"shifts:e:{a:b:1}"), None);
        assert_eq!(key_in("shifts", b"shifts:e:{\xff}"), None);
    }

    #[test]
    fn suffixes_are_told_from_names() {
        assert_eq!(plain("user~1a2b3c4d"), "user");
        assert_eq!(plain("user~profile"), "user~profile");
        assert_eq!(plain("user"), "user");
    }

    #[test]
    fn what_is_cut_short_has_no_value() {
        assert_eq!(payload(&[]), None);
        assert!(is_readable(b"\xcache\x01") && !is_readable(b"\xcache"));
        assert!(is_entry(b"\xcache\x02") && !is_readable(b"\xcache\x02"));
        assert!(!is_entry(b"cache\x01") && !is_entry(b""));
        assert_eq!(payload(&[0xff; 120]), None);
        let mut entry = vec![0; 88];
        entry.extend([
            1, 0, 3, 0, b'a', b'b', b'c', 1, 2, 3, 4, 5, 6, 7, 8, 2, 0, 0, 0, 7, 9,
        ]);
        assert_eq!(payload(&entry), Some(&[7, 9][..]));
    }
}
