//! Values, for an engine that does not know their types: what is done with one that was loaded, and
//! what makes one of bytes. So the engine is compiled once, and not for every cached function.

use std::any::{Any, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{Codec, Reader, Writer};
use crate::local::{Head, Held, Stored};
use crate::refusal::Refusal;
use crate::schema::{self, Schema};
use crate::{Error, ErrorKind, Result};

/// What a cached value must be able to do.
pub trait CacheValue: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> CacheValue for T {}

/// The values of a function. Compiled for each type of them, so what more there is to say stands below.
pub trait Values: Send + Sync {
    /// Their type's name.
    fn name(&self) -> &'static str;

    /// Whether they leave this process at all.
    fn are_carried(&self) -> bool;

    /// The value that is read there.
    fn read(&self, reader: Reader<'_, '_>) -> std::result::Result<Box<dyn Value>, Refusal>;

    /// Whether a local entry is of this type.
    fn are(&self, held: &dyn Held) -> bool;

    /// A copy of a local entry's value, to be encoded; `None` where it can't be, or is of another type.
    fn copy(&self, held: &dyn Held) -> Option<Box<dyn Value>>;
}

impl dyn Values {
    /// What is known of their form; `None` where they don't leave this process.
    pub(crate) fn schema(&self) -> Option<Schema> {
        let run = &mut |reader: Reader<'_, '_>| self.read(reader).map(drop);
        self.are_carried().then(|| schema::run_through(run))
    }

    /// The value that bytes hold.
    pub(crate) fn decode(
        &self,
        codec: Codec,
        bytes: &[u8],
        limit: usize,
    ) -> Result<Box<dyn Value>> {
        let mut value = None;
        codec.read(bytes, limit, &mut |reader| {
            value = Some(self.read(reader)?);
            Ok(())
        })?;
        value.ok_or_else(|| Error::new(ErrorKind::Decode, "no value was read".to_owned()))
    }
}

impl fmt::Debug for dyn Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "values of type {}", self.name())
    }
}

/// What a function's types say of them: what the engine does with its values, and the name of the type it
/// returns, where nothing but a value was seen in it.
pub(crate) type Described = fn() -> (&'static dyn Values, Option<&'static str>);

/// A value that was loaded.
pub trait Value: Send {
    /// Writes it.
    fn write(&self, writer: Writer<'_>) -> std::result::Result<(), Refusal>;

    /// What its entry takes in memory.
    fn size(&self) -> usize;

    /// As the local tier holds it.
    fn store(self: Box<Self>, head: Head) -> Arc<dyn Held>;

    /// Puts itself into an `Option` of its type, if `place` is one.
    fn give(self: Box<Self>, place: &mut dyn Any);

    /// As the function that made it knows it.
    fn any(&self) -> &dyn Any;
}

impl dyn Value + '_ {
    /// Its bytes.
    pub(crate) fn encode(&self, codec: Codec, limit: usize) -> Result<Vec<u8>> {
        codec.write(limit, &mut |writer| self.write(writer))
    }

    /// What it takes beside its own place in memory: estimated by the size of its encoding; nothing where it
    /// has none.
    pub(crate) fn weigh(&self) -> usize {
        Codec::Bincode.count(&mut |writer| self.write(writer))
    }
}

/// Whether values stay in this process (`local_only`), or travel as bytes.
#[derive(Debug)]
pub struct Carry<const LOCAL: bool>;

/// A [`Carry`] for values of type `V`.
#[diagnostic::on_unimplemented(
    message = "`{V}` can't be stored outside of this process",
    label = "a value that is shared needs `Serialize` and `Deserialize`",
    note = "derive them: `#[derive(serde::Serialize, serde::Deserialize)]`; or write `local_only` to keep it in this process"
)]
pub trait Carries<V> {
    /// What the engine does with them.
    fn values() -> &'static dyn Values;

    /// One of them, for the engine.
    fn wrap(value: V) -> Box<dyn Value>;
}

impl<V: CacheValue + Serialize + DeserializeOwned> Carries<V> for Carry<false> {
    fn values() -> &'static dyn Values {
        &Portable::<V>(PhantomData)
    }

    fn wrap(value: V) -> Box<dyn Value> {
        Box::new(Bytes(value))
    }
}

impl<V: CacheValue> Carries<V> for Carry<true> {
    fn values() -> &'static dyn Values {
        &Local::<V>(PhantomData)
    }

    fn wrap(value: V) -> Box<dyn Value> {
        Box::new(Here(value))
    }
}

struct Portable<V>(PhantomData<fn() -> V>);
struct Local<V>(PhantomData<fn() -> V>);
struct Bytes<V>(V);
struct Here<V>(V);

impl<V: CacheValue + Serialize + DeserializeOwned> Values for Portable<V> {
    fn name(&self) -> &'static str {
        type_name::<V>()
    }

    fn are_carried(&self) -> bool {
        true
    }

    fn read(&self, reader: Reader<'_, '_>) -> std::result::Result<Box<dyn Value>, Refusal> {
        match V::deserialize(reader) {
            Ok(value) => Ok(Box::new(Bytes(value))),
            Err(refusal) => Err(refusal),
        }
    }

    fn are(&self, held: &dyn Held) -> bool {
        held.is::<V>()
    }

    fn copy(&self, held: &dyn Held) -> Option<Box<dyn Value>> {
        match held.typed::<V>() {
            Some(stored) => Some(Box::new(Bytes(stored.value.clone()))),
            None => None,
        }
    }
}

impl<V: CacheValue> Values for Local<V> {
    fn name(&self) -> &'static str {
        type_name::<V>()
    }

    fn are_carried(&self) -> bool {
        false
    }

    fn read(&self, _: Reader<'_, '_>) -> std::result::Result<Box<dyn Value>, Refusal> {
        Err(stays(type_name::<V>()))
    }

    fn are(&self, held: &dyn Held) -> bool {
        held.is::<V>()
    }

    fn copy(&self, _: &dyn Held) -> Option<Box<dyn Value>> {
        None
    }
}

fn stays(name: &str) -> Refusal {
    Refusal::new(format_args!("values of type {name} stay in this process"))
}

impl<V: CacheValue + Serialize> Value for Bytes<V> {
    fn write(&self, writer: Writer<'_>) -> std::result::Result<(), Refusal> {
        self.0.serialize(writer)
    }

    fn size(&self) -> usize {
        size_of::<Stored<V>>()
    }

    fn store(self: Box<Self>, head: Head) -> Arc<dyn Held> {
        let value = self.0;
        Arc::new(Stored::new(head, value))
    }

    fn give(self: Box<Self>, place: &mut dyn Any) {
        let value = self.0;
        if let Some(place) = place.downcast_mut() {
            *place = Some(value);
        }
    }

    fn any(&self) -> &dyn Any {
        &self.0
    }
}

impl<V: CacheValue> Value for Here<V> {
    fn write(&self, _: Writer<'_>) -> std::result::Result<(), Refusal> {
        Err(stays(type_name::<V>()))
    }

    fn size(&self) -> usize {
        size_of::<Stored<V>>()
    }

    fn store(self: Box<Self>, head: Head) -> Arc<dyn Held> {
        let value = self.0;
        Arc::new(Stored::new(head, value))
    }

    fn give(self: Box<Self>, place: &mut dyn Any) {
        let value = self.0;
        if let Some(place) = place.downcast_mut() {
            *place = Some(value);
        }
    }

    fn any(&self) -> &dyn Any {
        &self.0
    }
}
