use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::entry::EntryId;
use crate::local::{Life, LocalKey, Stored};

const NOW: Duration = Duration::ZERO;

/// A cache of nothing but a map and a bound.
struct Cached {
    bound: Bound,
    capacity: usize,
    map: HashMap<u64, Kept>,
    eviction: Eviction,
}

impl Cached {
    fn new(bound: Bound, capacity: usize) -> Self {
        Self {
            bound,
            capacity,
            map: HashMap::new(),
            eviction: Eviction::new(bound),
        }
    }

    /// Asks for a key, and puts it in where it is missing. Says whether it was there.
    fn ask(&mut self, key: u64) -> bool {
        let hit = self.map.get(&hash(key)).map(|kept| kept.head().marks.hit());
        if hit.is_none() {
            self.put(key, 1, Duration::MAX);
        }
        hit.is_some()
    }

    fn put(&mut self, key: u64, bytes: usize, ends: Duration) {
        self.insert(key, bytes, ends);
        self.check();
    }

    fn insert(&mut self, key: u64, bytes: usize, ends: Duration) {
        let life = Life::new(ends, ends, NOW, NOW);
        let key_of_it = LocalKey::new(1, key.to_le_bytes());
        let id = EntryId([0; 16]);
        let head = Head::new(key_of_it, life, 0, id, Box::default(), bytes);
        let entry = Kept::new(Arc::new(Stored::new(head, ())));
        let replaced = self.map.insert(hash(key), entry.clone());
        let newcomer = Newcomer {
            entry: &entry,
            hash: hash(key),
            replaced: replaced.as_ref(),
        };
        let now = Duration::from_secs(1);
        let find = |hash| self.map.get(&hash).map(Kept::found);
        let victims = self.eviction.admit(&newcomer, self.capacity, now, find);
        let victims: Vec<_> = victims
            .into_iter()
            .map(|kept| hash_of(kept.head()))
            .collect();
        for victim in victims {
            self.map.remove(&victim).expect("it is in the map");
        }
    }

    fn remove(&mut self, key: u64) {
        if let Some(kept) = self.map.remove(&hash(key)) {
            self.eviction.forget(&kept, hash(key));
        }
    }

    fn has(&self, key: u64) -> bool {
        self.map.contains_key(&hash(key))
    }

    fn check(&self) {
        let queues = self.eviction.lock();
        let weight: usize = self
            .map
            .values()
            .map(|kept| weight(self.bound, kept.head()))
            .sum();
        assert_eq!(
            (queues.entries(), queues.weight()),
            (self.map.len(), weight)
        );
        assert!(weight <= self.capacity, "{weight} of {}", self.capacity);
        let hashes = queues.window.hashes.len() + queues.main.hashes.len();
        assert!(hashes <= self.map.len() * 5 / 4 + 64, "{hashes} hashes");
    }
}

fn hash(key: u64) -> u64 {
    (key + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn hash_of(head: &Head) -> u64 {
    let bytes = head.key.borrowed().args.try_into().expect("eight bytes");
    hash(u64::from_le_bytes(bytes))
}

#[test]
fn while_there_is_room_all_stay() {
    let mut cached = Cached::new(Bound::Entries, 100);
    assert!((0..100).all(|key| !cached.ask(key)));
    assert!((0..100).all(|key| cached.ask(key)));
    assert_eq!(
        cached.eviction.lock().ghosts.room(),
        0,
        "and nothing is remembered"
    );
}

#[test]
fn the_newest_can_always_be_asked_for_again() {
    for capacity in [1, 2, 3, 10] {
        let mut cached = Cached::new(Bound::Entries, capacity);
        for key in 0..100 {
            cached.ask(key);
            assert!(cached.ask(key), "{key} in {capacity}");
            assert!(cached.ask(key / 2) || key / 2 < key);
        }
    }
}

#[test]
fn a_candidate_must_have_been_asked_for_more_often() {
    let mut cached = Cached::new(Bound::Entries, 100);
    (0..100).for_each(|key| _ = cached.ask(key));
    // Two calls for each, so that the hand finds no marks on its next round.
    (0..100).for_each(|key| _ = cached.ask(key));
    (1_000..1_400).for_each(|key| _ = cached.ask(key));
    let stayed = (0..100).filter(|key| cached.has(*key)).count();
    assert!(
        stayed >= 98,
        "{stayed}: those that came once displaced none"
    );
    for _ in 0..4 {
        (1_000..1_050).for_each(|key| _ = cached.ask(key));
    }
    let came = (1_000..1_050).filter(|key| cached.has(*key)).count();
    assert!(came >= 40, "{came}: those that came again did");
}

#[test]
fn a_loop_larger_than_the_cache_hits_what_is_in_it() {
    let mut cached = Cached::new(Bound::Entries, 100);
    let hits = (0..100_000).filter(|turn| cached.ask(turn % 150)).count();
    assert!(hits > 64_000, "{hits} of 66,000 at best");
}

#[test]
fn what_was_popular_makes_way_for_what_is() {
    let mut cached = Cached::new(Bound::Entries, 100);
    for _ in 0..100 {
        (0..90).for_each(|key| _ = cached.ask(key));
    }
    let hits = (0..9_000)
        .filter(|turn| cached.ask(1_000 + turn % 90))
        .count();
    assert!(hits > 6_000, "{hits} of 9,000");
}

#[test]
fn a_large_one_must_be_worth_all_that_it_displaces() {
    let mut cached = Cached::new(Bound::Bytes, 1_000);
    for _ in 0..2 {
        (0..100).for_each(|key| {
            if !cached.ask(key) {
                cached.put(key, 10, Duration::MAX);
            }
        });
    }
    for turn in 0..400 {
        cached.put(1_000 + turn, 10, Duration::MAX);
        (0..100).for_each(|key| {
            if let Some(kept) = cached.map.get(&hash(key)) {
                kept.head().marks.hit();
            }
        });
    }
    let before = (0..100).filter(|key| cached.has(*key)).count();
    for turn in 0..4 {
        cached.put(5_000, 100, Duration::MAX);
        cached.put(6_000 + turn, 10, Duration::MAX);
        cached.put(7_000 + turn, 10, Duration::MAX);
    }
    let after = (0..100).filter(|key| cached.has(*key)).count();
    assert!(before >= 90 && after + 15 >= before, "{after} of {before}");
}

#[test]
fn what_has_ended_leaves_first_and_without_need() {
    let mut cached = Cached::new(Bound::Entries, 100);
    (0..50).for_each(|key| cached.put(key, 1, Duration::from_millis(1)));
    (50..90).for_each(|key| cached.put(key, 1, Duration::MAX));
    assert!((0..50).filter(|key| cached.has(*key)).count() <= 10);
    assert!((50..90).all(|key| cached.has(key)));
}

#[test]
fn what_is_taken_out_leaves_no_hash_for_ever() {
    let mut cached = Cached::new(Bound::Bytes, 1_000);
    for turn in 0..10_000 {
        cached.put(turn % 7, 10, Duration::MAX);
        if turn % 3 == 0 {
            cached.remove(turn % 7);
        }
        cached.check();
    }
    (0..7).for_each(|key| cached.remove(key));
    assert_eq!(cached.eviction.lock().weight(), 0);
}

#[test]
fn what_was_taken_out_before_it_was_queued_is_not_queued() {
    let eviction = Eviction::new(Bound::Bytes);
    let life = Life::new(Duration::MAX, Duration::MAX, NOW, NOW);
    let id = EntryId([0; 16]);
    let head = Head::new(LocalKey::new(1, b"a"), life, 0, id, Box::default(), 10);
    let entry = Kept::new(Arc::new(Stored::new(head, ())));
    eviction.forget(&entry, 7);
    let newcomer = Newcomer {
        entry: &entry,
        hash: 7,
        replaced: None,
    };
    assert!(eviction.admit(&newcomer, 100, NOW, |_| None).is_empty());
    assert_eq!((eviction.len(), eviction.lock().weight()), (0, 0));
}

#[test]
fn an_entry_that_another_thread_is_putting_in_is_passed_over() {
    let mut cached = Cached::new(Bound::Entries, 10);
    (0..10).for_each(|key| _ = cached.ask(key));
    // In the map each has a successor that is not queued yet.
    for key in 0..10 {
        let old = cached
            .map
            .remove(&hash(key))
            .expect("there is room for all");
        let head = old.head();
        let successor = head.renewed(0, Arc::new([]));
        cached
            .map
            .insert(hash(key), Kept::new(Arc::new(Stored::new(successor, ()))));
        std::mem::forget(old);
    }
    let life = Life::new(Duration::MAX, Duration::MAX, NOW, NOW);
    let id = EntryId([0; 16]);
    let key = LocalKey::new(1, 99_u64.to_le_bytes());
    let head = Head::new(key, life, 0, id, Box::default(), 1);
    let entry = Kept::new(Arc::new(Stored::new(head, ())));
    let newcomer = Newcomer {
        entry: &entry,
        hash: hash(99),
        replaced: None,
    };
    let find = |hash| cached.map.get(&hash).map(Kept::found);
    assert!(cached.eviction.admit(&newcomer, 10, NOW, find).is_empty());
    assert_eq!(cached.eviction.len(), 11, "all are still queued");
}

#[test]
fn the_queues_take_at_most_eighteen_bytes_an_entry() {
    const ENTRIES: usize = 20_000;
    let mut cached = Cached::new(Bound::Entries, ENTRIES);
    (0..2 * ENTRIES as u64).for_each(|key| cached.insert(key, 1, Duration::MAX));
    cached.check();
    let queues = cached.eviction.lock();
    let hashes = queues.window.hashes.capacity() + queues.main.hashes.capacity();
    let bytes = hashes * 8 + queues.ghosts.room() * 2 + queues.width.bytes();
    assert!(bytes <= 18 * ENTRIES, "{} an entry", bytes / ENTRIES);
    assert!(queues.ghosts.room() >= 4 * ENTRIES);
}
