//! Which entry makes room: W-TinyLFU (G. Einziger, R. Friedman, B. Manes, "`TinyLFU`: A Highly Efficient
//! Cache Admission Policy", ACM Transactions on Storage 2017). Newcomers stay in a window for a while; to
//! go on into the main queue, one must have been asked for more often than what leaves there for it. Only
//! insertions and removals take the lock: a hit marks its entry and touches no queue, and the marks are
//! read when the entry's turn comes, as in a clock. Counts of what is in the cache are in the entries,
//! those of what is not in a table of two bytes each, in place of the paper's sketch.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::head::Head;
use super::table::{Found, Kept};
use ghosts::Ghosts;
pub(super) use marks::{Bound, Marks};
use marks::{GENERATIONS, Place, State};
use width::Width;

mod ghosts;
mod marks;
mod width;

/// How many entries of the main queue are looked at for one candidate, beside those that leave.
const TRIES: usize = 8;
/// How often one insertion may spare a marked entry that has no other way to stay.
const SPARED: usize = 2;
/// How many entries one insertion moves on from a window that has become narrower.
const MOVED: usize = 4;
/// How many entries one insertion passes over that others are just putting in.
const PATIENCE: usize = 16;
/// How many entries of each queue an insertion looks at for such as have ended, where there is room.
const SWEPT: usize = 2;
/// After how many keys asked for, in multiples of the entries, all counts are halved.
const GENERATION: usize = 15;
/// What part of the bytes is spare: see [`Turn::enough`].
const SPARE: usize = 128;
/// How many keys that are not in the cache are remembered, for each entry.
const REMEMBERED: usize = 4;

/// The queues of the entries that share a bound. They hold hashes only, so that nothing keeps the
/// memory of what has left the map; what they ask for an entry's hash, they ask the map.
#[derive(Debug)]
pub(super) struct Eviction {
    bound: Bound,
    queues: Mutex<Queues>,
}

/// An entry that is in the map already.
pub(super) struct Newcomer<'a> {
    pub(super) entry: &'a Kept,
    pub(super) hash: u64,
    /// What was at its key before.
    pub(super) replaced: Option<&'a Kept>,
}

#[derive(Debug, Default)]
struct Queues {
    window: Queue,
    main: Queue,
    ghosts: Ghosts,
    width: Width,
    /// For how many entries the two above have room.
    fitted: usize,
    generation: u8,
    /// How many keys were asked for in this generation, as far as is known.
    asked: usize,
}

#[derive(Debug, Default)]
struct Queue {
    /// The oldest first. An entry that has left by another way leaves its hash here, until its turn.
    hashes: VecDeque<u64>,
    entries: usize,
    weight: usize,
}

/// One insertion's look at the queues.
struct Turn<'a, 'g, F> {
    bound: Bound,
    capacity: usize,
    now: Duration,
    find: F,
    queues: &'a mut Queues,
    victims: Vec<Found<'g>>,
    spared: usize,
    patience: usize,
}

impl Eviction {
    pub(super) fn new(bound: Bound) -> Self {
        Self {
            bound,
            queues: Mutex::default(),
        }
    }

    /// Queues an entry, and names the entries that must go for it: never itself, unless it has taken
    /// another's place. `find`: what is in the map.
    pub(super) fn admit<'g>(
        &self,
        newcomer: &Newcomer<'_>,
        capacity: usize,
        now: Duration,
        find: impl Fn(u64) -> Option<Found<'g>>,
    ) -> Vec<Found<'g>> {
        let mut turn = Turn {
            bound: self.bound,
            capacity,
            now,
            find,
            queues: &mut self.lock(),
            victims: Vec::new(),
            spared: SPARED,
            patience: PATIENCE,
        };
        turn.enter(newcomer);
        turn.make_room();
        turn.queues.tidy(self.bound, &turn.find);
        turn.victims
    }

    /// An entry was taken out of the map, and nothing was put in its place.
    pub(super) fn forget(&self, entry: &Kept, hash: u64) {
        let (mut queues, head) = (self.lock(), entry.head());
        let state = head.marks.state(self.bound);
        if queues.let_go(self.bound, head) {
            // Whoever asks for it again finds it no less popular.
            let count = state.aged(queues.generation).count;
            queues.ghosts.put(hash, count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many hashes are queued.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let queues = self.lock();
        queues.window.hashes.len() + queues.main.hashes.len()
    }
}

impl<'g, F: Fn(u64) -> Option<Found<'g>>> Turn<'_, 'g, F> {
    fn enter(&mut self, newcomer: &Newcomer<'_>) {
        let (head, bound, hash) = (newcomer.entry.head(), self.bound, newcomer.hash);
        if head.marks.state(bound).place != Place::Arriving {
            // Another has taken it out since it was put in.
            return;
        }
        if let Some(old) = newcomer.replaced.map(|old| old.head())
            && let Some(queue) = self.queues.queue(old.marks.state(bound).place)
        {
            // It has the place and the marks of the one before, and was asked for once more.
            queue.weight = queue.weight - weight(bound, old) + weight(bound, head);
            let state = old.marks.state(bound);
            let asked = old.marks.take_hits(bound) + 1;
            head.marks.set(bound, state.asked(asked));
            let place = Place::Left;
            old.marks.set(bound, State { place, ..state });
            return;
        }
        let weighs = weight(bound, head);
        if self.queues.weight() + weighs > self.enough(weighs) {
            self.queues.fit();
            self.queues.count(1);
            self.queues.width.come(hash, self.queues.main.entries);
        }
        let state = State {
            place: Place::Window,
            count: self.queues.ghosts.take(hash),
            generation: self.queues.generation,
            met: false,
        };
        head.marks.set(bound, state.asked(1));
        self.queues.window.push(hash, weighs);
    }

    /// Lets entries go until the others are within the bound.
    fn make_room(&mut self) {
        if self.queues.weight() <= self.capacity {
            self.sweep();
        }
        let width = self.queues.width.of(self.capacity);
        let mut moved = 0;
        loop {
            let is_over = self.queues.weight() > self.capacity;
            let is_wide = self.queues.window.weight > width;
            if !is_over && (!is_wide || moved == MOVED) {
                break;
            }
            // The last one in the window is the newcomer: it stays for now.
            let done = if is_wide && self.queues.window.hashes.len() > 1 {
                moved += 1;
                self.leave_window()
            } else if is_over {
                self.leave_main()
            } else {
                break;
            };
            if !done && self.patience == 0 {
                // For a moment there is more than there should be; the next insertion sees to it.
                break;
            }
        }
    }

    /// Has the oldest leave the window, into the main queue if it is worth a place there. Says whether
    /// that got anywhere.
    fn leave_window(&mut self) -> bool {
        let Some(hash) = self.queues.window.hashes.pop_front() else {
            return self.give_up();
        };
        let Some(kept) = (self.find)(hash) else {
            return true;
        };
        let head = kept.head();
        match head.marks.state(self.bound).place {
            Place::Window => {}
            Place::Arriving => {
                self.queues.window.push_before_last(hash);
                return self.pass();
            }
            Place::Main | Place::Left => return true,
        }
        if !head.may_revive(self.now) {
            self.depart(kept);
            return true;
        }
        let (hits, count) = self.read(head);
        let weight = weight(self.bound, head);
        if self.queues.weight() <= self.enough(weight) || self.displace(count) {
            self.queues.window.take(weight);
            self.queues.main.push(hash, weight);
            let state = head.marks.state(self.bound);
            let place = Place::Main;
            head.marks.set(self.bound, State { place, ..state });
        } else if hits > 0 && self.spared > 0 {
            self.spared -= 1;
            self.queues.window.push_before_last(hash);
        } else {
            self.depart(kept);
            self.queues.ghosts.put(hash, count);
            self.queues.width.leave(hash);
        }
        true
    }

    /// From which weight on newcomers have to be worth their place, where one of them weighs so much. A
    /// little less than all: places of many sizes never fit, and those who found what is left over
    /// large enough would come in unasked, and others go for them.
    fn enough(&self, weight: usize) -> usize {
        let spare = match self.bound {
            Bound::Bytes => (self.capacity / SPARE).max(weight.saturating_mul(2)),
            Bound::Entries => 0,
        };
        self.capacity.saturating_sub(spare)
    }

    /// Makes room in the main queue for a candidate that was asked for so often, if that is more often
    /// than what is there, or leaves for it. Says whether it may have its place.
    fn displace(&mut self, count: u8) -> bool {
        // Not counting the call that brought it in: in a loop, each key that comes has been asked for
        // once more than those whose turn is still to come.
        let mut count = count.saturating_sub(1);
        let mut tries = TRIES;
        while tries > 0 {
            let Some(hash) = self.queues.main.hashes.pop_front() else {
                break;
            };
            let Some(kept) = (self.find)(hash) else {
                continue;
            };
            let head = kept.head();
            match head.marks.state(self.bound).place {
                Place::Main => {}
                Place::Arriving => {
                    self.queues.main.hashes.push_back(hash);
                    tries -= 1;
                    continue;
                }
                Place::Window | Place::Left => continue,
            }
            if !head.may_revive(self.now) {
                self.depart(kept);
                continue;
            }
            let (hits, victim) = self.read(head);
            self.queues.width.hit(hits);
            let is_over = self.queues.weight() > self.capacity;
            if hits > 0 || count <= victim || !is_over {
                self.queues.main.hashes.push_back(hash);
                if hits == 0 {
                    return count > victim;
                }
                tries -= 1;
                continue;
            }
            // A large one displaces many, and must be worth as much as all of them.
            count -= victim;
            self.depart(kept);
            self.queues.ghosts.put(hash, victim);
            if self.queues.weight() <= self.capacity {
                return true;
            }
        }
        self.queues.weight() <= self.capacity
    }

    /// Has one leave the main queue, since the window is as wide as it may be. Says whether that got
    /// anywhere.
    fn leave_main(&mut self) -> bool {
        let Some(hash) = self.queues.main.hashes.pop_front() else {
            return self.give_up();
        };
        let Some(kept) = (self.find)(hash) else {
            return true;
        };
        let head = kept.head();
        match head.marks.state(self.bound).place {
            Place::Main => {}
            Place::Arriving => {
                self.queues.main.hashes.push_back(hash);
                return self.pass();
            }
            Place::Window | Place::Left => return true,
        }
        let (hits, count) = self.read(head);
        self.queues.width.hit(hits);
        if hits > 0 && self.spared > 0 && head.may_revive(self.now) {
            self.spared -= 1;
            self.queues.main.hashes.push_back(hash);
        } else {
            self.depart(kept);
            self.queues.ghosts.put(hash, count);
        }
        true
    }

    /// Looks at a few of the oldest entries, so that what has ended does not keep its memory until there
    /// is none left.
    fn sweep(&mut self) {
        for place in [Place::Window, Place::Main] {
            for _ in 0..SWEPT {
                let Some(queue) = self.queues.queue(place) else {
                    break;
                };
                let Some(hash) = queue.hashes.pop_front() else {
                    break;
                };
                let Some(kept) = (self.find)(hash) else {
                    continue;
                };
                let head = kept.head();
                let at = head.marks.state(self.bound).place;
                if at == place && !head.may_revive(self.now) {
                    self.depart(kept);
                } else if at == place || at == Place::Arriving {
                    // The order in which newcomers came is kept, that of the others tells nothing.
                    match place {
                        Place::Window => self.queues.window.hashes.push_front(hash),
                        _ => self.queues.main.hashes.push_back(hash),
                    }
                }
            }
        }
    }

    /// The hits of an entry since its last turn, and how often it was asked for with these.
    fn read(&mut self, head: &Head) -> (u8, u8) {
        let hits = head.marks.take_hits(self.bound);
        self.queues.count(usize::from(hits));
        let state = head.marks.state(self.bound);
        let state = state.aged(self.queues.generation).asked(hits);
        head.marks.set(self.bound, state);
        (hits, state.count)
    }

    fn depart(&mut self, kept: Found<'g>) {
        if self.queues.let_go(self.bound, kept.head()) {
            self.victims.push(kept);
        }
    }

    /// Passes over an entry that another thread is just putting in.
    fn pass(&mut self) -> bool {
        self.patience = self.patience.saturating_sub(1);
        false
    }

    fn give_up(&mut self) -> bool {
        self.patience = 0;
        false
    }
}

impl Queues {
    fn weight(&self) -> usize {
        self.window.weight + self.main.weight
    }

    fn entries(&self) -> usize {
        self.window.entries + self.main.entries
    }

    fn queue(&mut self, place: Place) -> Option<&mut Queue> {
        match place {
            Place::Window => Some(&mut self.window),
            Place::Main => Some(&mut self.main),
            Place::Arriving | Place::Left => None,
        }
    }

    /// An entry is not counted any more. Says whether it was.
    fn let_go(&mut self, bound: Bound, head: &Head) -> bool {
        let state = head.marks.state(bound);
        let queue = self.queue(state.place);
        let was_queued = queue.map(|queue| queue.take(weight(bound, head))).is_some();
        let place = Place::Left;
        head.marks.set(bound, State { place, ..state });
        was_queued
    }

    /// Keys were asked for.
    fn count(&mut self, keys: usize) {
        self.asked += keys;
        if self.asked >= GENERATION * self.entries().max(1) {
            self.asked = 0;
            self.generation = (self.generation + 1) % GENERATIONS;
            self.ghosts.age();
        }
    }

    /// Takes memory for what is remembered, once there are as many entries as there may be.
    fn fit(&mut self) {
        let entries = self.entries();
        let most = self.fitted + self.fitted / 4;
        if entries > most || entries < self.fitted / 4 || self.ghosts.room() == 0 {
            self.fitted = entries.max(1);
            self.ghosts.resize(self.fitted * REMEMBERED);
            self.width.resize(self.fitted);
        }
    }

    /// Drops the hashes of what is no longer in the map, where they are many, and those that are there
    /// twice, since what they stood for left and came again.
    fn tidy<'g>(&mut self, bound: Bound, find: impl Fn(u64) -> Option<Found<'g>>) {
        let entries = self.entries();
        let hashes = self.window.hashes.len() + self.main.hashes.len();
        if hashes <= entries + entries / 4 + 64 {
            return;
        }
        for (queue, here) in [
            (&mut self.window, Place::Window),
            (&mut self.main, Place::Main),
        ] {
            let met = |hash: &u64, met: bool| {
                let marks = &find(*hash)?.head().marks;
                let state = marks.state(bound);
                marks.set(bound, State { met, ..state });
                Some(state)
            };
            queue.hashes.retain(|hash| {
                met(hash, true).is_some_and(|state| {
                    let is_here = state.place == here || state.place == Place::Arriving;
                    is_here && !state.met
                })
            });
            queue
                .hashes
                .shrink_to(queue.hashes.len() + queue.hashes.len() / 8);
            for hash in &queue.hashes {
                met(hash, false);
            }
        }
    }
}

impl Queue {
    fn push(&mut self, hash: u64, weight: usize) {
        if self.hashes.len() == self.hashes.capacity() {
            // By an eighth and not to twice the size: these are as many as all entries.
            self.hashes.reserve_exact(self.hashes.len() / 8 + 16);
        }
        self.hashes.push_back(hash);
        self.entries += 1;
        self.weight += weight;
    }

    /// Puts a hash back, so that the last one stays the last.
    fn push_before_last(&mut self, hash: u64) {
        let last = self.hashes.pop_back();
        self.hashes.push_back(hash);
        self.hashes.extend(last);
    }

    /// An entry is not counted here any more.
    fn take(&mut self, weight: usize) {
        self.entries -= 1;
        self.weight -= weight;
    }
}

fn weight(bound: Bound, head: &Head) -> usize {
    match bound {
        Bound::Bytes => head.bytes(),
        Bound::Entries => 1,
    }
}

#[cfg(test)]
mod tests;
