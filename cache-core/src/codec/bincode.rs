//! bincode 2.0.1 in its standard configuration. No longer maintained upstream, so nothing outside
//! this file knows of it.

use bincode::config::{Config, standard};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bincode::serde::{encode_into_writer, seed_decode_from_slice};
use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use super::bounded::{Bounded, Full};
use super::fuel::Fuel;
use super::guard::Guarded;
use super::{Cause, Format};

pub(super) struct Bincode;

/// A variable-length number is counted with its full width against bincode's limit, up to 16
/// bytes for one. The limit is a type there, so there are a few of them to choose from.
const WIDEST: usize = 16;

impl Format for Bincode {
    fn encode<T: Serialize>(value: &T, mut out: Bounded) -> Result<Vec<u8>, Cause> {
        encode_into_writer(value, Out(&mut out), standard())?;
        Ok(out.into_bytes())
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8], fuel: &Fuel) -> Result<T, Cause> {
        match bytes.len().saturating_mul(WIDEST) {
            0..=0x1_0000 => read(bytes, fuel, standard().with_limit::<0x1_0000>()),
            0x1_0001..=0x100_0000 => read(bytes, fuel, standard().with_limit::<0x100_0000>()),
            0x100_0001..=0x7fff_ffff => read(bytes, fuel, standard().with_limit::<0x7fff_ffff>()),
            _ => read(bytes, fuel, standard().with_limit::<{ usize::MAX / 2 }>()),
        }
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8], fuel: &Fuel, config: impl Config) -> Result<T, Cause> {
    let (value, used) = seed_decode_from_slice(Guarded::<T>::new(fuel), bytes, config)?;
    if used != bytes.len() {
        return Err(format!("{} of them are left over", bytes.len() - used).into());
    }
    Ok(value)
}

struct Out<'b>(&'b mut Bounded);

impl Writer for Out<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0
            .put(bytes)
            .map_err(|Full| EncodeError::OtherString(Full.to_string()))
    }
}
