//! One call after a local miss: join the flight of its key or lead it, fetch or load, store, share.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tracing::Span;

use super::fetch::{Budgets, Tagged};
use super::first::Seen;
use super::follow::{Begun, Following};
use super::lead::Lead;
use super::plan::Plan;
use super::worth::Worth;
use super::{Engine, Function, Within, spans};
use crate::flight::{Followed, Follower, Joined, Seat};
use crate::key::{Args, unpacked};
use crate::local::{Cell, Held, LocalKey};
use crate::metrics::Count;
use crate::tag::Texts;

/// What is added to the bytes of a local entry for its place in memory: the allocation's own counts (16),
/// what the map points to it with (24), two places in its table, which is half full (18), and one in
/// eviction's queue (16 to 32).
const BOOKKEEPING: usize = 80;
/// After how many flights that brought nothing a call runs the function by itself: callers of a
/// function that keeps failing must not queue up behind each other.
const FRUITLESS: u32 = 2;

/// What a call came to before any function ran.
pub(crate) enum Prepared {
    /// The value is there.
    Value(Arc<dyn Held>),
    /// The function is to be run, and what it returns is for this call alone.
    Alone,
    /// The function is to be run, for others too.
    Lead(Box<Lead>),
}

/// A call that found nothing it could use in the local tier.
pub(crate) struct Call {
    pub(crate) engine: Arc<Engine>,
    pub(crate) function: Arc<Function>,
    pub(crate) key: LocalKey,
    /// The tags that are its own.
    own_tags: Texts,
    all_tags: OnceLock<Arc<[String]>>,
    /// Their cells, once it has looked for itself.
    cells: OnceLock<Vec<Arc<Cell>>>,
    /// When it began (guard G6).
    pub(crate) began: u64,
    /// Whether it loads whatever is there.
    pub(crate) refresh: bool,
    /// Whether it loads although the value that is there is fresh, where that was drawn.
    pub(crate) early: Option<bool>,
    /// Whether the value was given, and no function runs.
    pub(crate) given: bool,
    /// Whether the function is a plain one.
    pub(crate) blocking: bool,
    /// Up while it waits for another call or another node, for a batch that it is part of.
    pub(crate) waiting: Option<Arc<AtomicBool>>,
    /// Where what comes of it is recorded.
    pub(crate) span: Span,
    shared_key: OnceLock<Arc<str>>,
    /// What it has seen so far, and what is left of its budgets.
    pub(super) seen: Option<Seen>,
    pub(super) budgets: Option<Budgets>,
    /// Whose flight it follows, before it searches. Asked only by whoever has all of the call.
    pub(super) following: Mutex<Option<Following>>,
}

impl Call {
    pub(crate) fn new(
        engine: &Arc<Engine>,
        function: &Arc<Function>,
        args: &Args,
        own_tags: Texts,
    ) -> Self {
        Self {
            key: LocalKey::new(function.number, args.as_bytes()),
            engine: Arc::clone(engine),
            function: Arc::clone(function),
            own_tags,
            all_tags: OnceLock::new(),
            cells: OnceLock::new(),
            shared_key: OnceLock::new(),
            began: engine.flights.call_begins(),
            refresh: false,
            early: None,
            given: false,
            blocking: false,
            waiting: None,
            span: Span::none(),
            seen: None,
            budgets: None,
            following: Mutex::new(None),
        }
    }

    /// Begins to show it, as a span that is returned.
    pub(crate) fn show(&mut self) -> Span {
        self.span = spans::call(&self.function);
        self.span.clone()
    }

    /// The load of this call, for whatever it calls.
    pub(crate) fn within(&self) -> Within {
        Within::new(&self.engine, [self.key.clone()])
    }

    /// Waits for somebody else, whom a batch must not wait for before it has loaded what it leads.
    pub(super) async fn waits<T>(&self, other: impl Future<Output = T>) -> T {
        let Some(waiting) = &self.waiting else {
            return other.await;
        };
        waiting.store(true, Ordering::Relaxed);
        let ended = other.await;
        waiting.store(false, Ordering::Relaxed);
        ended
    }

    /// Its tags: those that every entry of its kind carries, the namespace's and the kind's, and its own, if any.
    /// Put together when they are first asked for, as the key is.
    pub(crate) fn tags(&self) -> &Arc<[String]> {
        let of_kind = &self.function.kind.tags;
        if self.own_tags.is_empty() {
            return of_kind;
        }
        self.all_tags.get_or_init(|| {
            let own = self.own_tags.iter().map(str::to_owned);
            of_kind.iter().cloned().chain(own).collect()
        })
    }

    /// The cells of its tags.
    pub(super) fn cells(&self) -> &[Arc<Cell>] {
        let all = &self.engine.cells;
        let of_kind = self.function.kind.cells(all);
        if self.own_tags.is_empty() {
            return of_kind;
        }
        self.cells.get_or_init(|| {
            let own = self.own_tags.iter().map(|tag| all.cell(tag));
            of_kind.iter().cloned().chain(own).collect()
        })
    }

    /// The key in the shared tier. Made when it is first asked for: who finds that another loads has no use
    /// for it.
    pub(super) fn shared_key(&self) -> Arc<str> {
        let make = || {
            let (prefix, args) = (&self.function.prefix, unpacked(&self.key.args));
            let mut key = String::with_capacity(prefix.len() + args.as_str().len());
            key.push_str(prefix);
            key.push_str(args.as_str());
            key.into()
        };
        Arc::clone(self.shared_key.get_or_init(make))
    }

    /// What a local entry with a value of this many encoded bytes takes.
    pub(super) fn weight(&self, encoded: usize) -> usize {
        self.function.values.size() + encoded + BOOKKEEPING
    }

    pub(super) fn count(&self, count: Count) {
        self.function.kind.counters.count(count);
        spans::record(&self.span, count);
    }

    /// Whether events tell this call of whatever moves.
    pub(super) fn trusts(&self) -> bool {
        let engine = &self.engine;
        !self.function.settings.strict && engine.trusts_local(engine.env.coarse())
    }

    /// Finds the value, or settles what will become of what the function returns.
    ///
    /// Dropped at any time, the call leaves nothing behind: its lease is given up, and one of those who
    /// waited for it takes over.
    pub(crate) async fn prepare(&self, mut begun: Begun) -> Prepared {
        let mut budgets = self.budgets.unwrap_or_else(|| Budgets::of(self));
        loop {
            let begun = mem::replace(&mut begun, Begun::Nothing);
            let seat = match self.take_seat(begun, &mut budgets).await {
                Ok(Some(seat)) => seat,
                Ok(None) => {
                    self.count(Count::Miss);
                    return Prepared::Alone;
                }
                Err(value) => return Prepared::Value(value),
            };
            // Apart, like whatever only some calls come to: who only follows needs no room for it.
            match Box::pin(self.plan(&seat, &mut budgets)).await {
                Ok((Plan::Elsewhere, _)) => {}
                Ok((plan, spare)) => {
                    let lead = self.take_off(seat, (plan, spare), budgets.store);
                    return Prepared::Lead(Box::new(lead));
                }
                Err(hit) => return Prepared::Value(self.share_hit(seat, hit)),
            }
        }
    }

    /// What the shared tier has, for a call in a transaction, which loads nothing for others. Counted.
    pub(crate) async fn find_in_transaction(&self) -> Option<Arc<dyn Held>> {
        let found = self.look_aside(Worth::Refresh).await;
        if found.is_none() {
            self.count(Count::Miss);
        }
        found
    }

    /// What is cached, without loading it.
    pub(crate) async fn peek(&self) -> Option<Arc<dyn Held>> {
        self.engine.look(self, Worth::Refresh).await
    }

    /// The leader's seat, or `None` where this call is better off alone, or the value of another
    /// call's flight, counted, as the error.
    async fn take_seat(
        &self,
        begun: Begun,
        budgets: &mut Budgets,
    ) -> Result<Option<Seat>, Arc<dyn Held>> {
        let engine = &self.engine;
        let mut turn = None;
        let mut fruitless = 0;
        match begun {
            Begun::Nothing if Within::covers(engine, &self.key) => return Ok(None),
            Begun::Nothing if self.refresh => {
                let seat = engine.flights.replace(&self.key, self.blocking);
                if self.given {
                    let Tagged { cells, .. } = engine.tagged(self, &self.shared_key());
                    seat.given(engine.note(&cells));
                }
                return Ok(Some(seat));
            }
            Begun::Nothing => {}
            Begun::Turn(joined) => turn = Some(joined),
            Begun::Followed(ended, waited) => {
                budgets.waits = budgets.waits.saturating_sub(waited);
                if budgets.waits.is_zero() {
                    return Ok(None);
                }
                fruitless += u32::from(matches!(ended, Some(Followed::Uncached)));
            }
        }
        let mut soft = self.function.settings.soft_timeout;
        loop {
            let mut other = match turn.take().unwrap_or_else(|| self.turn()) {
                Joined::Lead(seat, other) => {
                    if let Some(other) = other {
                        Box::pin(self.gather(other, budgets)).await;
                    }
                    // Another flight may have ended since this call looked.
                    let Some(value) = self.look_again() else {
                        return Ok(Some(seat));
                    };
                    return Err(value);
                }
                Joined::Own => return Ok(None),
                Joined::Follow(other) => other,
                Joined::Standby(held) => {
                    if let Some(value) = self.stood_by(held) {
                        return Err(value);
                    }
                    // Another type's: it can't be had, and never comes.
                    return Ok(None);
                }
                Joined::Aside(other) => {
                    if let Some(value) = Box::pin(self.look_aside(Worth::Refresh)).await {
                        return Err(value);
                    }
                    other
                }
            };
            let followed = loop {
                let (ended, waited) = self.follow(&mut other, soft, budgets.waits).await;
                budgets.waits = budgets.waits.saturating_sub(waited);
                soft = soft.map(|soft| soft.saturating_sub(waited));
                if let Some(followed) = ended {
                    break followed;
                }
                if soft.is_some_and(|soft| soft.is_zero()) {
                    soft = None;
                    let standby = other.standby(engine.epoch(), self.trusts(), engine.env.coarse());
                    if let Some(value) = standby.and_then(|held| self.stood_by(held)) {
                        return Err(value);
                    }
                    // Where nobody would have told, this call has to ask for itself.
                    if !self.trusts()
                        && let Some(value) = Box::pin(self.look_aside(Worth::Fallback)).await
                    {
                        return Err(value);
                    }
                }
                if budgets.waits.is_zero() {
                    return Ok(None);
                }
            };
            match followed {
                Followed::Value(held) => {
                    if self.function.values.are(&*held) {
                        self.count(Count::Coalesced);
                        return Err(held);
                    }
                }
                Followed::Again => {}
                Followed::Uncached => fruitless += 1,
            }
            if fruitless >= FRUITLESS || budgets.waits.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Waits for another call's flight to end, but not for longer than its soft timeout or its budget. Says
    /// how long it waited.
    async fn follow(
        &self,
        other: &mut Follower,
        soft: Option<Duration>,
        waits: Duration,
    ) -> (Option<Followed>, Duration) {
        let env = &self.engine.env;
        // Only the soft timeout is to the millisecond.
        let clock = || soft.map_or_else(|| env.coarse(), |_| env.now());
        let before = clock();
        let late = match soft {
            Some(soft) => env.sleep(soft.min(waits)),
            None => env.timeout(waits),
        };
        let ended = self
            .waits(async {
                tokio::select! {
                    biased;
                    end = other.end() => Some(end),
                    () = late => None,
                }
            })
            .await;
        (ended, clock().saturating_sub(before))
    }

    /// The value that can be served while another call loads, as the store has it, counted.
    async fn look_aside(&self, least: Worth) -> Option<Arc<dyn Held>> {
        let stored = self.engine.look(self, least).await?;
        let stale = stored.head().life().is_stale(self.engine.env.coarse());
        self.count(if stale {
            Count::HitStale
        } else {
            Count::HitShared
        });
        Some(stored)
    }

    /// The value of what stands by while another call loads, counted.
    fn stood_by(&self, held: Arc<dyn Held>) -> Option<Arc<dyn Held>> {
        if !self.function.values.are(&*held) {
            return None;
        }
        let stale = held.head().life().is_stale(self.engine.env.coarse());
        self.count(if stale {
            Count::HitStale
        } else {
            Count::HitLocal
        });
        Some(held)
    }

    /// Without the shared tier each load serves those who called before it began. Who calls later
    /// waits for its end, but for no longer than it would wait for the store (invariant 2), so that
    /// all who call meanwhile share the next one.
    async fn gather(&self, mut other: Follower, budgets: &mut Budgets) {
        let env = &self.engine.env;
        let before = env.now();
        let pause = budgets.store.min(budgets.waits);
        self.waits(async {
            tokio::select! {
                biased;
                _ = other.end() => {}
                () = env.sleep(pause) => {}
            }
        })
        .await;
        let waited = env.now().saturating_sub(before);
        budgets.waits = budgets.waits.saturating_sub(waited);
        budgets.store = budgets.store.saturating_sub(waited);
    }

    /// The local tier's value, where it can be trusted, counted.
    fn look_again(&self) -> Option<Arc<dyn Held>> {
        let held = self.engine.find(self)?;
        let mut early = self.early;
        self.engine
            .may_have(&self.function, &mut early, &*held)
            .then_some(held)
    }
}
