//! The codecs a value can be stored with. All are guarded alike: decoding is bounded in depth,
//! steps and memory, and encoding refuses what decoding would.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};

use crate::kind::shown;
use crate::{Error, ErrorKind, Result};

mod bincode;
mod bounded;
mod fuel;
mod guard;
mod messagepack;
mod number;
mod part;
#[cfg(any(test, feature = "postcard"))]
mod postcard;
#[cfg(not(any(test, feature = "postcard")))]
#[path = "no_postcard.rs"]
mod postcard;
mod reader;
mod sheet;
mod source;
#[cfg(test)]
mod tests;
mod writer;

use fuel::Fuel;
use guard::Guard;
pub(crate) use reader::Reader;
use sheet::Sheet;
pub(crate) use source::{Ask, Found, Source, Who};
pub(crate) use writer::Writer;

use crate::refusal::Refusal;

/// What turns a value into bytes. Every codec that is here can be read at any time, whichever is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// bincode 2: small and fast; cannot carry types that ask what comes next (`flatten`,
    /// `untagged`, internally tagged enums, `serde_json::Value`) nor skipped fields.
    #[default]
    Bincode,
    /// MessagePack with named fields: carries every type.
    MessagePack,
    /// postcard: the smallest; with the same limits as bincode. It takes the feature `postcard`, in every
    /// process that is to read it: to the others its entries are misses.
    Postcard,
}

impl Codec {
    /// All codecs.
    pub(crate) const ALL: [Self; 3] = [Self::Bincode, Self::MessagePack, Self::Postcard];

    /// Whether this build has it.
    pub(crate) fn is_here(self) -> bool {
        self != Self::Postcard || cfg!(any(test, feature = "postcard"))
    }

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
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn encode<T: serde::ser::Serialize>(
        self,
        value: &T,
        limit: usize,
    ) -> Result<Vec<u8>> {
        self.write(limit, &mut |writer| value.serialize(writer))
    }

    /// The bytes of what is written, at most `limit` of them.
    pub(crate) fn write(self, limit: usize, write: &mut Write<'_>) -> Result<Vec<u8>> {
        let mut sheet = Sheet::new(self, limit);
        let written = write(Writer(&mut sheet));
        let failed = |cause: &dyn fmt::Display| {
            Error::new(
                ErrorKind::Encode,
                format!("a value cannot be stored as {self}: {cause}"),
            )
        };
        // First of all that it is too large, for which each codec has another error.
        let (bytes, weight) = sheet.finish().map_err(|full| failed(&full))?;
        written.map_err(|refusal| failed(&refusal))?;
        if weight > fuel::allowance(bytes.len()) / fuel::RESERVE {
            return Err(failed(
                &"it has too many parts without any bytes, such as a long list of `()`",
            ));
        }
        Ok(bytes)
    }

    #[cfg(test)]
    fn len_of<T: serde::ser::Serialize>(self, value: &T) -> usize {
        self.count(&mut |writer| value.serialize(writer))
    }

    /// How many bytes are written, as far as anything can be: it may refuse to be, or nest too deeply.
    pub(crate) fn count(self, write: &mut Write<'_>) -> usize {
        let mut sheet = Sheet::counting(self);
        // As far as it can be written.
        let _refused = write(Writer(&mut sheet));
        sheet.len()
    }

    /// The value that `bytes` hold, if they are at most `limit` and all of them are needed.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] where they are not exactly a `T`, or where making one would take more
    /// depth, steps or memory than a value of this size should.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn decode<T: serde::de::DeserializeOwned>(
        self,
        bytes: &[u8],
        limit: usize,
    ) -> Result<T> {
        let mut value = None;
        self.read(bytes, limit, &mut |reader| {
            value = Some(T::deserialize(reader)?);
            Ok(())
        })?;
        value.ok_or_else(|| Error::new(ErrorKind::Decode, "no value was read".to_owned()))
    }

    /// Has `read` read them.
    pub(crate) fn read(self, bytes: &[u8], limit: usize, read: &mut Read<'_>) -> Result<()> {
        let failed = |cause: &dyn fmt::Display| {
            Error::new(
                ErrorKind::Decode,
                format!(
                    "{} bytes are not a value stored as {self}: {cause}",
                    bytes.len()
                ),
            )
        };
        if bytes.len() > limit {
            return Err(failed(&format_args!("at most {limit} are allowed")));
        }
        let fuel = Fuel::new(bytes.len());
        let left = match self {
            Self::Bincode => {
                let mut source = Guard::new(bincode::Bincode(bytes), &fuel);
                let read = read(Reader(&mut source));
                source.end(read).map(|bytes| bytes.0)
            }
            Self::MessagePack => {
                let mut source = Guard::new(messagepack::MessagePack::new(bytes), &fuel);
                let read = read(Reader(&mut source));
                source.end(read).map(|bytes| bytes.bytes)
            }
            #[cfg(not(any(test, feature = "postcard")))]
            Self::Postcard => return Err(failed(&postcard::ABSENT)),
            #[cfg(any(test, feature = "postcard"))]
            Self::Postcard => {
                let mut source = Guard::new(postcard::Postcard(bytes), &fuel);
                let read = read(Reader(&mut source));
                source.end(read).map(|bytes| bytes.0)
            }
        };
        match (left, fuel.spent()) {
            (Err(_), Some(spent)) => Err(failed(&spent)),
            (Err(refusal), None) => Err(failed(&refusal)),
            (Ok([]), _) => Ok(()),
            (Ok(left), _) => Err(failed(&format_args!(
                "{} of them are left over",
                left.len()
            ))),
        }
    }
}

/// What writes a value.
type Write<'v> = dyn FnMut(Writer<'_>) -> std::result::Result<(), Refusal> + 'v;

/// What reads a value.
pub(crate) type Read<'v> =
    dyn for<'r, 'de> FnMut(Reader<'r, 'de>) -> std::result::Result<(), Refusal> + 'v;

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
