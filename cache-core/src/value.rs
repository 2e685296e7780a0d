//! Values, for an engine that does not know their types: what is done with one that was loaded, and
//! what makes one of bytes. So the engine is compiled once, and not for every cached function.

use std::any::{Any, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::Codec;
use crate::local::{Head, Held, Stored};
use crate::schema::{self, Schema};
use crate::{Error, ErrorKind, Result};

/// What a cached value must be able to do.
pub trait CacheValue: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> CacheValue for T {}

/// The values of a function.
pub trait Values: Send + Sync + fmt::Debug {
    /// Their type's name.
    fn name(&self) -> &'static str;

    /// Whether they leave this process at all, and what is known of their form.
    fn schema(&self) -> Option<Schema>;

    /// The value that bytes hold.
    fn decode(&self, codec: Codec, bytes: &[u8], limit: usize) -> Result<Box<dyn Value>>;

    /// Whether a local entry is of this type.
    fn are(&self, held: &dyn Held) -> bool;

    /// A copy of a local entry's value, to be encoded; `None` where it can't be, or is of another type.
    fn copy(&self, held: &dyn Held) -> Option<Box<dyn Value>>;
}

/// A value that was loaded.
pub trait Value: Send {
    /// Its bytes.
    fn encode(&self, codec: Codec, limit: usize) -> Result<Vec<u8>>;

    /// What it takes beside its own place in memory: estimated by the size of its encoding.
    fn weigh(&self) -> usize;

    /// What its entry takes in memory.
    fn size(&self) -> usize;

    /// As the local tier holds it.
    fn store(self: Box<Self>, head: Head) -> Arc<dyn Held>;

    /// Puts itself into an `Option` of its type, if `place` is one.
    fn give(self: Box<Self>, place: &mut dyn Any);
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
    fn values() -> Arc<dyn Values>;

    /// One of them, for the engine.
    fn wrap(value: V) -> Box<dyn Value>;
}

impl<V: CacheValue + Serialize + DeserializeOwned> Carries<V> for Carry<false> {
    fn values() -> Arc<dyn Values> {
        Arc::new(Portable::<V>(PhantomData))
    }

    fn wrap(value: V) -> Box<dyn Value> {
        Box::new(Bytes(value))
    }
}

impl<V: CacheValue> Carries<V> for Carry<true> {
    fn values() -> Arc<dyn Values> {
        Arc::new(Local::<V>(PhantomData))
    }

    fn wrap(value: V) -> Box<dyn Value> {
        Box::new(Here(value))
    }
}

struct Portable<V>(PhantomData<fn() -> V>);
struct Local<V>(PhantomData<fn() -> V>);
struct Bytes<V>(V);
struct Here<V>(V);

impl<V> fmt::Debug for Portable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "values of type {}", type_name::<V>())
    }
}

impl<V> fmt::Debug for Local<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "local values of type {}", type_name::<V>())
    }
}

impl<V: CacheValue + Serialize + DeserializeOwned> Values for Portable<V> {
    fn name(&self) -> &'static str {
        type_name::<V>()
    }

    fn schema(&self) -> Option<Schema> {
        Some(schema::trace::<V>())
    }

    fn decode(&self, codec: Codec, bytes: &[u8], limit: usize) -> Result<Box<dyn Value>> {
        let value: V = codec.decode(bytes, limit)?;
        Ok(Box::new(Bytes(value)))
    }

    fn are(&self, held: &dyn Held) -> bool {
        held.typed::<V>().is_some()
    }

    fn copy(&self, held: &dyn Held) -> Option<Box<dyn Value>> {
        let value = held.typed::<V>()?.value.clone();
        Some(Box::new(Bytes(value)))
    }
}

impl<V: CacheValue> Values for Local<V> {
    fn name(&self) -> &'static str {
        type_name::<V>()
    }

    fn schema(&self) -> Option<Schema> {
        None
    }

    fn decode(&self, _: Codec, _: &[u8], _: usize) -> Result<Box<dyn Value>> {
        Err(Error::new(
            ErrorKind::Decode,
            format!("values of type {} stay in this process", self.name()),
        ))
    }

    fn are(&self, held: &dyn Held) -> bool {
        held.typed::<V>().is_some()
    }

    fn copy(&self, _: &dyn Held) -> Option<Box<dyn Value>> {
        None
    }
}

impl<V: CacheValue + Serialize> Value for Bytes<V> {
    fn encode(&self, codec: Codec, limit: usize) -> Result<Vec<u8>> {
        codec.encode(&self.0, limit)
    }

    fn weigh(&self) -> usize {
        Codec::Bincode.len_of(&self.0)
    }

    fn size(&self) -> usize {
        size_of::<Stored<V>>()
    }

    fn store(self: Box<Self>, head: Head) -> Arc<dyn Held> {
        let value = self.0;
        Arc::new(Stored::new(head, value))
    }

    fn give(self: Box<Self>, place: &mut dyn Any) {
        if let Some(place) = place.downcast_mut::<Option<V>>() {
            *place = Some(self.0);
        }
    }
}

impl<V: CacheValue> Value for Here<V> {
    fn encode(&self, _: Codec, _: usize) -> Result<Vec<u8>> {
        Err(Error::new(
            ErrorKind::Encode,
            format!("a value of type {} stays in this process", type_name::<V>()),
        ))
    }

    fn weigh(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        size_of::<Stored<V>>()
    }

    fn store(self: Box<Self>, head: Head) -> Arc<dyn Held> {
        let value = self.0;
        Arc::new(Stored::new(head, value))
    }

    fn give(self: Box<Self>, place: &mut dyn Any) {
        if let Some(place) = place.downcast_mut::<Option<V>>() {
            *place = Some(self.0);
        }
    }
}
