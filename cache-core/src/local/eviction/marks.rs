//! What eviction notes in an entry itself, in three bytes: how often it was hit lately, and for each of
//! the two bounds where it is queued and how often it was asked for.

use std::sync::atomic::{AtomicU8, Ordering};

/// What an entry is bounded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::local) enum Bound {
    /// All entries of the tier, by the bytes they take.
    Bytes,
    /// Those of one function, each of them being as good as another.
    Entries,
}

/// The marks of an entry.
#[derive(Debug, Default)]
pub(in crate::local) struct Marks {
    /// Two bits for each bound: whichever looks at them first must not take them from the other.
    hits: AtomicU8,
    /// Changed by whoever has the bound's lock, and by nobody else.
    states: [AtomicU8; 2],
}

/// Where an entry is in the queues of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the map already, or soon, and not queued yet.
    Arriving,
    Window,
    Main,
    /// Out of the map, or about to be taken out.
    Left,
}

/// What a bound knows of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) place: Place,
    /// How often it was asked for, up to [`MOST`].
    pub(super) count: u8,
    /// The generation that the count is of, below [`GENERATIONS`].
    pub(super) generation: u8,
    /// Met already, while the queues are tidied.
    pub(super) met: bool,
}

/// The highest count. Higher ones would tell entries apart no better, and take longer to forget.
pub(super) const MOST: u8 = 7;

/// How many generations are told apart: after the last comes the first again.
pub(super) const GENERATIONS: u8 = 4;

const HITS: u8 = 0b11;

impl Bound {
    fn hits_at(self) -> u8 {
        match self {
            Self::Bytes => 0,
            Self::Entries => 2,
        }
    }
}

impl Marks {
    /// Notes a hit.
    #[inline]
    pub(in crate::local) fn hit(&self) {
        let hits = self.hits.load(Ordering::Relaxed);
        // A byte that is full is not written again: readers of a hot entry share no written line.
        if hits == HITS | HITS << 2 {
            return;
        }
        let more = u8::from(hits & HITS != HITS) | u8::from(hits >> 2 != HITS) << 2;
        self.hits.store(hits + more, Ordering::Relaxed);
    }

    /// How many hits were noted since this was asked last, up to three. One that comes at the same
    /// time may be lost, or counted twice.
    pub(super) fn take_hits(&self, bound: Bound) -> u8 {
        let (hits, at) = (self.hits.load(Ordering::Relaxed), bound.hits_at());
        let taken = hits >> at & HITS;
        if taken > 0 {
            self.hits.store(hits & !(HITS << at), Ordering::Relaxed);
        }
        taken
    }

    /// Whether a bound has it in its queues.
    pub(in crate::local) fn is_queued(&self, bound: Bound) -> bool {
        matches!(self.state(bound).place, Place::Window | Place::Main)
    }

    pub(super) fn state(&self, bound: Bound) -> State {
        State::unpacked(self.states[bound as usize].load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, bound: Bound, state: State) {
        self.states[bound as usize].store(state.packed(), Ordering::Relaxed);
    }
}

impl State {
    fn packed(self) -> u8 {
        self.count | self.generation << 3 | (self.place as u8) << 5 | u8::from(self.met) << 7
    }

    fn unpacked(byte: u8) -> Self {
        let place = match byte >> 5 & 0b11 {
            0 => Place::Arriving,
            1 => Place::Window,
            2 => Place::Main,
            _ => Place::Left,
        };
        Self {
            place,
            count: byte & MOST,
            generation: byte >> 3 & (GENERATIONS - 1),
            met: byte >> 7 == 1,
        }
    }

    /// The same in that generation: each that has passed since halves the count.
    pub(super) fn aged(mut self, generation: u8) -> Self {
        let passed = (GENERATIONS + generation - self.generation) % GENERATIONS;
        self.count >>= passed;
        self.generation = generation;
        self
    }

    /// The same, asked for so many times more.
    pub(super) fn asked(mut self, times: u8) -> Self {
        self.count = self.count.saturating_add(times).min(MOST);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_kept_in_a_byte() {
        for place in [Place::Arriving, Place::Window, Place::Main, Place::Left] {
            for (count, generation, met) in [(0, 0, false), (7, 3, true), (5, 2, false)] {
                let state = State {
                    place,
                    count,
                    generation,
                    met,
                };
                assert_eq!(State::unpacked(state.packed()), state);
            }
        }
        assert_eq!(Marks::default().state(Bound::Bytes).place, Place::Arriving);
    }

    #[test]
    fn each_bound_sees_up_to_three_hits_once() {
        let marks = Marks::default();
        for _ in 0..2 {
            marks.hit();
        }
        assert_eq!(marks.take_hits(Bound::Bytes), 2);
        assert_eq!(marks.take_hits(Bound::Bytes), 0);
        for _ in 0..9 {
            marks.hit();
        }
        assert_eq!(marks.take_hits(Bound::Entries), 3);
        assert_eq!(marks.take_hits(Bound::Bytes), 3);
        assert_eq!(marks.take_hits(Bound::Entries), 0);
    }

    #[test]
    fn a_count_is_halved_with_each_generation() {
        let state = Marks::default().state(Bound::Bytes).asked(9);
        assert_eq!(state.count, MOST);
        assert_eq!(state.aged(0).count, 7);
        assert_eq!(state.aged(1).count, 3);
        assert_eq!(state.aged(1).aged(3).count, 0);
        assert_eq!(
            state.aged(3).aged(0).count,
            0,
            "and after the last comes the first"
        );
    }
}
