//! What reads values, where it was written for what is compiled of it: names of fields, and visitors that own things.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};

use super::*;

/// A struct whose fields' names are read as `K`.
struct Keyed<K>(K, u8);

impl<'de, K: Deserialize<'de>> Deserialize<'de> for Keyed<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct One<K>(PhantomData<K>);
        impl<'de, K: Deserialize<'de>> Visitor<'de> for One<K> {
            type Value = Keyed<K>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one field")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Keyed<K>, A::Error> {
                let name = fields.next_key_seed(PhantomData)?;
                let name = name.ok_or_else(|| Error::custom("no field"))?;
                Ok(Keyed(name, fields.next_value()?))
            }
        }
        from.deserialize_struct("Keyed", &["id"], One(PhantomData))
    }
}

#[test]
fn names_of_fields_are_texts_for_whatever_type_reads_them() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Field {
        Id,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Newtype(String);

    fn read<K: DeserializeOwned>(bytes: &[u8]) -> Result<K> {
        let Keyed(name, value) = Codec::MessagePack.decode::<Keyed<K>>(bytes, LIMIT)?;
        assert_eq!(value, 7);
        Ok(name)
    }

    let named = &[0x81, 0xa2, b'i', b'd', 7];
    assert_eq!(read::<String>(named).unwrap(), "id");
    assert_eq!(read::<Newtype>(named).unwrap(), Newtype("id".to_owned()));
    assert_eq!(read::<Option<String>>(named).unwrap().unwrap(), "id");
    assert_eq!(read::<Field>(named).unwrap(), Field::Id);
    read::<IgnoredAny>(named).unwrap();
    assert!(read::<u64>(named).is_err());
    // By its number a field is not found, nor by anything else.
    for other in [
        &[0x81, 0, 7][..],
        &[0x81, 0xff, 7],
        &[0x81, 0xc3, 7],
        &[0x81, 0xc0, 7],
    ] {
        let error = read::<Field>(other).unwrap_err().to_string();
        assert!(error.contains("the name of a field"), "{error}");
    }
}

#[test]
fn a_visitor_that_is_refused_is_dropped() {
    /// Wants one of each kind of what has parts, by turns.
    struct Owner(#[expect(dead_code, reason = "what counts is that it is dropped")] Arc<()>);

    impl Visitor<'_> for Owner {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("something with parts")
        }
    }

    let (owned, number) = (
        Arc::new(()),
        Codec::MessagePack.encode(&7_u8, LIMIT).unwrap(),
    );
    for ask in 0..4 {
        let read = Codec::MessagePack.read(&number, LIMIT, &mut |reader| {
            let owner = Owner(Arc::clone(&owned));
            match ask {
                0 => reader.deserialize_seq(owner),
                1 => reader.deserialize_struct("Parts", &["part"], owner),
                2 => reader.deserialize_enum("Parts", &["Part"], owner),
                _ => reader.deserialize_map(owner),
            }
        });
        assert!(read.is_err());
        assert_eq!(Arc::strong_count(&owned), 1);
    }
}
