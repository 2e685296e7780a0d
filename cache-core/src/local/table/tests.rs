use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::entry::EntryId;
use crate::local::{Head, Life, LocalKey};

const LARGE: usize = 1_000;

fn entry<V: Clone + Send + Sync + 'static>(value: V, bytes: usize) -> Kept {
    let life = Life::new(Duration::MAX, Duration::MAX, Duration::ZERO, Duration::ZERO);
    let key = LocalKey::new(1, b"7");
    let head = Head::new(key, life, 0, EntryId([0; 16]), Box::default(), bytes);
    Kept::new(Arc::new(Stored::new(head, value)))
}

/// A value that shows whether it was dropped, to whoever looks too late.
#[derive(Debug)]
struct Canary {
    number: u64,
    alive: AtomicU64,
    dropped: Arc<AtomicUsize>,
}

const ALIVE: u64 = 0x5eed_cafe_0123_4567;

impl Canary {
    fn new(number: u64, dropped: &Arc<AtomicUsize>) -> Arc<Self> {
        let (alive, dropped) = (AtomicU64::new(ALIVE ^ number), Arc::clone(dropped));
        Arc::new(Self {
            number,
            alive,
            dropped,
        })
    }

    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed) == ALIVE ^ self.number
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.alive.store(0, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often a test tries, where it is not told to try less often: under a checker of memory it takes long.
fn rounds(usually: u64) -> u64 {
    let told = std::env::var("ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    told.unwrap_or(if cfg!(miri) { 200 } else { usually })
}

/// A number that looks like a hash, from a seed.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
    (*seed ^ *seed >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

#[test]
fn it_holds_what_a_map_would() {
    let rounds = rounds(200_000);
    let (table, mut map, mut seed) = (Table::new(LARGE), HashMap::new(), 7);
    for round in 0..rounds {
        // Few places and few parts, so that what belongs to one place is often at others.
        let hash = (2 + next(&mut seed) % 97) | ((next(&mut seed) % 2) << 63);
        match next(&mut seed) % 8 {
            0..3 => {
                let old = table.insert(hash, &entry(round, 1));
                assert_eq!(old.map(|old| value(&**old)), map.insert(hash, round));
            }
            3..5 => {
                let even = next(&mut seed).is_multiple_of(2);
                let removed = table.remove_if(hash, |_| even);
                let expected = even.then(|| map.remove(&hash)).flatten();
                assert_eq!(removed.map(|old| value(&**old)), expected);
            }
            _ => {
                let lent = table
                    .lend(hash)
                    .and_then(|lent| lent.view().value::<u64>().copied());
                assert_eq!(lent, map.get(&hash).copied());
            }
        }
        table.tidy();
    }
    let taken = |part: &Part| part.current.slots(&Reading::begin()).len();
    let places: usize = table.parts.iter().map(taken).sum();
    assert!(
        places <= 4 * PARTS + 4 * 2 * 97,
        "{places} places for 194 entries"
    );
}

fn value(held: &dyn Held) -> u64 {
    *held.view().value::<u64>().expect("a number")
}

#[test]
fn a_value_is_taken_for_no_other_type() {
    let table = Table::new(LARGE);
    table.insert(5, &entry(7_u64, 1));
    let lent = table.lend(5).expect("just put in");
    assert_eq!(lent.view().value::<u64>(), Some(&7));
    assert_eq!(lent.view().value::<i64>(), None);
    assert_eq!(lent.view().value::<String>(), None);
}

#[test]
fn what_is_read_is_not_dropped_and_is_once_it_is_not() {
    let (table, dropped) = (Table::new(LARGE), Arc::default());
    table.insert(5, &entry(Canary::new(5, &dropped), LARGE));
    let lent = table.lend(5).expect("just put in");
    // Within another one, which ends before.
    drop(table.lend(5));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(table.remove_if(5, |_| true).is_some());
            assert!(table.lend(5).is_none());
            table.tidy();
        });
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 0, "it is being read");
    assert!(
        lent.view()
            .value::<Arc<Canary>>()
            .is_some_and(|canary| canary.is_alive())
    );
    drop(lent);
    // Another test's reader may be about for a moment.
    for number in 6_u64.. {
        table.insert(number, &entry(number, LARGE));
        table.remove_if(number, |_| true);
        table.tidy();
        if dropped.load(Ordering::Relaxed) == 1 {
            break;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_table_drops_what_it_has_and_what_has_left_it() {
    let dropped = Arc::default();
    let table = Table::new(LARGE);
    for number in 0..100 {
        table.insert(number << 57, &entry(Canary::new(number, &dropped), 1));
        table.insert(number << 57, &entry(Canary::new(number, &dropped), 1));
    }
    drop(table);
    assert_eq!(dropped.load(Ordering::Relaxed), 200);
}

#[test]
fn readers_find_living_entries_whatever_is_written() {
    let rounds = rounds(100_000);
    let (table, dropped) = (Table::new(LARGE), Arc::new(AtomicUsize::new(0)));
    let (table, dropped, done) = (&table, &dropped, &AtomicBool::new(false));
    // Many, so that a part's slots are exchanged again and again.
    let hash = |number: u64| (number % 512).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::thread::scope(|scope| {
        for reader in 0..3_u64 {
            scope.spawn(move || {
                let mut seed = reader;
                while !done.load(Ordering::Relaxed) {
                    let number = next(&mut seed) % 512;
                    let Some(lent) = table.lend(hash(number)) else {
                        continue;
                    };
                    let canary = lent
                        .view()
                        .value::<Arc<Canary>>()
                        .expect("nothing else is there");
                    assert!(canary.is_alive());
                    if canary.number != number {
                        // Another has come to its place since its hash was read: keys tell.
                        continue;
                    }
                    let kept = Arc::clone(canary);
                    drop(lent);
                    assert!(kept.is_alive());
                }
            });
        }
        let writers: Vec<_> = (0..2_u64)
            .map(|writer| {
                scope.spawn(move || {
                    let mut seed = writer + 100;
                    for _ in 0..rounds {
                        let number = next(&mut seed) % 512;
                        if next(&mut seed).is_multiple_of(3) {
                            table.remove_if(hash(number), |_| true);
                        } else {
                            table.insert(hash(number), &entry(Canary::new(number, dropped), 1));
                        }
                        table.tidy();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("it writes");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(
        cfg!(miri) || dropped.load(Ordering::Relaxed) > 0,
        "nothing was ever dropped"
    );
}
