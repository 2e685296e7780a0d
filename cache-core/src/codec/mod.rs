//! The codecs a value can be stored with. All are guarded alike: decoding is bounded in depth,
//! steps and memory, and encoding refuses what decoding would.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde::ser::Serialize;

use crate::kind::shown;
use crate::{Error, ErrorKind, Result};

mod bincode;
mod bounded;
mod fuel;
mod guard;
mod messagepack;
mod postcard;
#[cfg(test)]
mod tests;
mod weigh;

use fuel::Fuel;

/// What turns a value into bytes. Every codec can be read at any time, whichever is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// bincode 2: small and fast; cannot carry types that ask what comes next (`flatten`,
    /// `untagged`, internally tagged enums, `serde_json::Value`) nor skipped fields.
    #[default]
    Bincode,
    /// MessagePack with named fields: carries every type.
    MessagePack,
    /// postcard: the smallest; with the same limits as bincode.
    Postcard,
}

/// One codec. Depth, steps and skipped fields have been, or are being, looked after.
trait Format {
    /// Appends `value`'s bytes, as long as `out` takes them.
    fn encode<T: Serialize>(value: &T, out: bounded::Bounded) -> Result<Vec<u8>, Cause>;

    /// Reads a `T` that is all of `bytes`; every value in it is paid for with `fuel`.
    fn decode<T: DeserializeOwned>(bytes: &[u8], fuel: &Fuel) -> Result<T, Cause>;
}

/// Why a codec failed.
type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Codec {
    /// All codecs.
    pub(crate) const ALL: [Self; 3] = [Self::Bincode, Self::MessagePack, Self::Postcard];

    /// The number that stands for it in an entry.
    pub(crate) fn id(self) -> u8 {
        match self {
            Self::Bincode => 1,
            Self::MessagePack => 2,
            Self::Postcard => 3,
        }
    }

    /// The codec of an entry's number.
    pub(crate) fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// The name, as in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bincode => "bincode",
            Self::MessagePack => "messagepack",
            Self::Postcard => "postcard",
        }
    }

    /// Whether it can carry a type that asks what comes next, and a value with skipped fields.
    pub(crate) fn is_self_describing(self) -> bool {
        self == Self::MessagePack
    }

    /// The bytes of `value`, at most `limit` of them.
    ///
    /// # Errors
    /// [`ErrorKind::Encode`] where the value does not fit the limits, refuses, or would not come
    /// back as it was.
    pub(crate) fn encode<T: Serialize>(self, value: &T, limit: usize) -> Result<Vec<u8>> {
        let failed = |cause: Cause| {
            Error::new(
                ErrorKind::Encode,
                format!("a value cannot be stored as {self}: {cause}"),
            )
        };
        let weight = weigh::weigh(value, self.is_self_describing()).map_err(failed)?;
        let out = bounded::Bounded::new(limit);
        let bytes = match self {
            Self::Bincode => bincode::Bincode::encode(value, out),
            Self::MessagePack => messagepack::MessagePack::encode(value, out),
            Self::Postcard => postcard::Postcard::encode(value, out),
        }
        .map_err(failed)?;
        if weight > fuel::allowance(bytes.len()) / fuel::RESERVE {
            return Err(failed(
                "it has too many parts without any bytes, such as a long list of `()`".into(),
            ));
        }
        Ok(bytes)
    }

    /// The value that `bytes` hold, if they are at most `limit` and all of them are needed.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] where they are not exactly a `T`, or where making one would take more
    /// depth, steps or memory than a value of this size should.
    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8], limit: usize) -> Result<T> {
        let failed = |cause: Cause| {
            Error::new(
                ErrorKind::Decode,
                format!(
                    "{} bytes are not a value stored as {self}: {cause}",
                    bytes.len()
                ),
            )
        };
        if bytes.len() > limit {
            return Err(failed(format!("at most {limit} are allowed").into()));
        }
        let fuel = Fuel::new(bytes.len());
        match self {
            Self::Bincode => bincode::Bincode::decode(bytes, &fuel),
            Self::MessagePack => messagepack::MessagePack::decode(bytes, &fuel),
            Self::Postcard => postcard::Postcard::decode(bytes, &fuel),
        }
        .map_err(|cause| failed(fuel.spent().map_or(cause, |spent| spent.to_string().into())))
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.as_str() == name)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Config,
                    format!(
                        "codec {} is not known: write \"bincode\", \"messagepack\" or \"postcard\"",
                        shown(name)
                    ),
                )
            })
    }
}

impl<'de> Deserialize<'de> for Codec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
