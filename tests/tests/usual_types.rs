//! The types that most programs use, as arguments and as values: through a real Redis each comes
//! back as it was, in whatever codec carries it, and no two arguments share a key.

// Functions are written as users write them.
#![allow(clippy::needless_pass_by_value, clippy::ptr_arg, clippy::unused_async)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use cache_tests::logs::Logs;
use cache_tests::server::RedisServer;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

static LOADS: AtomicUsize = AtomicUsize::new(0);

/// One function, and so one kind of key and value, for each type.
macro_rules! types {
    ($($test:ident: $type:ty, [$($value:expr),+ $(,)?];)*) => {$(
        mod $test {
            use super::*;

            #[cached(kind = "usual", ttl = "10m", early = false)]
            pub(super) async fn same(value: &$type) -> $type {
                LOADS.fetch_add(1, Ordering::SeqCst);
                value.clone()
            }
        }
    )*

    #[tokio::test]
    async fn each_comes_back_as_it_was_under_a_key_of_its_own() {
        let server = RedisServer::start();
        let (one, two) = (node(&server), node(&server));
        let logs = Logs::install();
        let mut wrong = Vec::new();
        $(
            let values: Vec<$type> = vec![$($value),+];
            let mut keys = HashSet::new();
            for value in &values {
                let key = $test::same::key(value).unwrap();
                if !keys.insert(key.to_string()) {
                    wrong.push(format!("{value:?} shares its key {key}"));
                }
                let before = LOADS.load(Ordering::SeqCst);
                for node in [&one, &two, &one, &two] {
                    // As their bits and their parts are: `-0.0` equals `0.0`, and a NaN not even
                    // itself.
                    let found = format!("{:?}", node.scope($test::same(value)).await);
                    if found != format!("{value:?}") {
                        wrong.push(format!("{value:?} comes back as {found}"));
                    }
                }
                let loads = LOADS.load(Ordering::SeqCst) - before;
                // A `None` is not cached unless asked.
                if loads != 1 && format!("{value:?}") != "None" {
                    wrong.push(format!("{value:?} is loaded {loads} times"));
                }
            }
        )*
        wrong.extend(logs.about(""));
        assert_eq!(wrong, Vec::<String>::new());
    }};
}

fn node(server: &RedisServer) -> Cache {
    let store = RedisStore::builder(&server.url()).unwrap().tracking(false);
    Cache::builder()
        .namespace("test")
        // Generous, since loads are counted: a store that answers too late on a busy machine, as it
        // does to the first call of all, is one that the function runs instead of.
        .store_timeout(Duration::from_secs(5))
        .shared(store.build().unwrap())
        .try_build()
        .unwrap()
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: Uuid,
    total: Decimal,
    placed: chrono::DateTime<chrono::Utc>,
    due: Option<chrono::NaiveDate>,
    lines: Vec<(String, u32)>,
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum State {
    New,
    Paid(Decimal),
    Sent { to: Url, parcels: BTreeSet<u64> },
}

fn order(state: State) -> Order {
    Order {
        id: Uuid::from_u128(7),
        total: Decimal::new(-1999, 2),
        placed: chrono::DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap(),
        due: chrono::NaiveDate::from_ymd_opt(2026, 2, 28),
        lines: vec![("a:b'{}".to_owned(), 2)],
        state,
    }
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

types! {
    floats: f64, [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];
    singles: f32, [0.0, -0.0, f32::NAN, -f32::NAN, f32::MAX];
    texts: String, [String::new(), "ann".to_owned(), "ünï\0'%:{}".to_owned()];
    options: Option<String>, [None, Some(String::new())];
    tuples: (u8, String, Option<bool>), [(1, "x".to_owned(), None), (1, "x".to_owned(), Some(true))];
    arrays: [u16; 3], [[1, 2, 3], [3, 2, 1]];
    lists: Vec<i64>, [vec![], vec![-1], vec![1], vec![1, 1]];
    maps: BTreeMap<String, Vec<u8>>, [BTreeMap::new(), BTreeMap::from([("a".to_owned(), vec![1])])];
    sets: BTreeSet<char>, [BTreeSet::new(), BTreeSet::from(['a', 'b'])];
    results: Result<u8, String>, [Ok(1)];
    shared: Arc<str>, ["one".into(), "two".into()];
    boxed: Box<[u32]>, [[1, 2].into(), [2, 1].into()];
    durations: Duration, [Duration::ZERO, Duration::from_nanos(1)];
    system_times: SystemTime, [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_nanos(1)];
    addresses: IpAddr, ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    paths: PathBuf, ["/a/b".into(), "/a:b".into()];
    wide: u128, [0, u128::MAX];
    uuids: Uuid, [Uuid::nil(), Uuid::from_u128(1), Uuid::max()];
    decimals: Decimal, [Decimal::ZERO, Decimal::new(10, 1), Decimal::new(100, 2), Decimal::MAX, Decimal::MIN];
    chrono_times: chrono::DateTime<chrono::Utc>, [
        chrono::DateTime::UNIX_EPOCH,
        chrono::DateTime::from_timestamp_nanos(1),
    ];
    chrono_offsets: chrono::DateTime<chrono::FixedOffset>, [
        "2026-03-29T01:30:00+01:00".parse().unwrap(),
        "2026-03-29T02:30:00+02:00".parse().unwrap(),
    ];
    chrono_dates: chrono::NaiveDate, [chrono::NaiveDate::MIN, chrono::NaiveDate::MAX];
    chrono_locals: chrono::NaiveDateTime, [
        chrono::NaiveDateTime::MIN, "2026-03-29T01:30:00.000000001".parse().unwrap(),
    ];
    chrono_clocks: chrono::NaiveTime, [
        chrono::NaiveTime::MIN, "23:59:60.5".parse().unwrap(),
    ];
    chrono_weekdays: chrono::Weekday, [chrono::Weekday::Mon, chrono::Weekday::Sun];
    time_times: time::OffsetDateTime, [
        time::OffsetDateTime::UNIX_EPOCH,
        time::OffsetDateTime::UNIX_EPOCH + Duration::from_nanos(1),
        time::OffsetDateTime::UNIX_EPOCH.to_offset(time::UtcOffset::from_hms(2, 0, 0).unwrap()),
    ];
    time_dates: time::Date, [time::Date::MIN, time::Date::MAX];
    time_locals: time::PrimitiveDateTime, [time::PrimitiveDateTime::MIN, time::PrimitiveDateTime::MAX];
    time_durations: time::Duration, [time::Duration::ZERO, time::Duration::new(-1, -1)];
    jiff_times: jiff::Timestamp, [jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX];
    jiff_dates: jiff::civil::Date, [jiff::civil::Date::MIN, jiff::civil::Date::MAX];
    jiff_locals: jiff::civil::DateTime, [jiff::civil::DateTime::MIN, jiff::civil::DateTime::MAX];
    jiff_spans: jiff::SignedDuration, [jiff::SignedDuration::ZERO, jiff::SignedDuration::MIN];
    urls: Url, [url("https://a.example/b?c=d#e"), url("https://a.example/b?c=d")];
    byte_buffers: Bytes, [Bytes::new(), Bytes::from_static(b"\0\xff:'")];
    json: serde_json::Value, [
        serde_json::Value::Null,
        serde_json::json!({"a": [1, -1, 1.5, null, true, "x"], "b": {}}),
        serde_json::json!({"a": [1, -1, 1.5, null, true, "x"], "b": []}),
    ];
    orders: Order, [
        order(State::New),
        order(State::Paid(Decimal::new(5, 0))),
        order(State::Sent { to: url("https://b.example/"), parcels: BTreeSet::from([2, 1]) }),
    ];
}

/// Of its own: the tests run side by side.
static COUNTED: AtomicUsize = AtomicUsize::new(0);

#[cached(kind = "counted", ttl = "10m")]
fn counted(
    ids: &HashSet<u32>,
    names: Option<HashSet<String, BuildHasherDefault<DefaultHasher>>>,
    prices: &HashMap<String, u32>,
) -> usize {
    COUNTED.fetch_add(1, Ordering::SeqCst);
    ids.len() + names.map_or(0, |names| names.len()) + prices.len()
}

type Ids = Option<HashSet<u32>>;

#[cached(kind = "aliased", ttl = "10m", key(&ids, text))]
fn aliased(ids: Ids, text: &str) -> usize {
    ids.map_or(0, |ids| ids.len()) + text.len()
}

#[cached(kind = "generic_set", ttl = "10m")]
fn generic<T: Serialize + 'static>(ids: &T) -> String {
    serde_json::to_string(ids).unwrap_or_default()
}

#[test]
fn a_set_makes_one_key_whatever_its_order() {
    // Each set has a hasher with keys of its own, and so an order of its own.
    let ids = || (0..100).collect::<HashSet<u32>>();
    let names = || Some((0..100).map(|id| id.to_string()).collect());
    let prices = || {
        (0..100)
            .map(|id| (id.to_string(), id))
            .collect::<HashMap<_, _>>()
    };
    let key = |ids: &HashSet<u32>| counted::key(ids, names(), &prices()).unwrap();
    assert_eq!(key(&ids()), key(&ids()));
    assert_ne!(key(&ids()), key(&(0..99).collect()));
    assert_eq!(counted(&ids(), names(), &prices()), 300);
    assert_eq!(counted(&ids(), names(), &prices()), 300);
    assert_eq!(COUNTED.load(Ordering::SeqCst), 1);
    assert_eq!(aliased(Some(ids()), "x"), 101);
    assert_eq!(generic(&HashSet::from([1_u8])), "[1]");
    assert_eq!(
        aliased::key(Some(ids()), "x").unwrap(),
        aliased::key(Some(ids()), "x").unwrap()
    );
    assert_eq!(generic::key(&ids()).unwrap(), generic::key(&ids()).unwrap());
}
