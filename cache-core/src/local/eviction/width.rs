//! How wide the window is: wide where keys are asked for again soon after they were new, narrow where
//! the same ones are asked for at all times. It widens while the places it would win are worth more
//! than those of the main queue, as the window of G. Einziger, O. Eytan, R. Friedman and B. Manes does
//! ("Adaptive Software Cache Management", Middleware 2018); hits are only known by their marks here, so
//! that what is compared is not the ratio of hits, but what one place is worth.

use super::ghosts::within;

/// Of how many parts shares are told.
const WHOLE: usize = 1024;
/// About a hundredth: newcomers stay for a while, and no more.
const NARROWEST: usize = 10;
const WIDEST: usize = WHOLE * 9 / 10;
const STEP: usize = WHOLE / 16;

/// A window so much wider is what is thought of: by this part of all entries.
const REACH: usize = 8;
/// With fewer keys than these found, it is chance.
const ENOUGH: usize = 12;
/// In so many moments the reach is divided.
const MOMENTS: usize = 1024;

#[derive(Debug)]
pub(super) struct Width {
    share: usize,
    /// The keys that left the window lately, unasked for: sixteen bits of each hash, and of the moment.
    left: Vec<u32>,
    /// For how many entries this is.
    entries: usize,
    /// How many entries came in.
    came: usize,
    /// Counted since the last step: how many of them a wider window would have kept, and how many hits
    /// the main queue had.
    missed: usize,
    hits: usize,
    since: usize,
}

impl Default for Width {
    fn default() -> Self {
        Self {
            share: NARROWEST,
            left: Vec::new(),
            entries: 0,
            came: 0,
            missed: 0,
            hits: 0,
            since: 0,
        }
    }
}

impl Width {
    /// What the window may weigh, of so much.
    pub(super) fn of(&self, capacity: usize) -> usize {
        (capacity / WHOLE * self.share + capacity % WHOLE * self.share / WHOLE).max(1)
    }

    /// Forgets which keys have left, and is for so many entries from now on.
    pub(super) fn resize(&mut self, entries: usize) {
        self.entries = entries;
        self.left = vec![0; entries / 4 + 1];
    }

    /// The main queue had so many hits.
    pub(super) fn hit(&mut self, hits: u8) {
        self.hits += usize::from(hits);
    }

    /// A key has left the window, and the cache.
    pub(super) fn leave(&mut self, hash: u64) {
        let place = within(hash, self.left.len());
        let note = u32::from(name(hash)) << 16 | u32::from(self.moment());
        if let Some(left) = self.left.get_mut(place) {
            *left = note;
        }
    }

    /// A key has come in, with so many entries in the main queue: time for a step, now and then.
    pub(super) fn come(&mut self, hash: u64, main: usize) {
        self.came = self.came.wrapping_add(1);
        let (place, moment) = (within(hash, self.left.len()), self.moment());
        if let Some(left) = self.left.get_mut(place) {
            let [name_of_left, at] = [*left >> 16, *left & 0xFFFF];
            let passed = u32::from(moment).wrapping_sub(at) & 0xFFFF;
            if name_of_left == u32::from(name(hash)) && passed as usize <= MOMENTS {
                self.missed += 1;
                *left = 0;
            }
        }
        self.since += 1;
        if self.since >= self.entries / 2 {
            self.step(main);
        }
    }

    /// What it takes in memory.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.left.capacity() * size_of::<u32>()
    }

    fn step(&mut self, main: usize) {
        // What a place more would have brought, against half of what one of the main queue did: the last
        // ones there are worth less than the first.
        let won = self.missed * REACH * main * 2;
        let lost = self.hits * self.entries;
        self.share = if self.missed >= ENOUGH && won > lost {
            (self.share + STEP).min(WIDEST)
        } else {
            self.share.saturating_sub(STEP).max(NARROWEST)
        };
        (self.missed, self.hits, self.since) = (0, 0, 0);
    }

    fn moment(&self) -> u16 {
        let moment = (self.entries / REACH / MOMENTS).max(1);
        // Where there are few entries, a moment for each that comes in would be too short a reach.
        let scale = (MOMENTS / (self.entries / REACH).max(1)).max(1);
        #[allow(clippy::cast_possible_truncation)]
        let now = (self.came / moment * scale) as u16;
        now
    }
}

fn name(hash: u64) -> u16 {
    #[allow(clippy::cast_possible_truncation)]
    let lowest = hash as u16;
    lowest | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: usize) -> u64 {
        (key as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// Has each of so many keys come in, leave, and come in again when so many others have.
    fn run(width: &mut Width, keys: usize, later: usize, hits: u8) {
        for key in 0..keys {
            width.come(hash(key), 900);
            width.leave(hash(key));
            width.hit(hits);
            if let Some(earlier) = key.checked_sub(later) {
                width.come(hash(earlier), 900);
            }
        }
    }

    #[test]
    fn it_widens_where_keys_return_soon_and_narrows_again() {
        let mut width = Width::default();
        width.resize(1_000);
        assert_eq!(width.of(1_000), 9);
        run(&mut width, 10_000, 30, 0);
        assert!(width.of(1_000) > 800, "{}", width.of(1_000));
        run(&mut width, 10_000, 30, 20);
        assert_eq!(width.of(1_000), 9, "the main queue is worth more");
        run(&mut width, 10_000, 30, 0);
        run(&mut width, 10_000, 200, 0);
        assert_eq!(width.of(1_000), 9, "they return too late");
    }

    #[test]
    fn a_window_is_never_nothing() {
        assert_eq!(Width::default().of(1), 1);
        assert_eq!(
            Width::default().of(usize::MAX),
            usize::MAX / WHOLE * NARROWEST + 9
        );
    }
}
