//! postcard: variable-length numbers, nothing but the data.

use postcard::ser_flavors::Flavor;
use postcard::{Deserializer, Error, serialize_with_flavor};
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde::ser::Serialize;

use super::bounded::{Bounded, Full};
use super::fuel::Fuel;
use super::guard::Guarded;
use super::{Cause, Format};

pub(super) struct Postcard;

impl Format for Postcard {
    fn encode<T: Serialize>(value: &T, out: Bounded) -> Result<Vec<u8>, Cause> {
        serialize_with_flavor(value, Out(out)).map_err(|error| match error {
            Error::SerializeBufferFull => Full.into(),
            error => error.into(),
        })
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8], fuel: &Fuel) -> Result<T, Cause> {
        let mut deserializer = Deserializer::from_bytes(bytes);
        let value = Guarded::<T>::new(fuel).deserialize(&mut deserializer)?;
        match deserializer.finalize()? {
            [] => Ok(value),
            left => Err(format!("{} of them are left over", left.len()).into()),
        }
    }
}

struct Out(Bounded);

impl Flavor for Out {
    type Output = Vec<u8>;

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.put(bytes).map_err(|Full| Error::SerializeBufferFull)
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0.into_bytes())
    }
}
