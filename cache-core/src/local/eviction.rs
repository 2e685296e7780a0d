//! Which entry makes room: S3-FIFO (Yang and others, SOSP 2023). A small queue that most newcomers
//! leave unread, a main queue with second chances, and a ghost list of the names of who left the
//! small one. Only insertions and removals take the lock; a hit touches no queue.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::parting::Kept;

type Queue = VecDeque<Kept>;

pub(super) struct Eviction {
    capacity: usize,
    hasher: RandomState,
    queues: Mutex<Queues>,
}

#[derive(Default)]
struct Queues {
    small: Queue,
    main: Queue,
    small_bytes: usize,
    main_bytes: usize,
    ghosts: VecDeque<u64>,
    ghost_set: HashSet<u64>,
    /// How many of the queued entries are no longer in the map.
    gone: usize,
}

impl Eviction {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            hasher: RandomState::new(),
            queues: Mutex::default(),
        }
    }

    /// The most bytes an entry may take: an eighth of all.
    pub(super) fn largest(&self) -> usize {
        self.capacity / 8
    }

    /// Queues a new entry, and names the entries that must go for it.
    pub(super) fn admit(&self, entry: Kept, now: Duration) -> Vec<Kept> {
        let hash = self.hasher.hash_one(&entry.head().key);
        let bytes = entry.head().bytes();
        let mut queues = self.lock();
        let mut victims = Vec::new();
        if queues.ghost_set.remove(&hash) {
            queues.main_bytes += bytes;
            queues.main.push_back(entry);
        } else {
            queues.small_bytes += bytes;
            queues.small.push_back(entry);
        }
        queues.sweep(now, &mut victims);
        while queues.small_bytes + queues.main_bytes > self.capacity {
            let victim = if queues.small_bytes > self.capacity / 10 || queues.main.is_empty() {
                queues.leave_small(&self.hasher)
            } else {
                queues.leave_main()
            };
            victims.extend(victim);
        }
        if queues.gone * 2 > queues.small.len() + queues.main.len() + 64 {
            queues.compact();
        }
        victims
    }

    /// An entry was taken out of the map or replaced there.
    pub(super) fn forget(&self, entry: &Kept) {
        let mut queues = self.lock();
        // Its bytes stay counted until it leaves its queue, since until then it takes them.
        if !entry.head().gone.swap(true, Ordering::Relaxed) {
            queues.gone += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    /// Takes the oldest out of the small queue: into the main one if it was hit, out if not.
    fn leave_small(&mut self, hasher: &RandomState) -> Option<Kept> {
        let entry = self.small.pop_front()?;
        let head = entry.head();
        self.small_bytes -= head.bytes();
        if head.gone.load(Ordering::Relaxed) {
            self.gone -= 1;
            return None;
        }
        if head.used.load(Ordering::Relaxed) > 0 {
            head.used.store(0, Ordering::Relaxed);
            self.main_bytes += head.bytes();
            self.main.push_back(entry);
            return None;
        }
        let hash = hasher.hash_one(&head.key);
        if self.ghost_set.insert(hash) {
            self.ghosts.push_back(hash);
        }
        // As many names as the main queue has entries, and a few at least.
        while self.ghosts.len() > self.main.len().max(64) {
            if let Some(oldest) = self.ghosts.pop_front() {
                self.ghost_set.remove(&oldest);
            }
        }
        self.depart(entry)
    }

    /// Takes the oldest out of the main queue, unless it was hit and gets another round.
    fn leave_main(&mut self) -> Option<Kept> {
        let entry = self.main.pop_front()?;
        let head = entry.head();
        if head.gone.load(Ordering::Relaxed) {
            self.gone -= 1;
            self.main_bytes -= head.bytes();
            return None;
        }
        let used = head.used.load(Ordering::Relaxed);
        if used > 0 {
            head.used.store(used - 1, Ordering::Relaxed);
            self.main.push_back(entry);
            return None;
        }
        self.main_bytes -= head.bytes();
        self.depart(entry)
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn depart(&mut self, entry: Kept) -> Option<Kept> {
        // It has left its queue, so `forget` must not count it as still queued.
        entry.head().gone.store(true, Ordering::Relaxed);
        Some(entry)
    }

    /// Looks at a few of the oldest entries on each insertion, so that what has ended does not keep
    /// its memory until there is none left.
    fn sweep(&mut self, now: Duration, victims: &mut Vec<Kept>) {
        for small in [true, false] {
            for _ in 0..2 {
                let queue = if small {
                    &mut self.small
                } else {
                    &mut self.main
                };
                let Some(entry) = queue.front() else { break };
                let ended = !entry.head().may_revive(now);
                let gone = entry.head().gone.load(Ordering::Relaxed);
                if !ended && !gone {
                    break;
                }
                let Some(entry) = queue.pop_front() else {
                    break;
                };
                let bytes = if small {
                    &mut self.small_bytes
                } else {
                    &mut self.main_bytes
                };
                *bytes -= entry.head().bytes();
                if gone {
                    self.gone -= 1;
                } else {
                    victims.extend(self.depart(entry));
                }
            }
        }
    }

    /// Drops what is no longer in the map.
    fn compact(&mut self) {
        let Self {
            small,
            main,
            small_bytes,
            main_bytes,
            gone,
            ..
        } = self;
        for (queue, bytes) in [(small, small_bytes), (main, main_bytes)] {
            queue.retain(|entry| {
                let keep = !entry.head().gone.load(Ordering::Relaxed);
                if !keep {
                    *bytes -= entry.head().bytes();
                    *gone -= 1;
                }
                keep
            });
        }
    }
}
