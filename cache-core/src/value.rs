//! Values, for an engine that does not know their types: what is done with one that was loaded, and
//! what makes one of bytes. So the engine is compiled once, and not for every cached function.

use std::any::{Any, TypeId, type_name};
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

/// What the engine knows of the values of a type. The functions are compiled for each type, and there are no more of
/// them than needed: what more there is to say stands below.
pub struct Values {
    /// Their type's name.
    name: fn() -> &'static str,
    of: TypeId,
    /// What an entry with one takes in memory.
    size: usize,
    /// Where they leave this process at all.
    carried: Option<Carried>,
}

/// What is done with values that leave this process.
struct Carried {
    /// An entry with the value that is read there.
    read: fn(Reader<'_, '_>, Head) -> std::result::Result<Arc<dyn Held>, Refusal>,
    /// A local entry's value.
    lend: fn(&dyn Held) -> Option<&dyn Portable>,
}

impl Values {
    /// Their type's name.
    pub(crate) fn name(&self) -> &'static str {
        (self.name)()
    }

    /// Whether a local entry is of this type.
    pub(crate) fn are(&self, held: &dyn Held) -> bool {
        held.is_of(self.of)
    }

    /// What a local entry with one takes in memory.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// What is known of their form; `None` where they don't leave this process.
    pub(crate) fn schema(&self) -> Option<Schema> {
        let carried = self.carried.as_ref()?;
        let run = &mut |reader: Reader<'_, '_>| (carried.read)(reader, Head::nowhere()).map(drop);
        Some(schema::run_through(run))
    }

    /// An entry with the value that bytes hold.
    pub(crate) fn decode(
        &self,
        codec: Codec,
        bytes: &[u8],
        limit: usize,
        head: Head,
    ) -> Result<Arc<dyn Held>> {
        let (mut head, mut entry) = (Some(head), None);
        codec.read(bytes, limit, &mut |reader| {
            if let (Some(carried), Some(head)) = (&self.carried, head.take()) {
                entry = Some((carried.read)(reader, head)?);
            }
            Ok(())
        })?;
        entry.ok_or_else(|| Error::new(ErrorKind::Decode, "no value was read".to_owned()))
    }

    /// A local entry's value, where it can be encoded.
    pub(crate) fn lend<'h>(&self, held: &'h dyn Held) -> Option<Erased<'h>> {
        let portable = (self.carried.as_ref()?.lend)(held)?;
        Some(Erased {
            value: held.value(),
            portable: Some(portable),
        })
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "values of type {}", self.name())
    }
}

/// What a function's types say of its values: what the engine does with them, and the name of the type it
/// returns, where nothing but a value was seen in it.
#[derive(Debug)]
pub struct Described {
    pub(crate) values: &'static Values,
    pub(crate) plain: Option<fn() -> &'static str>,
}

/// A value, whatever its type.
pub(crate) trait Value: Send + Sync {
    /// An entry with the same.
    fn entry(&self, head: Head) -> Arc<dyn Held>;

    /// As the function that made it knows it.
    fn any(&self) -> &dyn Any;
}

/// One that leaves this process.
pub(crate) trait Portable {
    /// Writes it.
    fn write(&self, writer: Writer<'_>) -> std::result::Result<(), Refusal>;
}

impl<V: CacheValue> Value for V {
    fn entry(&self, head: Head) -> Arc<dyn Held> {
        Arc::new(Stored::new(head, self.clone()))
    }

    fn any(&self) -> &dyn Any {
        self
    }
}

impl<V: Serialize> Portable for V {
    fn write(&self, writer: Writer<'_>) -> std::result::Result<(), Refusal> {
        self.serialize(writer)
    }
}

/// A function's value, for an engine that does not know its type.
#[derive(Clone, Copy)]
pub struct Erased<'v> {
    value: &'v dyn Value,
    portable: Option<&'v dyn Portable>,
}

impl fmt::Debug for Erased<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Erased").finish_non_exhaustive()
    }
}

impl Erased<'_> {
    /// Its bytes.
    pub(crate) fn encode(&self, codec: Codec, limit: usize) -> Result<Vec<u8>> {
        codec.write(limit, &mut |writer| self.write(writer))
    }

    /// What it takes beside its own place in memory: estimated by the size of its encoding, as far as it
    /// has one.
    pub(crate) fn weigh(&self) -> usize {
        Codec::Bincode.count(&mut |writer| self.write(writer))
    }

    /// An entry with the same.
    pub(crate) fn entry(&self, head: Head) -> Arc<dyn Held> {
        self.value.entry(head)
    }

    /// As the function that made it knows it.
    pub(crate) fn any(&self) -> &dyn Any {
        self.value.any()
    }

    fn write(&self, writer: Writer<'_>) -> std::result::Result<(), Refusal> {
        match self.portable {
            Some(portable) => portable.write(writer),
            None => Err(stays()),
        }
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
    /// What the engine knows of them.
    const VALUES: &'static Values;

    /// One of them, for the engine.
    fn erased(value: &V) -> Erased<'_>;

    /// The value that is read there.
    ///
    /// # Errors
    /// Where there is no such value, or they don't leave this process.
    fn read(reader: Reader<'_, '_>) -> std::result::Result<V, Refusal>;
}

impl<V: CacheValue + Serialize + DeserializeOwned> Carries<V> for Carry<false> {
    const VALUES: &'static Values = &Values {
        name: type_name::<V>,
        of: TypeId::of::<V>(),
        size: size_of::<Stored<V>>(),
        carried: Some(Carried {
            read: read::<V>,
            lend: lend::<V>,
        }),
    };

    fn erased(value: &V) -> Erased<'_> {
        Erased {
            value,
            portable: Some(value),
        }
    }

    fn read(reader: Reader<'_, '_>) -> std::result::Result<V, Refusal> {
        V::deserialize(reader)
    }
}

impl<V: CacheValue> Carries<V> for Carry<true> {
    const VALUES: &'static Values = &Values {
        name: type_name::<V>,
        of: TypeId::of::<V>(),
        size: size_of::<Stored<V>>(),
        carried: None,
    };

    fn erased(value: &V) -> Erased<'_> {
        Erased {
            value,
            portable: None,
        }
    }

    fn read(_: Reader<'_, '_>) -> std::result::Result<V, Refusal> {
        Err(stays())
    }
}

fn stays() -> Refusal {
    Refusal::new("it stays in this process")
}

// Matches rather than combinators in these: each of those would be compiled for each type too.
fn read<V: CacheValue + DeserializeOwned>(
    reader: Reader<'_, '_>,
    head: Head,
) -> std::result::Result<Arc<dyn Held>, Refusal> {
    match V::deserialize(reader) {
        Ok(value) => Ok(Arc::new(Stored::new(head, value))),
        Err(refusal) => Err(refusal),
    }
}

#[allow(clippy::manual_map)]
fn lend<V: Serialize + 'static>(held: &dyn Held) -> Option<&dyn Portable> {
    match held.view().value::<V>() {
        Some(value) => Some(value),
        None => None,
    }
}

/// A value that waits to be stored.
pub(crate) trait Waiting: Send {
    /// The value.
    fn erased(&self) -> Erased<'_>;
}

/// One that is carried so.
pub(crate) struct Wrapped<V, C>(V, PhantomData<fn() -> C>);

impl<V, C> Wrapped<V, C> {
    pub(crate) fn new(value: V) -> Self {
        Self(value, PhantomData)
    }
}

impl<V: Send, C: Carries<V>> Waiting for Wrapped<V, C> {
    fn erased(&self) -> Erased<'_> {
        C::erased(&self.0)
    }
}
