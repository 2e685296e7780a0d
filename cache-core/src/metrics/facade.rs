//! The figures for whatever recorder the application has given to the crate `metrics`: `StatsD`, an
//! OpenTelemetry bridge, a Prometheus exporter of its own.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! use std::time::Duration;
//!
//! use cache_core::Cache;
//! use cache_core::metrics::facade::Publisher;
//!
//! // After the recorder was installed:
//! let publisher = Publisher::new(Cache::builder().build());
//! tokio::spawn(publisher.publish_every(Duration::from_secs(10)));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The names and labels are those of the repository's docs/metrics.md.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::metrics::{Key, Label, Level, Metadata, Recorder, Unit, with_recorder};

use super::Distribution;
use super::families::{Family, Figure, Form, KIND_LABEL, KINDS, Moment, Saved, WHOLE, seconds};
use super::labels::Labels;
use crate::{Cache, Result};

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Tells a recorder what a cache has counted.
///
/// A publisher is for one recorder, and one cache: of load times it tells those that have come since it last
/// did.
#[derive(Debug)]
pub struct Publisher {
    cache: Cache,
    labels: Labels,
    told: Mutex<Told>,
}

/// What the recorder was told.
#[derive(Debug, Default)]
struct Told {
    saved: Saved,
    /// By kind.
    times: BTreeMap<String, Distribution>,
}

impl Publisher {
    /// For the figures of this cache.
    pub fn new(cache: Cache) -> Self {
        Self {
            cache,
            labels: Labels::default(),
            told: Mutex::default(),
        }
    }

    /// Adds a label to all figures, which tells this cache from others that the process has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`](crate::ErrorKind::Name) for a name that no label can have, or that figures
    /// have already.
    pub fn label(mut self, name: &str, value: &str) -> Result<Self> {
        self.labels.add(name, value)?;
        Ok(self)
    }

    /// Tells the recorder of this thread, or of the process, all figures as they are now. Without a
    /// recorder they are told to nobody, and load times until now are not told again.
    ///
    /// Load times are told as the ends of the ranges that they are counted in: never too short, and too
    /// long by a quarter at most.
    pub fn publish(&self) {
        // Held to the end: of two at once, the one with the older figures must not come last.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = Moment::of(&self.cache, &mut told.saved);
        with_recorder(|recorder| self.tell(recorder, &moment, &mut told.times));
    }

    /// Publishes at once, and then again and again, until it is dropped: for a task of the caller's, in a
    /// runtime of tokio with timers.
    pub async fn publish_every(self, pause: Duration) {
        loop {
            self.publish();
            tokio::time::sleep(pause).await;
        }
    }

    fn tell(
        &self,
        recorder: &dyn Recorder,
        moment: &Moment,
        told: &mut BTreeMap<String, Distribution>,
    ) {
        let mut labels: Vec<Label> = self
            .labels
            .iter()
            .map(|(name, value)| Label::new(name.to_owned(), value.to_owned()))
            .collect();
        let nothing = Distribution::default();
        for family in WHOLE {
            describe(recorder, family);
            tell(recorder, family, &moment.whole, &labels, &nothing);
        }
        for family in KINDS {
            describe(recorder, family);
            for (name, kind) in &moment.kinds {
                labels.push(Label::new(KIND_LABEL, name.clone()));
                let earlier = told.get(name).unwrap_or(&nothing);
                tell(recorder, family, kind, &labels, earlier);
                labels.pop();
            }
        }
        for (name, kind) in &moment.kinds {
            told.insert(name.clone(), kind.figures.load_time.clone());
        }
    }
}

/// Each time anew, since the recorder may be another one than the last time.
fn describe<T>(recorder: &dyn Recorder, family: &Family<T>) {
    let name = family.name;
    let unit = if name.contains("_seconds") {
        Unit::Seconds
    } else if name.contains("_bytes") {
        Unit::Bytes
    } else {
        Unit::Count
    };
    let describe = match family.form {
        Form::Counter => Recorder::describe_counter,
        Form::Gauge => Recorder::describe_gauge,
        Form::Histogram => Recorder::describe_histogram,
    };
    describe(recorder, name.into(), Some(unit), family.help.into());
}

fn tell<T>(
    recorder: &dyn Recorder,
    family: &Family<T>,
    from: &T,
    labels: &[Label],
    earlier: &Distribution,
) {
    for (value, figure) in family.figures(from) {
        let own = family.label().zip(value);
        let own = own.map(|(label, value)| Label::new(label, value));
        let labels: Vec<Label> = labels.iter().cloned().chain(own).collect();
        let key = Key::from_parts(family.name, labels);
        match figure {
            // The facade's counters are whole numbers.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Figure::Number(number) if family.form == Form::Counter => recorder
                .register_counter(&key, &METADATA)
                .absolute(number as u64),
            Figure::Number(number) => recorder.register_gauge(&key, &METADATA).set(number),
            Figure::Times(times) => {
                let histogram = recorder.register_histogram(&key, &METADATA);
                for range in times.since(earlier).buckets {
                    let count = usize::try_from(range.count).unwrap_or(usize::MAX);
                    histogram.record_many(seconds(range.below_micros), count);
                }
            }
        }
    }
}
