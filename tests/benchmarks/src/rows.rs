//! The rows of the page: figures beside ours, and whether a target is met.

use serde::{Deserialize, Serialize};

use crate::measure::Figure;

/// One line of a case's table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Whose figure it is.
    pub who: String,
    /// The figure, with its unit.
    pub figure: String,
    /// The best round's.
    pub best: String,
    /// Ours divided by it, where both are of one kind.
    pub ratio: Option<f64>,
    /// What is to be reached beside it.
    pub target: Option<String>,
    /// Whether it is.
    pub met: Option<bool>,
}

/// What a ratio, or a figure, must be.
#[derive(Clone, Copy)]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self, show: impl Fn(f64) -> String) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {}", show(bound)),
            Self::AtLeast(bound) => format!("≥ {}", show(bound)),
        }
    }
}

/// How a figure is written.
pub type Unit = fn(f64) -> String;

/// Nanoseconds.
pub fn nanos(value: f64) -> String {
    format!("{value:.1} ns")
}

/// Microseconds.
pub fn micros(value: f64) -> String {
    format!("{value:.1} µs")
}

/// Milliseconds.
pub fn millis(value: f64) -> String {
    format!("{value:.2} ms")
}

/// Calls a second.
pub fn rate(value: f64) -> String {
    format!("{value:.0} /s")
}

/// Bytes.
pub fn bytes(value: f64) -> String {
    format!("{value:.0} B")
}

/// Parts of a hundred.
pub fn percent(value: f64) -> String {
    format!("{value:.2} %")
}

/// Seconds.
pub fn seconds(value: f64) -> String {
    format!("{value:.1} s")
}

/// A number of times.
pub fn times(value: f64) -> String {
    format!("{value:.2}")
}

/// The rows of one thing that was measured, ours first.
pub struct Section {
    what: String,
    unit: Unit,
    ours: Figure,
    by_best: bool,
    rows: Vec<Row>,
}

impl Section {
    /// Begins with ours.
    pub fn new(what: impl Into<String>, unit: Unit, who: &str, ours: Figure) -> Self {
        let mut section = Self {
            what: what.into(),
            unit,
            ours,
            by_best: false,
            rows: Vec::new(),
        };
        section.push(who, ours, None);
        section
    }

    /// Has the best rounds be compared, and not the middle ones.
    #[must_use]
    pub fn by_best(mut self) -> Self {
        self.by_best = true;
        self
    }

    /// Says what our own figure must be.
    #[must_use]
    pub fn ours(mut self, bound: Bound) -> Self {
        let value = self.value(self.ours);
        self.rows[0].target = Some(bound.text(self.unit));
        self.rows[0].met = Some(bound.holds(value));
        self
    }

    /// Says what else ours must be, and whether it is.
    #[must_use]
    pub fn claim(mut self, what: &str, met: bool) -> Self {
        self.rows[0].target = Some(what.to_owned());
        self.rows[0].met = Some(met);
        self
    }

    /// Adds another's, and what ours must be beside it: `AtMost(0.4)` means 0.4 times as much.
    pub fn beside(&mut self, who: &str, figure: Figure, bound: Option<Bound>) {
        let ratio = self.value(self.ours) / self.value(figure);
        self.push(who, figure, Some(ratio));
        if let (Some(bound), Some(row)) = (bound, self.rows.last_mut()) {
            row.target = Some(bound.text(|bound| format!("{bound} ×")));
            row.met = Some(bound.holds(ratio));
        }
    }

    /// Adds a text to the last row's figure.
    pub fn note(&mut self, note: &str) {
        if let Some(row) = self.rows.last_mut() {
            row.figure = format!("{}; {note}", row.figure);
        }
    }

    /// The rows.
    pub fn rows(self) -> Vec<Row> {
        self.rows
    }

    fn value(&self, figure: Figure) -> f64 {
        if self.by_best {
            figure.best
        } else {
            figure.median
        }
    }

    fn push(&mut self, who: &str, figure: Figure, ratio: Option<f64>) {
        self.rows.push(Row {
            what: self.what.clone(),
            who: who.to_owned(),
            figure: (self.unit)(figure.median),
            best: (self.unit)(figure.best),
            ratio,
            target: None,
            met: None,
        });
    }
}
