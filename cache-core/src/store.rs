//! The shared tier as the engine sees it: the [`Store`] trait, its contract, and the events it reports.
//!
//! A store knows keys, tags, bytes and leases. It decides nothing: validity, single-flight and outage
//! behaviour are the engine's.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Weak;
use std::time::Duration;

use crate::entry::EntryId;
use crate::env::Env;
use crate::metrics::{Fleet, Minute, Report};
use crate::{Error, ErrorKind, Result};

pub use crate::driver::BoxFuture;

/// A version of a tag: 64 random bits, never reused.
pub type Stamp = u64;

/// Who holds a lease: 128 random bits. It becomes the id of the entry that is filled under it.
pub type Token = EntryId;

/// The shared tier: entries, leases and stamps, in memory or on Redis.
///
/// # Contract
///
/// Keys (`user_profile:user_profile:42`) and tags (`user:42`) are relative to the namespace given to
/// [`attach`](Store::attach). The conformance suite checks, for every store:
///
/// 1. An entry, its lease and a stamp are each changed atomically; an entry is never there without
///    an expiry.
/// 2. `begin` and `fill` act on one key at a time, so that a store can put an entry and its lease in
///    one Cluster slot. Stamps are made after the lease was taken, and read back after they were
///    made (guard G2).
///    Whoever is told another turn than [`Turn::Granted`] holds nothing: a store that has taken the
///    lease all the same, and can't give it up, answers with an error.
/// 3. A stamp is made from a number drawn for that very transmission: a command that is sent again
///    is sent with new numbers (guard G15). A stamp that is there is never overwritten by `begin`.
/// 4. `fill` stores only while the lease's token is the caller's, gives the lease up in the same
///    step, and reads the entry's id back (guard G3).
///    `update` compares before it makes stamps (guard G9): only while the lease is the caller's and
///    every stamp is as it was noted. Otherwise it removes what it would have re-stamped, and the
///    lease with it, so that of two updates that cross neither stores. The entry goes in any case. A
///    stamp counts as made only if it is read back as it was made: one that was removed at once, and
///    made again by somebody else, is newer than the write.
/// 5. `remove` takes entry and lease together, so that a load under way cannot store (section 4,
///    invalidate).
/// 6. What the store cannot do is an error, in bounded time where it can tell by itself; the engine
///    puts a deadline on every call and may drop the returned future at any time. A dropped call may
///    still take effect.
/// 7. Events reach the observer in the order in which the store's server ordered them, from within
///    the reader and before any later reply is released (guard G5). A store that can't promise
///    that never says [`Event::Proven`], and its local tier checks entry and stamps on each call.
///    What a proven store hands out in `read`, `begin` and `fill` it has read in a way that it will
///    be told of the next change of (guards G1 to G3).
/// 8. [`Event::Lost`], [`Event::Proven`] and [`Event::Alive`] are told one at a time; `Proven` before
///    any reply over the new connection is released, and `Lost` before there is a new connection.
/// 9. Futures can be polled from any thread and any executor: a store that needs a reactor runs it
///    through [`Env::spawn`].
///
/// The id of an entry is bytes 8 to 24 of whatever is there, garbage included, so that a caller can
/// name as `seen` what it could not decode. What is shorter has no id, and `begin` takes it for
/// nothing, as it does with what is larger than its limit: neither could be named.
///
/// Nothing in a request or a reply is a secret but the values; errors never carry a value.
pub trait Store: Send + Sync + 'static {
    /// Binds the store to a cache: called once, before any other method.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when it is bound already: one store
    /// handle serves one cache.
    fn attach(&self, attachment: Attachment) -> Result<()>;

    /// Reads an entry and the current stamps of some tags, in one round trip.
    ///
    /// The entry is read before the stamps, or in one step with them.
    fn read<'a>(&'a self, request: Read<'a>) -> BoxFuture<'a, Result<Reading>>;

    /// Asks for the right to load and fill one key, and makes the stamps that are missing.
    fn begin<'a>(&'a self, request: Begin<'a>) -> BoxFuture<'a, Result<Beginning>>;

    /// Stores an entry if the lease is still the caller's, and gives the lease up.
    ///
    /// Returns whether it was stored.
    fn fill<'a>(&'a self, request: Fill<'a>) -> BoxFuture<'a, Result<bool>>;

    /// Ends what was stored before a write, and readies the key for the write's own value: where
    /// nobody has come in between, the tags have new stamps and the lease still stands.
    ///
    /// A store whose names are on one server does all of it in one step. One that is spread over
    /// several may act on one name at a time: first on each tag, where comparing and changing are one
    /// step, and then on entry and lease; what was re-stamped when a later part did not match is
    /// removed again.
    fn update<'a>(&'a self, request: Update<'a>) -> BoxFuture<'a, Result<Updated>>;

    /// Prolongs a lease by `lease` from now, if it is still the caller's; returns whether it is.
    fn renew<'a>(
        &'a self,
        key: &'a str,
        token: Token,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Gives a lease up, if it is still the caller's.
    fn release<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Result<()>>;

    /// Removes entries, and the leases of their keys with them.
    fn remove<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<()>>;

    /// Removes the stamps of tags: every entry stored under them ends.
    fn invalidate<'a>(&'a self, tags: &'a [String]) -> BoxFuture<'a, Result<()>>;

    /// Asks whether the store can serve, connecting if need be.
    fn probe(&self) -> BoxFuture<'_, Result<()>>;

    /// What this is and where it is, for logs and health pages, without secrets:
    /// `redis://cache.internal:6379/0`.
    fn describe(&self) -> String;

    /// How often the cache is to [`report`](Self::report) what it has counted. Default: never.
    fn report_every(&self) -> Option<Duration> {
        None
    }

    /// Adds what a node has counted to what the fleet has, and notes that the node was seen.
    ///
    /// Each report counts once, however often it arrives: the cache sends one again until it is
    /// acknowledged, with the [`sequence`](Report::sequence) and the figures it had. What was counted
    /// in a minute is kept for a day. Default: nothing is done with it.
    fn report<'a>(&'a self, report: &'a Report) -> BoxFuture<'a, Result<()>> {
        let _ = report;
        Box::pin(std::future::ready(Ok(())))
    }

    /// What all nodes have counted in these minutes, and which nodes there are. A minute of which
    /// nothing is known is left out. Default: an error, since no figures are kept.
    fn fleet(&self, minutes: RangeInclusive<Minute>) -> BoxFuture<'_, Result<Fleet>> {
        let _ = minutes;
        Box::pin(std::future::ready(Err(Error::new(
            ErrorKind::Unavailable,
            "this store keeps no figures of a fleet: read those of this process with \
             Cache::snapshot",
        ))))
    }
}

/// What a store is given when it becomes part of a cache.
#[derive(Clone)]
#[non_exhaustive]
pub struct Attachment {
    /// The namespace all of its keys live in.
    pub namespace: String,
    /// Time, random numbers and tasks: a store takes none of them from anywhere else.
    pub env: Env,
    /// Where events go. Weak, because the cache owns the store.
    pub observer: Weak<dyn Observer>,
}

impl Attachment {
    /// An attachment; the cache makes one, and so do tests of stores.
    pub fn new(namespace: impl Into<String>, env: Env, observer: Weak<dyn Observer>) -> Self {
        Self {
            namespace: namespace.into(),
            env,
            observer,
        }
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// What a store tells the cache it is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The entry at this key changed, expired or went away.
    Entry(String),
    /// The lease of this key changed, expired or went away.
    Lease(String),
    /// The stamp of this tag changed or went away.
    Tag(String),
    /// Everything may have changed: FLUSHALL, or pushes that were lost.
    Flushed,
    /// The server said something that makes no sense. Counted; everything may have changed, as with
    /// `Flushed`. The store gives up the connection that said it: `Lost` follows, where there was one.
    Strange,
    /// A connection was lost, or its events can't be relied on any more: nothing is trusted until
    /// `Proven`. Writes that were acknowledged lately may be lost with it.
    Lost,
    /// Events flow from here on, and nothing that was read before counts. A store that never says
    /// this is asked on each call. The first one without a `Lost` before it says that the store has
    /// answered nothing so far.
    Proven {
        /// Until when local values may be served without asking, on the monotonic clock of
        /// [`Env::now`], unless `Alive` prolongs it.
        until: Duration,
    },
    /// The store has answered for every one of its connections: nothing that happened before the
    /// question is still to be told. Means nothing between `Lost` and `Proven`.
    Alive {
        /// As in `Proven`: when the question was **sent**, plus the bound on staleness.
        until: Duration,
    },
}

/// Who is told of events. Called inside the store's reader: it must not block.
pub trait Observer: Send + Sync {
    /// Something happened in the store.
    fn observe(&self, event: Event);
}

/// A request for an entry and for stamps.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Read<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// The entry that is known already: if it is still the one there, its bytes are not sent again.
    pub known: Option<EntryId>,
    /// The tags whose stamps are wanted.
    pub tags: &'a [String],
    /// An entry with more bytes than this is not sent (bounded decode, invariant 5).
    pub limit: usize,
    /// Whether [`Reading::left`] is wanted.
    pub left: bool,
}

impl<'a> Read<'a> {
    /// A request for `key` and the stamps of `tags`, with no entry known and no limit below 512 MiB.
    pub fn new(key: &'a str, tags: &'a [String]) -> Self {
        Self {
            key,
            known: None,
            tags,
            limit: 512 << 20,
            left: true,
        }
    }

    /// Names the entry that is known already.
    #[must_use]
    pub fn known(mut self, known: Option<EntryId>) -> Self {
        self.known = known;
        self
    }

    /// Bounds the entry's bytes.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Asks how long the entry has left, or not: a store may then leave it out. Default: `true`.
    #[must_use]
    pub fn left(mut self, left: bool) -> Self {
        self.left = left;
        self
    }
}

/// What [`Store::read`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The entry.
    pub entry: Found,
    /// The stamps, in the order of the request's tags; `None` where there is none.
    pub stamps: Vec<Option<Stamp>>,
    /// How long the entry has left, where the store says so. A tracked store must, if it is
    /// [asked](Read::left): a local copy that is not asked about must not outlive it.
    pub left: Option<Duration>,
}

impl Reading {
    /// What was found, for stores.
    pub fn new(entry: Found, stamps: Vec<Option<Stamp>>) -> Self {
        Self {
            entry,
            stamps,
            left: None,
        }
    }

    /// Says how long the entry has left.
    #[must_use]
    pub fn left(mut self, left: Option<Duration>) -> Self {
        self.left = left;
        self
    }
}

/// What is at an entry's key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// Nothing.
    Nothing,
    /// The entry that the request said is known.
    Known,
    /// Bytes, not yet looked at.
    Bytes(Vec<u8>),
    /// More bytes than the limit allows; how many.
    TooLarge(usize),
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Known => f.write_str("Known"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::TooLarge(size) => write!(f, "TooLarge({size} bytes)"),
        }
    }
}

/// A request for the lease of a key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Begin<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// The caller's token, drawn for this very transmission.
    pub token: Token,
    /// The id of the entry the caller saw and found wanting: another one is handed back instead of
    /// the lease.
    pub seen: Option<EntryId>,
    /// The tags whose stamps the load will be stored under.
    pub tags: &'a [String],
    /// What the caller knows of their stamps, in their order, since it has looked; nothing where it is empty.
    /// For a store that remembers until when a stamp lasts: it need not ask for one again that does. What a
    /// look has not found is `None`, and most likely still to be made.
    pub known: &'a [Option<Stamp>],
    /// How long the lease lasts unless it is renewed.
    pub lease: Duration,
    /// The longest life of an entry stored under these stamps. A stamp lives twice as long, and is
    /// renewed only when less than one life of it is left.
    pub life: Duration,
    /// Takes the lease whoever holds it and whatever entry is there (`put` and updates).
    pub force: bool,
    /// An entry with more bytes than this is not handed back: the lease is given as if it were not
    /// there.
    pub limit: usize,
}

impl<'a> Begin<'a> {
    /// A request for the lease of `key`, for ten seconds, with stamps for entries of an hour.
    pub fn new(key: &'a str, token: Token, tags: &'a [String]) -> Self {
        Self {
            key,
            token,
            seen: None,
            tags,
            known: &[],
            lease: Duration::from_secs(10),
            life: Duration::from_hours(1),
            force: false,
            limit: 512 << 20,
        }
    }

    /// Names the entry that was seen and found wanting.
    #[must_use]
    pub fn seen(mut self, seen: Option<EntryId>) -> Self {
        self.seen = seen;
        self
    }

    /// Says what is known of the tags' stamps. Default: nothing.
    #[must_use]
    pub fn known(mut self, known: &'a [Option<Stamp>]) -> Self {
        self.known = known;
        self
    }

    /// Sets how long the lease lasts. Default: 10 s.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the longest life of an entry under these stamps. Default: 1 h.
    #[must_use]
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// Takes the lease from whoever holds it. Default: `false`.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Bounds the bytes of an entry that is handed back. Default: 512 MiB.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// What [`Store::begin`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Beginning {
    /// Who has the lease, or what made it needless.
    pub turn: Turn,
    /// The stamps as read back, in the order of the request's tags. With [`Turn::Granted`] each is
    /// there, unless it was removed again at once.
    pub stamps: Vec<Option<Stamp>>,
    /// How long the entry of [`Turn::Entry`] has left, as in [`Reading::left`].
    pub left: Option<Duration>,
}

impl Beginning {
    /// What it came to, for stores.
    pub fn new(turn: Turn, stamps: Vec<Option<Stamp>>) -> Self {
        Self {
            turn,
            stamps,
            left: None,
        }
    }

    /// Says how long the entry that is handed back has left.
    #[must_use]
    pub fn left(mut self, left: Option<Duration>) -> Self {
        self.left = left;
        self
    }
}

/// Whose turn it is to load.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Turn {
    /// The caller's: the lease is its own.
    Granted,
    /// Another's, for at most this long unless it is renewed.
    Held(Duration),
    /// Nobody's: an entry is there that the caller had not seen.
    Entry(Found),
}

/// A request to end what was stored before a write, and to go on with the lease that was taken before
/// it (`#[updates]`).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Update<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// The token of the lease, which [`Store::begin`] has granted by force before the write.
    pub token: Token,
    /// The tags whose stamps were noted then.
    pub tags: &'a [String],
    /// Their stamps, as `begin` has read them back. What is missing at the end matches nothing.
    pub stamps: &'a [Stamp],
    /// How many of the tags, from the first, are compared and left as they are. The others are given
    /// new stamps.
    pub kept: usize,
    /// The longest life of an entry stored under these stamps, as in [`Begin::life`].
    pub life: Duration,
}

impl<'a> Update<'a> {
    /// A request for `key`, under the lease `token` and the stamps noted of `tags`: all of the tags
    /// are given new stamps, for entries of an hour.
    pub fn new(key: &'a str, token: Token, tags: &'a [String], stamps: &'a [Stamp]) -> Self {
        Self {
            key,
            token,
            tags,
            stamps,
            kept: 0,
            life: Duration::from_hours(1),
        }
    }

    /// Leaves the first so many tags as they are. Default: 0.
    #[must_use]
    pub fn kept(mut self, kept: usize) -> Self {
        self.kept = kept;
        self
    }

    /// Sets the longest life of an entry under these stamps. Default: 1 h.
    #[must_use]
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// The tags, each with its stamp as it was noted, and whether it is left as it is.
    pub fn noted(&self) -> impl Iterator<Item = (&'a String, Option<Stamp>, bool)> + use<'a> {
        let (stamps, kept) = (self.stamps, self.kept);
        let tags = self.tags.iter().enumerate();
        tags.map(move |(at, tag)| (tag, stamps.get(at).copied(), at < kept))
    }
}

/// What [`Store::update`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Updated {
    /// Whether lease and stamps were as noted: the lease is still the caller's, and it may fill.
    pub matched: bool,
    /// Where they were, the stamps in the order of the request's tags: of those that were kept as
    /// noted, of the others as made; `None` where one was removed again at once. Else nothing.
    pub stamps: Vec<Option<Stamp>>,
}

impl Updated {
    /// They were as noted, and these are the stamps.
    pub fn matched(stamps: Vec<Option<Stamp>>) -> Self {
        Self {
            matched: true,
            stamps,
        }
    }

    /// They were not.
    pub fn refused() -> Self {
        Self {
            matched: false,
            stamps: Vec::new(),
        }
    }
}

/// A request to store an entry.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Fill<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// The token of the lease, which is the entry's id too.
    pub token: Token,
    /// The entry, header and payload.
    pub bytes: &'a [u8],
    /// How long it lives: it always carries an expiry. At least a millisecond.
    pub life: Duration,
}

impl<'a> Fill<'a> {
    /// A request to store `bytes` at `key` under the lease `token`, for `life`.
    pub fn new(key: &'a str, token: Token, bytes: &'a [u8], life: Duration) -> Self {
        Self {
            key,
            token,
            bytes,
            life,
        }
    }
}

impl fmt::Debug for Fill<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fill")
            .field("key", &self.key)
            .field("bytes", &self.bytes.len())
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}
