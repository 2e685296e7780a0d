//! A store in memory: what Redis is to the engine, inside one process. For tests, for the simulation,
//! and for several caches of one process that are to be coherent.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::ops::{Deref, DerefMut, RangeInclusive};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::entry::{EntryId, ID};
use crate::env::Env;
use crate::local::Parting;
use crate::metrics::{Fleet, Minute, Report, millis};
use crate::store::{
    Attachment, Begin, Beginning, BoxFuture, Event, Fill, Found, Read, Reading, Stamp, Store,
    Token, Turn, Update, Updated,
};
use crate::{Error, ErrorKind, Result};

use figures::Figures;

mod figures;

/// The server that [`MemoryStore`]s are clients of. Cloning shares it.
///
/// ```
/// use cache_core::{Cache, Env};
/// use cache_core::memory::MemoryServer;
///
/// let server = MemoryServer::new(Env::system());
/// let one = Cache::builder().shared(server.store()).build();
/// let other = Cache::builder().shared(server.store()).build();
/// # drop((one, other));
/// ```
#[derive(Clone, Debug)]
pub struct MemoryServer {
    state: Arc<Mutex<State>>,
    env: Env,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<String, Expiring<Arc<[u8]>>>,
    /// The order in which entries were stored, by a number each: the oldest makes room.
    order: BTreeMap<u64, String>,
    stored: u64,
    bytes: usize,
    leases: HashMap<String, Expiring<Token>>,
    stamps: HashMap<String, Expiring<Stamp>>,
    clients: Vec<(Attachment, bool)>,
    trouble: Trouble,
    calls: u64,
    report_every: Option<Duration>,
    /// By namespace.
    fleets: HashMap<String, Figures>,
}

#[derive(Debug)]
struct Expiring<T> {
    value: T,
    until: Duration,
    number: u64,
}

/// What is wrong with a [`MemoryServer`], for tests of outages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// Every call fails at once: connection refused.
    Down,
    /// No call is answered.
    Hung,
    /// Whatever would write is refused: full, or read-only.
    ReadOnly,
}

/// Events are told in the step that makes them: they can be late for nobody.
const PROVEN: Event = Event::Proven {
    until: Duration::MAX,
};

/// The bytes of entries that are kept; the oldest make room.
const CAPACITY: usize = 64 << 20;

impl MemoryServer {
    /// An empty server that lives by `env`'s clock.
    pub fn new(env: Env) -> Self {
        Self {
            state: Arc::default(),
            env,
        }
    }

    /// A client whose events can be trusted, so that local hits ask nobody.
    pub fn store(&self) -> MemoryStore {
        MemoryStore {
            server: self.clone(),
            tracked: true,
            attached: Arc::default(),
        }
    }

    /// A client without events: its local tier checks entry and stamps on each call.
    pub fn checked_store(&self) -> MemoryStore {
        MemoryStore {
            tracked: false,
            ..self.store()
        }
    }

    /// Has caches report what they have counted, so often, so that
    /// [`Cache::fleet`](crate::Cache::fleet) tells what all of them have. To be said before they are
    /// built. Default: they report nothing.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use std::time::Duration;
    /// use cache_core::memory::MemoryServer;
    /// use cache_core::{Cache, Env, cached};
    ///
    /// #[cached(kind = "counted")]
    /// async fn doubled(number: u64) -> u64 {
    ///     number * 2
    /// }
    ///
    /// let server = MemoryServer::new(Env::system()).report_every(Duration::from_secs(15));
    /// let one = Cache::builder().shared(server.store()).try_build()?;
    /// let other = Cache::builder().shared(server.store()).try_build()?;
    /// let from = one.minute();
    /// one.scope(doubled(2)).await; // a miss
    /// other.scope(doubled(2)).await; // a hit
    /// // They would do so by themselves, later.
    /// one.report().await?;
    /// other.report().await?;
    ///
    /// let fleet = one.fleet(from..=one.minute()).await?;
    /// assert_eq!(fleet.sum().kinds["counted"].hit_ratio(), Some(0.5));
    /// assert_eq!(fleet.nodes.len(), 2);
    /// # Ok::<(), cache_core::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn report_every(self, report_every: Duration) -> Self {
        self.lock().report_every = Some(report_every);
        self
    }

    /// Puts the server in trouble, or out of it.
    pub fn trouble(&self, trouble: Trouble) {
        let mut state = self.lock();
        if state.trouble == Trouble::None && trouble != Trouble::None {
            state.tell_all(&Event::Lost);
        } else if state.trouble != Trouble::None && trouble == Trouble::None {
            state.tell_all(&PROVEN);
        }
        state.trouble = trouble;
    }

    /// Forgets everything, as FLUSHALL does.
    pub fn flush(&self) {
        let mut state = self.lock();
        state.entries.clear();
        state.order.clear();
        state.bytes = 0;
        state.leases.clear();
        state.stamps.clear();
        state.fleets.clear();
        state.tell_all(&Event::Flushed);
    }

    /// Puts these bytes at an entry's key (`cache:kind:function:arguments`, with the namespace),
    /// whatever they are.
    pub fn plant(&self, key: &str, bytes: &[u8], life: Duration) {
        let until = self.env.now() + life;
        let mut state = self.lock();
        state.put(key, bytes.into(), until);
        state.tell(None, Event::Entry, key);
    }

    /// The bytes at an entry's key, with the namespace as in [`plant`](Self::plant).
    pub fn dig(&self, key: &str) -> Option<Vec<u8>> {
        let now = self.env.now();
        self.lock().entry(key, now).map(|bytes| bytes.to_vec())
    }

    /// How long the entry at a key will still be there, with the namespace as in
    /// [`plant`](Self::plant).
    pub fn life(&self, key: &str) -> Option<Duration> {
        let now = self.env.now();
        self.lock().left(key, now)
    }

    /// How many calls were made so far.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    fn lock(&self) -> Locked<'_> {
        let parting = Parting::begin();
        Locked {
            state: self.state.lock().unwrap_or_else(PoisonError::into_inner),
            _parting: parting,
        }
    }
}

/// The server's state. Who is told of a change drops values of its own, whose `Drop` may ask this very server:
/// not before the lock is given back.
struct Locked<'s> {
    state: MutexGuard<'s, State>,
    // After it.
    _parting: Parting,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl State {
    /// Tells all clients, while the lock is held: in the order of the changes, and before the reply
    /// of whoever made them.
    fn tell_all(&self, event: &Event) {
        for (attachment, tracked) in &self.clients {
            if let Some(observer) = attachment.observer.upgrade()
                && (*tracked || *event == Event::Lost)
            {
                observer.observe(event.clone());
            }
        }
    }

    /// Tells the clients of a name's namespace, or all but one of them, what became of it: under
    /// the name they know, which is without the namespace.
    fn tell(&self, but: Option<usize>, event: fn(String) -> Event, name: &str) {
        for (client, (attachment, tracked)) in self.clients.iter().enumerate() {
            let relative = name
                .strip_prefix(&attachment.namespace)
                .and_then(|name| name.strip_prefix(':'));
            if let (Some(relative), Some(observer)) = (relative, attachment.observer.upgrade())
                && *tracked
                && but != Some(client)
            {
                observer.observe(event(relative.to_owned()));
            }
        }
    }

    fn entry(&mut self, key: &str, now: Duration) -> Option<Arc<[u8]>> {
        self.expire(key, now);
        self.entries.get(key).map(|entry| Arc::clone(&entry.value))
    }

    fn left(&mut self, key: &str, now: Duration) -> Option<Duration> {
        self.expire(key, now);
        let entry = self.entries.get(key)?;
        Some(entry.until.saturating_sub(now))
    }

    fn lease(&mut self, key: &str, now: Duration) -> Option<(Token, Duration)> {
        if self.leases.get(key).is_some_and(|lease| lease.until <= now) {
            self.leases.remove(key);
            self.tell(None, Event::Lease, key);
        }
        self.leases
            .get(key)
            .map(|lease| (lease.value, lease.until.saturating_sub(now)))
    }

    fn stamp(&mut self, tag: &str, now: Duration) -> Option<Stamp> {
        if self.stamps.get(tag).is_some_and(|stamp| stamp.until <= now) {
            self.stamps.remove(tag);
            self.tell(None, Event::Tag, tag);
        }
        self.stamps.get(tag).map(|stamp| stamp.value)
    }

    fn put(&mut self, key: &str, bytes: Arc<[u8]>, until: Duration) {
        self.take(key);
        self.bytes += bytes.len();
        self.stored += 1;
        self.order.insert(self.stored, key.to_owned());
        let entry = Expiring {
            value: bytes,
            until,
            number: self.stored,
        };
        self.entries.insert(key.to_owned(), entry);
        while self.bytes > CAPACITY {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.bytes -= entry.value.len();
                self.tell(None, Event::Entry, &oldest);
            }
        }
    }

    fn take(&mut self, key: &str) -> bool {
        let Some(entry) = self.entries.remove(key) else {
            return false;
        };
        self.bytes -= entry.value.len();
        self.order.remove(&entry.number);
        true
    }

    fn expire(&mut self, key: &str, now: Duration) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.until <= now)
        {
            self.take(key);
            self.tell(None, Event::Entry, key);
        }
    }
}

/// One client of a [`MemoryServer`]. It serves one cache.
#[derive(Debug)]
pub struct MemoryStore {
    server: MemoryServer,
    tracked: bool,
    attached: Arc<Mutex<Option<Client>>>,
}

#[derive(Clone, Debug)]
struct Client {
    number: usize,
    namespace: String,
    env: Env,
}

impl MemoryStore {
    /// Runs one call on the server: all of it in one step.
    fn call<'a, T: Send + 'a>(
        &'a self,
        writes: bool,
        run: impl FnOnce(&mut State, &Client, Duration) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T>> {
        let client = self
            .attached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(client) = client else {
            return failed(ErrorKind::Config, "the store belongs to no cache yet");
        };
        Box::pin(async move {
            match self.answer(writes, run, &client) {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }

    /// What a call comes to; `None` if it is never answered.
    fn answer<T>(
        &self,
        writes: bool,
        run: impl FnOnce(&mut State, &Client, Duration) -> T,
        client: &Client,
    ) -> Option<Result<T>> {
        let now = self.server.env.now();
        let mut state = self.server.lock();
        state.calls += 1;
        match state.trouble {
            Trouble::Hung => None,
            Trouble::Down => Some(Err(Error::new(
                ErrorKind::Unavailable,
                "connection refused",
            ))),
            Trouble::ReadOnly if writes => Some(Err(Error::new(
                ErrorKind::Rejected,
                "the store takes no writes",
            ))),
            Trouble::None | Trouble::ReadOnly => Some(Ok(run(&mut state, client, now))),
        }
    }
}

fn failed<'a, T: Send + 'a>(kind: ErrorKind, context: &str) -> BoxFuture<'a, Result<T>> {
    Box::pin(ready(Err(Error::new(kind, context))))
}

impl Client {
    fn name(&self, name: &str) -> String {
        format!("{}:{name}", self.namespace)
    }
}

fn found(bytes: Option<Arc<[u8]>>, known: Option<EntryId>, limit: usize) -> Found {
    match bytes {
        None => Found::Nothing,
        Some(bytes) if known.is_some() && id_of(&bytes) == known => Found::Known,
        Some(bytes) if bytes.len() > limit => Found::TooLarge(bytes.len()),
        Some(bytes) => Found::Bytes(bytes.to_vec()),
    }
}

fn id_of(bytes: &[u8]) -> Option<EntryId> {
    Some(EntryId(bytes.get(ID)?.try_into().ok()?))
}

impl Store for MemoryStore {
    fn attach(&self, attachment: Attachment) -> Result<()> {
        let mut attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        if attached.is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "this store serves another cache already: make one of its own for each cache",
            ));
        }
        let observer = attachment.observer.upgrade();
        let mut state = self.server.lock();
        *attached = Some(Client {
            number: state.clients.len(),
            namespace: attachment.namespace.clone(),
            env: attachment.env.clone(),
        });
        state.clients.push((attachment, self.tracked));
        if let (Some(observer), true) = (observer, self.tracked) {
            observer.observe(PROVEN);
        }
        Ok(())
    }

    fn read<'a>(&'a self, request: Read<'a>) -> BoxFuture<'a, Result<Reading>> {
        self.call(false, move |state, client, now| {
            let key = client.name(request.key);
            let bytes = state.entry(&key, now);
            let left = state.left(&key, now);
            let stamps = request
                .tags
                .iter()
                .map(|tag| state.stamp(&client.name(tag), now))
                .collect();
            Reading::new(found(bytes, request.known, request.limit), stamps).left(left)
        })
    }

    fn begin<'a>(&'a self, request: Begin<'a>) -> BoxFuture<'a, Result<Beginning>> {
        self.call(true, move |state, client, now| {
            let key = client.name(request.key);
            // What has no id, or is too large to be handed back, could not be named as seen.
            let left = state.left(&key, now);
            let entry = state.entry(&key, now).filter(|bytes| {
                let id = id_of(bytes);
                id.is_some() && id != request.seen && bytes.len() <= request.limit
            });
            let turn = if let (Some(bytes), false) = (entry, request.force) {
                Turn::Entry(Found::Bytes(bytes.to_vec()))
            } else if let (Some((_, left)), false) = (state.lease(&key, now), request.force) {
                Turn::Held(left)
            } else {
                state.leases.insert(
                    key.clone(),
                    Expiring {
                        value: request.token,
                        until: now + request.lease,
                        number: 0,
                    },
                );
                state.tell(Some(client.number), Event::Lease, &key);
                Turn::Granted
            };
            let stamps = request
                .tags
                .iter()
                .map(|tag| {
                    let name = client.name(tag);
                    let twice = now + request.life * 2;
                    if state.stamp(&name, now).is_none() {
                        let stamp = Expiring {
                            // Guard G15: drawn for this very transmission.
                            value: client.env.draw().max(1),
                            until: twice,
                            number: 0,
                        };
                        state.stamps.insert(name.clone(), stamp);
                        state.tell(Some(client.number), Event::Tag, &name);
                    } else if let Some(stamp) = state.stamps.get_mut(&name)
                        && stamp.until < now + request.life
                    {
                        stamp.until = twice;
                    }
                    state.stamp(&name, now)
                })
                .collect();
            Beginning::new(turn, stamps).left(left)
        })
    }

    fn fill<'a>(&'a self, request: Fill<'a>) -> BoxFuture<'a, Result<bool>> {
        self.call(true, move |state, client, now| {
            let key = client.name(request.key);
            if state.lease(&key, now).map(|(token, _)| token) != Some(request.token) {
                return false;
            }
            state.leases.remove(&key);
            state.put(&key, request.bytes.into(), now + request.life);
            state.tell(Some(client.number), Event::Entry, &key);
            state.tell(Some(client.number), Event::Lease, &key);
            true
        })
    }

    fn update<'a>(&'a self, request: Update<'a>) -> BoxFuture<'a, Result<Updated>> {
        self.call(true, move |state, client, now| {
            let key = client.name(request.key);
            // Guard G9: compared and changed in one step.
            let ours = state.lease(&key, now).map(|(token, _)| token) == Some(request.token);
            let unmoved = request.noted().all(|(tag, noted, _)| {
                noted.is_some() && state.stamp(&client.name(tag), now) == noted
            });
            let matched = ours && unmoved;
            let stamps = request.noted().map(|(tag, noted, kept)| {
                if kept {
                    return noted;
                }
                let name = client.name(tag);
                let removed = state.stamps.remove(&name).is_some();
                let made = matched.then(|| client.env.draw().max(1));
                if let Some(value) = made {
                    let stamp = Expiring {
                        value,
                        until: now + request.life * 2,
                        number: 0,
                    };
                    state.stamps.insert(name.clone(), stamp);
                }
                if removed || matched {
                    state.tell(Some(client.number), Event::Tag, &name);
                }
                made
            });
            let stamps: Vec<_> = stamps.collect();
            if state.take(&key) {
                state.tell(Some(client.number), Event::Entry, &key);
            }
            if matched {
                return Updated::matched(stamps);
            }
            if state.leases.remove(&key).is_some() {
                state.tell(Some(client.number), Event::Lease, &key);
            }
            Updated::refused()
        })
    }

    fn renew<'a>(
        &'a self,
        key: &'a str,
        token: Token,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        self.call(true, move |state, client, now| {
            let name = client.name(key);
            let ours = state.lease(&name, now).map(|(held, _)| held) == Some(token);
            if let (true, Some(held)) = (ours, state.leases.get_mut(&name)) {
                held.until = now + lease;
            }
            ours
        })
    }

    fn release<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Result<()>> {
        self.call(true, move |state, client, now| {
            let name = client.name(key);
            if state.lease(&name, now).map(|(held, _)| held) == Some(token) {
                state.leases.remove(&name);
                state.tell(Some(client.number), Event::Lease, &name);
            }
        })
    }

    fn remove<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<()>> {
        self.call(true, move |state, client, _| {
            for key in keys {
                let name = client.name(key);
                if state.take(&name) {
                    state.tell(None, Event::Entry, &name);
                }
                if state.leases.remove(&name).is_some() {
                    state.tell(None, Event::Lease, &name);
                }
            }
        })
    }

    fn invalidate<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>> {
        self.call(true, move |state, client, _| {
            for tag in tags {
                let name = client.name(tag);
                if state.stamps.remove(&name).is_some() {
                    state.tell(None, Event::Tag, &name);
                }
            }
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        self.call(false, |_, _, _| ())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn report_every(&self) -> Option<Duration> {
        self.server.lock().report_every
    }

    fn report<'a>(&'a self, report: &'a Report) -> BoxFuture<'a, Result<()>> {
        let now = millis(self.server.env.wall());
        self.call(true, move |state, client, _| {
            let fleet = state.fleets.entry(client.namespace.clone()).or_default();
            fleet.add(report, now);
        })
    }

    fn fleet(&self, minutes: RangeInclusive<Minute>) -> BoxFuture<'_, Result<Fleet>> {
        let now = millis(self.server.env.wall());
        let answer = self.call(false, move |state, client, _| {
            let figures = state.fleets.entry(client.namespace.clone()).or_default();
            figures.read(minutes, now)
        });
        Box::pin(async move { answer.await? })
    }
}
