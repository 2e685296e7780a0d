//! What a key of the namespace should look like, by its name.

use cache_core::metrics::NodeId;
use cache_core::{Kind, KindSnapshot, Snapshot};

use crate::cli::entry::{is_entry, key_in};
use crate::keys::read_stamp;

/// What is wrong with a key. The order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Endless,
    Entry,
    Lease,
    Stamp,
    Foreign,
}

impl Fault {
    pub(super) const ALL: [Self; 5] = [
        Self::Endless,
        Self::Entry,
        Self::Lease,
        Self::Stamp,
        Self::Foreign,
    ];

    /// What it is called in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Endless => "endless",
            Self::Entry => "entry",
            Self::Lease => "lease",
            Self::Stamp => "stamp",
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
    /// As a hash without an expiry: some of its fields.
    pub(super) fields: Vec<String>,
}

/// Which of the library's keys a name is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Entry(&'a str),
    Lease,
    Stamp,
    /// What is known of the nodes.
    Nodes,
    /// The figures of a minute: of a kind, or, without its name, of the cache as a whole.
    Figures(&'a str),
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
            None if rest == "n" => Self::Nodes,
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
                let of = figures.rsplit_once(':').filter(|(kind, minute)| {
                    (kind.is_empty() || Kind::new(kind).is_ok()) && minute.parse::<u64>().is_ok()
                });
                of.map_or(Self::Foreign, |(kind, _)| Self::Figures(kind))
            }
            Some(("d", key)) if is_doctors(key) => Self::Doctor,
            _ => Self::Foreign,
        }
    }
}

/// Whether the doctor names its keys so: by a random number in hexadecimal digits.
fn is_doctors(key: &str) -> bool {
    let parts = key.strip_prefix('{').and_then(|key| key.split_once('}'));
    parts.is_some_and(|(id, what)| {
        id.len() == 32 && is_hex(id.as_bytes()) && matches!(what, "" | "l" | "t" | "h")
    })
}

fn is_hex(text: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.iter().all(is_digit)
}

/// What is wrong with a key, as far as it can be told without reading all of it.
pub(super) fn of(place: &Place<'_>, looks: &Looks) -> Option<Fault> {
    match place {
        _ if !could_be_ours(place, looks) => Some(Fault::Foreign),
        _ if looks.endless => Some(Fault::Endless),
        Place::Entry(_) if !looks.is_string() => Some(Fault::Entry),
        Place::Lease if !looks.is_token() => Some(Fault::Lease),
        Place::Stamp if read_stamp(&looks.start).is_none() => Some(Fault::Stamp),
        _ => None,
    }
}

/// Whether this library may have written it. A name alone says little: another program may have a
/// `jobs:t:42` or a `jobs:n`, and keep it for ever. Only the names of entries and leases are such that
/// what expires under them is ours, though damaged.
fn could_be_ours(place: &Place<'_>, looks: &Looks) -> bool {
    let all_fields = |is_ours: &dyn Fn(&str) -> bool| {
        looks.kind == "hash" && (!looks.endless || looks.fields.iter().all(|name| is_ours(name)))
    };
    match place {
        Place::Foreign => false,
        Place::Doctor => true,
        Place::Entry(_) => !looks.endless || looks.is_string() && is_entry(&looks.start),
        Place::Lease => !looks.endless || looks.is_token(),
        Place::Stamp => looks.is_string() && looks.length == 16 && is_hex(&looks.start),
        Place::Nodes => all_fields(&is_node),
        Place::Figures(kind) => all_fields(&|name| {
            name.strip_prefix('#').is_some_and(is_node)
                || if kind.is_empty() {
                    name == "reports"
                        || name.starts_with("kind.")
                        || Snapshot::default().add_field(name, 0)
                } else {
                    KindSnapshot::default().add_field(name, 0)
                }
        }),
    }
}

fn is_node(text: &str) -> bool {
    text.parse::<NodeId>().is_ok()
}

impl Looks {
    fn is_string(&self) -> bool {
        self.kind == "string"
    }

    fn is_token(&self) -> bool {
        self.is_string() && self.length == 32 && self.start.len() == 32 && is_hex(&self.start)
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
            fields: Vec::new(),
        }
    }

    fn endless_hash(fields: &[&str]) -> Looks {
        Looks {
            fields: fields.iter().map(|name| (*name).to_owned()).collect(),
            ..looks("hash", true, b"")
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
        assert_eq!(of("s:n"), Place::Nodes);
        for (figures, kind) in [
            ("s:m::29000000", ""),
            ("s:m:a:29000000", "a"),
            ("s:m:a.b-c:1", "a.b-c"),
        ] {
            assert_eq!(of(figures), Place::Figures(kind), "{figures}");
        }
        for what in ["", "l", "t", "h"] {
            let name = format!("s:d:{{{}}}{what}", "0f".repeat(16));
            assert_eq!(Place::of("s", name.as_bytes()), Place::Doctor, "{name}");
        }
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
            "s:d:{x}",
            "s:d:{0123456789abcdef0123456789abcdef}x",
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
                looks("string", true, b"\xcache"),
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
                looks("string", true, stamp),
                Some(Fault::Endless),
            ),
            (
                Place::Stamp,
                looks("string", false, b"0000000000000000"),
                Some(Fault::Stamp),
            ),
            (Place::Nodes, looks("hash", false, b""), None),
            (Place::Figures(""), looks("hash", false, b""), None),
            (
                Place::Nodes,
                endless_hash(&["0123456789abcdef"]),
                Some(Fault::Endless),
            ),
            (
                Place::Figures(""),
                endless_hash(&["reports", "kind.a", "#0123456789abcdef"]),
                Some(Fault::Endless),
            ),
            (
                Place::Figures("a"),
                endless_hash(&["misses", "load_below_micros.64"]),
                Some(Fault::Endless),
            ),
            (Place::Doctor, looks("string", false, b"x"), None),
            (
                Place::Doctor,
                looks("hash", true, b""),
                Some(Fault::Endless),
            ),
        ];
        for (place, looks, fault) in cases {
            assert_eq!(of(&place, &looks), fault, "{place:?}");
        }
    }

    #[test]
    fn what_another_program_keeps_is_foreign_whatever_its_name() {
        let cases = [
            (Place::Foreign, looks("string", false, b"x")),
            (Place::Entry("a:b:1"), looks("string", true, b"theirs")),
            (Place::Entry("a:b:1"), looks("list", true, b"")),
            (Place::Lease, looks("string", true, b"theirs")),
            (Place::Stamp, looks("string", true, b"theirs")),
            (Place::Stamp, looks("string", false, b"theirs")),
            (Place::Stamp, looks("set", false, b"")),
            (Place::Stamp, looks("string", false, b"0123456789ABCDEF")),
            (Place::Nodes, looks("string", false, b"7")),
            (Place::Nodes, endless_hash(&["name"])),
            (Place::Figures("a"), looks("string", false, b"7")),
            (Place::Figures("a"), endless_hash(&["misses", "name"])),
            (Place::Figures(""), endless_hash(&["#7"])),
        ];
        for (place, looks) in cases {
            assert_eq!(of(&place, &looks), Some(Fault::Foreign), "{place:?}");
        }
    }
}
