//! What a cache knows of a function it serves: its kind, its settings, how its values are carried.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::codec::Codec;
use crate::env::Env;
use crate::local::{Cell, Cells};
use crate::metrics::{Count, Counters, Histogram, KindSnapshot, Window};
use crate::policy::{Policy, Settings};
use crate::registry::Registered;
use crate::schema::Schema;
use crate::tag::Tag;
use crate::value::{Described, Values};

/// A kind in one cache.
#[derive(Debug)]
pub(crate) struct KindState {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    /// Whether it was switched off at run time.
    pub(crate) off: AtomicBool,
    pub(crate) counters: Counters,
    pub(crate) loads: Histogram,
    window: Window,
    /// The tags that every entry of it carries, the namespace's and its own, and their cells, once a call has
    /// looked for them.
    pub(super) tags: Arc<[String]>,
    cells: OnceLock<[Arc<Cell>; 2]>,
}

impl KindState {
    pub(crate) fn new(name: &str, policy: Policy, now: Duration) -> Self {
        Self {
            name: name.to_owned(),
            policy,
            off: AtomicBool::new(false),
            counters: Counters::new(),
            loads: Histogram::new(),
            window: Window::new(now),
            tags: [Tag::text_of_namespace(), Tag::text_of_kind(name)].into(),
            cells: OnceLock::new(),
        }
    }

    /// The cells of its tags, among those of its cache.
    pub(super) fn cells(&self, all: &Cells) -> &[Arc<Cell>; 2] {
        let pinned = |at: usize| all.pinned(&self.tags[at]);
        self.cells.get_or_init(|| [pinned(0), pinned(1)])
    }

    /// All that was counted, at this time of the coarse clock.
    pub(crate) fn figures(&self, now: Duration) -> KindSnapshot {
        let mut figures = KindSnapshot::of(&self.counters, &self.loads);
        let recent = self.window.note(now, figures.hits(), figures.misses);
        figures.recent = Some(recent);
        figures
    }

    /// Has the last minutes' hits and misses noted, if that was not done lately.
    fn note(&self, now: Duration) {
        if self.window.is_due(now) {
            let [hits, misses] = KindSnapshot::asked(&self.counters);
            self.window.note(now, hits, misses);
        }
    }
}

/// How the values of a function travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// As bytes, with this schema and in this codec.
    Bytes { schema: u64, codec: Codec },
    /// Not at all: what they are made of could not be found out. They stay local.
    None,
}

/// A function in one cache.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) number: u32,
    pub(crate) kind: Arc<KindState>,
    /// `kind:function:`, what the key of each of its entries begins with.
    pub(crate) prefix: String,
    /// The name it is stored under.
    pub(crate) name: Arc<str>,
    /// The name that another process may store it under.
    pub(crate) other: Arc<str>,
    pub(crate) origin: u128,
    pub(crate) settings: Settings,
    pub(crate) carrier: Carrier,
    pub(crate) values: &'static Values,
    /// Whether values have tags that only they know.
    pub(crate) late_tags: bool,
    /// Whether calls go past the cache.
    pub(crate) bypassed: bool,
    /// Whether a call may have a local value without asking anybody, as far as this is settled for good.
    at_once: bool,
}

impl Function {
    /// Settles what a function is to this cache.
    pub(crate) fn new(
        registered: &Registered,
        kind: Arc<KindState>,
        described: &'static Described,
        enabled: bool,
    ) -> Self {
        let policy = kind.policy.or(&registered.policy);
        let settings = Settings::decide(&policy, registered.own_ttl);
        let values = described.values;
        let plain = described.plain.map(|name| name());
        let hidden = plain.filter(|returned| hides_an_outcome(returned));
        if let Some(returned) = hidden {
            tracing::error!(
                kind = kind.name,
                function = &*registered.name,
                "{returned} can't be seen to be a Result or an Option where #[cached] stands, so it \
                 is not cached: name the type there",
            );
        }
        let carrier = carrier(registered, &kind, values, settings.codec);
        let bypassed = !enabled
            || hidden.is_some()
            || registered.fault.is_some()
            || policy.enabled == Some(false);
        Self {
            number: registered.number,
            prefix: format!("{}:{}:", kind.name, registered.name),
            name: Arc::clone(&registered.name),
            other: Arc::clone(&registered.other),
            origin: registered.origin,
            bypassed,
            at_once: !bypassed && !settings.strict,
            late_tags: registered.late_tags,
            settings,
            carrier,
            values,
            kind,
        }
    }
}

impl Function {
    /// Whether calls are cached here.
    #[inline]
    pub(crate) fn is_served(&self) -> bool {
        !self.bypassed && !self.kind.off.load(Ordering::Relaxed)
    }

    /// Whether they are, and may have a local value without asking anybody, as far as is known here.
    #[inline]
    pub(super) fn hits_at_once(&self) -> bool {
        self.at_once && !self.kind.off.load(Ordering::Relaxed)
    }

    /// The function begins to run, counted. Returns when.
    pub(crate) fn load_begins(&self, env: &Env) -> Duration {
        self.kind.counters.count(Count::Load);
        self.kind.note(env.coarse());
        env.now()
    }

    /// It has run since then: timed and counted. Returns how long it took.
    pub(crate) fn load_ended(&self, env: &Env, began: Duration, is_error: bool) -> Duration {
        let cost = env.now().saturating_sub(began);
        self.kind.loads.record(cost);
        if is_error {
            self.kind.counters.count(Count::LoadError);
        }
        cost
    }

    /// The most bytes an entry may have: the value's, and its header's on top.
    pub(crate) fn entry_limit(&self) -> usize {
        self.settings.max_bytes.saturating_add(64 << 10)
    }
}

/// A `Result` or an `Option` behind a type parameter or an associated type cannot be told from a
/// plain value by probing, and an `Err` must not be cached by mistake. The name of the type is good
/// enough to refuse by; nothing is stored under it.
fn hides_an_outcome(name: &str) -> bool {
    name.starts_with("core::result::Result<") || name.starts_with("core::option::Option<")
}

fn carrier(
    registered: &Registered,
    kind: &KindState,
    values: &'static Values,
    codec: Option<Codec>,
) -> Carrier {
    // A type's own code runs here, on data it has never seen: a panic in it is its answer.
    let traced = catch_unwind(AssertUnwindSafe(|| values.schema()));
    let traced = traced.unwrap_or_else(|_| {
        Some(Schema::Untraceable {
            reason: "its Deserialize panicked while it was traced".to_owned(),
            self_describing: false,
        })
    });
    let Some(traced) = traced else {
        // As the attribute says.
        return Carrier::None;
    };
    let (fingerprint, self_describing) = match (traced, registered.schema) {
        (
            Schema::Traced {
                fingerprint,
                self_describing,
            },
            schema,
        ) => (schema.unwrap_or(fingerprint), self_describing),
        (
            Schema::Untraceable {
                self_describing, ..
            },
            Some(schema),
        ) => (schema, self_describing),
        (Schema::Untraceable { reason, .. }, None) => {
            tracing::warn!(
                kind = kind.name,
                function = &*registered.name,
                "values of type {} stay in this process: {reason}; write schema = 1 on the \
                 attribute, and another number whenever the type changes, to share them",
                values.name(),
            );
            return Carrier::None;
        }
    };
    let natural = if self_describing {
        Codec::MessagePack
    } else {
        Codec::Bincode
    };
    let codec = match codec {
        Some(codec) if self_describing && codec != Codec::MessagePack => {
            tracing::warn!(
                kind = kind.name,
                "{codec:?} can't carry {}, which only a self-describing format can: \
                 MessagePack is used",
                values.name(),
            );
            Codec::MessagePack
        }
        Some(codec) => codec,
        None => natural,
    };
    Carrier::Bytes {
        schema: versioned(fingerprint, registered.version),
        codec,
    }
}

/// The schema of one version of a function: entries of all others are a miss. The first one's is the
/// type's own, so that writing `version = 0` changes nothing.
fn versioned(schema: u64, version: u64) -> u64 {
    if version == 0 {
        return schema;
    }
    xxh3_64_with_seed(&schema.to_le_bytes(), version)
}

/// How many places are at hand: that of most functions is found without looking for its chunk.
const AT_HAND: usize = 64;

/// A table by number that grows without moving what is in it, so that readers take no lock.
#[derive(Debug)]
pub(crate) struct Table<T> {
    first: [OnceLock<T>; AT_HAND],
    chunks: [OnceLock<Box<[OnceLock<T>]>>; 26],
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            first: [const { OnceLock::new() }; AT_HAND],
            chunks: [const { OnceLock::new() }; 26],
        }
    }

    /// What is at a number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        match self.first.get(number as usize) {
            Some(place) => place.get(),
            None => self.far(number),
        }
    }

    #[cold]
    #[inline(never)]
    fn far(&self, number: u32) -> Option<&T> {
        let (chunk, at) = Self::place(number);
        self.chunks.get(chunk)?.get()?.get(at)?.get()
    }

    /// What is at a number, made where there is nothing.
    pub(crate) fn get_or_init(&self, number: u32, make: impl FnOnce() -> T) -> &T {
        if let Some(place) = self.first.get(number as usize) {
            return place.get_or_init(make);
        }
        let (chunk, at) = Self::place(number);
        let chunk = self.chunks[chunk]
            .get_or_init(|| (0..AT_HAND << chunk).map(|_| OnceLock::new()).collect());
        chunk[at].get_or_init(make)
    }

    /// Everything there is, in order of the numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let chunks = self.chunks.iter().filter_map(OnceLock::get);
        let rest = chunks.flat_map(|chunk| chunk.iter());
        self.first.iter().chain(rest).filter_map(OnceLock::get)
    }

    /// Chunk `n` holds 64 times two to the `n`, from the number on of which it holds as many.
    fn place(number: u32) -> (usize, usize) {
        let chunk = number.ilog2() - AT_HAND.ilog2();
        let at = (number as usize) - (AT_HAND << chunk);
        (chunk as usize, at)
    }
}

#[cfg(test)]
mod tests {
    use std::any::type_name;

    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let table = Table::new();
        for number in 0..1_000 {
            assert_eq!(*table.get_or_init(number, || number), number);
        }
        assert!((0..1_000).all(|number| table.get(number) == Some(&number)));
        assert_eq!(table.get(1_000), None);
        assert_eq!(table.iter().count(), 1_000);
        assert_eq!(Table::<u8>::place(u32::MAX).0, 25);
    }

    #[test]
    fn an_outcome_hidden_behind_a_type_parameter_is_noticed() {
        assert!(hides_an_outcome(type_name::<Result<u8, ()>>()));
        assert!(hides_an_outcome(type_name::<Option<u8>>()));
        assert!(!hides_an_outcome(type_name::<Vec<Option<u8>>>()));
    }
}
