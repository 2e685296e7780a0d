//! Keys are hashed once, before the map is asked, with seeds that nobody outside of the process knows:
//! whoever chooses arguments can't choose where they land.

use std::hash::{BuildHasher, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use super::key::KeyRef;

/// Hashes keys.
pub(super) struct KeyHasher {
    start: u64,
    /// How far the starts of two functions are apart: odd, so that no two are the same.
    apart: u64,
    shared: SharedSeed,
}

impl KeyHasher {
    pub(super) fn new() -> Self {
        // The standard library's, which takes its keys from the operating system.
        let random = std::hash::RandomState::new();
        Self {
            start: random.hash_one(0),
            apart: random.hash_one(1) | 1,
            shared: SharedSeed::from_u64(random.hash_one(2)),
        }
    }

    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn hash(&self, key: &KeyRef<'_>) -> u64 {
        let apart = self.apart.wrapping_mul(key.function.into());
        let length = key.args.len();
        let start = self.start.wrapping_add(apart) ^ length as u64;
        let mut hasher = FoldHasher::with_seed(start, &self.shared);
        match key.short() {
            Some([first, second, last]) => {
                hasher.write_u64(*first);
                hasher.write_u64(*second);
                if length > 16 {
                    hasher.write_u64(*last);
                }
            }
            None => return Self::hash_long(hasher, key.args),
        }
        hasher.finish()
    }

    /// Out of the way of those that are hashed in words.
    #[cold]
    #[inline(never)]
    fn hash_long(mut hasher: FoldHasher<'_>, args: &[u8]) -> u64 {
        hasher.write(args);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_that_differ_in_little_land_far_apart() {
        let hasher = KeyHasher::new();
        let mut all = HashSet::new();
        // As the table takes it apart: a place by the lowest bits, and a part by the highest.
        let (mut places, mut marks) = (vec![0_u32; 1 << 12], vec![0_u32; 1 << 7]);
        for function in 0..64 {
            for number in 0..1_024_u64 {
                let mut args = vec![1];
                args.extend_from_slice(&number.to_le_bytes());
                let hash = hasher.hash(&KeyRef::new(function, &args));
                assert!(all.insert(hash), "{function} and {number} land on another");
                places[usize::try_from(hash % (1 << 12)).expect("a place")] += 1;
                marks[usize::try_from(hash >> 57).expect("a mark")] += 1;
            }
        }
        // 16 and 512 on average: six times the standard deviation off is no chance.
        assert!(places.iter().all(|count| *count <= 16 + 6 * 4 + 4));
        assert!(
            marks
                .iter()
                .all(|count| (512 - 136..=512 + 136).contains(count))
        );
    }

    #[test]
    fn no_two_processes_hash_alike() {
        let key = KeyRef::new(1, b"7");
        assert_ne!(KeyHasher::new().hash(&key), KeyHasher::new().hash(&key));
    }
}
