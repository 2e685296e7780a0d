use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::Env;
use crate::memory::MemoryServer;
use crate::metrics::families::{Read, number};
use crate::metrics::{Fleet, Histogram as Live, KindSnapshot, Node, NodeId, Snapshot};

/// The figures of a text: by name and labels, as it stands there.
fn figures(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

fn text_of(snapshot: Snapshot, trusted: bool) -> String {
    let exporter = Exporter::new(Cache::builder().build());
    let moment = Moment::from(snapshot, trusted, &mut Saved::default());
    written(&exporter.families_of(&moment))
}

fn snapshot_of(kind: KindSnapshot) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.kinds.insert("one".to_owned(), kind);
    snapshot
}

#[test]
fn every_figure_there_is_goes_outside_or_is_left_out_on_purpose() {
    // Each figure is a number of its own, so that it can be found again.
    let mut kind = KindSnapshot::default();
    let mut whole = Snapshot::default();
    let mut wanted = BTreeMap::new();
    for (at, (name, _)) in kind.clone().counters().enumerate() {
        let count = 1_001 + at as u64;
        assert!(kind.add_field(name, count));
        wanted.insert(format!("kinds.{name}"), count);
    }
    for (at, (name, _)) in whole.clone().counters().enumerate() {
        let count = 2_001 + at as u64;
        assert!(whole.add_field(name, count));
        wanted.insert(name.to_owned(), count);
    }
    kind.local_entries = 3_001;
    wanted.insert("kinds.local_entries".to_owned(), 3_001);
    kind.local_bytes = 3_002;
    wanted.insert("kinds.local_bytes".to_owned(), 3_002);
    kind.add_field("load_below_micros.4096", 3_003);
    kind.add_field("load_micros", 3_004 * 1_000_000);
    wanted.insert("kinds.load_time".to_owned(), 3_003);
    wanted.insert("kinds.load_time, their sum".to_owned(), 3_004);
    whole.invalidations_pending = 3_005;
    wanted.insert("invalidations_pending".to_owned(), 3_005);
    whole.uptime_ms = 3_006_000;
    wanted.insert("uptime_ms".to_owned(), 3_006);
    whole.unclaimed_policies = (0..3_007).map(|number| number.to_string()).collect();
    wanted.insert("unclaimed_policies".to_owned(), 3_007);
    whole.kinds.insert("one".to_owned(), kind);

    // Whoever adds a figure and forgets it here is told so.
    let left_out = [
        // The queries have a span of their own.
        "kinds.recent",
        // A flag, looked for below.
        "breaker_open",
        // What the others are in.
        "kinds",
    ];
    let json = serde_json::to_value(&whole).expect("plain data");
    let of_kind = json["kinds"]["one"].as_object().expect("a struct");
    let all = of_kind.keys().map(|name| format!("kinds.{name}"));
    for name in all.chain(json.as_object().expect("a struct").keys().cloned()) {
        assert!(
            wanted.contains_key(&name) || left_out.contains(&&*name),
            "{name} is neither among the families of metrics/families.rs nor left out on purpose"
        );
    }

    let closed = text_of(whole.clone(), true);
    let found = figures(&closed);
    for (name, count) in &wanted {
        let found = found
            .values()
            .any(|&value| (value - number(*count)).abs() < 1e-9);
        assert!(found, "{name}, {count}, is not in\n{closed}");
    }
    whole.breaker_open = true;
    let open = figures(&text_of(whole, false));
    let flags = ["cache_breaker_open", "cache_shared_trusted"];
    let values = |from: &BTreeMap<String, f64>| flags.map(|flag| from[flag].to_string());
    assert_eq!(values(&found), ["0", "1"]);
    assert_eq!(values(&open), ["1", "0"]);
}

#[test]
fn each_outcome_is_there_from_the_first_call_on() {
    let found = figures(&text_of(snapshot_of(KindSnapshot::default()), true));
    let requests: Vec<&String> = found
        .keys()
        .filter(|name| name.starts_with("cache_requests_total"))
        .collect();
    assert_eq!(requests.len(), 7, "{requests:?}");
    assert_eq!(
        found["cache_requests_total{kind=\"one\",outcome=\"hit_local\"}"].to_string(),
        "0"
    );
    assert_eq!(
        found["cache_load_duration_seconds_bucket{kind=\"one\",le=\"+Inf\"}"].to_string(),
        "0"
    );
}

#[test]
fn no_time_is_in_a_bucket_that_is_too_short_for_it() {
    let live = Live::new();
    let times: Vec<u64> = (0..=36)
        .flat_map(|power: u32| {
            let bound = 1_u64 << power;
            [bound - 1, bound, bound + 1, bound + bound / 3]
        })
        .collect();
    for &micros in &times {
        live.record(std::time::Duration::from_micros(micros));
    }
    let kind = KindSnapshot {
        load_time: live.distribution(),
        ..KindSnapshot::default()
    };
    let found = figures(&text_of(snapshot_of(kind), true));
    for power in BOUNDS {
        let bound = 1_u64 << power;
        let name = format!(
            "cache_load_duration_seconds_bucket{{kind=\"one\",le=\"{}\"}}",
            seconds(bound)
        );
        // A time of exactly the bound has lasted a little longer: it was cut to whole microseconds.
        let below = times.iter().filter(|&&micros| micros < bound).count();
        assert_eq!(found[&name].to_string(), below.to_string(), "{name}");
    }
    let count = found["cache_load_duration_seconds_count{kind=\"one\"}"];
    assert_eq!(count.to_string(), times.len().to_string());
    let sum: u64 = times.iter().sum();
    let exported = found["cache_load_duration_seconds_sum{kind=\"one\"}"];
    assert!((exported - seconds(sum)).abs() < 1e-6, "{exported}");
}

#[test]
fn a_range_whose_end_is_no_bound_is_counted_at_the_next_one() {
    let mut kind = KindSnapshot::default();
    kind.add_field("load_below_micros.40", 2);
    let found = figures(&text_of(snapshot_of(kind), true));
    let bucket = |le: &str| {
        found[&format!("cache_load_duration_seconds_bucket{{kind=\"one\",le=\"{le}\"}}")]
            .to_string()
    };
    assert_eq!([bucket("0.000032"), bucket("0.000064")], ["0", "2"]);
}

#[test]
fn the_time_saved_never_falls_when_loads_become_faster() {
    let mut saved = Saved::default();
    let mut kind = KindSnapshot {
        hits_local: 10,
        ..KindSnapshot::default()
    };
    let mut at = |kind: &KindSnapshot| {
        let moment = Moment::from(snapshot_of(kind.clone()), true, &mut saved);
        let exporter = Exporter::new(Cache::builder().build());
        let text = written(&exporter.families_of(&moment));
        figures(&text)["cache_saved_seconds_total{kind=\"one\"}"]
    };
    assert_eq!(
        at(&kind).to_string(),
        "0",
        "nobody knows what a hit is worth"
    );
    kind.add_field("load_below_micros.2000000", 1);
    kind.add_field("load_micros", 2_000_000);
    assert_eq!(
        at(&kind).to_string(),
        "20",
        "what was hit before is worth it too"
    );
    kind.add_field("load_below_micros.2", 99);
    let before = kind.time_saved();
    assert!(before.as_secs() < 1, "the mean has fallen: {before:?}");
    assert_eq!(at(&kind).to_string(), "20");
    kind.hits_shared = 100;
    assert_eq!(at(&kind).to_string(), "22", "100 more at the mean of now");
    // Another process's figures under the same name, or a cache that was built anew.
    kind.hits_shared = 0;
    assert_eq!(at(&kind).to_string(), "22");
}

#[test]
fn nodes_that_are_missing_count_as_that_and_nothing_else() {
    let node = |id, seen_ms, breaker_open| Node {
        seen_ms,
        every_ms: 1_000,
        breaker_open,
        trusted: !breaker_open,
        invalidations_pending: 2,
        local_entries: 3,
        local_bytes: 40,
        ..Node::new(NodeId(id))
    };
    let fleet = Fleet {
        now_ms: 100_000,
        nodes: vec![
            node(1, 99_900, false),
            node(2, 99_000, true),
            node(3, 20_000, true),
        ],
        ..Fleet::default()
    };
    let text: String = FLEET
        .iter()
        .map(|of| written(&[family(of, metrics(of, &Nodes::of(&fleet), &[]))]))
        .collect();
    let found: Vec<(String, String)> = figures(&text)
        .into_iter()
        .map(|(name, value)| (name.replace("cache_fleet_", ""), value.to_string()))
        .collect();
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let wanted = [
        ("invalidations_pending", "4"),
        ("local_bytes", "80"),
        ("local_entries", "6"),
        ("nodes", "3"),
        ("nodes_breaker_open", "1"),
        ("nodes_missing", "1"),
        ("nodes_untrusted", "1"),
    ];
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn local_values_are_trusted_without_a_shared_tier_and_with_one_that_tells_of_changes() {
    let trusted = |cache: &Cache| {
        let found = figures(&Exporter::new(cache.clone()).text());
        found["cache_shared_trusted"].to_string()
    };
    assert_eq!(trusted(&Cache::builder().build()), "1");
    let server = MemoryServer::new(Env::system());
    let told = Cache::builder().shared(server.store()).build();
    let untold = Cache::builder().shared(server.checked_store()).build();
    assert_eq!([trusted(&told), trusted(&untold)], ["1", "0"]);
}

#[tokio::test]
async fn without_a_shared_tier_there_is_no_fleet() {
    let text = Exporter::new(Cache::builder().build())
        .text_with_fleet()
        .await;
    assert!(text.contains("\ncache_fleet_readable 0\n"), "{text}");
    assert!(!text.contains("cache_fleet_nodes"), "{text}");
}

/// The page lists each metric with its type and labels, and no other.
#[test]
fn the_page_of_metrics_has_each_of_them() {
    fn rows<T>(of: &[Family<T>], kind: bool) -> BTreeSet<String> {
        of.iter()
            .map(|of| {
                let form = format!("{:?}", of.form).to_lowercase();
                let labels: Vec<String> = [kind.then_some(KIND_LABEL), of.label()]
                    .into_iter()
                    .flatten()
                    .map(|label| format!("`{label}`"))
                    .collect();
                let labels = if labels.is_empty() {
                    "–".to_owned()
                } else {
                    labels.join(", ")
                };
                format!("| `{}` | {form} | {labels} |", of.name)
            })
            .collect()
    }
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = std::fs::read_to_string(place).expect("the page is there");
    let found: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with("| `cache_"))
        .map(|line| line.split_inclusive('|').take(4).collect())
        .collect();
    let mut wanted = rows(KINDS, true);
    wanted.extend(rows(WHOLE, false));
    wanted.extend(rows(std::slice::from_ref(&READABLE), false));
    wanted.extend(rows(FLEET, false));
    let missing: Vec<_> = wanted.difference(&found).collect();
    let foreign: Vec<_> = found.difference(&wanted).collect();
    assert!(
        missing.is_empty() && foreign.is_empty(),
        "missing {missing:#?}, foreign {foreign:#?}"
    );
    for outcome in KINDS.iter().filter_map(|of| match of.read {
        Read::Each(_, each) => Some(each),
        Read::One(_) | Read::Times(_) => None,
    }) {
        for (value, _) in outcome {
            assert!(
                page.contains(&format!("`{value}`")),
                "no word about {value}"
            );
        }
    }
}
