//! One run of a type's `Deserialize`: the record of what it asked for, and the choices made for
//! it, so that a refused one can be made differently.

use std::collections::HashMap;
use std::io::Write as _;

use super::memory::{Identity, Memory};
use crate::refusal::Refusal;

/// How deep a run goes before the type is taken to have no end.
const DEPTH: u32 = 128;

/// One decision: which of `count` dummies, beginning with `first`, of which `tried` were refused.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    place: u64,
    first: usize,
    tried: usize,
    count: usize,
}

impl Choice {
    fn taken(&self) -> usize {
        (self.first + self.tried) % self.count
    }
}

/// A variant of an enum, one of `count`, inside of a variant of another one.
struct Explored {
    identity: Identity,
    count: usize,
    at: usize,
    around: Option<(Identity, usize)>,
}

pub(super) struct Run<'m> {
    memory: &'m mut Memory,
    record: Vec<u8>,
    script: Vec<Choice>,
    next: usize,
    steps: usize,
    depth: u32,
    /// The types that were opened in this run, in order.
    opened: HashMap<Identity, usize>,
    /// The enums that are being visited, outermost first, each with its variant.
    active: Vec<(Identity, usize)>,
    /// The variants that came to an end in this run, in order.
    finished: Vec<(Identity, usize)>,
    /// The variants recorded in this run.
    explored: Vec<Explored>,
    /// Where the run was refused, innermost first.
    place: Option<&'static str>,
    fatal: Option<String>,
    self_describing: bool,
    /// Whether the refusal has shown what a type that takes anything does not take.
    learnt: bool,
}

impl<'m> Run<'m> {
    pub(super) fn new(memory: &'m mut Memory, script: Vec<Choice>, steps: usize) -> Self {
        Self {
            memory,
            record: Vec::new(),
            script,
            next: 0,
            steps,
            depth: 0,
            opened: HashMap::new(),
            active: Vec::new(),
            finished: Vec::new(),
            explored: Vec::new(),
            place: None,
            fatal: None,
            self_describing: false,
            learnt: false,
        }
    }

    /// Counts one value that is asked for.
    pub(super) fn step(&mut self) -> Result<(), Refusal> {
        if self.depth > DEPTH {
            return Err(self.give_up("it contains itself without an end".to_owned()));
        }
        if self.steps == 0 {
            return Err(self.give_up("it takes too many tries".to_owned()));
        }
        self.steps -= 1;
        Ok(())
    }

    pub(super) fn descend(&mut self) {
        self.depth += 1;
    }

    pub(super) fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// Ends the trace: another try cannot help.
    pub(super) fn give_up(&mut self, why: String) -> Refusal {
        let refusal = Refusal::new(&why);
        self.fatal.get_or_insert(why);
        refusal
    }

    pub(super) fn describe_self(&mut self) {
        self.self_describing = true;
    }

    /// Records a word of our own.
    pub(super) fn note(&mut self, word: &str) {
        self.record.extend_from_slice(word.as_bytes());
        self.record.push(b' ');
    }

    /// Records a number.
    pub(super) fn count(&mut self, number: usize) {
        // Writing to a vector never fails.
        let _ = write!(self.record, "{number} ");
    }

    /// Records a name of the type's, its length first, so that no name reads as two.
    pub(super) fn name(&mut self, name: &str) {
        self.count(name.len());
        self.note(name);
    }

    /// Whether the inside of this type is to be recorded: the first time in a run only.
    pub(super) fn open(&mut self, identity: Identity) -> bool {
        let next = self.opened.len();
        if let Some(&first) = self.opened.get(&identity) {
            self.note("again");
            self.count(first);
            return false;
        }
        self.opened.insert(identity, next);
        true
    }

    /// Decides for one of `count` dummies.
    pub(super) fn choose(&mut self, place: u64, leaf: Option<&Identity>, count: usize) -> usize {
        if self.next == self.script.len() {
            let known = self.memory.places.get(&place).copied();
            let first = known
                .or_else(|| leaf.and_then(|leaf| self.memory.leaves.get(leaf).copied()))
                .filter(|first| *first < count);
            self.script.push(Choice {
                place,
                first: first.unwrap_or(0),
                tried: 0,
                count,
            });
        }
        let taken = self.script[self.next].taken();
        self.next += 1;
        taken
    }

    /// Remembers that a leaf of this type took this dummy.
    pub(super) fn accepted(&mut self, leaf: Identity, taken: usize) {
        self.memory.leaves.insert(leaf, taken);
    }

    /// The variant that an enum takes; the caller calls [`Run::leave`] afterwards.
    pub(super) fn enter(
        &mut self,
        identity: Identity,
        count: usize,
        recorded: bool,
    ) -> Result<usize, Refusal> {
        if count == 0 {
            return Err(self.give_up("it has an enum without variants".to_owned()));
        }
        let at = if recorded {
            let at = self.memory.due(&identity, count);
            self.explored.push(Explored {
                identity,
                count,
                at,
                around: self.active.last().copied(),
            });
            at
        } else {
            // One that is known to end; else any that is not being visited already, since those
            // have led here.
            let own = self.finished.iter().find(|(done, _)| *done == identity);
            let known = self
                .memory
                .finished(&identity)
                .or_else(|| own.map(|(_, at)| *at));
            let fresh = || {
                (0..count).find(|at| {
                    !self.active.contains(&(identity, *at))
                        && !self.memory.is_refused(&identity, *at)
                })
            };
            match known.or_else(fresh) {
                Some(at) => at,
                None => return Err(self.give_up("it contains itself without an end".to_owned())),
            }
        };
        self.active.push((identity, at));
        Ok(at)
    }

    pub(super) fn leave(&mut self, well: bool) {
        if let Some(done) = self.active.pop()
            && well
        {
            self.finished.push(done);
        }
    }

    /// What a type that takes anything was given, it does not take.
    pub(super) fn refused_one(&mut self, identity: Identity, count: usize, at: usize) {
        self.learnt |= self.memory.refuse(identity, count, at);
    }

    /// Notes where a refusal came from; the innermost place counts.
    pub(super) fn refused_in(&mut self, place: &'static str) {
        self.place.get_or_insert(place);
    }

    pub(super) fn steps_left(&self) -> usize {
        self.steps
    }

    pub(super) fn self_describing(&self) -> bool {
        self.self_describing
    }

    pub(super) fn is_fatal(&self) -> bool {
        self.fatal.is_some()
    }

    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }

    pub(super) fn reason(&self, refusal: &Refusal) -> String {
        let why = self
            .fatal
            .clone()
            .unwrap_or_else(|| format!("its `Deserialize` refuses: {refusal}"));
        match self.place {
            Some(place) => format!("{why}, in `{place}`"),
            None => why,
        }
    }

    /// Keeps what a successful run has shown; says whether any of it was new.
    pub(super) fn commit(self) -> bool {
        let memory = self.memory;
        let mut news = false;
        for new in &self.explored {
            news |= memory.explore(new.identity, new.count, new.at);
        }
        for new in &self.explored {
            if let Some((outer, at)) = new.around {
                memory.nest(outer, at, new.identity);
            }
        }
        for (identity, at) in self.finished {
            memory.finish(identity, at);
        }
        for choice in &self.script {
            memory.places.insert(choice.place, choice.taken());
        }
        news
    }

    /// The choices for the next try: the last one that has an alternative is made differently, but
    /// all are made once more where what was refused will not be offered again.
    pub(super) fn next_script(mut self) -> Option<Vec<Choice>> {
        self.script.truncate(self.next);
        if self.learnt {
            return Some(self.script);
        }
        while let Some(last) = self.script.last_mut() {
            last.tried += 1;
            if last.tried < last.count {
                return Some(self.script);
            }
            self.script.pop();
        }
        None
    }
}
