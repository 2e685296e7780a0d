//! What the fuzz targets in fuzz/ call: thin doors to what reads bytes from Redis, each with what must
//! hold of it. Not public API: they exist with the feature `fuzzing` only.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::entry::{self, Malformed};
use crate::{Codec, ErrorKind};

/// More than any input that a fuzzer makes, so that limits are met by claims only.
const LIMIT: usize = 1 << 20;

/// Runs something, and says how many bytes were allocated at once while it ran.
pub type Meter = fn(&mut dyn FnMut()) -> u64;

/// Bytes as they are, and once more under a checksum that is right: no fuzzer finds one.
///
/// What is read as an entry is written as the very same bytes, and is all of them.
///
/// # Panics
///
/// Where that does not hold.
pub fn entry(bytes: &[u8]) {
    one_entry(bytes);
    let mut mended = bytes.to_vec();
    if entry::mend(&mut mended) {
        assert_ne!(one_entry(&mended), Some(Malformed::Checksum));
    }
}

fn one_entry(bytes: &[u8]) -> Option<Malformed> {
    let (header, payload) = match entry::read(bytes, LIMIT) {
        Ok(read) => read,
        Err(malformed) => {
            assert!(!malformed.to_string().is_empty());
            return Some(malformed);
        }
    };
    assert!(header.tags.len() <= entry::MOST_TAGS);
    assert_eq!(header.id.0, bytes[entry::ID]);
    let written = entry::write(&header, payload).expect("what was read can be written");
    assert_eq!(written, bytes, "what was read is written as it was");
    let shorter = &bytes[..bytes.len() - 1];
    assert!(entry::read(shorter, LIMIT).is_err(), "it is all needed");
    let too_large = entry::read(bytes, bytes.len() - 1).err();
    assert_eq!(too_large, Some(Malformed::TooLarge));
    None
}

/// Bytes as a value of the type that the first of them chooses, in every codec.
///
/// Decoding never takes more memory than the bytes account for, whatever length they claim; what
/// was decoded is encoded, or refused for its parts without bytes; and what was encoded is decoded
/// as the same value.
///
/// # Panics
///
/// Where that does not hold.
pub fn codec(bytes: &[u8], meter: Meter) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    for codec in Codec::ALL {
        // A map of one pair takes half a kilobyte, and can take as little as two bytes to write.
        let plain = Trial {
            codec,
            meter,
            most: 1_024,
        };
        // Serde keeps what it has read until it knows what it is, once for each level.
        let buffered = Trial {
            most: 16 * plain.most,
            ..plain
        };
        match choice % 11 {
            0 => plain.value::<Vec<u8>>(bytes),
            1 => plain.value::<String>(bytes),
            2 => plain.value::<Vec<()>>(bytes),
            3 => plain.value::<Vec<Vec<Vec<[u64; 16]>>>>(bytes),
            4 => plain.value::<List>(bytes),
            5 => plain.value::<Everything>(bytes),
            6 => plain.value::<BTreeMap<String, Vec<Shape>>>(bytes),
            7 => plain.value::<Option<Result<Box<Node>, Vec<(i128, char)>>>>(bytes),
            8 => buffered.value::<Loose>(bytes),
            9 => buffered.value::<Tagged>(bytes),
            _ => {
                let Some((claim, rest)) = bytes.split_first_chunk() else {
                    return;
                };
                plain.claims(u64::from_le_bytes(*claim), rest);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Trial {
    codec: Codec,
    meter: Meter,
    /// How many bytes decoding may allocate for each byte.
    most: u64,
}

impl Trial {
    /// A length, in each way of writing one, before the bytes that are there.
    fn claims(self, claim: u64, rest: &[u8]) {
        let prefixes = match self.codec {
            // Lists, maps, texts and bytes are each marked, and have at most 32 bits for a length.
            Codec::MessagePack => [0xdd, 0xdf, 0xdb, 0xc6]
                .map(|marker| [&[marker], &claim.to_be_bytes()[4..]].concat())
                .into(),
            Codec::Bincode | Codec::Postcard => {
                let number = self.codec.encode(&claim, LIMIT);
                vec![number.expect("a number can be encoded")]
            }
        };
        for prefix in prefixes {
            let bytes = [&prefix, rest].concat();
            self.value::<Vec<u8>>(&bytes);
            self.value::<Vec<[u64; 16]>>(&bytes);
            self.value::<String>(&bytes);
            self.value::<BTreeMap<u8, Vec<u64>>>(&bytes);
            self.value::<Vec<Vec<Node>>>(&bytes);
        }
    }

    fn value<T: Serialize + DeserializeOwned + PartialEq + Debug>(self, bytes: &[u8]) {
        let Some(value) = self.decoded::<T>(bytes) else {
            return;
        };
        let encoded = match self.codec.encode(&value, LIMIT) {
            Ok(encoded) => encoded,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Encode);
                let text = error.to_string();
                assert!(text.contains("too many parts"), "{text}: {value:?}");
                return;
            }
        };
        let again = self.decoded::<T>(&encoded);
        assert_eq!(again.as_ref(), Some(&value), "{}", self.codec);
        let longer = [&encoded[..], &[0]].concat();
        let longer = self.decoded::<T>(&longer);
        assert!(longer.is_none(), "{}: all bytes are needed", self.codec);
    }

    fn decoded<T: DeserializeOwned>(self, bytes: &[u8]) -> Option<T> {
        let mut decoded = None;
        let peak = (self.meter)(&mut || decoded = Some(self.codec.decode::<T>(bytes, LIMIT)));
        let most = 16_384 + self.most * bytes.len() as u64;
        assert!(
            peak <= most,
            "{}: {} bytes made decoding allocate {peak}",
            self.codec,
            bytes.len()
        );
        match decoded? {
            Ok(value) => Some(value),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Decode);
                None
            }
        }
    }
}

/// Compared by its bits: what is not a number is still the same value.
#[derive(Debug, Serialize, Deserialize)]
struct Bits(f64);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(Bits),
    Pair(u8, i128),
    Box { w: u16, inner: Option<Box<Shape>> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    value: u8,
    children: Vec<Node>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct List(Option<Box<List>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    small: (u8, i8, bool, char),
    wide: (u128, i64, Bits),
    name: String,
    list: Vec<Option<String>>,
    map: BTreeMap<String, Vec<u16>>,
    shapes: Vec<Shape>,
    unit: (),
    nested: Result<Box<Node>, [u32; 3]>,
}

/// What only a self-describing codec carries.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Text(String),
    List(Vec<Loose>),
    Map(BTreeMap<String, Loose>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Some {
        inner: Box<Tagged>,
        note: Option<String>,
    },
    None,
}
