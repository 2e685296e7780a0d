//! The figures as Prometheus reads them, through the crate `prometheus`: as a text to answer a scrape with,
//! or as a collector for a registry that the application has already.
//!
//! ```
//! use cache_core::Cache;
//! use cache_core::metrics::prometheus::{CONTENT_TYPE, Exporter};
//!
//! let exporter = Exporter::new(Cache::builder().build());
//! // In the handler of GET /metrics, with the content type `CONTENT_TYPE`:
//! let text = exporter.text();
//! assert!(text.contains("\ncache_breaker_open 0\n"));
//! assert!(CONTENT_TYPE.starts_with("text/plain"));
//! ```
//!
//! All names, labels and units are in the repository's docs/metrics.md, beside a dashboard for Grafana and
//! alert rules. No label can grow without bound: kinds are fixed in code, and nothing else is one.

use std::sync::{Arc, Mutex, PoisonError};

use ::prometheus::core::{Collector, Desc};
use ::prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use ::prometheus::{TEXT_FORMAT, TextEncoder};

use super::Distribution;
use super::families::{
    FLEET, Family, Figure, Form, KIND_LABEL, KINDS, Moment, Nodes, READABLE, Saved, WHOLE, seconds,
};
use super::labels::Labels;
use crate::{Cache, Error, ErrorKind, Result};

/// What a scrape's answer has to say in its header `content-type`.
pub const CONTENT_TYPE: &str = TEXT_FORMAT;

/// Where the buckets of load times end, in microseconds: each power of two from 32 µs to 33.6 s. They are
/// ends of the ranges that times are counted in, so that each time is counted in its own bucket.
const BOUNDS: std::ops::RangeInclusive<u32> = 5..=25;

/// The figures of a cache, for Prometheus.
///
/// Clones count as one. It is a [`Collector`] too:
///
/// ```
/// use cache_core::Cache;
/// use cache_core::metrics::prometheus::Exporter;
/// use prometheus::{Registry, TextEncoder};
///
/// let registry = Registry::new();
/// registry.register(Box::new(Exporter::new(Cache::builder().build())))?;
/// let text = TextEncoder::new().encode_to_string(&registry.gather())?;
/// assert!(text.contains("\ncache_shared_trusted 1\n"));
/// # Ok::<(), prometheus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Exporter {
    cache: Cache,
    labels: Labels,
    descriptions: Arc<[Desc]>,
    saved: Arc<Mutex<Saved>>,
}

impl Exporter {
    /// The figures of this cache.
    pub fn new(cache: Cache) -> Self {
        let labels = Labels::default();
        // The names in the tables are good ones: a test asks for each of them.
        let descriptions = describe(&labels).unwrap_or_default();
        Self {
            cache,
            descriptions: descriptions.into(),
            labels,
            saved: Arc::default(),
        }
    }

    /// Adds a label to all figures, which tells this cache from others that the process has. Register
    /// each of them in one registry then: a text of each, one after the other, is no good text.
    ///
    /// ```
    /// use cache_core::Cache;
    /// use cache_core::metrics::prometheus::Exporter;
    ///
    /// let sessions = Exporter::new(Cache::builder().build()).label("cache", "sessions")?;
    /// assert!(sessions.text().contains("\ncache_breaker_open{cache=\"sessions\"} 0\n"));
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] for a name that no label can have, or that figures have already.
    pub fn label(mut self, name: &str, value: &str) -> Result<Self> {
        self.labels.add(name, value)?;
        self.descriptions = describe(&self.labels)?.into();
        Ok(self)
    }

    /// All figures of this process, to answer a scrape with.
    pub fn text(&self) -> String {
        written(&self.families())
    }

    /// The same, and how many nodes of the fleet there are, how many of them are missing, and what they
    /// report. Those are read from the shared tier, for the store timeout at the most; where it does not
    /// answer, or keeps no such figures, `cache_fleet_readable` is 0 and the others are left out. So a
    /// scrape never fails for it.
    ///
    /// Each node tells the same of the fleet: queries take the maximum.
    pub async fn text_with_fleet(&self) -> String {
        let nodes = self.nodes().await;
        let mut families = self.families();
        let labels = self.own_labels();
        families.push(family(&READABLE, metrics(&READABLE, &nodes, &labels)));
        if let Some(nodes) = &nodes {
            families.extend(
                FLEET
                    .iter()
                    .map(|of| family(of, metrics(of, nodes, &labels))),
            );
        }
        written(&families)
    }

    async fn nodes(&self) -> Option<Nodes> {
        // While the store is away, it is not asked for this either.
        if !self.cache.health().usable {
            return None;
        }
        let engine = &self.cache.engine;
        // The nodes are told whichever minutes are asked for.
        let now = self.cache.minute();
        tokio::select! {
            biased;
            fleet = self.cache.fleet(now..=now) => fleet.ok().as_ref().map(Nodes::of),
            () = engine.env.sleep(engine.store_timeout) => None,
        }
    }

    fn families(&self) -> Vec<MetricFamily> {
        let moment = {
            let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
            Moment::of(&self.cache, &mut saved)
        };
        self.families_of(&moment)
    }

    fn families_of(&self, moment: &Moment) -> Vec<MetricFamily> {
        let mut labels = self.own_labels();
        let whole = WHOLE
            .iter()
            .map(|of| family(of, metrics(of, &moment.whole, &labels)));
        let mut families: Vec<MetricFamily> = whole.collect();
        // A family without a figure is no good text.
        if moment.kinds.is_empty() {
            return families;
        }
        for of in KINDS {
            let mut all = Vec::new();
            for (name, kind) in &moment.kinds {
                labels.push(pair(KIND_LABEL, name));
                all.extend(metrics(of, kind, &labels));
                labels.pop();
            }
            families.push(family(of, all));
        }
        families
    }

    fn own_labels(&self) -> Vec<LabelPair> {
        let labels = self.labels.iter();
        labels.map(|(name, value)| pair(name, value)).collect()
    }
}

/// What it can be registered as: the figures of this process, without those of the fleet, for which a
/// collector can't wait.
impl Collector for Exporter {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families()
    }
}

/// What a registry wants to know beforehand.
fn describe(labels: &Labels) -> Result<Vec<Desc>> {
    let one = |name: &str, help: &str, own: &[Option<&str>]| {
        let own = own.iter().flatten().map(|&label| label.to_owned());
        let constant = labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Desc::new(
            name.to_owned(),
            help.to_owned(),
            own.collect(),
            constant.collect(),
        )
        .map_err(|error| Error::new(ErrorKind::Name, format!("{name}: {error}")))
    };
    let whole = WHOLE.iter().map(|of| one(of.name, of.help, &[of.label()]));
    let kinds = KINDS
        .iter()
        .map(|of| one(of.name, of.help, &[Some(KIND_LABEL), of.label()]));
    whole.chain(kinds).collect()
}

fn family<T>(of: &Family<T>, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(of.name.to_owned());
    family.set_help(of.help.to_owned());
    family.set_field_type(match of.form {
        Form::Counter => MetricType::COUNTER,
        Form::Gauge => MetricType::GAUGE,
        Form::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(metrics);
    family
}

/// The figures of a family, under these labels and its own.
fn metrics<T>(of: &Family<T>, from: &T, labels: &[LabelPair]) -> Vec<Metric> {
    let mut all = Vec::new();
    for (value, figure) in of.figures(from) {
        let own = of
            .label()
            .zip(value)
            .map(|(label, value)| pair(label, value));
        let mut metric = Metric::from_label(labels.iter().cloned().chain(own).collect());
        match figure {
            Figure::Times(times) => metric.set_histogram(histogram(times)),
            Figure::Number(number) if of.form == Form::Counter => {
                let mut counter = Counter::default();
                counter.set_value(number);
                metric.set_counter(counter);
            }
            Figure::Number(number) => {
                let mut gauge = Gauge::default();
                gauge.set_value(number);
                metric.set_gauge(gauge);
            }
        }
        all.push(metric);
    }
    all
}

/// Cumulative, as Prometheus has it. What is in a range whose end is no bound is counted at the next one,
/// so that no time is in a bucket that is too short for it.
fn histogram(times: &Distribution) -> Histogram {
    let buckets = BOUNDS.map(|power| {
        let bound = 1_u64 << power;
        let within = times
            .buckets
            .iter()
            .filter(|range| range.below_micros <= bound);
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(seconds(bound));
        bucket.set_cumulative_count(within.map(|range| range.count).sum());
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(times.count);
    histogram.set_sample_sum(seconds(times.total_micros));
    histogram
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn written(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail, and each family has a name and a figure.
    let _ = TextEncoder::new().encode_utf8(families, &mut text);
    text
}

#[cfg(test)]
mod tests;
