//! What a cache knows of a function it serves: its kind, its settings, how its values are carried.

use std::any::type_name;
use std::panic::catch_unwind;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::codec::Codec;
use crate::env::Env;
use crate::metrics::{Count, Counters, Histogram};
use crate::policy::{Policy, Settings};
use crate::registry::Registered;
use crate::schema::{self, Schema};
use crate::shape::{CacheValue, Shape};

/// A kind in one cache.
#[derive(Debug)]
pub(crate) struct KindState {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) counters: Counters,
    pub(crate) loads: Histogram,
}

impl KindState {
    pub(crate) fn new(name: &str, policy: Policy) -> Self {
        Self {
            name: name.to_owned(),
            policy,
            counters: Counters::new(),
            loads: Histogram::new(),
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
    pub(crate) origin: u128,
    pub(crate) settings: Settings,
    pub(crate) carrier: Carrier,
    /// Whether calls go past the cache.
    pub(crate) bypassed: bool,
}

impl Function {
    /// Settles what a function that returns `R`, caching `V`, is to this cache. `plain`: nothing but
    /// a value was seen in the return type.
    pub(crate) fn new<R, V: CacheValue>(
        registered: &Registered,
        kind: Arc<KindState>,
        plain: bool,
    ) -> Self {
        let settings = Settings::decide(&kind.policy, registered.ttl);
        let hidden = plain && hides_an_outcome(type_name::<R>());
        if hidden {
            tracing::error!(
                kind = kind.name,
                function = &*registered.name,
                "{} can't be seen to be a Result or an Option where #[cached] stands, so it is not \
                 cached: name the type there",
                type_name::<R>(),
            );
        }
        let carrier = carrier::<V>(registered, &kind, settings.codec);
        Self {
            number: registered.number,
            prefix: format!("{}:{}:", kind.name, registered.name),
            origin: registered.origin,
            bypassed: hidden || registered.fault.is_some() || kind.policy.enabled == Some(false),
            settings,
            carrier,
            kind,
        }
    }
}

impl Function {
    /// Runs the function, timed and counted.
    pub(crate) async fn timed<R, S: Shape<R>>(
        &self,
        env: &Env,
        shape: &S,
        body: impl Future<Output = R>,
    ) -> (R, Duration) {
        let counters = &self.kind.counters;
        counters.count(Count::Load);
        let before = env.now();
        let returned = body.await;
        let cost = env.now().saturating_sub(before);
        self.kind.loads.record(cost);
        if shape.is_error(&returned) {
            counters.count(Count::LoadError);
        }
        (returned, cost)
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

fn carrier<V: CacheValue>(
    registered: &Registered,
    kind: &KindState,
    codec: Option<Codec>,
) -> Carrier {
    // A type's own code runs here, on data it has never seen: a panic in it is its answer.
    let traced = catch_unwind(schema::trace::<V>).unwrap_or_else(|_| Schema::Untraceable {
        reason: "its Deserialize panicked while it was traced".to_owned(),
        self_describing: false,
    });
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
                type_name::<V>(),
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
                type_name::<V>(),
            );
            Codec::MessagePack
        }
        Some(codec) => codec,
        None => natural,
    };
    Carrier::Bytes {
        schema: fingerprint,
        codec,
    }
}

/// A table by number that grows without moving what is in it, so that readers take no lock.
#[derive(Debug)]
pub(crate) struct Table<T> {
    chunks: [OnceLock<Box<[OnceLock<T>]>>; 27],
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; 27],
        }
    }

    /// What is at a number.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (chunk, at) = Self::place(number);
        self.chunks[chunk].get()?[at].get()
    }

    /// What is at a number, made where there is nothing.
    pub(crate) fn get_or_init(&self, number: u32, make: impl FnOnce() -> T) -> &T {
        let (chunk, at) = Self::place(number);
        let chunk = self.chunks[chunk]
            .get_or_init(|| (0..64_usize << chunk).map(|_| OnceLock::new()).collect());
        chunk[at].get_or_init(make)
    }

    /// Everything there is, in order of the numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks
            .iter()
            .filter_map(OnceLock::get)
            .flat_map(|chunk| chunk.iter().filter_map(OnceLock::get))
    }

    /// Chunk `n` holds 64 times two to the `n`.
    fn place(number: u32) -> (usize, usize) {
        let shifted = u64::from(number) + 64;
        let chunk = shifted.ilog2() - 6;
        let start = 64_u64 << chunk;
        let at = usize::try_from(shifted - start).unwrap_or(usize::MAX);
        (chunk as usize, at)
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(Table::<u8>::place(u32::MAX).0, 26);
    }

    #[test]
    fn an_outcome_hidden_behind_a_type_parameter_is_noticed() {
        assert!(hides_an_outcome(type_name::<Result<u8, ()>>()));
        assert!(hides_an_outcome(type_name::<Option<u8>>()));
        assert!(!hides_an_outcome(type_name::<Vec<Option<u8>>>()));
    }
}
