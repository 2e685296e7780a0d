//! Keys never meet unless serde sees no difference between their arguments.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use serde::Serialize;

use super::arguments::Arguments;
use super::*;

mod value;

use value::Value;

fn text<A: Serialize + ?Sized>(args: &A) -> String {
    let text = Args::whole(|sink| args.serialize(Arguments::new(sink)));
    String::from_utf8(text.unwrap()).unwrap()
}

#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Wrapped(u8);
#[derive(Serialize)]
struct Pair(u8, bool);
#[derive(Serialize)]
struct Point {
    x: i32,
    y: Option<f32>,
}
#[derive(Serialize)]
#[serde(rename = "a b:c")]
struct Renamed {
    #[serde(rename = "{x}=1,é")]
    x: u8,
    #[serde(rename = "")]
    y: u8,
}
#[derive(Serialize)]
#[serde(rename = "true")]
struct True;
#[derive(Serialize)]
#[serde(rename = "some")]
struct Some1(u8);
#[derive(Serialize)]
#[serde(rename = "42")]
struct Number;
#[derive(Serialize)]
#[serde(rename = "nan7ff8000000000000f64")]
struct Nan;
#[derive(Serialize)]
enum Shape {
    Dot,
    Circle(f64),
    Pair(u8, u8),
    Box { w: u8 },
}
#[derive(Serialize)]
#[serde(untagged)]
enum Either {
    Number(u64),
    Text(String),
}

#[test]
fn the_grammar_is_as_written() {
    let nan = f64::from_bits(0x7ff8_0000_0000_0000);
    for (text, expected) in [
        (text(&()), ""),
        (text(&(42u64,)), "42"),
        (text(&(0u64, u64::MAX)), "0:18446744073709551615"),
        (
            text(&(9u64, 10u64, 99u64, 100u64, 1000u64, 1009u64)),
            "9:10:99:100:1000:1009",
        ),
        (text(&(42u8, -3i32, 5i128)), "42u8:-3i32:5i128"),
        (
            text(&(i8::MIN, 1u16, 2u32, 1i16, -9i64)),
            "-128i8:1u16:2u32:1i16:-9i64",
        ),
        (
            text(&(i128::MIN,)),
            "-170141183460469231731687303715884105728i128",
        ),
        (
            text(&(u128::MAX,)),
            "340282366920938463463374607431768211455u128",
        ),
        (text(&(true, false)), "true:false"),
        (text(&(1.5f64, 1.0f32, -0.0f64)), "1.5f64:1.0f32:-0.0f64"),
        (
            text(&(1e300f64, f64::INFINITY, f32::NEG_INFINITY)),
            "1e300f64:inff64:-inff32",
        ),
        (
            text(&(nan, f32::NAN)),
            "nan7ff8000000000000f64:nan7fc00000f32",
        ),
        (text(&('x', ':')), "c'x':c'%3A'"),
        (text(&("ann",)), "'ann'"),
        (
            text(&("a:b,{c}'%\0 \u{7f}é",)),
            "'a%3Ab%2C%7Bc%7D%27%25%00%20%7Fé'",
        ),
        (
            text(&((), Unit, Wrapped(1), Pair(1, true))),
            "():Unit:Wrapped(1u8):Pair(1u8,true)",
        ),
        (
            text(&(None::<u8>, Some(1u8), Some(None::<u8>))),
            "none:some(1u8):some(none)",
        ),
        (text(&(vec![1u64, 2], Vec::<u8>::new())), "[1,2]:[]"),
        (text(&((1u64, 2u64), (1u64,), [0u8; 0])), "(1,2):(1,):(,)"),
        (text(&(Point { x: 1, y: None },)), "Point<x=1i32,y=none>"),
        (
            text(&(BTreeMap::from([("b", 1u64), ("a", 2)]),)),
            "<'a'=2,'b'=1>",
        ),
        (
            text(&(
                Shape::Dot,
                Shape::Circle(1.5),
                Shape::Pair(1, 2),
                Shape::Box { w: 1 },
            )),
            "Shape.Dot:Shape.Circle(1.5f64):Shape.Pair(1u8,2u8):Shape.Box<w=1u8>",
        ),
        (
            text(&(Ok::<u64, u64>(1), Err::<u64, u64>(1))),
            "Result.Ok(1):Result.Err(1)",
        ),
        (
            text(&(Renamed { x: 1, y: 2 },)),
            "a%20b%3Ac<%7Bx%7D%3D1%2C%C3%A9=1u8,%=2u8>",
        ),
        (
            text(&(True, Some1(1), Number, Nan)),
            "%74rue:%73ome(1u8):%342:%6Ean7ff8000000000000f64",
        ),
        (
            text(&(Either::Number(1), Either::Text("1".into()))),
            "1:'1'",
        ),
        (
            text(&(serde_json::json!({"b": [null, 1.5], "a": -1}),)),
            "<'a'=-1i64,'b'=[(),1.5f64]>",
        ),
        (text(&(format_args!("a{}b", ":"),)), "'a%3Ab'"),
    ] {
        assert_eq!(text, expected);
    }
}

#[test]
fn bytes_are_not_a_list() {
    struct Bytes;
    impl Serialize for Bytes {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(b"ab\xff")
        }
    }
    assert_eq!(text(&(Bytes,)), "x'6162ff'");
    assert_eq!(text(&(b"ab",)), "(97u8,98u8)");
}

#[test]
fn borrowed_and_owned_arguments_agree() {
    let (name, list) = ("ann".to_owned(), vec![1u8, 2]);
    assert_eq!(text(&(&name, &list)), text(&("ann", &[1u8, 2][..])));
    assert_eq!(text(&(&&&7u64, Box::new(name))), text(&(7u64, "ann")));
    assert_eq!(
        text(&(std::borrow::Cow::Borrowed("x"), Arc::<str>::from("y"))),
        text(&("x", "y"))
    );
    assert_ne!(
        text(&([1u8, 2],)),
        text(&(vec![1u8, 2],)),
        "an array is a tuple to serde"
    );
}

#[test]
fn the_order_of_a_map_does_not_matter() {
    let keys: Vec<String> = (0..50).map(|n| format!("key {n}")).collect();
    let forward: HashMap<&str, usize> = keys.iter().map(String::as_str).zip(0..).collect();
    let backward: HashMap<&str, usize> = forward.iter().map(|(k, v)| (*k, *v)).collect();
    assert_eq!(
        args_text(&(&forward,)).unwrap(),
        args_text(&(&backward,)).unwrap()
    );
    let ordered: BTreeMap<&str, usize> = forward.iter().map(|(k, v)| (*k, *v)).collect();
    assert_eq!(text(&(&forward,)), text(&(&ordered,)));
    let changed: BTreeMap<_, _> = ordered.iter().map(|(k, v)| (*k, v + 1)).collect();
    assert_ne!(text(&(&changed,)), text(&(&ordered,)));
}

#[test]
fn a_sets_order_matters_inside_of_other_types_only() {
    let set: HashSet<u8> = (0..50).collect();
    let sorted = text(&(Argument(&set),));
    assert!(sorted.starts_with("[0u8,10u8,11u8,"), "{sorted}");
    let listed: Vec<u8> = set.iter().copied().collect();
    assert_ne!(
        text(&(Argument(&listed),)),
        sorted,
        "a list keeps its order"
    );
    assert_eq!(text(&(Argument(&Some(&set)),)), format!("some({sorted})"));
    assert_eq!(text(&(Argument(&None::<&HashSet<u8>>),)), "none");
    assert_eq!(text(&(Argument(&HashSet::<u8>::new()),)), "[]");
    // What is in a set is written as it is anywhere else.
    let lists = HashSet::from([vec![2_u8, 1]]);
    assert_eq!(text(&(Argument(&lists),)), "[[2u8,1u8]]");
    let options = HashSet::from([None, Some(vec!['b', 'a'])]);
    assert_eq!(text(&(Argument(&options),)), "[none,some([c'b',c'a'])]");
}

#[test]
fn long_arguments_are_hashed_over_all_of_their_text() {
    let at = |len: usize| args_text(&("x".repeat(len),)).unwrap();
    assert_eq!(at(94).as_str(), format!("'{}'", "x".repeat(94)));
    let long = at(95);
    let whole = blake3::hash(format!("'{}'", "x".repeat(95)).as_bytes());
    assert_eq!(long.as_str(), format!("#{}", &whole.to_hex()[..32]));
    assert_ne!(at(96), at(97));
    // How the text was cut into pieces does not matter.
    let many: Vec<u64> = (0..1000).collect();
    let whole = blake3::hash(text(&(&many,)).as_bytes());
    assert_eq!(
        args_text(&(&many,)).unwrap().as_str(),
        format!("#{}", &whole.to_hex()[..32])
    );
}

#[test]
fn too_deep_arguments_have_no_key() {
    let nested =
        |levels: usize| (0..levels).fold(Value::Unit, |inner, _| Value::Some(inner.into()));
    assert!(args_text(&(nested(127),)).is_ok());
    let error = args_text(&(nested(128),)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
    assert!(error.to_string().contains("128"), "{error}");
    let maps = (0..200).fold(Value::Unit, |inner, _| {
        Value::Map(vec![(inner, Value::Unit)])
    });
    assert!(args_text(&(maps,)).is_err());
    // Those that refuse to be serialized have none either.
    assert!(args_text(&(Refuses,)).is_err());
}

struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

#[test]
fn a_key_shows_as_in_redis() {
    let key = Key::new(
        "users".into(),
        "get".into(),
        &args_text(&(42u64, "a")).unwrap(),
    );
    assert_eq!(key.to_string(), "users:get:42:'a'");
    assert_eq!(
        (key.kind(), key.function(), key.args()),
        ("users", "get", "42:'a'")
    );
}

#[test]
fn lists_of_arguments_that_peers_confuse_are_told_apart() {
    let texts = [
        text(&("ab", "c")),
        text(&("a", "bc")),
        text(&("a", "b", "c")),
        text(&("a:b", "c")),
        text(&("a':'b", "c")),
        text(&("abc",)),
        text(&(("ab", "c"),)),
        text(&(vec!["ab", "c"],)),
        text(&("1",)),
        text(&(1u64,)),
        text(&(1u8,)),
        text(&(1i64,)),
        text(&('1',)),
        text(&(1.0f64,)),
        text(&(1.0f32,)),
        text(&(Some(1u64),)),
        text(&(Some(Some(1u64)),)),
        text(&(None::<u64>,)),
        text(&("none",)),
        text(&((),)),
        text(&(0.0f64,)),
        text(&(-0.0f64,)),
        text(&("",)),
        text(&("", "")),
        text(&()),
        text(&("#",)),
    ];
    assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len());
}

/// What the local tier knows a call by.
fn packed<A: Serialize + ?Sized>(args: &A) -> Vec<u8> {
    let mut packed = Args::new();
    packed.write(args).unwrap();
    let (short, bytes) = (packed.padded(), packed.as_bytes());
    let behind = short.get(bytes.len()..).unwrap_or_default();
    assert!(behind.iter().all(|byte| *byte == 0), "{short:?}");
    bytes.to_vec()
}

#[test]
fn numbers_are_packed_where_they_are_an_argument_by_themselves() {
    assert_eq!(packed(&(258u64,)), [1, 2, 1, 0, 0, 0, 0, 0]);
    assert_eq!(packed(&(1u64 << 56,)), [9, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(packed(&(-1i64,)), [5, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(packed(&(i64::MIN,)), [13, 0, 0, 0, 0, 0, 0, 0, 128]);
    assert_eq!(
        packed(&(7u8, "a", -2i16)),
        b"\x04\x07:\x11\x01a:\x07\xfe\xff"
    );
    assert_eq!(packed(&(Some(7u8),)), b"some(7u8)");
    assert_eq!(packed(&(7u128, 1.5f64)), b"7u128:1.5f64");
    assert_eq!(packed(&()), b"");
    // Twelve numbers of 8 bytes, and what is between them, are more than there is room for: as the text is
    // short, it is what they are known by.
    let ones = (
        1u64, 1u64, 1u64, 1u64, 1u64, 1u64, 1u64, 1u64, 1u64, 1u64, 1u64, 1u64,
    );
    assert_eq!(packed(&ones), b"1:1:1:1:1:1:1:1:1:1:1:1");
    // Where it is not, its hash is, although the numbers alone would fit.
    let big = u64::MAX;
    assert_eq!(packed(&(big, big, big, big, big))[0], b'#');
    // Four of them might have a text that is too long, and don't.
    let four = packed(&(7u64, big, big, big, "0123456789"));
    assert_eq!(four.len(), 9 + 3 * 10 + 12);
}

#[test]
fn no_text_but_a_numbers_own_is_taken_for_it() {
    for text in [
        "007",
        "+7",
        "-0i8",
        "256u8",
        "7u9",
        "7_000",
        "",
        "-7",
        "18446744073709551616",
        "some(7)",
    ] {
        assert_eq!(Args::of_text(text).as_bytes(), text.as_bytes(), "{text}");
    }
    assert_eq!(Args::of_text("7:x").as_bytes(), b"\x01\x07\0\0\0\0\0\0:x");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn equal_texts_mean_equal_values(
        a in proptest::collection::vec(value::anything(), 0..3),
        b in proptest::collection::vec(value::anything(), 0..3),
    ) {
        let (a, b) = (Value::Tuple(a), Value::Tuple(b));
        prop_assert_eq!(text(&a) == text(&b), a.canonical() == b.canonical());
    }

    /// As maps do, sets have one key whatever their order and their hasher, and two different ones
    /// have two.
    #[test]
    fn a_set_has_one_text(
        elements in proptest::collection::vec(".{0,4}", 0..12),
        others in proptest::collection::hash_set(".{0,4}", 0..12),
    ) {
        type Fixed = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;
        let one: HashSet<String> = elements.iter().cloned().collect();
        let other: HashSet<&str, Fixed> = elements.iter().rev().map(String::as_str).collect();
        let key = text(&(Argument(&one), Argument(&7_u64)));
        prop_assert_eq!(&text(&(Argument(&other), Argument(&7_u64))), &key);
        prop_assert_eq!(text(&(Argument(&others), Argument(&7_u64))) == key, others == one);
    }

    #[test]
    fn a_map_has_one_text_however_deep(
        entries in proptest::collection::vec((".{0,4}", any::<u16>()), 0..12),
    ) {
        let unique: BTreeMap<String, u16> = entries.into_iter().collect();
        let one: HashMap<&String, &u16> = unique.iter().collect();
        let other: HashMap<&String, &u16> = unique.iter().rev().collect();
        let deep = |map| text(&(Some(vec![(1_u8, HashMap::from([("a", map)]))]),));
        prop_assert_eq!(deep(one), deep(other));
    }

    /// Two values that differ in one place are close enough to meet, where random ones are not.
    #[test]
    fn a_small_change_changes_the_text(
        a in value::anything(), other in value::anything(), at in any::<prop::sample::Index>(),
    ) {
        let mut b = a.clone();
        b.replace(&mut Some(at.index(a.size())), &other);
        let (a, b) = (Value::Tuple(vec![a]), Value::Tuple(vec![b]));
        prop_assert_eq!(text(&a) == text(&b), a.canonical() == b.canonical());
    }

    #[test]
    fn a_text_never_breaks_out_of_a_redis_key(a in value::anything()) {
        let text = text(&(a,));
        prop_assert!(!text.starts_with('#'));
        prop_assert!(
            !text.bytes().any(|byte| byte <= b' ' || matches!(byte, b'{' | b'}' | b':' | 0x7f)),
            "{}", text
        );
    }

    #[test]
    fn hostile_strings_never_meet(
        a in "[a':,%(){}<>=\\[\\]0-9 \\PC]{0,8}", b in "[a':,%(){}<>=\\[\\]0-9 \\PC]{0,8}",
        c in "[a':,%(){}<>=\\[\\]0-9 \\PC]{0,8}", d in "[a':,%(){}<>=\\[\\]0-9 \\PC]{0,8}",
    ) {
        prop_assert_eq!(text(&(&a, &b)) == text(&(&c, &d)), (&a, &b) == (&c, &d));
        prop_assert_ne!(text(&(&a, &b)), text(&(&[&a, &b],)));
        prop_assert_ne!(text(&(&a, &b)), text(&(format!("{a}':'{b}"),)));
    }

    /// Whoever comes from the text finds what whoever comes from the arguments has stored.
    #[test]
    fn arguments_and_their_text_are_packed_into_the_same_bytes(
        args in proptest::collection::vec(value::anything(), 0..6),
        numbers in any::<(u8, i8, u16, i16, u32, i32, u64, i64)>(),
        small in any::<[u8; 10]>(),
        bits in (any::<u64>(), 0..64),
        word in ".{0,40}",
    ) {
        let (a, b, c, d, e, f, g, h) = numbers;
        let [i, j, k, l, m, ..] = small.map(u64::from);
        // Numbers of all lengths, around where the packed form changes.
        let narrow = (bits.0 >> bits.1, bits.0.cast_signed() >> bits.1, "x");
        let mixed = (i, &word, a, b, c, g, f);
        let many = (i, j, k, l, m, i, j, k, l, m, i, j);
        for (packed, text) in [
            (packed(&Value::Tuple(args.clone())), args_text(&Value::Tuple(args)).unwrap()),
            (packed(&numbers), args_text(&numbers).unwrap()),
            (packed(&mixed), args_text(&mixed).unwrap()),
            (packed(&many), args_text(&many).unwrap()),
            (packed(&(d, e, h)), args_text(&(d, e, h)).unwrap()),
            (packed(&narrow), args_text(&narrow).unwrap()),
        ] {
            let again = Args::of_text(text.as_str());
            prop_assert_eq!(again.as_bytes(), &packed);
            prop_assert_eq!(unpacked(&packed), text);
        }
        // And the text is what it would be if nothing were packed.
        for (args, whole) in [(args_text(&mixed).unwrap(), text(&mixed)), (args_text(&many).unwrap(), text(&many))] {
            let named = if whole.len() <= LONGEST {
                whole
            } else {
                format!("#{}", &blake3::hash(whole.as_bytes()).to_hex()[..32])
            };
            prop_assert_eq!(args.as_str(), named);
        }
    }
}
