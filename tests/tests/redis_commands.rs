//! What each of the store's methods does in Redis: leases, stamps, entries, expiries, scripts that
//! went missing, and keys that hold something else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::store::{Begin, Beginning, Fill, Found, Read, Reading, Store, Turn};
use cache_core::{Entropy, Env, ErrorKind};
use cache_redis::RedisStore;
use cache_tests::fixture::{Events, MINUTE, attach, attach_in, entry, names, token};
use cache_tests::impostor::Impostor;
use cache_tests::server::RedisServer;

const KEY: &str = "user:profile:1";
const ENTRY: &str = "test:e:{user:profile:1}";
const LEASE: &str = "test:l:{user:profile:1}";
const STAMP: &str = "test:t:user:1";

struct Fixture {
    server: RedisServer,
    store: RedisStore,
    tags: Vec<String>,
    _events: Arc<Events>,
}

/// With a store that knows its server: what it asks for first, it asks by scripts.
async fn fixture() -> Fixture {
    let fixture = new_fixture();
    let (key, tags) = ("another:key:1", names(&["another"]));
    let begin = Begin::new(key, token(1), &tags);
    fixture.store.begin(begin).await.unwrap();
    fixture.store.release(key, token(1)).await.unwrap();
    fixture
}

fn new_fixture() -> Fixture {
    let server = RedisServer::start();
    let store = RedisStore::new(&server.url()).unwrap();
    let events = attach(&store);
    Fixture {
        server,
        store,
        tags: names(&["user:1", "kind:user"]),
        _events: events,
    }
}

impl Fixture {
    async fn begin(&self, byte: u8) -> Beginning {
        let request = Begin::new(KEY, token(byte), &self.tags)
            .lease(MINUTE)
            .life(MINUTE);
        self.store.begin(request).await.unwrap()
    }

    async fn fill(&self, byte: u8, payload: &[u8]) -> bool {
        let bytes = entry(token(byte), payload);
        let request = Fill::new(KEY, token(byte), &bytes, MINUTE);
        self.store.fill(request).await.unwrap()
    }

    async fn read(&self) -> Reading {
        self.store.read(Read::new(KEY, &self.tags)).await.unwrap()
    }

    fn pttl(&self, key: &str) -> i64 {
        self.server.command(&["PTTL", key])
    }

    fn exists(&self, key: &str) -> bool {
        self.server.command::<u8>(&["EXISTS", key]) == 1
    }
}

#[tokio::test]
async fn a_load_is_stored_and_read_back() {
    let fixture = fixture().await;
    let empty = fixture.read().await;
    assert_eq!(empty, Reading::new(Found::Nothing, vec![None, None]));

    let beginning = fixture.begin(1).await;
    assert_eq!(beginning.turn, Turn::Granted);
    assert!(beginning.stamps.iter().all(Option::is_some));
    assert_eq!(
        fixture.server.command::<String>(&["GET", LEASE]),
        "01".repeat(16)
    );

    assert!(fixture.fill(1, b"value").await);
    assert!(!fixture.exists(LEASE));
    let reading = fixture.read().await;
    assert_eq!(reading.entry, Found::Bytes(entry(token(1), b"value")));
    assert_eq!(reading.stamps, beginning.stamps);
    let text: String = fixture.server.command(&["GET", STAMP]);
    assert_eq!(
        Some(text),
        beginning.stamps[0].map(|stamp| format!("{stamp:016x}"))
    );
}

#[tokio::test]
async fn a_known_entry_is_not_sent_again() {
    let fixture = fixture().await;
    let stamps = fixture.begin(1).await.stamps;
    assert!(fixture.fill(1, b"value").await);
    let read = |known| {
        fixture
            .store
            .read(Read::new(KEY, &fixture.tags).known(Some(known)))
    };
    let known = read(token(1)).await.unwrap();
    let left = known.left.expect("it expires");
    assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
    assert_eq!((known.entry, &known.stamps), (Found::Known, &stamps));
    let other = read(token(2)).await.unwrap();
    assert_eq!(other.entry, Found::Bytes(entry(token(1), b"value")));
    assert_eq!(other.stamps, stamps);
    fixture.store.remove(&names(&[KEY])).await.unwrap();
    assert_eq!(read(token(1)).await.unwrap().entry, Found::Nothing);
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let fixture = fixture().await;
    fixture.begin(1).await;
    assert!(fixture.fill(1, &[7; 1000]).await);
    let read = |limit| {
        fixture
            .store
            .read(Read::new(KEY, &fixture.tags).limit(limit))
    };
    assert_eq!(read(1023).await.unwrap().entry, Found::TooLarge(1024));
    assert!(matches!(read(1024).await.unwrap().entry, Found::Bytes(bytes) if bytes.len() == 1024));
    assert_eq!(read(0).await.unwrap().entry, Found::TooLarge(1024));
    let known = Read::new(KEY, &[]).known(Some(token(2))).limit(10);
    assert_eq!(
        fixture.store.read(known).await.unwrap().entry,
        Found::TooLarge(1024)
    );

    // Nobody could name it as seen, so the lease is given and the entry replaced.
    let begin = Begin::new(KEY, token(3), &fixture.tags).limit(1023);
    assert_eq!(
        fixture.store.begin(begin).await.unwrap().turn,
        Turn::Granted
    );
}

#[tokio::test]
async fn one_leads_and_the_others_are_told_for_how_long() {
    let fixture = fixture().await;
    assert_eq!(fixture.begin(1).await.turn, Turn::Granted);
    let Turn::Held(left) = fixture.begin(2).await.turn else {
        panic!("it is held");
    };
    assert!(left > MINUTE / 2 && left <= MINUTE, "{left:?}");

    // Asked again with the same token, as a sending that is repeated asks.
    assert_eq!(fixture.begin(1).await.turn, Turn::Granted);

    assert!(!fixture.fill(2, b"x").await);
    assert!(!fixture.store.renew(KEY, token(2), MINUTE).await.unwrap());
    fixture.store.release(KEY, token(2)).await.unwrap();
    assert!(fixture.exists(LEASE));

    assert!(
        fixture
            .store
            .renew(KEY, token(1), 2 * MINUTE)
            .await
            .unwrap()
    );
    assert!(fixture.pttl(LEASE) > 60_000);
    fixture.store.release(KEY, token(1)).await.unwrap();
    assert!(!fixture.exists(LEASE));
    assert_eq!(fixture.begin(2).await.turn, Turn::Granted);

    let force = Begin::new(KEY, token(3), &fixture.tags).force(true);
    assert_eq!(
        fixture.store.begin(force).await.unwrap().turn,
        Turn::Granted
    );
    assert!(!fixture.fill(2, b"late").await);
    assert!(fixture.fill(3, b"forced").await);
}

#[tokio::test]
async fn an_entry_that_was_not_seen_is_handed_back() {
    let fixture = fixture().await;
    fixture.begin(1).await;
    assert!(fixture.fill(1, b"value").await);
    let there = Turn::Entry(Found::Bytes(entry(token(1), b"value")));
    let begin = |seen| {
        fixture
            .store
            .begin(Begin::new(KEY, token(2), &fixture.tags).seen(seen))
    };
    assert_eq!(begin(None).await.unwrap().turn, there);
    assert_eq!(begin(Some(token(9))).await.unwrap().turn, there);
    assert!(!fixture.exists(LEASE));
    assert_eq!(begin(Some(token(1))).await.unwrap().turn, Turn::Granted);
    let force = Begin::new(KEY, token(4), &fixture.tags).force(true);
    assert_eq!(
        fixture.store.begin(force).await.unwrap().turn,
        Turn::Granted
    );
}

#[tokio::test]
async fn removal_takes_the_lease_too_and_a_late_fill_is_refused() {
    let fixture = fixture().await;
    fixture.begin(1).await;
    assert!(fixture.fill(1, b"old").await);
    let seen = Begin::new(KEY, token(2), &fixture.tags).seen(Some(token(1)));
    assert_eq!(fixture.store.begin(seen).await.unwrap().turn, Turn::Granted);
    fixture
        .store
        .remove(&names(&[KEY, "another"]))
        .await
        .unwrap();
    assert!(!fixture.fill(2, b"late").await);
    assert_eq!(fixture.read().await.entry, Found::Nothing);
}

#[tokio::test]
async fn stamps_are_kept_until_they_are_removed_and_never_come_back() {
    let fixture = fixture().await;
    let first = fixture.begin(1).await.stamps;
    fixture.store.release(KEY, token(1)).await.unwrap();
    let second = fixture.begin(2).await.stamps;
    assert_eq!(first, second);
    fixture.store.invalidate(&names(&["user:1"])).await.unwrap();
    assert_eq!(fixture.read().await.stamps, [None, first[1]]);
    fixture.store.release(KEY, token(2)).await.unwrap();
    let third = fixture.begin(3).await.stamps;
    assert!(third[0].is_some() && third[0] != first[0]);
    assert_eq!(third[1], first[1]);
}

#[tokio::test]
async fn a_stamp_is_prolonged_only_when_less_than_one_life_is_left() {
    let fixture = fixture().await;
    let begin = |byte, life| {
        let request = Begin::new("k", token(byte), &fixture.tags)
            .force(true)
            .life(life);
        fixture.store.begin(request)
    };
    begin(1, MINUTE).await.unwrap();
    let left = fixture.pttl(STAMP);
    assert!((110_000..=120_000).contains(&left), "{left}");
    begin(2, MINUTE).await.unwrap();
    assert!(fixture.pttl(STAMP) <= left);
    begin(3, 3 * MINUTE).await.unwrap();
    assert!(fixture.pttl(STAMP) > 350_000);
    // One that somebody made persistent gets its expiry again.
    let _: i64 = fixture.server.command(&["PERSIST", STAMP]);
    begin(4, MINUTE).await.unwrap();
    assert!(fixture.pttl(STAMP) > 0);
}

#[tokio::test]
async fn what_lasts_is_not_asked_for_its_end_and_is_made_where_it_has_gone() {
    let fixture = fixture().await;
    let begin = async |byte, known: &[Option<u64>]| {
        let request = Begin::new(KEY, token(byte), &fixture.tags)
            .force(true)
            .life(MINUTE)
            .known(known);
        let before = fixture.server.commands();
        let beginning = fixture.store.begin(request).await.unwrap();
        (beginning.stamps, fixture.server.commands() - before)
    };
    let (made, all) = begin(1, &[]).await;
    // It was made by the begin before: from here on its end is known.
    let (seen, _) = begin(2, &[]).await;
    assert_eq!(seen, made);
    let (kept, few) = begin(3, &made).await;
    assert_eq!(kept, made);
    assert_eq!(few, all - 4, "neither made nor asked for, each of the two");
    // It is another's, or gone: what the caller knows is not what is told.
    fixture
        .server
        .command::<()>(&["SET", STAMP, "00000000000000ff"]);
    let (told, _) = begin(4, &made).await;
    assert_eq!(told, [Some(0xff), made[1]]);
    assert!(fixture.pttl(STAMP) > 0);
    let _: i64 = fixture.server.command(&["DEL", STAMP]);
    let (told, _) = begin(5, &made).await;
    assert!(told[0].is_some_and(|stamp| stamp != 0xff) && told[0] != made[0]);
    assert_eq!(told[1], made[1]);
}

/// The look found no stamps, and another has made one since: how long that lasts is looked at.
#[tokio::test]
async fn what_another_has_made_since_the_look_is_made_to_last() {
    let fixture = fixture().await;
    // The first one of a store goes by scripts.
    let first = Begin::new(KEY, token(1), &fixture.tags).life(MINUTE);
    fixture.store.begin(first.force(true)).await.unwrap();
    let _: i64 = fixture.server.command(&["DEL", STAMP]);
    fixture
        .server
        .command::<()>(&["SET", STAMP, "00000000000000ff", "EX", "5"]);
    let request = Begin::new(KEY, token(2), &fixture.tags)
        .life(MINUTE)
        .known(&[None, None]);
    let beginning = fixture.store.begin(request).await.unwrap();
    assert_eq!(beginning.stamps[0], Some(0xff));
    let left = fixture.pttl(STAMP);
    assert!(left >= 60_000, "{left}");
}

/// What is known to last is taken for granted, but only for as long as it does, and only that very stamp.
#[tokio::test]
async fn what_is_known_to_last_is_made_to_last_where_that_is_too_short() {
    let fixture = fixture().await;
    let begin = async |byte, life, known: &[Option<u64>]| {
        let request = Begin::new(KEY, token(byte), &fixture.tags)
            .life(life)
            .known(known);
        fixture.store.begin(request).await.unwrap();
        fixture.store.release(KEY, token(byte)).await.unwrap();
    };
    begin(1, MINUTE, &[]).await;
    begin(2, MINUTE, &[]).await;
    let made = fixture.read().await.stamps;
    begin(3, MINUTE, &made).await;
    assert!(fixture.pttl(STAMP) <= 120_000, "it was left alone");
    begin(4, 10 * MINUTE, &made).await;
    let left = fixture.pttl(STAMP);
    assert!(left > 600_000, "longer than it was known to last: {left}");

    // Another stamp by now, as the caller has heard: of its end nobody knows.
    fixture
        .server
        .command::<()>(&["SET", STAMP, "00000000000000ff", "EX", "5"]);
    begin(5, MINUTE, &[Some(0xff), made[1]]).await;
    let left = fixture.pttl(STAMP);
    assert!(left > 60_000, "another one was known to last: {left}");
}

#[tokio::test]
async fn every_key_carries_an_expiry() {
    let fixture = fixture().await;
    for (byte, life) in [Duration::ZERO, MINUTE, Duration::MAX]
        .into_iter()
        .enumerate()
    {
        let byte = u8::try_from(byte).unwrap();
        let key = format!("key{byte}");
        let begin = |token| {
            let request = Begin::new(&key, token, &fixture.tags)
                .lease(MINUTE)
                .life(life);
            fixture.store.begin(request)
        };
        begin(token(byte)).await.unwrap();
        let bytes = entry(token(byte), b"value");
        let fill = Fill::new(
            &key,
            token(byte),
            &bytes,
            life.max(Duration::from_millis(1)),
        );
        fixture.store.fill(fill).await.unwrap();
        let lease = format!("lease{byte}");
        let request = Begin::new(&lease, token(9), &fixture.tags).lease(life);
        fixture.store.begin(request).await.unwrap();
        fixture.store.renew(&lease, token(9), life).await.unwrap();
    }
    let keys: Vec<String> = fixture.server.command(&["KEYS", "*"]);
    assert!(keys.len() >= 6, "{keys:?}");
    for key in keys {
        // What Redis says of a key without one.
        assert_ne!(fixture.pttl(&key), -1, "{key}");
    }
}

#[tokio::test]
async fn garbage_is_a_miss_and_is_replaced() {
    let fixture = fixture().await;
    let write = |key: &str, text: &str| fixture.server.command::<()>(&["SET", key, text]);
    for garbage in ["x", "twelve bytes", "0000000000000000", "zzzzzzzzzzzzzzzz"] {
        write(ENTRY, garbage);
        write(LEASE, garbage);
        write(STAMP, garbage);
        let reading = fixture.read().await;
        assert_eq!(reading.entry, Found::Bytes(garbage.as_bytes().into()));
        assert_eq!(reading.stamps[0], None);
        assert!(!fixture.fill(1, b"x").await, "the lease is not ours");
        assert!(!fixture.store.renew(KEY, token(1), MINUTE).await.unwrap());
        fixture.store.release(KEY, token(1)).await.unwrap();

        // A lease without an expiry is nobody's, and none of the bytes have an id.
        let beginning = fixture.begin(1).await;
        assert_eq!(beginning.turn, Turn::Granted, "{garbage}");
        assert!(
            beginning.stamps.iter().all(Option::is_some),
            "{beginning:?}"
        );
        assert!(fixture.fill(1, b"value").await);
        assert!(fixture.pttl(ENTRY) > 0 && fixture.pttl(STAMP) > 0);
    }

    // Garbage that is long enough has an id, and can be named as seen.
    write(ENTRY, &"g".repeat(40));
    assert!(matches!(
        fixture.begin(1).await.turn,
        Turn::Entry(Found::Bytes(_))
    ));
    let seen = Begin::new(KEY, token(1), &fixture.tags).seen(Some(token(b'g')));
    assert_eq!(fixture.store.begin(seen).await.unwrap().turn, Turn::Granted);
}

#[tokio::test]
async fn garbage_in_the_place_of_a_lease_holds_nobody_up() {
    let fixture = fixture().await;
    let long = "g".repeat(32);
    let truncated = &"0123456789abcdef".repeat(2)[..31];
    for (byte, garbage) in [(1, "x"), (2, &long), (3, truncated), (4, "")] {
        fixture
            .server
            .command::<()>(&["SET", LEASE, garbage, "PX", "60000"]);
        let beginning = fixture.begin(byte).await;
        assert_eq!(beginning.turn, Turn::Granted, "{garbage:?}");
    }
    // What is a token is another's, for as long as it lasts.
    assert!(matches!(fixture.begin(5).await.turn, Turn::Held(_)));
}

#[tokio::test]
async fn keys_of_another_type_are_a_miss_and_are_replaced() {
    let fixture = fixture().await;
    for key in [ENTRY, LEASE, STAMP] {
        let _: i64 = fixture.server.command(&["RPUSH", key, "a", "b"]);
    }
    let reading = fixture.read().await;
    assert_eq!(
        reading,
        Reading::new(Found::Bytes(Vec::new()), vec![None, None])
    );
    let known = Read::new(KEY, &fixture.tags).known(Some(token(1)));
    assert_eq!(fixture.store.read(known).await.unwrap(), reading);
    assert!(!fixture.fill(1, b"x").await);
    assert!(!fixture.store.renew(KEY, token(1), MINUTE).await.unwrap());
    fixture.store.release(KEY, token(1)).await.unwrap();

    let beginning = fixture.begin(1).await;
    assert_eq!(beginning.turn, Turn::Granted);
    assert!(beginning.stamps.iter().all(Option::is_some));
    assert!(fixture.fill(1, b"value").await);
    let value = Found::Bytes(entry(token(1), b"value"));
    let reading = fixture.read().await;
    assert_eq!((reading.entry, reading.stamps), (value, beginning.stamps));
}

#[tokio::test]
async fn scripts_that_went_missing_are_sent_again() {
    let fixture = new_fixture();
    let flush = || fixture.server.command::<()>(&["SCRIPT", "FLUSH"]);
    for byte in 1..4 {
        flush();
        assert_eq!(fixture.begin(byte).await.turn, Turn::Granted);
        flush();
        assert!(fixture.store.renew(KEY, token(byte), MINUTE).await.unwrap());
        flush();
        assert!(fixture.fill(byte, b"value").await);
        fixture.store.remove(&names(&[KEY])).await.unwrap();
        fixture.begin(byte).await;
        flush();
        fixture.store.release(KEY, token(byte)).await.unwrap();
        assert!(!fixture.exists(LEASE));
    }
}

/// The lease is taken before an entry is seen that has appeared meanwhile. Where it can't be given up again,
/// that is not passed over: the cache would take it for nobody's, and all would wait for it to run out.
#[tokio::test]
async fn a_lease_that_was_taken_in_vain_is_never_left_behind() {
    let server = RedisServer::start();
    let impostor = Impostor::start(server.port()).await;
    let store = RedisStore::new(&impostor.url()).unwrap();
    let events = attach(&store);
    let fixture = Fixture {
        server,
        store,
        tags: names(&["user:1", "kind:user"]),
        _events: events,
    };
    // What follows is asked in plain commands.
    fixture.begin(1).await;
    assert!(fixture.fill(1, b"value").await);

    let is_release = |words: &[String]| words.len() == 5 && words[0] == "EVALSHA";
    impostor.cut_before(is_release);
    let begin = Begin::new(KEY, token(2), &fixture.tags).lease(MINUTE);
    let begun = fixture.store.begin(begin).await;
    assert!(impostor.has_lied(), "it was to be given up");
    assert!(fixture.exists(LEASE), "and was not");
    assert_eq!(begun.unwrap_err().kind(), ErrorKind::Unavailable);

    fixture.store.probe().await.unwrap();
    fixture.store.release(KEY, token(2)).await.unwrap();
    assert!(matches!(fixture.begin(3).await.turn, Turn::Entry(_)));
    assert!(!fixture.exists(LEASE));
}

/// Counts up, so that a test knows which number was drawn when.
struct Counting(Arc<AtomicU64>);

impl Entropy for Counting {
    fn draw(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[tokio::test]
async fn what_is_sent_again_is_sent_with_new_random_numbers() {
    const SCRIPTS: [&str; 2] = [
        include_str!("../../cache-redis/src/scripts/lease.lua"),
        include_str!("../../cache-redis/src/scripts/stamp.lua"),
    ];
    let server = RedisServer::start();
    let drawn = Arc::new(AtomicU64::new(0));
    let tags = names(&["user:1"]);
    let begin = async |byte| {
        // Only one that knows nothing of its server yet asks by scripts.
        let store = RedisStore::new(&server.url()).unwrap();
        let _events = attach_in(&store, Env::system().with_entropy(Counting(drawn.clone())));
        let before = drawn.load(Ordering::Relaxed);
        let request = Begin::new(KEY, token(byte), &tags);
        let beginning = store.begin(request).await.unwrap();
        assert_eq!(beginning.turn, Turn::Granted);
        (before, drawn.load(Ordering::Relaxed), beginning.stamps[0])
    };

    // Nothing is there: the first sending did nothing, the second one's number counts.
    let (before, after, stamp) = begin(1).await;
    assert_eq!((after, stamp), (before + 2, Some(before + 2)));

    // In mid-pipeline: the lease was granted, the stamp's script is missing.
    server.command::<()>(&["FLUSHALL"]);
    server.command::<()>(&["SCRIPT", "FLUSH"]);
    let _: String = server.command(&["SCRIPT", "LOAD", SCRIPTS[0]]);
    let (before, after, stamp) = begin(2).await;
    assert_eq!((after, stamp), (before + 2, Some(before + 2)));

    // The stamp was made, the lease's script is missing: the stamp that is there stays.
    server.command::<()>(&["FLUSHALL"]);
    server.command::<()>(&["SCRIPT", "FLUSH"]);
    let _: String = server.command(&["SCRIPT", "LOAD", SCRIPTS[1]]);
    let (before, after, stamp) = begin(3).await;
    assert_eq!((after, stamp), (before + 2, Some(before + 1)));

    // Everything is there: one sending.
    server.command::<()>(&["FLUSHALL"]);
    let (before, after, stamp) = begin(4).await;
    assert_eq!((after, stamp), (before + 1, Some(before + 1)));
}

#[tokio::test]
async fn one_leads_while_scripts_keep_going_missing() {
    let fixture = fixture().await;
    for number in 0..20 {
        let key = format!("key{number}");
        let begin = async |byte| {
            let request = Begin::new(&key, token(byte), &fixture.tags).lease(MINUTE);
            fixture.store.begin(request).await.unwrap()
        };
        let flush = || fixture.server.command::<()>(&["SCRIPT", "FLUSH"]);
        flush();
        let (first, (), second, (), third, fourth) = tokio::join!(
            begin(1),
            async { flush() },
            begin(2),
            async { flush() },
            begin(3),
            begin(4)
        );
        let all = [first, second, third, fourth];
        let granted = all.iter().filter(|one| one.turn == Turn::Granted).count();
        assert_eq!(granted, 1, "{all:?}");
        assert!(all.iter().all(|one| one.stamps == all[0].stamps), "{all:?}");
        assert!(all[0].stamps.iter().all(Option::is_some));
    }
}

#[tokio::test]
async fn nothing_asked_is_nothing_done() {
    let fixture = fixture().await;
    fixture.store.remove(&[]).await.unwrap();
    fixture.store.invalidate(&[]).await.unwrap();
    let reading = fixture.store.read(Read::new(KEY, &[])).await.unwrap();
    assert_eq!(reading, Reading::new(Found::Nothing, Vec::new()));
    let beginning = fixture
        .store
        .begin(Begin::new(KEY, token(1), &[]))
        .await
        .unwrap();
    assert_eq!(beginning, Beginning::new(Turn::Granted, Vec::new()));
}

#[tokio::test]
async fn a_store_belongs_to_one_cache() {
    let fixture = fixture().await;
    let other = RedisStore::new(&fixture.server.url()).unwrap();
    let error = other.probe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let events = attach(&other);
    let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attach(&other)));
    assert!(again.is_err());
    other.probe().await.unwrap();
    drop(events);
}
