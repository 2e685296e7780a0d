//! The codecs' bytes are those their own libraries write and read, though we ask the libraries for
//! one part of a value at a time.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Codec, Everything, Flat, Internal, LIMIT, Node, Shape, Untagged, Value, everything};

fn written_by_the_library<T: Serialize>(codec: Codec, value: &T) -> Vec<u8> {
    match codec {
        Codec::Bincode => {
            bincode::serde::encode_to_vec(value, bincode::config::standard()).unwrap()
        }
        Codec::MessagePack => rmp_serde::to_vec_named(value).unwrap(),
        Codec::Postcard => postcard::to_stdvec(value).unwrap(),
    }
}

/// What the library reads, if it needs all bytes for it.
fn read_by_the_library<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> Option<T> {
    match codec {
        Codec::Bincode => {
            let config = bincode::config::standard().with_limit::<0x100_0000>();
            let (value, used) = bincode::serde::decode_from_slice(bytes, config).ok()?;
            (used == bytes.len()).then_some(value)
        }
        Codec::MessagePack => {
            let mut reader = rmp_serde::Deserializer::new(Cursor::new(bytes));
            let value = T::deserialize(&mut reader).ok()?;
            (reader.position() == bytes.len() as u64).then_some(value)
        }
        Codec::Postcard => {
            let (value, left) = postcard::take_from_bytes::<T>(bytes).ok()?;
            left.is_empty().then_some(value)
        }
    }
}

#[track_caller]
fn agree<T: Serialize + DeserializeOwned>(codecs: &[Codec], value: &T) {
    for codec in codecs {
        let bytes = codec.encode(value, LIMIT).unwrap();
        assert_eq!(bytes, written_by_the_library(*codec, value), "{codec}");
        if *codec == Codec::Bincode {
            assert_eq!(codec.len_of(value), bytes.len());
        }
        agree_on::<T>(*codec, &bytes);
    }
}

/// What the library makes of these bytes, we make of them too, or refuse for what they cost.
#[track_caller]
fn agree_on<T: Serialize + DeserializeOwned>(codec: Codec, bytes: &[u8]) {
    let ours = codec.decode::<T>(bytes, LIMIT);
    let spent = ours.as_ref().is_err_and(|error| {
        let error = error.to_string();
        error.contains("more parts than") || error.contains("nest deeper")
    });
    if spent {
        return;
    }
    // As bytes: a NaN differs from itself.
    let write = |value: T| written_by_the_library(codec, &value);
    let library = read_by_the_library::<T>(codec, bytes);
    let shown = &bytes[..bytes.len().min(200)];
    assert!(
        ours.ok().map(write) == library.map(write),
        "{codec}: {shown:?}"
    );
}

/// One of MessagePack's extensions, as rmp-serde wants it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Extension((i8, Blob));

/// Bytes that are no list.
#[derive(Debug, PartialEq)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}

/// Written as bytes, and read as a list.
#[derive(Debug, PartialEq, Deserialize)]
struct Mixed(Vec<u8>);

impl Serialize for Mixed {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_newtype_struct("Mixed", &Blob(self.0.clone()))
    }
}

/// A list, and a map, that do not say how long they are.
#[derive(Debug, PartialEq, Deserialize)]
struct Unknown(Vec<BTreeMap<String, u8>>);

impl Serialize for Unknown {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Map<'v>(&'v BTreeMap<String, u8>);
        impl Serialize for Map<'_> {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_map(self.0.iter().filter(|_| true))
            }
        }
        struct Seq<'v>(&'v [BTreeMap<String, u8>]);
        impl Serialize for Seq<'_> {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_seq(self.0.iter().map(Map).filter(|_| true))
            }
        }
        to.serialize_newtype_struct("Unknown", &Seq(&self.0))
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct UnitStruct;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Numbers {
    flags: HashMap<bool, char>,
    #[serde(flatten)]
    rest: BTreeMap<i64, Option<()>>,
}

#[test]
fn odd_values_are_written_and_read_as_the_libraries_do() {
    agree(&Codec::ALL, &());
    agree(&Codec::ALL, &(UnitStruct, Some(UnitStruct), None::<()>));
    agree(
        &Codec::ALL,
        &(i128::MIN, u128::MAX, i64::MIN, u64::MAX, -1i8),
    );
    agree(&Codec::ALL, &('é', "é".repeat(300), vec![0u8; 70_000]));
    agree(&Codec::ALL, &Blob(vec![1; 300]));
    agree(&Codec::ALL, &std::net::Ipv6Addr::LOCALHOST);
    agree(&Codec::ALL, &std::time::Duration::from_millis(1_500));
    agree(&[Codec::MessagePack], &Mixed((0..200).collect()));
    agree(&[Codec::MessagePack], &(Mixed(Vec::new()), 1u8));
    for len in [0, 1, 2, 4, 8, 16, 17, 300, 70_000] {
        let extension = Extension((-7, Blob(vec![3; len])));
        agree(&[Codec::MessagePack], &vec![extension]);
    }
    let map = |len: u16| (0..len).map(|n| (n.to_string(), 1)).collect();
    agree(
        &[Codec::MessagePack],
        &Unknown(vec![map(0), map(3), map(20)]),
    );
    let numbers = Numbers {
        flags: HashMap::from([(true, 'x')]),
        rest: BTreeMap::new(),
    };
    agree(&[Codec::MessagePack], &numbers);
    let internal = Internal::B(Node::default());
    agree(&[Codec::MessagePack], &(internal, Untagged::Number(1)));
}

#[test]
fn an_extension_is_a_tag_and_bytes_and_nothing_else() {
    #[derive(Serialize)]
    #[serde(rename = "_ExtStruct")]
    struct Wrong<T>(T);
    fn refused(value: &impl Serialize) {
        assert!(Codec::MessagePack.encode(&Wrong(value), LIMIT).is_err());
        assert!(rmp_serde::to_vec_named(&Wrong(value)).is_err());
    }
    refused(&1u8);
    refused(&(1u8, Blob(Vec::new())));
    refused(&(1i8, vec![1u8]));
    refused(&());
}

proptest! {
    #[test]
    fn values_are_written_and_read_as_the_libraries_do(value in everything()) {
        agree(&Codec::ALL, &value);
    }

    #[test]
    fn damaged_values_are_read_as_the_libraries_do(
        value in everything(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        for codec in Codec::ALL {
            let mut bytes = codec.encode(&value, LIMIT).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            agree_on::<Everything>(codec, &bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_as_the_libraries_do(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
        for codec in Codec::ALL {
            agree_on::<Shape>(codec, &bytes);
            agree_on::<(u8, Option<char>, i16)>(codec, &bytes);
            agree_on::<(i128, f32)>(codec, &bytes);
            agree_on::<Vec<Option<String>>>(codec, &bytes);
            agree_on::<BTreeMap<u16, (bool, i64)>>(codec, &bytes);
            agree_on::<Blob>(codec, &bytes);
        }
        agree_on::<Value>(Codec::MessagePack, &bytes);
        agree_on::<Extension>(Codec::MessagePack, &bytes);
        agree_on::<Untagged>(Codec::MessagePack, &bytes);
        agree_on::<Internal>(Codec::MessagePack, &bytes);
        agree_on::<Flat>(Codec::MessagePack, &bytes);
    }
}
