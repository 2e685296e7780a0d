//! How often keys were asked for that are not in the cache, in two bytes each: what admission goes by.
//! A table of a fixed size, where a key takes the place of one that was asked for no more often.

use super::marks::MOST;

/// A few places that a key may be in: thirteen bits of its hash, and its count in the lowest three. No
/// count: a free place.
type Bucket = [u16; PLACES];

const PLACES: usize = 4;
const COUNT: u16 = MOST as u16;

/// The counts of keys by their hashes.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    buckets: Vec<Bucket>,
    /// How often one was to be put in, so that not always the same ones leave.
    turn: usize,
}

impl Ghosts {
    /// Makes places for this many keys, of which those that are known keep theirs.
    pub(super) fn resize(&mut self, keys: usize) {
        let (new, old) = (keys.div_ceil(PLACES), self.buckets.len());
        // A bucket is found by the highest bits: most keys of a new one were in that which was where its
        // middle is.
        let buckets = (0..new).map(|bucket| {
            let before = (2 * bucket + 1) * old / (2 * new);
            self.buckets.get(before).copied().unwrap_or_default()
        });
        self.buckets = buckets.collect();
    }

    /// How many keys there is room for.
    pub(super) fn room(&self) -> usize {
        self.buckets.len() * PLACES
    }

    /// Takes a key out, and says how often it was asked for: zero where it is not known.
    pub(super) fn take(&mut self, hash: u64) -> u8 {
        let name = name(hash);
        let Some(bucket) = self.bucket(hash) else {
            return 0;
        };
        for place in bucket {
            if *place & COUNT > 0 && *place & !COUNT == name {
                return count(std::mem::take(place));
            }
        }
        0
    }

    /// Notes how often a key was asked for that is not in the cache any more.
    pub(super) fn put(&mut self, hash: u64, asked: u8) {
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        let Some(bucket) = self.bucket(hash) else {
            return;
        };
        let turned = (0..PLACES).map(|place| (place + turn) % PLACES);
        let Some(least) = turned.min_by_key(|place| bucket[*place] & COUNT) else {
            return;
        };
        let place = &mut bucket[least];
        if count(*place) <= asked {
            *place = name(hash) | u16::from(asked.min(MOST));
        } else if turn.is_multiple_of(WEAR) {
            // What nobody asks for any more makes room at last, although the counts are not halved yet.
            *place -= 1;
        }
    }

    /// Halves all counts.
    pub(super) fn age(&mut self) {
        for place in self.buckets.iter_mut().flatten() {
            *place = *place & !COUNT | (*place & COUNT) >> 1;
        }
    }

    fn bucket(&mut self, hash: u64) -> Option<&mut Bucket> {
        let at = within(hash, self.buckets.len());
        self.buckets.get_mut(at)
    }
}

/// Of how many keys that find only more popular ones each takes one off a count.
const WEAR: usize = 4;

/// Which of so many places a hash has, by its highest bits.
pub(super) fn within(hash: u64, places: usize) -> usize {
    #[allow(clippy::cast_possible_truncation)]
    let place = ((u128::from(hash) * places as u128) >> 64) as usize;
    place
}

fn name(hash: u64) -> u16 {
    #[allow(clippy::cast_possible_truncation)]
    let lowest = hash as u16;
    lowest & !COUNT
}

fn count(place: u16) -> u8 {
    #[allow(clippy::cast_possible_truncation)]
    let count = (place & COUNT) as u8;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spread over all places.
    fn hash(key: u64) -> u64 {
        (key + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn a_key_is_known_until_it_is_taken() {
        let mut ghosts = Ghosts::default();
        ghosts.put(hash(1), 3);
        assert_eq!(ghosts.take(hash(1)), 0, "there is no room at all yet");
        ghosts.resize(64);
        ghosts.put(hash(1), 3);
        assert_eq!(ghosts.take(hash(2)), 0);
        assert_eq!(ghosts.take(hash(1)), 3);
        assert_eq!(ghosts.take(hash(1)), 0);
    }

    #[test]
    fn the_popular_outlast_a_flood_of_others() {
        let mut ghosts = Ghosts::default();
        ghosts.resize(400);
        (0..50).for_each(|key| ghosts.put(hash(key), 7));
        (50..250).for_each(|key| ghosts.put(hash(key), 1));
        (250..10_000).for_each(|key| ghosts.put(hash(key), 1));
        let known = (0..50).filter(|key| ghosts.take(hash(*key)) == 7);
        assert_eq!(known.count(), 50);
    }

    #[test]
    fn where_all_are_popular_a_new_one_has_its_turn_too() {
        let mut ghosts = Ghosts::default();
        ghosts.resize(PLACES);
        (0..4).for_each(|key| ghosts.put(hash(key), 7));
        ghosts.put(hash(4), 1);
        assert_eq!(ghosts.take(hash(4)), 0);
        (0..200).for_each(|_| ghosts.put(hash(4), 1));
        assert_eq!(ghosts.take(hash(4)), 1);
    }

    #[test]
    fn counts_are_halved_and_those_of_one_forgotten() {
        let mut ghosts = Ghosts::default();
        ghosts.resize(64);
        ghosts.put(hash(1), 7);
        ghosts.put(hash(2), 1);
        ghosts.age();
        assert_eq!((ghosts.take(hash(1)), ghosts.take(hash(2))), (3, 0));
    }

    #[test]
    fn what_is_known_is_found_again_in_another_size() {
        for size in [150, 400, 1_000] {
            let mut ghosts = Ghosts::default();
            ghosts.resize(200);
            (0..40).for_each(|key| ghosts.put(hash(key), 5));
            ghosts.resize(size);
            let known = (0..40).filter(|key| ghosts.take(hash(*key)) == 5).count();
            assert!(known >= 24, "{known} in {size}");
        }
    }
}
