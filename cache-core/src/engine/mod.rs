//! The engine: what a call does, step by step (DESIGN 4). One per cache; it decides everything, and
//! takes time, random numbers, tasks and the shared tier from outside.

mod beside;
mod call;
mod complaints;
mod fallback;
mod fetch;
mod first;
mod follow;
mod function;
mod hearing;
mod hit;
mod inspect;
mod invalidate;
mod journal;
mod judge;
mod keep;
mod late;
mod lead;
mod lease;
mod observe;
mod outage;
mod overhear;
mod plan;
mod queue;
mod recent;
mod report;
mod settling;
mod solo;
pub(crate) mod spans;
mod trust;
mod trusted;
mod update;
mod within;
mod worth;
mod writers;
mod written;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

pub(crate) use call::{Call, Prepared};
use complaints::Complaints;
use fallback::Lapses;
pub(crate) use first::Payload;
pub(crate) use follow::Begun;
pub(crate) use function::Function;
use function::{Carrier, KindState, Table};
pub use inspect::{InspectedTag, Inspection, LocalEntry, SharedEntry};
pub use invalidate::Invalidation;
pub(crate) use invalidate::Targets;
pub(crate) use journal::Journal;
pub(crate) use keep::Fate;
pub(crate) use lead::{Lead, Running};
use lease::Leases;
use outage::{Asking, Outage};
use overhear::Ears;
pub(crate) use queue::Queue;
use recent::Recent;
use report::Reports;
use settling::Settling;
pub(crate) use solo::Solo;
use solo::Solos;
use trust::Trust;
pub(crate) use update::Update;
pub(crate) use within::Within;
use writers::Writers;

use crate::env::Env;
use crate::flight::{Flights, Note};
use crate::key::unpacked;
use crate::local::{Cell, Cells, Local};
use crate::metrics::{Count, Counters, Snapshot, millis};
use crate::policy::Policies;
use crate::registry::Registered;
use crate::sabotage::{Guard, removed};
use crate::store::{Attachment, Observer, Store};
use crate::value::Described;
use crate::{Error, ErrorKind, Result};

/// What a cache is built from.
pub(crate) struct Parts {
    pub(crate) env: Env,
    pub(crate) namespace: String,
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) policies: Policies,
    pub(crate) enabled: bool,
    pub(crate) capacity: usize,
    pub(crate) store_timeout: Duration,
    pub(crate) replay_window: Duration,
    pub(crate) local_trust: Duration,
    /// The journal, and what an earlier process left in it.
    pub(crate) journal: Option<(Journal, Queue)>,
}

pub(crate) struct Engine {
    pub(crate) env: Env,
    pub(crate) namespace: String,
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) enabled: bool,
    pub(crate) local: Local,
    pub(crate) cells: Cells,
    pub(crate) flights: Arc<Flights>,
    pub(crate) outage: Outage,
    pub(crate) journal: Option<Journal>,
    /// What is counted for the cache as a whole.
    pub(crate) totals: Counters,
    leases: Leases,
    ears: Ears,
    /// About the store, and about values that it can't be given: neither is to drown the other.
    store_complaints: Complaints,
    value_complaints: Complaints,
    trust: Trust,
    recent: Recent,
    epoch: AtomicU64,
    lapses: Lapses,
    solos: Solos,
    writers: Writers,
    /// Of how many elements the store is still to say whether it keeps them, though their callers have gone on.
    unheard: AtomicUsize,
    reports: Reports,
    /// When it was made.
    born: Duration,
    pub(crate) store_timeout: Duration,
    local_trust: Duration,
    policies: Policies,
    functions: Table<Arc<Function>>,
    kinds: Mutex<BTreeMap<String, Arc<KindState>>>,
    /// By `kind:function:`.
    names: RwLock<HashMap<String, Arc<Function>>>,
    me: Weak<Engine>,
}

/// Why an epoch ends.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Everything was invalidated.
    Flush,
    /// This node may have missed something. Until then it had not.
    Loss(Option<Duration>),
}

impl Engine {
    /// Builds an engine and attaches it to its store.
    pub(crate) fn new(parts: Parts) -> Result<Arc<Self>> {
        let (journal, queue) = parts.journal.unzip();
        let engine = Arc::new_cyclic(|me| Self {
            born: parts.env.now(),
            reports: Reports::default(),
            env: parts.env,
            namespace: parts.namespace,
            local: Local::new(parts.capacity).before(parts.store.is_some()),
            store: parts.store,
            enabled: parts.enabled,
            // A cell takes about a tenth of the smallest entry.
            cells: Cells::new((parts.capacity / 256).clamp(1_000, 1_000_000)),
            flights: Arc::new(Flights::new()),
            outage: Outage::new(queue.unwrap_or_default()),
            journal,
            totals: Counters::new(),
            leases: Leases::default(),
            ears: Ears::default(),
            store_complaints: Complaints::default(),
            value_complaints: Complaints::default(),
            trust: Trust::default(),
            recent: Recent::new(parts.replay_window),
            epoch: AtomicU64::new(0),
            lapses: Lapses::default(),
            solos: Solos::new(),
            writers: Writers::default(),
            unheard: AtomicUsize::new(0),
            store_timeout: parts.store_timeout,
            local_trust: parts.local_trust,
            policies: parts.policies,
            functions: Table::new(),
            kinds: Mutex::default(),
            names: RwLock::default(),
            me: me.clone(),
        });
        if let Some(store) = &engine.store {
            let observer: Weak<dyn Observer> = Arc::<Self>::downgrade(&engine);
            store.attach(Attachment::new(
                engine.namespace.clone(),
                engine.env.clone(),
                observer,
            ))?;
            engine.resume();
            engine.keep_reporting();
        }
        Ok(engine)
    }

    /// The function, as this cache knows it. `values`: what it does with the function's values, and the
    /// name of the type that is returned, where nothing but a value was seen in it. `None` while it is being settled
    /// on this thread.
    #[inline]
    pub(crate) fn function(
        &self,
        registered: &Registered,
        values: &'static Described,
    ) -> Option<&Arc<Function>> {
        if let Some(function) = self.functions.get(registered.number) {
            return Some(function);
        }
        self.settle(registered, values)
    }

    /// Settles what a function is to this cache.
    #[cold]
    fn settle(
        &self,
        registered: &Registered,
        values: &'static Described,
    ) -> Option<&Arc<Function>> {
        let settling = Settling::begin(self, registered.number)?;
        let kind = self.kind(registered.kind);
        // With nothing held: its values' own code runs, and may call other functions, or have another thread call
        // this one. Who comes second has made one in vain.
        let function = Arc::new(Function::new(registered, kind, values, self.enabled));
        drop(settling);
        let settled = self.functions.get_or_init(registered.number, || {
            // Before anybody can call it: an event for one of its keys must find it.
            self.names
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(function.prefix.clone(), Arc::clone(&function));
            function
        });
        Some(settled)
    }

    /// Has calls of a kind go past the cache from here on, or no longer. Invalidations are obeyed
    /// meanwhile.
    pub(crate) fn switch(&self, kind: &str, on: bool) {
        self.kind(kind).off.store(!on, Ordering::Relaxed);
    }

    /// The function that stores its entries under this name, if it was ever called here.
    fn function_named(&self, kind: &str, name: &str) -> Option<Arc<Function>> {
        self.names
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&format!("{kind}:{name}:"))
            .cloned()
    }

    fn kind(&self, name: &str) -> Arc<KindState> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = kinds.get(name) {
            return Arc::clone(kind);
        }
        let kind = Arc::new(KindState::new(
            name,
            self.policies.of(name),
            self.env.coarse(),
        ));
        kinds.insert(name.to_owned(), Arc::clone(&kind));
        kind
    }

    fn known_kind(&self, name: &str) -> Option<Arc<KindState>> {
        self.kinds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Nothing that was learnt before counts any more.
    ///
    /// Guard G12: every cell moves, every flight is dirty, every local entry ends, every waiter
    /// wakes.
    fn step_epoch(&self, step: Step) {
        if removed(Guard::G12) {
            return;
        }
        self.totals.count(Count::EpochStep);
        let end = || self.epoch.fetch_add(1, Ordering::AcqRel);
        let ended = self.cells.ending_epoch(end);
        match step {
            Step::Flush => self.cells.advance_all(),
            Step::Loss(known) => {
                if let Some(known) = known {
                    self.lapses.note(ended, known);
                }
                self.cells.lose_sight();
            }
        }
        self.sweep_flights();
    }

    /// Makes the flights dirty that depended on something that has moved; their leaders give up
    /// their leases at once (guard G6), so that the next load need not wait for a useless one.
    fn sweep_flights(&self) {
        for (key, token) in self.flights.sweep_dirty(self.epoch()) {
            if let Some(function) = self.functions.get(key.function) {
                self.release_later(
                    format!("{}{}", function.prefix, unpacked(&key.args).as_str()),
                    token,
                );
            }
        }
    }

    fn note(&self, cells: &[Arc<Cell>]) -> Note {
        Note::take(self.epoch(), cells.iter().map(Arc::clone))
    }

    /// A call to the store, bounded by the store's timeout.
    async fn bounded<T>(
        &self,
        asking: Asking,
        asked: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut left = self.store_timeout;
        self.bounded_by(&mut left, asking, asked).await
    }

    /// A call to the store, bounded by what is left of a budget, and charged to it. The breaker
    /// is told what came of it.
    async fn bounded_by<T>(
        &self,
        left: &mut Duration,
        asking: Asking,
        asked: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        // A few milliseconds more or less are nothing to a budget, and each call would pay for the
        // exact time twice.
        let before = self.env.coarse();
        let answered = tokio::select! {
            biased;
            answer = asked => Some(answer),
            () = self.env.bound(*left) => None,
        };
        let budget = *left;
        *left = match answered {
            Some(_) => left.saturating_sub(self.env.coarse().saturating_sub(before)),
            None => Duration::ZERO,
        };
        let answer = answered.unwrap_or_else(|| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!("no answer from the store within {budget:?}"),
            ))
        });
        self.judged(asking, answer.as_ref().err());
        answer
    }

    /// Asks the store whether it answers.
    pub(crate) async fn check_store(&self) -> Result<()> {
        let Some(store) = &self.store else {
            return Err(no_store());
        };
        self.bounded(Asking::Aside, store.probe()).await?;
        if self.outage.usable() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the store answers, but queued invalidations have not all been applied yet",
        ))
    }

    /// All figures at this moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let kinds = self
            .kinds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut snapshot = Snapshot::of(&self.totals);
        snapshot.breaker_open = !self.outage.usable();
        snapshot.invalidations_pending = self.outage.queued() as u64;
        snapshot.journal_errors = self.journal.as_ref().map_or(0, Journal::errors);
        let age = self.env.now().saturating_sub(self.born);
        snapshot.uptime_ms = millis(age);
        let now = self.env.coarse();
        for (name, kind) in kinds {
            snapshot.kinds.insert(name, kind.figures(now));
        }
        let mut claimed = HashSet::new();
        for function in self.functions.iter() {
            let (entries, bytes) = self.local.size(function.number);
            claimed.insert(&*function.kind.name);
            if let Some(kind) = snapshot.kinds.get_mut(&function.kind.name) {
                kind.local_entries += entries as u64;
                kind.local_bytes += bytes as u64;
            }
        }
        let unclaimed = self.policies.kinds().filter(|kind| !claimed.contains(kind));
        snapshot.unclaimed_policies = unclaimed.map(str::to_owned).collect();
        snapshot
    }
}

fn no_store() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "this cache has no shared tier: give it one with Cache::builder().shared(..)",
    )
}
