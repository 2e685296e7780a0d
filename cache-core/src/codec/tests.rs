//! What goes in comes out; what would not come out does not go in; bytes that were never put in
//! cost what their length allows.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::entry::{self, EntryId, Header};

mod libraries;
mod reading;

const LIMIT: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(f64),
    Pair(u8, i128),
    Box { w: u16, inner: Option<Box<Shape>> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    small: (u8, i8, bool, char),
    wide: (u128, i64, f32),
    name: String,
    list: Vec<Option<String>>,
    map: BTreeMap<String, Vec<u16>>,
    shapes: Vec<Shape>,
    unit: (),
    nested: Result<Box<Node>, [u32; 3]>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Node {
    value: u8,
    children: Vec<Node>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct List(u8, Option<Box<List>>);

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Dot),
        (-1e9..1e9f64).prop_map(Shape::Circle),
        any::<(u8, i128)>().prop_map(|(a, b)| Shape::Pair(a, b)),
    ];
    leaf.prop_recursive(3, 8, 1, |inner| {
        (any::<u16>(), proptest::option::of(inner.prop_map(Box::new)))
            .prop_map(|(w, inner)| Shape::Box { w, inner })
    })
}

fn everything() -> impl Strategy<Value = Everything> {
    let leaf = any::<u8>().prop_map(|value| Node {
        value,
        children: Vec::new(),
    });
    let node = leaf.prop_recursive(3, 10, 3, |inner| {
        (any::<u8>(), proptest::collection::vec(inner, 0..3))
            .prop_map(|(value, children)| Node { value, children })
    });
    (
        any::<(u8, i8, bool, char)>(),
        (any::<u128>(), any::<i64>(), -1e9..1e9f32),
        ".{0,20}",
        proptest::collection::vec(proptest::option::of(".{0,5}"), 0..4),
        proptest::collection::btree_map(
            ".{0,5}",
            proptest::collection::vec(any::<u16>(), 0..4),
            0..4,
        ),
        proptest::collection::vec(shape(), 0..4),
        prop_oneof![
            node.prop_map(|node| Ok(Box::new(node))),
            any::<[u32; 3]>().prop_map(Err)
        ],
    )
        .prop_map(
            |(small, wide, name, list, map, shapes, nested)| Everything {
                small,
                wide,
                name,
                list,
                map,
                shapes,
                unit: (),
                nested,
            },
        )
}

#[track_caller]
fn round_trips<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(
    codecs: &[Codec],
    value: &T,
) {
    for codec in codecs {
        let bytes = codec.encode(value, LIMIT).unwrap();
        assert_eq!(
            codec.decode::<T>(&bytes, bytes.len()).unwrap(),
            *value,
            "{codec}"
        );
        // Not one byte more or less, on either side.
        assert!(
            codec
                .decode::<T>(&bytes, bytes.len().wrapping_sub(1))
                .is_err()
                || bytes.is_empty()
        );
        assert!(
            codec
                .decode::<T>(&[&bytes[..], &[0]].concat(), LIMIT)
                .is_err(),
            "{codec}"
        );
        if !bytes.is_empty() {
            assert!(codec.encode(value, bytes.len() - 1).is_err(), "{codec}");
            assert!(
                codec.decode::<T>(&bytes[..bytes.len() - 1], LIMIT).is_err(),
                "{codec}"
            );
        }
        assert_eq!(codec.encode(value, bytes.len()).unwrap(), bytes);
    }
}

#[test]
fn ids_and_names_are_frozen() {
    for (codec, id, name) in [
        (Codec::Bincode, 1, "bincode"),
        (Codec::MessagePack, 2, "messagepack"),
        (Codec::Postcard, 3, "postcard"),
    ] {
        assert_eq!((codec.id(), codec.to_string().as_str()), (id, name));
        assert_eq!(Codec::from_id(id), Some(codec));
        assert_eq!(name.parse::<Codec>().unwrap(), codec);
        assert_eq!(serde_json::from_value::<Codec>(json!(name)).unwrap(), codec);
    }
    assert_eq!((Codec::from_id(0), Codec::from_id(4)), (None, None));
    let error = "json".parse::<Codec>().unwrap_err();
    assert!(error.to_string().contains("messagepack"), "{error}");
}

#[test]
fn small_and_odd_values_round_trip() {
    round_trips(&Codec::ALL, &());
    round_trips(&Codec::ALL, &String::new());
    round_trips(&Codec::ALL, &vec![(); 500]);
    round_trips(&Codec::ALL, &vec![u128::MAX; 3]);
    round_trips(&Codec::ALL, &vec![1u128; 10_000]);
    round_trips(&Codec::ALL, &vec![vec![0u8; 300]; 300]);
    round_trips(&Codec::ALL, &Some(Some(1u8)));
    round_trips(&Codec::ALL, &"x".repeat(100_000));
    round_trips(
        &Codec::ALL,
        &HashMap::from([(1u8, "a".to_owned()), (2, String::new())]),
    );
    round_trips(&Codec::ALL, &std::time::Duration::from_nanos(1_000_000_001));
    round_trips(&Codec::ALL, &std::net::IpAddr::from([127, 0, 0, 1]));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Skips {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first: Option<u8>,
    second: Option<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum SkipsInside {
    Variant {
        #[serde(skip_serializing_if = "String::is_empty", default)]
        text: String,
        more: String,
    },
}

#[test]
fn a_skipped_field_is_refused_where_it_would_shift_the_others() {
    let skipped = Skips {
        first: None,
        second: Some(7),
    };
    let variant = SkipsInside::Variant {
        text: String::new(),
        more: "m".into(),
    };
    for codec in [Codec::Bincode, Codec::Postcard] {
        for error in [
            codec.encode(&skipped, LIMIT).unwrap_err(),
            codec.encode(&vec![Some(&variant)], LIMIT).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Encode);
            assert!(error.to_string().contains("skip_serializing_if"), "{error}");
        }
    }
    round_trips(&[Codec::MessagePack], &skipped);
    round_trips(&[Codec::MessagePack], &variant);
    round_trips(
        &Codec::ALL,
        &Skips {
            first: Some(1),
            second: None,
        },
    );
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

/// Keys that are no names.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Counted<K: Ord> {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<K, u8>,
}

/// Takes the first of a list, and leaves the others.
#[derive(Debug, PartialEq)]
struct First(u8);

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> serde::de::Visitor<'de> for One {
            type Value = First;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<First, A::Error> {
                Ok(First(list.next_element()?.unwrap_or_default()))
            }
        }
        from.deserialize_seq(One)
    }
}

#[test]
fn a_field_is_found_by_bytes_that_are_its_name_and_by_no_others() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Named {
        id: u8,
    }

    let named = [
        &[0x81, 0xc4, 2, b'i', b'd', 7][..],
        // A text that is none beside it, which names nothing that is known.
        &[0x82, 0xa2, b'i', b'd', 7, 0xa2, b'i', 0xff, 8],
    ];
    for bytes in named {
        let decoded = Codec::MessagePack.decode::<Named>(bytes, LIMIT);
        assert_eq!(decoded.unwrap(), Named { id: 7 });
    }
}

#[test]
fn parts_that_a_type_leaves_are_an_error_whatever_is_read_after_them() {
    let bytes = Codec::MessagePack.encode(&[1_u8], LIMIT).unwrap();
    assert_eq!(
        Codec::MessagePack.decode::<First>(&bytes, LIMIT).unwrap(),
        First(1)
    );
    let bytes = Codec::MessagePack
        .encode(&([1_u8, 2, 3], true), LIMIT)
        .unwrap();
    for error in [
        Codec::MessagePack
            .decode::<(First, bool)>(&bytes, LIMIT)
            .unwrap_err(),
        // As if it fitted: of what is left, one is taken for the next.
        Codec::MessagePack
            .decode::<(First, u8)>(&bytes, LIMIT)
            .unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("2 parts are left over"),
            "{error}"
        );
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Texts(Vec<String>),
    Fields { x: Option<u8> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    A { x: u8 },
    B(Node),
    C,
}

#[test]
fn messagepack_carries_what_the_others_cannot() {
    let value = json!({"a": [1, -2, 1.5, null, true], "b": {"c": "d"}, "e": {}});
    round_trips(&[Codec::MessagePack], &value);
    round_trips(
        &[Codec::MessagePack],
        &Flat {
            id: 1,
            rest: HashMap::from([("k".into(), value)]),
        },
    );
    round_trips(
        &[Codec::MessagePack],
        &Counted {
            id: 1,
            rest: BTreeMap::from([(-3_i64, 1), (0, 2), (1 << 40, 3)]),
        },
    );
    round_trips(
        &[Codec::MessagePack],
        &Counted {
            id: 1,
            rest: BTreeMap::from([(true, 1)]),
        },
    );
    round_trips(
        &[Codec::MessagePack],
        &vec![
            Untagged::Number(1),
            Untagged::Texts(vec!["t".into()]),
            Untagged::Fields { x: None },
        ],
    );
    let b = Internal::B(Node {
        value: 1,
        children: vec![Node::default()],
    });
    round_trips(
        &[Codec::MessagePack],
        &vec![Internal::A { x: 1 }, b, Internal::C],
    );
    for codec in [Codec::Bincode, Codec::Postcard] {
        let bytes = codec.encode(&json!("text"), LIMIT).unwrap();
        assert_eq!(
            codec.decode::<Value>(&bytes, LIMIT).unwrap_err().kind(),
            ErrorKind::Decode
        );
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Maybe<T>(Option<T>);
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Held<T> {
    before: u8,
    it: Option<T>,
    after: u8,
}

/// Comes back as it was, or does not go in.
#[track_caller]
fn is_kept_or_refused<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(
    value: &T,
    refusing: &[Codec],
) {
    for codec in Codec::ALL {
        let encoded = codec.encode(value, LIMIT);
        if refusing.contains(&codec) {
            let error = encoded.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Encode);
            assert!(error.to_string().contains("Some(None)"), "{error}");
        } else {
            let decoded: T = codec.decode(&encoded.unwrap(), LIMIT).unwrap();
            assert_eq!(decoded, *value, "{codec}");
        }
    }
}

#[test]
fn an_option_of_nothing_is_never_read_back_as_none() {
    let lossy = &[Codec::MessagePack];
    is_kept_or_refused(&Some(None::<u8>), lossy);
    is_kept_or_refused(&Some(()), lossy);
    is_kept_or_refused(&Some(Some(None::<u8>)), lossy);
    is_kept_or_refused(&Some(Maybe(None::<u8>)), lossy);
    is_kept_or_refused(&vec![(1_u8, Some(Maybe(Some(()))))], lossy);
    is_kept_or_refused(&Ok::<_, u8>(Some(None::<u8>)), lossy);
    let held = |it| Held {
        before: 1,
        it,
        after: 2,
    };
    is_kept_or_refused(&held(Some(None::<u8>)), lossy);
    is_kept_or_refused(&held(Some(Some(3_u8))), &[]);
    is_kept_or_refused(&held(None::<Option<u8>>), &[]);

    is_kept_or_refused(&None::<Option<u8>>, &[]);
    is_kept_or_refused(&Some(Some(1_u8)), &[]);
    is_kept_or_refused(&Some(Unit), &[]);
    is_kept_or_refused(&Some(vec![None::<u8>, Some(1)]), &[]);
    is_kept_or_refused(&Some((None::<u8>, ())), &[]);
    is_kept_or_refused(&Some([()]), &[]);
    is_kept_or_refused(&Some(BTreeMap::from([(1_u8, None::<u8>)])), &[]);
    is_kept_or_refused(&Some(Shape::Dot), &[]);
    is_kept_or_refused(&Some(Ok::<(), ()>(())), &[]);
    is_kept_or_refused(&Err::<u8, Option<String>>(None), &[]);
    assert!(
        Codec::MessagePack
            .encode(&Some(json!(null)), LIMIT)
            .is_err()
    );
}

#[test]
fn what_decoding_would_refuse_is_not_encoded() {
    let list =
        |levels: u32| (0..levels).fold(List(0, None), |inner, _| List(1, Some(Box::new(inner))));
    let tree = |levels: u32| {
        (0..levels).fold(Node::default(), |inner, value| Node {
            value: value.to_le_bytes()[0],
            children: vec![inner],
        })
    };
    let boxes = |levels: u32| {
        (0..levels).fold(Shape::Dot, |inner, _| Shape::Box {
            w: 1,
            inner: Some(Box::new(inner)),
        })
    };
    for codec in Codec::ALL {
        // What is accepted comes back, and from some depth on nothing is.
        let mut accepted = [0; 3];
        for levels in 1..200 {
            for (at, result) in [
                codec
                    .encode(&list(levels), LIMIT)
                    .map(|b| codec.decode::<List>(&b, LIMIT).map(drop)),
                codec
                    .encode(&tree(levels), LIMIT)
                    .map(|b| codec.decode::<Node>(&b, LIMIT).map(drop)),
                codec
                    .encode(&boxes(levels), LIMIT)
                    .map(|b| codec.decode::<Shape>(&b, LIMIT).map(drop)),
            ]
            .into_iter()
            .enumerate()
            {
                if let Ok(decoded) = result {
                    decoded.unwrap();
                    accepted[at] = levels;
                }
            }
        }
        assert!(
            accepted.iter().all(|levels| (30..128).contains(levels)),
            "{codec}: {accepted:?}"
        );
    }
    for codec in [Codec::Bincode, Codec::Postcard] {
        let error = codec.encode(&vec![(); 1_000_000], LIMIT).unwrap_err();
        assert!(error.to_string().contains("without any bytes"), "{error}");
    }
    assert!(Codec::Bincode.encode(&vec![0u8; LIMIT], LIMIT).is_err());
}

/// How often each kind of hostile bytes is read as each type.
fn hostile(bytes: &[u8]) {
    fn read<T: DeserializeOwned>(bytes: &[u8]) {
        for codec in Codec::ALL {
            // A value or an error, both are right; getting here at all is the point.
            if let Err(error) = codec.decode::<T>(bytes, LIMIT) {
                assert_eq!(error.kind(), ErrorKind::Decode);
            }
        }
    }
    read::<Vec<u8>>(bytes);
    read::<String>(bytes);
    read::<Vec<()>>(bytes);
    read::<Vec<Vec<Vec<[u64; 16]>>>>(bytes);
    read::<List>(bytes);
    read::<Node>(bytes);
    read::<HashMap<String, Vec<Shape>>>(bytes);
    read::<HashMap<u8, Vec<()>>>(bytes);
    read::<std::collections::BTreeSet<()>>(bytes);
    read::<Everything>(bytes);
    read::<Untagged>(bytes);
    read::<Internal>(bytes);
    read::<Flat>(bytes);
    read::<Value>(bytes);
}

#[test]
fn twelve_hostile_bytes_are_cheap() {
    let start = std::time::Instant::now();
    for byte in 0..=255 {
        for len in 0..40 {
            hostile(&vec![byte; len]);
        }
        // Lengths of 2^16 to 2^64 in each codec's way of writing them.
        hostile(&[
            byte, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0,
        ]);
        hostile(&[byte, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0]);
        hostile(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0x10, byte, 0, 0]);
        hostile(&[0xdd, 0xff, 0xff, 0xff, 0xff, byte]);
    }
    // Ten thousand lengths that claim all memory take seconds if a single one gets it.
    assert!(start.elapsed() < std::time::Duration::from_mins(1));
    for claims in [
        Codec::Bincode
            .decode::<Vec<()>>(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0x10], LIMIT)
            .map(drop),
        Codec::Postcard
            .decode::<Vec<()>>(
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                LIMIT,
            )
            .map(drop),
    ] {
        let error = claims.unwrap_err();
        assert!(error.to_string().contains("more parts than"), "{error}");
    }
}

/// A list that notes how many elements it was told to expect, as `Vec` sets memory aside for them.
struct Told(usize);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> serde::de::Visitor<'de> for Elements {
            type Value = Told;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Told, A::Error> {
                let mut told = seq.size_hint().unwrap_or(0);
                TOLD.with(|all| all.set(all.get() + told));
                while let Some(Told(inner)) = seq.next_element()? {
                    told += inner;
                }
                Ok(Told(told))
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

thread_local! {
    static TOLD: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[test]
fn lists_inside_of_lists_set_aside_no_more_than_the_bytes_there_are() {
    // Each level claims to hold thousands of lists, and holds one that does so too.
    let claims = [
        (Codec::Bincode, vec![0xfb, 0xff, 0xff]),
        (Codec::Postcard, vec![0xff, 0xff, 3]),
        (Codec::MessagePack, vec![0xdc, 0xff, 0xff]),
    ];
    for (codec, claim) in claims {
        let bytes = claim.repeat(100);
        TOLD.set(0);
        assert!(codec.decode::<Told>(&bytes, LIMIT).is_err());
        let told = TOLD.get();
        // Postcard does not believe such a length, and says none.
        assert!(told <= bytes.len(), "{codec}: {told}");
        assert!(told > 0 || codec == Codec::Postcard);
        let honest = codec.encode(&vec![vec![(); 0]; 5], LIMIT).unwrap();
        assert_eq!(
            codec.decode::<Told>(&honest, LIMIT).unwrap().0,
            5,
            "{codec}"
        );
    }
}

#[test]
fn deep_hostile_bytes_end_before_the_stack_does() {
    for codec in Codec::ALL {
        for bytes in [vec![1; 100_000], vec![0x91; 100_000], vec![0x81; 100_000]] {
            assert!(codec.decode::<List>(&bytes, LIMIT).is_err());
            assert!(codec.decode::<Node>(&bytes, LIMIT).is_err());
            assert!(codec.decode::<Value>(&bytes, LIMIT).is_err());
            assert!(
                codec
                    .decode::<serde::de::IgnoredAny>(&bytes, LIMIT)
                    .is_err()
            );
        }
    }
}

/// Never fails: it prints what weighing and guarding cost. Run it with `--release --ignored
/// --nocapture`.
#[test]
#[ignore = "a measurement"]
fn how_long_a_value_takes() {
    fn measure(what: &str, mut body: impl FnMut()) {
        let start = std::time::Instant::now();
        let mut rounds = 0;
        while start.elapsed().as_millis() < 200 {
            (0..10).for_each(|_| body());
            rounds += 10;
        }
        println!("{what}: {:?}", start.elapsed() / rounds);
    }
    fn of<T: Serialize + DeserializeOwned>(what: &str, value: &T) {
        for codec in Codec::ALL {
            let bytes = codec.encode(value, LIMIT).unwrap();
            let len = bytes.len();
            measure(&format!("{what}, {len} bytes, {codec} encode"), || {
                std::hint::black_box(codec.encode(std::hint::black_box(value), LIMIT).unwrap());
            });
            measure(&format!("{what}, {len} bytes, {codec} decode"), || {
                let bytes = std::hint::black_box(&bytes);
                std::hint::black_box(codec.decode::<T>(bytes, LIMIT).unwrap());
            });
        }
    }
    let user = (
        7u64,
        "some name".to_owned(),
        "a@b.example".to_owned(),
        Some(1u32),
        true,
    );
    of("one struct", &user);
    of("a list of structs", &vec![user.clone(); 40]);
    of("a long list of structs", &vec![user; 2_600]);
    of("a text", &"x".repeat(1 << 16));
    of("a list of bytes", &vec![7u8; 1 << 16]);
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(value in everything()) {
        round_trips(&Codec::ALL, &value);
        for codec in Codec::ALL {
            let header = Header {
                codec: codec.id(), flags: 0, id: EntryId([7; 16]), created_ms: 1, fresh_ms: 2,
                life_ms: 3, cost_us: 4, origin: 5, schema: 6, tags: vec![("t".into(), 7)],
            };
            let stored = entry::write(&header, &codec.encode(&value, LIMIT).unwrap()).unwrap();
            let (read, payload) = entry::read(&stored, LIMIT).unwrap();
            let codec = Codec::from_id(read.codec).unwrap();
            prop_assert_eq!(&codec.decode::<Everything>(payload, LIMIT).unwrap(), &value);
        }
    }

    #[test]
    fn hostile_bytes_never_break_anything(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        hostile(&bytes);
    }

    #[test]
    fn damaged_values_never_break_anything(
        value in everything(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        for codec in Codec::ALL {
            let mut bytes = codec.encode(&value, LIMIT).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            hostile(&bytes);
            hostile(&bytes[..at]);
        }
    }
}

#[test]
fn numbers_on_the_short_cut_keep_to_the_limits_and_to_the_end() {
    fn check<T>(numbers: &[T])
    where
        T: Serialize + DeserializeOwned + PartialEq + fmt::Debug,
    {
        for codec in Codec::ALL {
            let bytes = codec.encode(&numbers, LIMIT).unwrap();
            assert_eq!(codec.len_of(&numbers), bytes.len(), "{codec}");
            assert_eq!(codec.encode(&numbers, bytes.len()).unwrap(), bytes);
            for len in 0..bytes.len() {
                let error = codec.encode(&numbers, len).unwrap_err().to_string();
                assert!(error.contains("larger than a stored value"), "{error}");
                assert!(codec.decode::<Vec<T>>(&bytes[..len], LIMIT).is_err());
            }
            assert_eq!(codec.decode::<Vec<T>>(&bytes, LIMIT).unwrap(), numbers);
        }
    }
    macro_rules! edges {
        ($($type:ty),*) => {$(check(&[
            <$type>::MIN, <$type>::MIN + 1, 0, 1, 31, 32, 126, 127, <$type>::MAX / 2, <$type>::MAX,
        ]);)*};
    }
    edges!(i8, i16, i32, i64, u8, u16, u32, u64);
    check(&[f32::MIN, -0.0, 0.1, f32::INFINITY]);
    check(&[f64::MIN, -0.0, 0.1, f64::INFINITY]);
    check(&[-1_i8, -31, -32, -33, -64, -65]);
    check(&[
        -1_i64,
        -32,
        -33,
        -64,
        -65,
        -128,
        -129,
        -32_769,
        -2_147_483_649,
    ]);
    check(&[128_u8, 250, 251, 252, 255]);
    check(&[
        128_u64,
        250,
        251,
        252,
        255,
        256,
        16_384,
        65_535,
        65_536,
        1 << 32,
    ]);
    check(&[true, false]);
    check(&[(1_u8, 2_u16), (255, 65_535)]);
}
