//! The fingerprint of a value type, found by running its `Deserialize` against made-up data and
//! recording what it asks for. A type that changed gets another fingerprint, so entries of the
//! old one are a miss instead of garbage.
//!
//! A type is run several times: each run takes every enum down one more variant, until all have
//! been seen. A value that the type refuses is replaced by another and the run starts over.

use xxhash_rust::xxh3::Xxh3;

mod dummies;
mod level;
mod memory;
mod run;
#[cfg(test)]
mod tests;
mod tracer;

use memory::Memory;
use run::Run;
use tracer::Tracer;

use crate::codec::Reader;
use crate::refusal::Refusal;

/// How often a type is run, with all its variants and refusals.
const RUNS: usize = 8192;

/// How many values it may ask for in all runs together. It takes about a fifth of a second.
const STEPS: usize = 2_000_000;

/// Leads every record, so that a change of the tracing itself is a change of all fingerprints.
const VERSION: &[u8] = b"schema 1;";

/// What is known of a value type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Its shape is known.
    Traced {
        /// Of names, fields, variants and types, in order.
        fingerprint: u64,
        /// It asks what comes next, so only MessagePack can carry it.
        self_describing: bool,
    },
    /// Its shape cannot be seen from outside: it needs a `schema = N` to be shared.
    Untraceable {
        /// Why, and what to write.
        reason: String,
        /// It asks what comes next, so only MessagePack can carry it.
        self_describing: bool,
    },
}

/// Finds the schema of `T`, as the codecs see it: not in its form for people.
#[cfg(test)]
pub(crate) fn trace<T: serde::de::DeserializeOwned>() -> Schema {
    run_through(&mut |reader| T::deserialize(reader).map(drop))
}

/// A type's `Deserialize`.
type Visit<'v> = dyn for<'r, 'de> FnMut(Reader<'r, 'de>) -> Result<(), Refusal> + 'v;

/// Finds the schema of a type, as the codecs see it: not in its form for people.
pub(crate) fn run_through(visit: &mut Visit<'_>) -> Schema {
    let mut memory = Memory::default();
    let mut record = Xxh3::new();
    record.update(VERSION);
    let mut steps = STEPS;
    let mut script = Vec::new();
    let mut reason = None;
    let mut self_describing = false;
    for _ in 0..RUNS {
        let mut tracer = Tracer::new(Run::new(&mut memory, script, steps));
        let result = visit(Reader(&mut tracer));
        let run = tracer.finish();
        steps = run.steps_left();
        self_describing |= run.self_describing();
        match result {
            Ok(()) => {
                record.update(run.record());
                record.update(b";");
                let news = run.commit();
                script = Vec::new();
                reason = None;
                if memory.is_complete() {
                    return Schema::Traced {
                        fingerprint: record.digest(),
                        self_describing,
                    };
                }
                if !news {
                    reason = Some("some of its enums' variants are never reached".to_owned());
                    break;
                }
            }
            Err(refusal) => {
                let why = run.reason(&refusal);
                let fatal = run.is_fatal();
                // The first refusal of all says more than that of the last try.
                if fatal {
                    reason = Some(why);
                    break;
                }
                reason.get_or_insert(why);
                match run.next_script() {
                    Some(next) => script = next,
                    None => break,
                }
            }
        }
    }
    let why = reason.unwrap_or_else(|| "it has too many variants".to_owned());
    Schema::Untraceable {
        reason: format!(
            "its shape cannot be seen ({why}): write `schema = 1` to share it, and count up when \
             the type changes"
        ),
        self_describing,
    }
}
