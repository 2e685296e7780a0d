//! What must change a fingerprint, what must not, and which types can be traced.

// Most types here are only traced, never read.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroI128, NonZeroU8};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::{Schema, trace};

/// Each in a module of its own, so that the types can share their names.
macro_rules! types {
    ($($module:ident { $($item:item)* })*) => {$(
        #[allow(dead_code, unreachable_pub)]
        mod $module {
            use serde::Deserialize;
            $(#[derive(Deserialize)] $item)*
        }
    )*};
}

fn traced<T: serde::de::DeserializeOwned>() -> (u64, bool) {
    match trace::<T>() {
        Schema::Traced {
            fingerprint,
            self_describing,
        } => (fingerprint, self_describing),
        Schema::Untraceable { reason, .. } => panic!("{}: {reason}", std::any::type_name::<T>()),
    }
}

fn untraceable<T: serde::de::DeserializeOwned>() -> (String, bool) {
    match trace::<T>() {
        Schema::Untraceable {
            reason,
            self_describing,
        } => (reason, self_describing),
        Schema::Traced { .. } => panic!("{} was traced", std::any::type_name::<T>()),
    }
}

fn fingerprint<T: serde::de::DeserializeOwned>() -> u64 {
    traced::<T>().0
}

#[track_caller]
fn all_differ(fingerprints: &[u64]) {
    for (at, a) in fingerprints.iter().enumerate() {
        for (other, b) in fingerprints.iter().enumerate().skip(at + 1) {
            assert_ne!(a, b, "types {at} and {other} share a fingerprint");
        }
    }
}

types! {
    base { pub struct User { id: u64, first: String, last: String } }
    same { pub struct User { id: u64, first: String, last: String } }
    added { pub struct User { id: u64, first: String, last: String, age: u8 } }
    added_option { pub struct User { id: u64, first: String, last: String, age: Option<u8> } }
    removed { pub struct User { id: u64, first: String } }
    renamed { pub struct User { id: u64, first: String, family: String } }
    retyped { pub struct User { id: u32, first: String, last: String } }
    swapped { pub struct User { id: u64, last: String, first: String } }
    optional { pub struct User { id: Option<u64>, first: String, last: String } }
    other_name { pub struct Person { id: u64, first: String, last: String } }
}

#[test]
fn every_change_of_a_struct_changes_the_fingerprint() {
    assert_eq!(fingerprint::<base::User>(), fingerprint::<same::User>());
    all_differ(&[
        fingerprint::<base::User>(),
        fingerprint::<added::User>(),
        fingerprint::<added_option::User>(),
        fingerprint::<removed::User>(),
        fingerprint::<renamed::User>(),
        fingerprint::<retyped::User>(),
        fingerprint::<swapped::User>(),
        fingerprint::<optional::User>(),
        fingerprint::<other_name::Person>(),
    ]);
}

types! {
    shape { pub enum Shape { Dot, Circle(f64), Pair(u8, u8), Box { w: u8, h: u8 } } }
    shape_added { pub enum Shape { Dot, Circle(f64), Pair(u8, u8), Box { w: u8, h: u8 }, More } }
    shape_swapped { pub enum Shape { Circle(f64), Dot, Pair(u8, u8), Box { w: u8, h: u8 } } }
    shape_renamed { pub enum Shape { Point, Circle(f64), Pair(u8, u8), Box { w: u8, h: u8 } } }
    shape_retyped { pub enum Shape { Dot, Circle(f32), Pair(u8, u8), Box { w: u8, h: u8 } } }
    shape_tuple { pub enum Shape { Dot, Circle(f64), Pair(u8, u16), Box { w: u8, h: u8 } } }
    shape_fields { pub enum Shape { Dot, Circle(f64), Pair(u8, u8), Box { h: u8, w: u8 } } }
    shape_last { pub enum Shape { Dot, Circle(f64), Pair(u8, u8), Box { w: u8, h: i8 } } }
    shape_unit { pub enum Shape { Dot(()), Circle(f64), Pair(u8, u8), Box { w: u8, h: u8 } } }
}

#[test]
fn every_change_of_an_enum_changes_the_fingerprint() {
    all_differ(&[
        fingerprint::<shape::Shape>(),
        fingerprint::<shape_added::Shape>(),
        fingerprint::<shape_swapped::Shape>(),
        fingerprint::<shape_renamed::Shape>(),
        fingerprint::<shape_retyped::Shape>(),
        fingerprint::<shape_tuple::Shape>(),
        fingerprint::<shape_fields::Shape>(),
        fingerprint::<shape_last::Shape>(),
        fingerprint::<shape_unit::Shape>(),
    ]);
}

#[derive(Deserialize)]
struct Wrapped(u64);

#[test]
fn types_that_are_stored_differently_differ() {
    all_differ(&[
        fingerprint::<u8>(),
        fingerprint::<u16>(),
        fingerprint::<u32>(),
        fingerprint::<u64>(),
        fingerprint::<u128>(),
        fingerprint::<i8>(),
        fingerprint::<i64>(),
        fingerprint::<i128>(),
        fingerprint::<f32>(),
        fingerprint::<f64>(),
        fingerprint::<bool>(),
        fingerprint::<char>(),
        fingerprint::<String>(),
        fingerprint::<Vec<u8>>(),
        fingerprint::<Vec<u16>>(),
        fingerprint::<Vec<Vec<u8>>>(),
        fingerprint::<Option<u8>>(),
        fingerprint::<Option<Option<u8>>>(),
        fingerprint::<Option<Vec<u8>>>(),
        fingerprint::<Vec<Option<u8>>>(),
        fingerprint::<(u8, u16)>(),
        fingerprint::<(u16, u8)>(),
        fingerprint::<(u8,)>(),
        fingerprint::<()>(),
        fingerprint::<[u8; 4]>(),
        fingerprint::<[u8; 5]>(),
        fingerprint::<HashMap<u8, u16>>(),
        fingerprint::<HashMap<u16, u8>>(),
        fingerprint::<BTreeMap<String, Vec<u8>>>(),
        fingerprint::<Result<u8, u16>>(),
        fingerprint::<Result<u16, u8>>(),
        fingerprint::<Wrapped>(),
    ]);
    // Those are stored alike.
    assert_eq!(fingerprint::<Box<u8>>(), fingerprint::<u8>());
    assert_eq!(fingerprint::<Arc<str>>(), fingerprint::<String>());
    assert_eq!(
        fingerprint::<HashMap<u8, u16>>(),
        fingerprint::<BTreeMap<u8, u16>>()
    );
}

#[test]
fn a_fingerprint_is_the_same_in_every_build() {
    assert_eq!(
        [
            fingerprint::<base::User>(),
            fingerprint::<shape::Shape>(),
            fingerprint::<Expr>()
        ],
        FROZEN,
        "the fingerprint of an unchanged type is frozen: another one makes every stored entry a \
         miss; if the tracing had to change, count its VERSION up and write the new ones here"
    );
}

const FROZEN: [u64; 3] = [
    13_258_242_885_603_435_751,
    356_129_529_073_195_658,
    6_524_770_616_650_203_566,
];

#[derive(Deserialize)]
enum Expr {
    Add(Box<Expr>, Box<Expr>),
    Call { name: String, args: Vec<Expr> },
    Typed(Box<Expr>, Type),
    Literal(i64),
}

#[derive(Deserialize)]
enum Type {
    Function(Vec<Type>, Box<Type>),
    Of(Box<Expr>),
    Named(String),
}

types! {
    expr_deep {
        pub enum Expr {
            Add(Box<Expr>, Box<Expr>),
            Call { name: String, args: Vec<Expr> },
            Typed(Box<Expr>, Type),
            Literal(i64),
        }
        pub enum Type { Function(Vec<Type>, Box<Type>), Of(Box<Expr>), Named(u8) }
    }
    list { pub struct Node { value: u8, next: Option<Box<Node>>, all: Vec<Node> } }
    list_wide { pub struct Node { value: u16, next: Option<Box<Node>>, all: Vec<Node> } }
    endless { pub struct Endless { inner: Box<Endless> } }
    transparent { #[serde(transparent)] pub struct Chain { inner: Option<Box<Chain>> } }
}

#[test]
fn recursive_types_end() {
    assert_ne!(fingerprint::<Expr>(), fingerprint::<expr_deep::Expr>());
    assert_ne!(
        fingerprint::<list::Node>(),
        fingerprint::<list_wide::Node>()
    );
    fingerprint::<transparent::Chain>();
    assert!(
        untraceable::<endless::Endless>()
            .0
            .contains("without an end")
    );
}

types! {
    outer { pub struct Outer { a: Page<A>, b: Page<B> } pub struct Page<T> { items: Vec<T> } pub struct A { x: u8 } pub struct B { y: u8 } }
    outer_b { pub struct Outer { a: Page<A>, b: Page<B> } pub struct Page<T> { items: Vec<T> } pub struct A { x: u8 } pub struct B { y: u16 } }
    twice { pub struct Twice { a: E, b: F } pub enum E { P(F), Q } pub enum F { X, Y(u8) } }
    twice_deep { pub struct Twice { a: E, b: F } pub enum E { P(F), Q } pub enum F { X, Y(i8) } }
}

#[test]
fn instantiations_and_nested_variants_are_all_looked_into() {
    assert_ne!(
        fingerprint::<outer::Outer>(),
        fingerprint::<outer_b::Outer>()
    );
    assert_ne!(
        fingerprint::<twice::Twice>(),
        fingerprint::<twice_deep::Twice>()
    );
    // Each level holds the next one four times: walking every path would never end.
    assert_ne!(fingerprint::<wide::L0>(), fingerprint::<wide_deep::L0>());
}

types! {
    wide {
        pub struct L0(L1, L1, Vec<L1>, Option<L1>);
        pub struct L1(L2, L2, Vec<L2>, Option<L2>);
        pub struct L2(L3, L3, Vec<L3>, Option<L3>);
        pub struct L3(L4, L4, Vec<L4>, Option<L4>);
        pub struct L4(L5, L5, Vec<L5>, Option<L5>);
        pub struct L5(u8, u8, Vec<u8>, Option<u8>);
    }
    wide_deep {
        pub struct L0(L1, L1, Vec<L1>, Option<L1>);
        pub struct L1(L2, L2, Vec<L2>, Option<L2>);
        pub struct L2(L3, L3, Vec<L3>, Option<L3>);
        pub struct L3(L4, L4, Vec<L4>, Option<L4>);
        pub struct L4(L5, L5, Vec<L5>, Option<L5>);
        pub struct L5(u8, u8, Vec<u8>, Option<i8>);
    }
}

/// Takes its text apart, as most types that have one do.
macro_rules! checked {
    ($($name:ident: $accepts:expr;)*) => {$(
        struct $name;
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let accepts: fn(&str) -> bool = $accepts;
                let text = String::deserialize(deserializer)?;
                if accepts(&text) { Ok(Self) } else { Err(D::Error::custom("not one")) }
            }
        }
    )*};
}

checked! {
    Uuid: |text| text.len() == 36 && text.split('-').count() == 5;
    Date: |text| text.len() == 10 && text.split('-').count() == 3;
    Instant: |text| text.len() == 20 && text.ends_with('Z');
    Decimal: |text| text.parse::<f64>().is_ok();
    Address: |text| text.contains('@');
    Never: |_| false;
}

#[derive(Deserialize)]
#[serde(try_from = "(u8, u8)")]
struct Range {
    _span: u8,
}

impl TryFrom<(u8, u8)> for Range {
    type Error = &'static str;

    fn try_from((low, high): (u8, u8)) -> Result<Self, Self::Error> {
        if low < high {
            Ok(Self { _span: high - low })
        } else {
            Err("the wrong way round")
        }
    }
}

#[derive(Deserialize)]
struct Picky {
    name: String,
    nonzero: NonZeroU8,
    wide: NonZeroI128,
    id: Uuid,
    day: Date,
    at: Option<Instant>,
    price: Vec<Decimal>,
    mail: HashMap<Address, Range>,
    ip: IpAddr,
    socket: SocketAddr,
    took: Duration,
    when: SystemTime,
    nothing: PhantomData<u8>,
    outcome: Result<Uuid, Date>,
}

impl PartialEq for Address {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Address {}

impl std::hash::Hash for Address {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

#[test]
fn types_that_check_their_data_are_given_what_they_want() {
    assert!(!traced::<Picky>().1);
    let (reason, _) = untraceable::<(u8, Never)>();
    assert!(
        reason.contains("not one") && reason.contains("schema = 1"),
        "{reason}"
    );
}

/// Only takes its fields with their names.
struct Named {
    a: u8,
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Named;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("fields")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named, A::Error> {
                match map.next_entry::<String, u8>()? {
                    Some((name, a)) if name == "a" => Ok(Named { a }),
                    _ => Err(A::Error::custom("no a")),
                }
            }
        }
        deserializer.deserialize_struct("Named", &["a"], Fields)
    }
}

types! {
    untagged { #[serde(untagged)] pub enum U { A(u8), B(String) } }
    internal { #[serde(tag = "t")] pub enum I { A { x: u8 }, B } }
    adjacent { #[serde(tag = "t", content = "c")] pub enum A { A((u8, u8)), B(u8) } }
    adjacent_b { #[serde(tag = "t", content = "c")] pub enum A { A((u8, u8)), B(u16) } }
    adjacent_unit { #[serde(tag = "t", content = "c")] pub enum A { B(u8), C } }
    flat { pub struct Flat { a: u8, #[serde(flatten)] rest: Rest } pub struct Rest { b: u8 } }
    aliased { pub struct Alias { #[serde(alias = "z")] a: u8, #[serde(skip)] s: u8, #[serde(default)] b: u8 } }
}

#[test]
fn self_describing_types_are_known() {
    assert!(!traced::<Named>().1);
    assert!(!traced::<aliased::Alias>().1);
    assert!(!traced::<HashMap<String, u8>>().1);
    assert!(traced::<adjacent::A>().1);
    assert_ne!(fingerprint::<adjacent::A>(), fingerprint::<adjacent_b::A>());
    assert!(traced::<serde_json::Value>().1);
    assert!(traced::<Vec<HashMap<String, serde_json::Value>>>().1);
    assert!(traced::<serde::de::IgnoredAny>().1);
    for (reason, self_describing) in [
        untraceable::<untagged::U>(),
        untraceable::<internal::I>(),
        untraceable::<adjacent_unit::A>(),
        untraceable::<flat::Flat>(),
        untraceable::<Option<Vec<flat::Flat>>>(),
    ] {
        assert!(self_describing, "{reason}");
        assert!(reason.contains("schema = 1"), "{reason}");
    }
}

/// Takes numbers and texts, as many types of money do; or, with `false`, texts and lists of two.
struct Loose<const NUMBERS: bool>;

impl<'de, const NUMBERS: bool> Deserialize<'de> for Loose<NUMBERS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de, const NUMBERS: bool> Visitor<'de> for Loose<NUMBERS> {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an amount")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self, E> {
        if NUMBERS {
            Ok(self)
        } else {
            Err(E::invalid_type(
                serde::de::Unexpected::Unsigned(number),
                &self,
            ))
        }
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        if NUMBERS {
            let list = serde::de::Unexpected::Seq;
            return Err(serde::de::Error::invalid_type(list, &self));
        }
        match seq.next_element::<u8>()? {
            Some(_) => Ok(self),
            None => Err(serde::de::Error::invalid_length(0, &self)),
        }
    }
}

#[test]
fn a_type_that_takes_many_things_is_known_by_those() {
    assert!(matches!(
        trace::<Loose<true>>(),
        Schema::Traced {
            self_describing: true,
            ..
        }
    ));
    assert_ne!(
        fingerprint::<(u8, Loose<true>)>(),
        fingerprint::<(u8, serde_json::Value)>()
    );
    assert_eq!(
        fingerprint::<Vec<Option<Loose<true>>>>(),
        fingerprint::<Vec<Option<Loose<true>>>>()
    );
    // A list of two would be taken, but what is in it cannot be seen.
    untraceable::<Loose<false>>();
}
