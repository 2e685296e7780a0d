use cache_core::Kind;
use cache_core::metrics::{KindSnapshot, Node, NodeId, Snapshot};
use redis::Value;

use super::counts::{MOST_FIELDS, fields, kind, whole};
use super::*;
use crate::failure::Secrets;

fn known() -> Node {
    let mut node = Node::new(NodeId(0xab));
    node.host = "web 1&seen_ms=9".to_owned();
    node.process = 4711;
    node.version = "0.1.0".to_owned();
    node.started_ms = 1_763_736_000_000;
    node.every_ms = 15_000;
    node.trusted = true;
    node.invalidations_pending = 3;
    node.local_entries = 12;
    node.local_bytes = 3400;
    node
}

fn report() -> Report {
    let mut added = Snapshot::default();
    added.add_field("trust_lost", 2);
    let mut profile = KindSnapshot::default();
    for (name, count) in [
        ("hits_local", u64::MAX),
        ("loads", 2),
        ("load_micros", 150),
        ("load_below_micros.96", 2),
    ] {
        assert!(profile.add_field(name, count), "{name}");
    }
    added.kinds.insert("user_profile".to_owned(), profile);
    Report::new(known(), 7, 29_395_680, added).leaving(true)
}

#[test]
fn a_report_is_written_in_the_frozen_form() {
    let packed = commands(&report(), &Keys::new("shifts"), Sending::Digest).get_packed_pipeline();
    let text = String::from_utf8(packed).unwrap();
    let (mut written, mut words) = (String::new(), text.lines());
    while let Some(line) = words.next() {
        if line.starts_with('*') {
            continue;
        }
        // The line before a word has its length.
        let word = words.next().unwrap();
        match word {
            "EVALSHA" => written.push_str("script\n"),
            digest if digest.len() == 40 => {}
            word => written.extend(["  ", word, "\n"]),
        }
    }
    assert_eq!(written, include_str!("../../golden/report.txt"));
}

#[test]
fn a_node_comes_back_from_its_text() {
    let text = format!("seen_ms=1763736000123&{}", node::text(&known()));
    let read = node::read(b"00000000000000ab", text.as_bytes()).unwrap();
    let mut wanted = known();
    wanted.seen_ms = 1_763_736_000_123;
    assert_eq!(read, wanted);
    // What a later version adds is none of ours, and what it leaves out is unknown.
    let read = node::read(b"00000000000000ab", b"seen_ms=5&colour=red&process=12").unwrap();
    assert_eq!((read.seen_ms, read.process, read.every_ms), (5, 12, 0));
}

#[test]
fn what_is_no_node_is_left_out() {
    let id = b"00000000000000ab";
    for text in [
        "",
        "seen_ms=",
        "seen_ms=-1",
        "host=web",
        "seen_ms=1e3",
        "\0\n",
    ] {
        assert_eq!(node::read(id, text.as_bytes()), None, "{text:?}");
    }
    for id in [
        "",
        "ab",
        "00000000000000AB",
        "+0000000000000ab",
        "00000000000000abc",
    ] {
        assert_eq!(node::read(id.as_bytes(), b"seen_ms=1"), None, "{id:?}");
    }
    assert_eq!(
        node::read(id, &[b"seen_ms=1&a=".to_vec(), vec![b'x'; 5000]].concat()),
        None
    );
    // A number that is none is not known, and a terminal is told nothing.
    let text = b"seen_ms=1&process=99999999999&host=%1b%5b2J%0aweb&breaker_open=yes&local_bytes=x";
    let read = node::read(id, text).unwrap();
    assert_eq!(
        (read.process, &*read.host, read.breaker_open),
        (0, "[2Jweb", false)
    );
}

fn text(bytes: &[u8]) -> Value {
    Value::BulkString(bytes.to_vec())
}

fn flat(pairs: &[(&str, &str)]) -> Value {
    let words = pairs.iter().flat_map(|(name, value)| [*name, *value]);
    Value::Array(words.map(|word| text(word.as_bytes())).collect())
}

fn read(answer: Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields(answer, &Secrets::default()).unwrap()
}

#[test]
fn both_protocols_tell_the_same() {
    let nested = [("a", "1"), ("b", "2")].map(|pair| flat(&[pair]));
    let nested = read(Value::Array(nested.to_vec()));
    let flat = read(flat(&[("a", "1"), ("b", "2")]));
    assert_eq!(nested, flat);
    assert_eq!(flat[1], (b"b".to_vec(), b"2".to_vec()));
}

#[test]
fn what_is_no_figure_is_left_out() {
    let garbage = [
        ("hits_local", "3"),
        ("hits_by_magic", "4"),
        ("misses", "-4"),
        ("loads", "+4"),
        ("refreshes", "18446744073709551616"),
        ("load_errors", ""),
        ("bypassed", "4.0"),
        ("#00000000000000ab", "7"),
        ("load_below_micros.", "4"),
        ("load_below_micros.100", "18446744073709551615"),
        ("load_below_micros.101", "18446744073709551615"),
    ];
    let figures = kind(read(flat(&garbage)));
    assert_eq!(
        (figures.hits_local, figures.misses, figures.loads),
        (3, 0, 0)
    );
    assert_eq!(figures.load_time.count, u64::MAX);

    let named = [
        ("kind.user_profile", "1"),
        ("kind.", "1"),
        ("kind.User:{x}", "1"),
        ("trust_lost", "5"),
        ("kind.other", "x"),
    ];
    assert!(whole(read(flat(&named))).is_none(), "nobody has reported");
    let (figures, kinds) = whole(read(flat(&[&named[..], &[("reports", "1")]].concat()))).unwrap();
    assert_eq!(figures.trust_lost, 5);
    assert_eq!(
        kinds.iter().map(Kind::as_str).collect::<Vec<_>>(),
        ["user_profile"]
    );
}

#[test]
fn hashes_of_others_are_empty_and_bounded() {
    let wrong_type = redis::parse_redis_value(b"-WRONGTYPE Operation against a key\r\n").unwrap();
    for nothing in [Value::Nil, Value::Array(Vec::new()), wrong_type] {
        assert_eq!(read(nothing).len(), 0);
    }
    let odd = Value::Array(vec![
        text(b"a"),
        Value::Int(1),
        text(b"b"),
        text(b"2"),
        text(b"c"),
    ]);
    assert_eq!(read(odd), [(b"b".to_vec(), b"2".to_vec())]);
    let many = |count| Value::Array(vec![text(b"1"); 2 * count]);
    assert_eq!(read(many(MOST_FIELDS - 1)).len(), MOST_FIELDS - 1);
    assert_eq!(read(many(MOST_FIELDS)).len(), 0);
    let buckets: Vec<Value> = (0..5000)
        .flat_map(|at| [format!("load_below_micros.{at}"), "1".to_owned()])
        .map(|word| text(word.as_bytes()))
        .collect();
    assert_eq!(
        kind(read(Value::Array(buckets))).load_time.buckets.len(),
        1 << 10
    );
    for strange in [Value::Int(1), Value::Okay, text(b"x")] {
        assert!(fields(strange, &Secrets::default()).is_err_and(|failure| failure.is_strange()));
    }
    let refused = redis::parse_redis_value(b"-NOPERM this user has no permissions\r\n").unwrap();
    let refused = fields(refused, &Secrets::default()).err().unwrap();
    assert!(refused.to_string().contains("+hrandfield") && !refused.is_strange());
}
