//! Figures that add up, by name: what is summed over nodes and minutes, and what a store writes down of
//! them. Gauges, such as the entries there are, are not among them.

use super::{Distribution, KindSnapshot, Snapshot};

/// What the sum of all load times is called, in microseconds.
const LOAD_MICROS: &str = "load_micros";
/// What the number of loads in one range of the histogram is called, before the range's end.
const LOAD_BELOW: &str = "load_below_micros.";

/// Counters by the names of their fields.
macro_rules! counters {
    ($figures:ident: $($field:ident)*) => {
        impl $figures {
            /// Every counter by the name of its field, in a fixed order.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($field), self.$field)),*].into_iter()
            }

            fn counter(&mut self, name: &str) -> Option<&mut u64> {
                match name {
                    $(stringify!($field) => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

counters!(KindSnapshot: hits_local hits_shared hits_stale hits_outage coalesced misses bypassed loads
    refreshes load_errors load_timeouts rescued fills_refused updates updates_refused
    invalidations_applied invalidations_queued store_errors undecodable unkeyed evictions);

counters!(Snapshot: invalidations_applied invalidations_queued invalidations_replayed queue_widened
    journal_errors breaker_opened trust_lost epoch_steps distrusted);

impl KindSnapshot {
    /// Every figure that adds up and is not zero, by name: its counters, and its load times as
    /// `load_micros`, their sum, and `load_below_micros.100`, how many there were in the range that ends
    /// there.
    pub fn fields(&self) -> impl Iterator<Item = (String, u64)> {
        let counters = self
            .counters()
            .map(|(name, count)| (name.to_owned(), count));
        let loads = self.load_time.buckets.iter();
        counters
            .chain([(LOAD_MICROS.to_owned(), self.load_time.total_micros)])
            .chain(loads.map(|bucket| {
                let name = format!("{LOAD_BELOW}{}", bucket.below_micros);
                (name, bucket.count)
            }))
            .filter(|(_, count)| *count > 0)
    }

    /// Adds to one of [`fields`](Self::fields). Returns whether there is one of this name.
    ///
    /// ```
    /// let mut kind = cache_core::KindSnapshot::default();
    /// assert!(kind.add_field("hits_local", 3));
    /// assert!(!kind.add_field("hits_by_magic", 3));
    /// assert_eq!(kind.hits(), 3);
    /// ```
    pub fn add_field(&mut self, name: &str, by: u64) -> bool {
        if let Some(below) = name.strip_prefix(LOAD_BELOW) {
            let Ok(below) = below.parse() else {
                return false;
            };
            self.load_time.add_bucket(below, by);
            self.load_time.settle();
            return true;
        }
        let field = match name {
            LOAD_MICROS => Some(&mut self.load_time.total_micros),
            _ => self.counter(name),
        };
        field.is_some_and(|field| {
            *field = field.saturating_add(by);
            true
        })
    }

    /// Adds the figures of the same kind elsewhere, or at another time: the counters and the load times.
    /// Local entries and bytes are added too, and [`recent`](Self::recent) is dropped: it is of one
    /// process.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in other.counters() {
            self.add_field(name, count);
        }
        self.load_time.add(&other.load_time);
        self.local_entries = self.local_entries.saturating_add(other.local_entries);
        self.local_bytes = self.local_bytes.saturating_add(other.local_bytes);
        self.recent = None;
    }

    /// What was counted since an earlier snapshot of the same process. Figures that do not add up are
    /// zero.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut added = Self {
            load_time: self.load_time.since(&earlier.load_time),
            ..Self::default()
        };
        for ((name, now), (_, before)) in self.counters().zip(earlier.counters()) {
            added.add_field(name, now.saturating_sub(before));
        }
        added
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }
}

impl Snapshot {
    /// Every counter of the cache as a whole that is not zero, by name.
    pub fn fields(&self) -> impl Iterator<Item = (String, u64)> {
        self.counters()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name.to_owned(), count))
    }

    /// Adds to one of [`fields`](Self::fields). Returns whether there is one of this name.
    pub fn add_field(&mut self, name: &str, by: u64) -> bool {
        self.counter(name).is_some_and(|field| {
            *field = field.saturating_add(by);
            true
        })
    }

    /// Adds the figures of another node, or of another time, kind by kind. What is so at one moment is
    /// added where it can be (entries, bytes, what is pending), and true where it is true anywhere (an
    /// open breaker).
    pub fn add(&mut self, other: &Self) {
        for (name, count) in other.counters() {
            self.add_field(name, count);
        }
        self.breaker_open |= other.breaker_open;
        self.invalidations_pending = self
            .invalidations_pending
            .saturating_add(other.invalidations_pending);
        for (name, kind) in &other.kinds {
            self.kinds.entry(name.clone()).or_default().add(kind);
        }
    }

    /// What was counted since an earlier snapshot of the same process, without the kinds in which
    /// nothing was.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut added = Self::default();
        for ((name, now), (_, before)) in self.counters().zip(earlier.counters()) {
            added.add_field(name, now.saturating_sub(before));
        }
        let nothing = KindSnapshot::default();
        for (name, kind) in &self.kinds {
            let kind = kind.since(earlier.kinds.get(name).unwrap_or(&nothing));
            if !kind.is_empty() {
                added.kinds.insert(name.clone(), kind);
            }
        }
        added
    }
}

impl Distribution {
    /// Adds times to the range that ends at this many microseconds. Whoever has added the last of them
    /// settles: a day of a fleet is a million of these.
    fn add_bucket(&mut self, below_micros: u64, count: u64) {
        if count == 0 {
            return;
        }
        let at = |bucket: &super::Bucket| bucket.below_micros;
        match self.buckets.binary_search_by_key(&below_micros, at) {
            Ok(place) => {
                let bucket = &mut self.buckets[place];
                bucket.count = bucket.count.saturating_add(count);
            }
            Err(place) => self.buckets.insert(
                place,
                super::Bucket {
                    below_micros,
                    count,
                },
            ),
        }
        self.count = self.count.saturating_add(count);
    }

    /// Adds the times of another one.
    pub fn add(&mut self, other: &Self) {
        for bucket in &other.buckets {
            self.add_bucket(bucket.below_micros, bucket.count);
        }
        self.total_micros = self.total_micros.saturating_add(other.total_micros);
        self.settle();
    }

    /// The times that came to it since an earlier state of it.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut added = Self {
            total_micros: self.total_micros.saturating_sub(earlier.total_micros),
            ..Self::default()
        };
        for bucket in &self.buckets {
            let before = earlier
                .buckets
                .iter()
                .find(|other| other.below_micros == bucket.below_micros)
                .map_or(0, |bucket| bucket.count);
            added.add_bucket(bucket.below_micros, bucket.count.saturating_sub(before));
        }
        added.settle();
        added
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(hits: u64, loads: &[(u64, u64)]) -> KindSnapshot {
        let mut kind = KindSnapshot {
            hits_local: hits,
            ..KindSnapshot::default()
        };
        for (below, count) in loads {
            kind.add_field(&format!("{LOAD_BELOW}{below}"), *count);
            kind.add_field(LOAD_MICROS, below * count);
        }
        kind
    }

    #[test]
    fn fields_make_the_figures_again() {
        let kind = kind(7, &[(100, 2), (3, 1)]);
        let mut again = KindSnapshot::default();
        for (name, count) in kind.fields() {
            assert!(again.add_field(&name, count), "{name}");
        }
        assert_eq!(again, kind);
        assert_eq!(again.load_time.count, 3);
        assert_eq!(again.load_time.p50_micros, Some(100));
        let names: Vec<String> = again.fields().map(|(name, _)| name).collect();
        let wanted = [
            "hits_local",
            "load_micros",
            "load_below_micros.3",
            "load_below_micros.100",
        ];
        assert_eq!(names, wanted);
        for wrong in [
            "",
            "hits",
            "load_below_micros.",
            "load_below_micros.-1",
            "recent",
        ] {
            assert!(!again.add_field(wrong, 1), "{wrong}");
        }
    }

    #[test]
    fn every_number_that_is_counted_is_a_counter() {
        // Whoever adds a figure and forgets the list above is told here.
        let json = serde_json::to_value(KindSnapshot::default()).expect("plain data");
        let fields = json.as_object().expect("a struct");
        let gauges = ["load_time", "local_entries", "local_bytes", "recent"];
        let counters: Vec<&str> = KindSnapshot::default()
            .counters()
            .map(|(name, _)| name)
            .collect();
        for name in fields.keys() {
            let known = counters.contains(&&**name) || gauges.contains(&&**name);
            assert!(known, "{name} is neither a counter nor known to be none");
        }
        assert_eq!(fields.len(), counters.len() + gauges.len());
    }

    #[test]
    fn what_was_added_since_adds_up_again() {
        let mut earlier = Snapshot {
            breaker_opened: 1,
            ..Snapshot::default()
        };
        earlier.kinds.insert("quiet".to_owned(), kind(5, &[(3, 1)]));
        earlier.kinds.insert("busy".to_owned(), kind(5, &[(3, 1)]));
        let mut now = earlier.clone();
        now.breaker_opened = 3;
        now.kinds
            .insert("busy".to_owned(), kind(9, &[(3, 1), (80, 4)]));
        now.kinds.insert("new".to_owned(), kind(0, &[(3, 1)]));
        let added = now.since(&earlier);
        assert_eq!(added.kinds.keys().collect::<Vec<_>>(), ["busy", "new"]);
        assert_eq!(added.kinds["busy"], kind(4, &[(80, 4)]));
        assert_eq!(added.breaker_opened, 2);
        let mut sum = earlier.clone();
        sum.add(&added);
        assert_eq!(sum, now);
        assert!(now.since(&now).kinds.is_empty());
    }
}
