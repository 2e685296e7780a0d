//! What a key of the namespace should look like, by its name.

use cache_core::Kind;

use crate::cli::entry::key_in;
use crate::keys::read_stamp;

/// What is wrong with a key. The order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Endless,
    Entry,
    Lease,
    Stamp,
    Figures,
    Foreign,
}

impl Fault {
    pub(super) const ALL: [Self; 6] = [
        Self::Endless,
        Self::Entry,
        Self::Lease,
        Self::Stamp,
        Self::Figures,
        Self::Foreign,
    ];

    /// What it is called in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Endless => "endless",
            Self::Entry => "entry",
            Self::Lease => "lease",
            Self::Stamp => "stamp",
            Self::Figures => "figures",
            Self::Foreign => "foreign",
        }
    }

    /// What it is, before a number.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Endless => "keys without an expiry, which would stay for ever",
            Self::Entry => "entries that can't be read, of another format or damaged",
            Self::Lease => "leases that are none",
            Self::Stamp => "stamps that are none, under which no entry is served",
            Self::Figures => "figures or nodes of another form",
            Self::Foreign => "keys that are none of this library's",
        }
    }
}

/// How a key looks.
pub(super) struct Looks {
    /// Its type, as Redis calls it.
    pub(super) kind: String,
    pub(super) endless: bool,
    /// As a string: its length, and how it begins.
    pub(super) length: i64,
    pub(super) start: Vec<u8>,
}

/// Which of the library's keys a name is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Entry(&'a str),
    Lease,
    Stamp,
    Figures,
    /// What the doctor writes for a moment.
    Doctor,
    Foreign,
}

impl<'a> Place<'a> {
    pub(super) fn of(namespace: &str, name: &'a [u8]) -> Self {
        let is_key = |key: &str| key.parse::<cache_core::Key>().is_ok();
        if let Some(key) = key_in(namespace, name) {
            return if is_key(key) {
                Self::Entry(key)
            } else {
                Self::Foreign
            };
        }
        let rest = std::str::from_utf8(name)
            .ok()
            .and_then(|name| name.strip_prefix(namespace)?.strip_prefix(':'));
        let Some(rest) = rest else {
            return Self::Foreign;
        };
        match rest.split_once(':') {
            None if rest == "n" => Self::Figures,
            Some(("l", key)) => {
                let key = key.strip_prefix('{').and_then(|key| key.strip_suffix('}'));
                if key.is_some_and(is_key) {
                    Self::Lease
                } else {
                    Self::Foreign
                }
            }
            Some(("t", tag)) if !tag.is_empty() => Self::Stamp,
            Some(("m", figures)) => {
                let parts = figures.rsplit_once(':');
                let is_ours = parts.is_some_and(|(kind, minute)| {
                    (kind.is_empty() || Kind::new(kind).is_ok()) && minute.parse::<u64>().is_ok()
                });
                if is_ours {
                    Self::Figures
                } else {
                    Self::Foreign
                }
            }
            Some(("d", key)) if key.starts_with('{') => Self::Doctor,
            _ => Self::Foreign,
        }
    }
}

/// What is wrong with a key, as far as it can be told without reading all of it.
pub(super) fn of(place: &Place<'_>, looks: &Looks) -> Option<Fault> {
    let is_string = looks.kind == "string";
    let is_token = || {
        looks.length == 32
            && looks.start.len() == 32
            && looks
                .start
                .iter()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match place {
        Place::Foreign => Some(Fault::Foreign),
        _ if looks.endless => Some(Fault::Endless),
        Place::Entry(_) if !is_string => Some(Fault::Entry),
        Place::Lease if !is_string || !is_token() => Some(Fault::Lease),
        Place::Stamp if !is_string || looks.length != 16 || read_stamp(&looks.start).is_none() => {
            Some(Fault::Stamp)
        }
        Place::Figures if looks.kind != "hash" => Some(Fault::Figures),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(kind: &str, endless: bool, start: &[u8]) -> Looks {
        Looks {
            kind: kind.to_owned(),
            endless,
            length: i64::try_from(start.len()).unwrap_or(0),
            start: start.to_vec(),
        }
    }

    #[test]
    fn every_key_of_the_layout_has_its_place() {
        let of = |name: &'static str| Place::of("s", name.as_bytes());
        assert_eq!(of("s:e:{a:b:1}"), Place::Entry("a:b:1"));
        assert_eq!(of("s:l:{a:b:1}"), Place::Lease);
        for stamp in ["s:t:~", "s:t:~a", "s:t:user:42"] {
            assert_eq!(of(stamp), Place::Stamp, "{stamp}");
        }
        for figures in ["s:n", "s:m::29000000", "s:m:a:29000000", "s:m:a.b-c:1"] {
            assert_eq!(of(figures), Place::Figures, "{figures}");
        }
        assert_eq!(of("s:d:{x}"), Place::Doctor);
        for foreign in [
            "s:",
            "s:x:1",
            "s:e:a:b:1",
            "s:e:{a}",
            "s:l:{}",
            "s:m:a",
            "s:m:A B:1",
            "s:n:1",
            "s:t:",
            "t:n",
        ] {
            assert_eq!(of(foreign), Place::Foreign, "{foreign}");
        }
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        let (lease, stamp) = (b"0123456789abcdef0123456789abcdef", b"0123456789abcdef");
        let cases = [
            (Place::Entry("a:b:1"), looks("string", false, b"?"), None),
            (
                Place::Entry("a:b:1"),
                looks("list", false, b""),
                Some(Fault::Entry),
            ),
            (
                Place::Entry("a:b:1"),
                looks("string", true, b"?"),
                Some(Fault::Endless),
            ),
            (Place::Lease, looks("string", false, lease), None),
            (
                Place::Lease,
                looks("string", true, lease),
                Some(Fault::Endless),
            ),
            (
                Place::Lease,
                looks("string", false, stamp),
                Some(Fault::Lease),
            ),
            (Place::Stamp, looks("string", false, stamp), None),
            (
                Place::Stamp,
                looks("string", false, b"0000000000000000"),
                Some(Fault::Stamp),
            ),
            (Place::Stamp, looks("set", false, b""), Some(Fault::Stamp)),
            (Place::Figures, looks("hash", false, b""), None),
            (
                Place::Figures,
                looks("string", false, b"7"),
                Some(Fault::Figures),
            ),
            (Place::Doctor, looks("string", false, b"x"), None),
            (
                Place::Foreign,
                looks("string", false, b"x"),
                Some(Fault::Foreign),
            ),
        ];
        for (place, looks, fault) in cases {
            assert_eq!(of(&place, &looks), fault, "{place:?}");
        }
    }
}
