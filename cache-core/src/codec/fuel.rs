//! What decoding may spend: steps, depth and memory set aside ahead, all in proportion to the
//! bytes there are. Twelve bytes that claim to be a list of 2^60 elements end here.

use std::cell::Cell;
use std::fmt;

/// How deep a value may nest, on the way in and out.
pub(super) const DEPTH: u32 = 128;

/// Steps that even the smallest value may take, and steps for each byte. A step is one value of
/// any size; one without bytes (a unit, an empty struct) is a step too.
const STEPS: usize = 4096;
const STEPS_PER_BYTE: usize = 64;

/// Encoding takes values of this part of the fuel only. A type may ask for a few more values than
/// it gave (a field's name, a wrapper), and what was stored must be readable.
pub(super) const RESERVE: usize = 4;

/// The steps that decoding `len` bytes may take.
pub(super) fn allowance(len: usize) -> usize {
    len.saturating_mul(STEPS_PER_BYTE).saturating_add(STEPS)
}

/// Counts down while a value is decoded.
pub(super) struct Fuel {
    steps: Cell<usize>,
    depth: Cell<u32>,
    ahead: Cell<usize>,
    spent: Cell<Option<Spent>>,
}

/// Why decoding was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Steps,
    Depth,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps => f.write_str("they claim more parts than their length allows"),
            Self::Depth => write!(f, "they nest deeper than {DEPTH} levels"),
        }
    }
}

impl Fuel {
    pub(super) fn new(len: usize) -> Self {
        Self {
            steps: Cell::new(allowance(len)),
            depth: Cell::new(DEPTH),
            ahead: Cell::new(len),
            spent: Cell::new(None),
        }
    }

    /// Pays for one value.
    #[inline]
    pub(super) fn step(&self) -> Result<(), Spent> {
        let left = self.steps.get();
        if left == 0 {
            return Err(self.end(Spent::Steps));
        }
        self.steps.set(left - 1);
        Ok(())
    }

    /// Whether one more value can be paid for.
    #[inline]
    pub(super) fn lasts(&self) -> bool {
        self.steps.get() > 0
    }

    /// Goes one level down.
    #[inline]
    pub(super) fn descend(&self) -> Result<(), Spent> {
        let left = self.depth.get();
        if left == 0 {
            return Err(self.end(Spent::Depth));
        }
        self.depth.set(left - 1);
        Ok(())
    }

    /// Comes back up.
    #[inline]
    pub(super) fn ascend(&self) {
        self.depth.set(self.depth.get() + 1);
    }

    /// What ran out, if anything did: postcard's errors have no room for it.
    pub(super) fn spent(&self) -> Option<Spent> {
        self.spent.get()
    }

    #[cold]
    fn end(&self, spent: Spent) -> Spent {
        self.spent.set(Some(spent));
        spent
    }

    /// How many elements memory may be set aside for, of those that are claimed. All lists of a
    /// value together get as many as it has bytes: nested ones could multiply otherwise.
    #[inline]
    pub(super) fn set_aside(&self, claimed: usize) -> usize {
        let granted = claimed.min(self.ahead.get());
        self.ahead.set(self.ahead.get() - granted);
        granted
    }
}
