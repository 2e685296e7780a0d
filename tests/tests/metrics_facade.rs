//! What a recorder of the crate `metrics` is told of a cache: what a scrape of Prometheus would be told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cache_core::metrics::facade::Publisher;
use cache_core::metrics::prometheus::Exporter;
use cache_core::{Cache, ErrorKind, cached};
use cache_tests::server::until;
use metrics::{Unit, set_default_local_recorder, with_local_recorder};
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

#[cached(kind = "published", ttl = "1m")]
fn doubled(number: u64) -> u64 {
    number * 2
}

/// What the recorder was told since it was last asked: by name and labels.
fn told(snapshotter: &Snapshotter) -> BTreeMap<String, (Option<Unit>, MetricKind, DebugValue)> {
    let told = snapshotter.snapshot().into_vec().into_iter();
    told.map(|(key, unit, help, value)| {
        let (kind, key) = key.into_parts();
        assert!(help.is_some(), "{key} is not described");
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        (
            format!("{}{{{}}}", key.name(), labels.join(",")),
            (unit, kind, value),
        )
    })
    .collect()
}

#[test]
fn a_recorder_is_told_what_a_scrape_would_be_told() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let cache = Cache::builder().build();
    let publisher = Publisher::new(cache.clone())
        .label("cache", "small")
        .expect("a good name");
    with_local_recorder(&recorder, || {
        for number in [1, 2, 2, 2] {
            assert_eq!(cache.scope_blocking(|| doubled(number)), number * 2);
        }
        publisher.publish();
    });
    let told = told(&snapshotter);
    let hit = "cache_requests_total{cache=small,kind=published,outcome=hit_local}";
    assert_eq!(
        told[hit],
        (
            Some(Unit::Count),
            MetricKind::Counter,
            DebugValue::Counter(2)
        )
    );
    let entries = "cache_local_entries{cache=small,kind=published}";
    assert_eq!(told[entries].2, DebugValue::Gauge(2.0.into()));
    let bytes = "cache_local_bytes{cache=small,kind=published}";
    assert_eq!(
        (told[bytes].0, told[bytes].1),
        (Some(Unit::Bytes), MetricKind::Gauge)
    );
    let times = &told["cache_load_duration_seconds{cache=small,kind=published}"];
    assert_eq!(
        (times.0, times.1),
        (Some(Unit::Seconds), MetricKind::Histogram)
    );
    let DebugValue::Histogram(times) = &times.2 else {
        panic!("{times:?}");
    };
    assert_eq!(times.len(), 2);
    let names: BTreeSet<&str> = told
        .keys()
        .filter_map(|key| key.split('{').next())
        .collect();
    // The same names as in a text for Prometheus.
    let text = Exporter::new(cache).text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let wanted = types.filter_map(|line| line.split(' ').next());
    assert_eq!(names, wanted.collect());
}

#[test]
fn each_load_time_is_told_once() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let cache = Cache::builder().build();
    let publisher = Publisher::new(cache.clone());
    let mut counts = Vec::new();
    with_local_recorder(&recorder, || {
        for round in 0..4_u64 {
            for number in 0..round {
                cache.scope_blocking(|| doubled(round * 100 + number));
            }
            publisher.publish();
            // The recorder forgets the times that it has shown.
            let told = told(&snapshotter);
            let times = told.get("cache_load_duration_seconds{kind=published}");
            counts.push(match times.map(|(.., times)| times) {
                Some(DebugValue::Histogram(times)) => times.len(),
                _ => 0,
            });
        }
    });
    assert_eq!(counts, [0, 1, 2, 3]);
}

#[tokio::test]
async fn it_publishes_again_and_again_until_it_is_dropped() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _local = set_default_local_recorder(&recorder);
    let cache = Cache::builder().build();
    let every = Publisher::new(cache.clone()).publish_every(Duration::from_millis(1));
    let mut every = std::pin::pin!(every);
    let misses = "cache_requests_total{kind=published,outcome=miss}";
    for round in 1..=3 {
        cache.scope_blocking(|| doubled(round));
        let told = async {
            until("it is told", async || {
                // Before the first time it was told nothing.
                let told = told(&snapshotter).remove(misses);
                told.is_some_and(|(.., count)| count == DebugValue::Counter(round))
            })
            .await;
        };
        tokio::select! {
            () = &mut every => panic!("it does not end"),
            () = told => {}
        }
    }
}

#[test]
fn a_label_that_figures_have_already_is_refused() {
    let publisher = Publisher::new(Cache::builder().build());
    let error = publisher
        .label("kind", "x")
        .expect_err("it would be there twice");
    assert_eq!(error.kind(), ErrorKind::Name);
}
