//! MessagePack with structs as maps of their fields' names: self-describing, so it carries the
//! types that the others cannot.

use rmp_serde::decode::Error as DecodeError;
use rmp_serde::{Deserializer, Serializer};
use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, IgnoredAny};
use serde::ser::Serialize;

use super::bounded::{Bounded, Full};
use super::fuel::Fuel;
use super::guard::Guarded;
use super::{Cause, Format};

pub(super) struct MessagePack;

impl Format for MessagePack {
    fn encode<T: Serialize>(value: &T, mut out: Bounded) -> Result<Vec<u8>, Cause> {
        let result = value.serialize(&mut Serializer::new(&mut out).with_struct_map());
        if out.is_full() {
            return Err(Full.into());
        }
        result?;
        Ok(out.into_bytes())
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8], fuel: &Fuel) -> Result<T, Cause> {
        let mut deserializer = Deserializer::from_read_ref(bytes);
        let value = Guarded::<T>::new(fuel).deserialize(&mut deserializer)?;
        // The deserializer does not say where it is, but at the end it cannot read another marker.
        match IgnoredAny::deserialize(&mut deserializer) {
            Err(DecodeError::InvalidMarkerRead(_)) => Ok(value),
            _ => Err("something follows the value".into()),
        }
    }
}
