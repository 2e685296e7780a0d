//! What is stored at a key, for people: in both tiers, as it is, without anything being learnt from it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outage::Asking;
use super::{Engine, Function};
use crate::codec::Codec;
use crate::entry::{self, Header};
use crate::key::Args;
use crate::key::Key;
use crate::local::{Head, Held, KeyRef};
use crate::metrics::millis;
use crate::render::render;
use crate::store::{Found, Read};

/// The longest entry that is looked at.
const LONGEST: usize = 16 << 20;

/// What is stored at a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The key.
    pub key: String,
    /// The entry in this process.
    pub local: Option<LocalEntry>,
    /// The entry in the shared tier.
    pub shared: Option<SharedEntry>,
    /// Why nothing is known of the shared tier; `None` where that was looked at, or there is none.
    pub shared_error: Option<String>,
    /// The value, where it was asked for and can be shown.
    pub value: Option<String>,
}

/// An entry in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LocalEntry {
    /// Whether nothing that this process was told of speaks against it. If not, it is never served.
    pub holds: bool,
    /// How long it is fresh from now on, in milliseconds; 0: it is stale.
    pub fresh_ms: u64,
    /// How long it is kept from now on, in milliseconds.
    pub left_ms: u64,
    /// What loading it took, in microseconds.
    pub cost_micros: u64,
    /// What it takes in memory, estimated, in bytes.
    pub bytes: u64,
    /// Its tags.
    pub tags: Vec<InspectedTag>,
}

/// An entry in the shared tier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SharedEntry {
    /// Its size with its header.
    pub bytes: u64,
    /// Why it can't be read: it is no entry, damaged, or too large. Then nothing else is known.
    pub problem: Option<String>,
    /// Whether that is only because it is so large that it was not looked at: nodes may well read it.
    #[serde(default)]
    pub too_large: bool,
    /// What its value is encoded with.
    pub codec: String,
    /// When it was stored, in milliseconds since the Unix epoch, by the clock of the node that did.
    pub created_ms: u64,
    /// How long ago that was, in milliseconds, by this machine's clock.
    pub age_ms: u64,
    /// How long it was to be fresh when it was stored, in milliseconds.
    pub ttl_ms: u64,
    /// How long it is kept from now on, in milliseconds, if the store says so.
    pub left_ms: Option<u64>,
    /// What loading it took, in microseconds.
    pub cost_micros: u64,
    /// Its tags. One that is not current ends it.
    pub tags: Vec<InspectedTag>,
}

/// A tag that an entry carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InspectedTag {
    /// The tag. `~` is that of everything in the namespace, and `~kind` that of a kind.
    pub tag: String,
    /// Whether it was not invalidated since.
    pub current: bool,
}

impl Inspection {
    /// Whether a call could be answered with what is stored, as far as can be seen.
    pub fn is_valid(&self) -> bool {
        self.local.as_ref().is_some_and(|entry| entry.holds)
            || self.shared.as_ref().is_some_and(SharedEntry::is_valid)
    }
}

impl SharedEntry {
    /// Whether it can be read, and none of its tags was invalidated.
    pub fn is_valid(&self) -> bool {
        self.problem.is_none() && self.tags.iter().all(|tag| tag.current)
    }
}

impl Engine {
    /// The key with every name that its function is stored under, as far as this cache knows it.
    pub(crate) fn completed(&self, key: Key) -> Key {
        if !key.is_one_sided() {
            return key;
        }
        match self.function_named(key.kind(), key.function()) {
            Some(function) => key.or_under(Arc::clone(&function.other)),
            None => key,
        }
    }

    /// What is stored at a key.
    pub(crate) async fn inspect(&self, key: &Key, with_value: bool) -> Inspection {
        let function = self.function_named(key.kind(), key.function());
        let mut found = Inspection {
            key: key.to_string(),
            ..Inspection::default()
        };
        if let Some(function) = &function {
            let args = Args::of_text(key.args());
            let at = KeyRef::new(function.number, args.as_bytes());
            if let Some(held) = self.local.look(&at) {
                found.local = Some(self.local_entry(&*held));
                if with_value {
                    found.value = shown(function, &*held);
                }
            }
        }
        match self.look_at_shared(&found.key).await {
            Ok(None) => {}
            Ok(Some((shared, value))) => {
                found.shared = Some(shared);
                if let Some((codec, payload)) = value
                    && with_value
                    && found.value.is_none()
                {
                    found.value = decoded(function.as_deref(), codec, &payload);
                }
            }
            Err(error) => found.shared_error = Some(error.to_string()),
        }
        found
    }

    fn local_entry(&self, held: &dyn Held) -> LocalEntry {
        let (head, now) = (held.head(), self.env.coarse());
        let [fresh, left, cost] = head.life().outlook(now);
        let tags = head.deps().iter().map(|dependency| InspectedTag {
            tag: dependency.cell.tag().to_owned(),
            current: dependency.cell.stamp() == Some(dependency.stamp),
        });
        LocalEntry {
            holds: head.holds(self.epoch(), now),
            fresh_ms: millis(fresh),
            left_ms: millis(left),
            cost_micros: micros(cost),
            bytes: head.bytes() as u64,
            tags: tags.collect(),
        }
    }

    /// The shared tier's entry, and its value's codec and bytes.
    async fn look_at_shared(
        &self,
        key: &str,
    ) -> crate::Result<Option<(SharedEntry, Option<(u8, Vec<u8>)>)>> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let mut tags: Vec<String> = Vec::new();
        // The first reading tells which tags to ask for; the entry may be another one by then.
        for _ in 0..3 {
            let request = Read::new(key, &tags).limit(LONGEST);
            let reading = self.bounded(Asking::Aside, store.read(request)).await?;
            let bytes = match reading.entry {
                Found::Bytes(bytes) => bytes,
                Found::TooLarge(size) => {
                    let problem = format!("it has more than {LONGEST} bytes, and was not read");
                    let entry = SharedEntry {
                        too_large: true,
                        ..unreadable(size, problem)
                    };
                    return Ok(Some((entry, None)));
                }
                Found::Nothing | Found::Known => return Ok(None),
            };
            let (header, payload) = match entry::read(&bytes, LONGEST) {
                Ok(read) => read,
                Err(malformed) => {
                    return Ok(Some((unreadable(bytes.len(), malformed.to_string()), None)));
                }
            };
            let unasked = |tag: &str| !tags.iter().any(|asked| asked == tag);
            if header.tags.iter().any(|(tag, _)| unasked(tag)) {
                tags = header.tags.iter().map(|(tag, _)| tag.to_string()).collect();
                continue;
            }
            let stamps = header.tags.iter().map(|(tag, stamp)| {
                let asked = tags.iter().position(|asked| **asked == **tag);
                let current = asked.and_then(|at| reading.stamps.get(at).copied().flatten());
                InspectedTag {
                    tag: tag.to_string(),
                    current: current == Some(*stamp),
                }
            });
            let entry = SharedEntry {
                left_ms: reading.left.map(millis),
                tags: stamps.collect(),
                ..self.shared_entry(&header, bytes.len())
            };
            return Ok(Some((entry, Some((header.codec, payload.to_vec())))));
        }
        Ok(None)
    }

    fn shared_entry(&self, header: &Header<'_>, bytes: usize) -> SharedEntry {
        let codec = Codec::from_id(header.codec).map_or("unknown", Codec::as_str);
        SharedEntry {
            bytes: bytes as u64,
            codec: codec.to_owned(),
            created_ms: header.created_ms,
            age_ms: millis(self.env.wall()).saturating_sub(header.created_ms),
            ttl_ms: header.fresh_ms,
            cost_micros: header.cost_us,
            ..SharedEntry::default()
        }
    }
}

fn unreadable(bytes: usize, problem: String) -> SharedEntry {
    SharedEntry {
        bytes: bytes as u64,
        problem: Some(problem),
        ..SharedEntry::default()
    }
}

/// The value of a local entry, as a text.
fn shown(function: &Function, held: &dyn Held) -> Option<String> {
    let bytes = function
        .values
        .lend(held)?
        .encode(Codec::MessagePack, LONGEST)
        .ok()?;
    render(&bytes)
}

/// The value that bytes hold, as a text. A codec that does not describe itself takes the function, which
/// knows the type.
fn decoded(function: Option<&Function>, codec: u8, payload: &[u8]) -> Option<String> {
    let codec = Codec::from_id(codec)?;
    if codec == Codec::MessagePack {
        return render(payload);
    }
    let held = function?
        .values
        .decode(codec, payload, LONGEST, Head::nowhere())
        .ok()?;
    shown(function?, &*held)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
