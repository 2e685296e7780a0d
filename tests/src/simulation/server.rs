//! The simulated Redis: one keyspace, commands and scripts that are atomic, and client tracking as
//! Redis 7.0 does it. Only read commands register a key, missing keys too; any write clears every
//! registration of the key and pushes once, though not to its own connection (NOLOOP).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_core::store::{Stamp, Token};

/// A connection, as the server numbers them.
pub(super) type Conn = usize;

/// What a client sends. Names are without the namespace, `e:` an entry's, `l:` a lease's, `t:` a
/// stamp's.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub(super) enum Command {
    Ping,
    GetEntry(String),
    GetLease(String),
    GetStamps(Vec<String>),
    /// A script, and whether its source is sent along.
    Script(Script, bool),
    Unlink(Vec<String>),
}

impl Command {
    /// Whether it reads this name, or anything where the name stands for all.
    pub(super) fn reads(&self, name: &str) -> bool {
        let is = |read: &String| name == "*" || read == name;
        match self {
            Self::GetEntry(read) | Self::GetLease(read) => is(read),
            Self::GetStamps(read) => read.iter().any(is),
            Self::Ping | Self::Script(..) | Self::Unlink(_) => false,
        }
    }
}

/// The scripts, each on one key or on an entry and its lease.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub(super) enum Script {
    Lease {
        key: String,
        token: Token,
        lasts: Duration,
        seen: Option<Token>,
        force: bool,
    },
    Stamp {
        tag: String,
        fresh: Stamp,
        life: Duration,
    },
    Fill {
        key: String,
        token: Token,
        bytes: Bytes,
        life: Duration,
    },
    Update(Update),
    Renew {
        key: String,
        token: Token,
        lasts: Duration,
    },
    Release {
        key: String,
        token: Token,
    },
}

/// What is asked for after a write whose value is to be stored.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub(super) struct Update {
    pub(super) key: String,
    pub(super) token: Token,
    /// The tags with the stamps noted, those that are kept before those that are not.
    pub(super) noted: Vec<(String, Stamp)>,
    /// One for each that is not kept.
    pub(super) fresh: Vec<Stamp>,
    pub(super) life: Duration,
    /// Guard G9.
    pub(super) compares: bool,
}

impl Script {
    fn number(&self) -> u8 {
        match self {
            Self::Lease { .. } => 0,
            Self::Stamp { .. } => 1,
            Self::Fill { .. } => 2,
            Self::Renew { .. } => 3,
            Self::Release { .. } => 4,
            Self::Update(_) => 5,
        }
    }
}

/// An entry. A log shows the beginning of its id.
#[derive(Clone)]
pub(super) struct Bytes(pub(super) Arc<[u8]>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get(8..12) {
            Some(id) => {
                id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("..")
            }
            None => f.write_str("too short"),
        }
    }
}

/// What the server answers.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub(super) enum Answer {
    Done,
    Entry(Option<(Bytes, Duration)>),
    Lease(Option<Token>),
    Stamps(Vec<Option<Stamp>>),
    Granted,
    Held(Duration),
    /// Another entry than the one seen is there.
    Another,
    Stamp(Stamp),
    /// Whether a script did what it was asked.
    Did(bool),
    NoScript,
    ReadOnly,
}

/// What the server tells without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Push {
    /// A name has changed.
    Changed(String),
    /// Everything has.
    Null,
}

/// What came of something, besides its answer.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Who is to be told what.
    pub(super) pushes: Vec<(Conn, Push)>,
    /// The entries that were stored, and when the stamps that they bear were read at the latest.
    pub(super) filled: Vec<(Bytes, Option<Duration>)>,
    /// Stamps that went away, and entries that were unlinked together with their leases: what was
    /// loaded before is void.
    pub(super) void: Vec<String>,
    /// The key whose update has matched: what was stored before it is void, and its own value is not.
    pub(super) updated: Option<String>,
}

#[derive(Clone, Debug)]
enum Value {
    Bytes(Bytes),
    Token(Token),
    Stamp(Stamp),
}

#[derive(Clone, Debug)]
struct Item {
    value: Value,
    until: Duration,
}

/// The server's state.
#[derive(Debug, Default)]
pub(super) struct Server {
    items: BTreeMap<String, Item>,
    watchers: BTreeMap<String, BTreeSet<Conn>>,
    tracking: BTreeSet<Conn>,
    scripts: BTreeSet<u8>,
    /// The entry that a connection has read last, and when it read stamps right after that, by entry.
    looked: BTreeMap<Conn, String>,
    stamped: BTreeMap<(Conn, String), Duration>,
    /// Whether it takes writes.
    pub(super) read_only: bool,
    effects: Effects,
}

impl Server {
    /// Turns tracking on for a connection.
    pub(super) fn track(&mut self, conn: Conn) {
        self.tracking.insert(conn);
    }

    /// A connection has ended. Returns what it was to be told about.
    pub(super) fn hang_up(&mut self, conn: Conn) -> BTreeSet<String> {
        self.tracking.remove(&conn);
        let watched = |(name, watchers): (&String, &mut BTreeSet<Conn>)| {
            watchers.remove(&conn).then(|| name.clone())
        };
        self.watchers.iter_mut().filter_map(watched).collect()
    }

    /// Carries a command out, in one step.
    pub(super) fn run(&mut self, conn: Conn, command: Command, now: Duration) -> (Answer, Effects) {
        let answer = match command {
            Command::Ping => Answer::Done,
            Command::GetEntry(name) => {
                self.watch(conn, &name, now);
                self.looked.insert(conn, name.clone());
                Answer::Entry(match self.items.get(&name) {
                    Some(Item {
                        value: Value::Bytes(bytes),
                        until,
                    }) => Some((bytes.clone(), until.saturating_sub(now))),
                    _ => None,
                })
            }
            Command::GetLease(name) => {
                self.watch(conn, &name, now);
                Answer::Lease(self.token(&name))
            }
            Command::GetStamps(names) => {
                if let Some(entry) = self.looked.remove(&conn).filter(|_| !names.is_empty()) {
                    self.stamped.insert((conn, entry), now);
                }
                let read = |name: &String| {
                    self.watch(conn, name, now);
                    self.stamp(name)
                };
                Answer::Stamps(names.iter().map(read).collect())
            }
            Command::Script(..) | Command::Unlink(_) if self.read_only => Answer::ReadOnly,
            Command::Script(script, with_source) => {
                if with_source {
                    self.scripts.insert(script.number());
                }
                if self.scripts.contains(&script.number()) {
                    self.script(conn, script, now)
                } else {
                    Answer::NoScript
                }
            }
            Command::Unlink(names) => {
                for name in names {
                    self.remove(Some(conn), &name);
                    if !name.starts_with("l:") {
                        self.effects.void.push(name);
                    }
                }
                Answer::Done
            }
        };
        (answer, std::mem::take(&mut self.effects))
    }

    fn script(&mut self, conn: Conn, script: Script, now: Duration) -> Answer {
        match script {
            Script::Lease {
                key,
                token,
                lasts,
                seen,
                force,
            } => {
                let (entry, lease) = (format!("e:{key}"), format!("l:{key}"));
                self.expire(&entry, now);
                self.expire(&lease, now);
                let another = match self.items.get(&entry) {
                    Some(Item {
                        value: Value::Bytes(bytes),
                        ..
                    }) => id_of(&bytes.0) != seen,
                    _ => false,
                };
                if another && !force {
                    return Answer::Another;
                }
                if let (Some(item), false) = (self.items.get(&lease), force)
                    && self.token(&lease) != Some(token)
                {
                    return Answer::Held(item.until.saturating_sub(now));
                }
                self.set(conn, lease, Value::Token(token), now + lasts);
                Answer::Granted
            }
            Script::Stamp { tag, fresh, life } => {
                let name = format!("t:{tag}");
                self.expire(&name, now);
                match self.items.get(&name) {
                    None => {
                        self.set(conn, name.clone(), Value::Stamp(fresh), now + life * 2);
                    }
                    Some(item) if item.until < now + life => {
                        // A renewal is a write, and is pushed to every reader.
                        let value = item.value.clone();
                        self.set(conn, name.clone(), value, now + life * 2);
                    }
                    Some(_) => {}
                }
                Answer::Stamp(self.stamp(&name).unwrap_or_default())
            }
            Script::Fill {
                key,
                token,
                bytes,
                life,
            } => {
                let (entry, lease) = (format!("e:{key}"), format!("l:{key}"));
                self.expire(&lease, now);
                let ours = self.token(&lease) == Some(token);
                if ours {
                    let stamped = self.stamped.get(&(conn, entry.clone())).copied();
                    self.effects.filled.push((bytes.clone(), stamped));
                    self.set(conn, entry, Value::Bytes(bytes), now + life);
                    self.remove(Some(conn), &lease);
                }
                Answer::Did(ours)
            }
            Script::Update(update) => Answer::Did(self.update(conn, update, now)),
            Script::Renew { key, token, lasts } => {
                let lease = format!("l:{key}");
                self.expire(&lease, now);
                let ours = self.token(&lease) == Some(token);
                if ours {
                    self.set(conn, lease, Value::Token(token), now + lasts);
                }
                Answer::Did(ours)
            }
            Script::Release { key, token } => {
                let lease = format!("l:{key}");
                self.expire(&lease, now);
                let ours = self.token(&lease) == Some(token);
                if ours {
                    self.remove(Some(conn), &lease);
                }
                Answer::Did(ours)
            }
        }
    }

    /// Ends what was stored before a write; says whether all was as it had been noted.
    fn update(&mut self, conn: Conn, update: Update, now: Duration) -> bool {
        let Update { key, noted, .. } = update;
        let (entry, lease) = (format!("e:{key}"), format!("l:{key}"));
        self.expire(&lease, now);
        let mut matched = self.token(&lease) == Some(update.token);
        for (tag, stamp) in &noted {
            let name = format!("t:{tag}");
            self.expire(&name, now);
            matched &= self.stamp(&name) == Some(*stamp);
        }
        matched |= !update.compares;
        let kept = noted.len() - update.fresh.len();
        for ((tag, _), fresh) in noted.into_iter().skip(kept).zip(update.fresh) {
            let name = format!("t:{tag}");
            if matched {
                let until = now + update.life * 2;
                self.set(conn, name.clone(), Value::Stamp(fresh), until);
            } else {
                self.remove(Some(conn), &name);
            }
            self.effects.void.push(name);
        }
        self.remove(Some(conn), &entry);
        self.effects.void.push(entry);
        if matched {
            self.effects.updated = Some(key);
        } else {
            self.remove(Some(conn), &lease);
        }
        matched
    }

    /// Evicts or expires whatever is at the `pick`th name.
    pub(super) fn evict(&mut self, pick: usize) -> (Option<String>, Effects) {
        let name = self.items.keys().nth(pick).cloned();
        if let Some(name) = &name {
            self.vanish(name);
        }
        (name, std::mem::take(&mut self.effects))
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Removes what has expired, as Redis does now and then.
    pub(super) fn sweep(&mut self, now: Duration) -> Effects {
        let ended: Vec<String> = self
            .items
            .iter()
            .filter(|(_, item)| item.until <= now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in ended {
            self.vanish(&name);
        }
        std::mem::take(&mut self.effects)
    }

    /// FLUSHALL: one null push to every connection that tracks.
    pub(super) fn flush(&mut self) -> Effects {
        self.items.clear();
        self.watchers.clear();
        let pushes = self.tracking.iter().map(|conn| (*conn, Push::Null));
        Effects {
            pushes: pushes.collect(),
            void: vec!["*".to_owned()],
            ..Effects::default()
        }
    }

    /// SCRIPT FLUSH.
    pub(super) fn forget_scripts(&mut self) {
        self.scripts.clear();
    }

    /// It ends, and all of its data with it.
    pub(super) fn lose_everything(&mut self) {
        *self = Self::default();
    }

    fn watch(&mut self, conn: Conn, name: &str, now: Duration) {
        self.expire(name, now);
        if self.tracking.contains(&conn) {
            let watchers = self.watchers.entry(name.to_owned()).or_default();
            watchers.insert(conn);
        }
    }

    fn expire(&mut self, name: &str, now: Duration) {
        if self.items.get(name).is_some_and(|item| item.until <= now) {
            self.vanish(name);
        }
    }

    /// It goes away by itself.
    fn vanish(&mut self, name: &str) {
        self.remove(None, name);
        if name.starts_with("t:") {
            self.effects.void.push(name.to_owned());
        }
    }

    fn set(&mut self, conn: Conn, name: String, value: Value, until: Duration) {
        self.tell(Some(conn), &name);
        self.items.insert(name, Item { value, until });
    }

    fn remove(&mut self, conn: Option<Conn>, name: &str) {
        if self.items.remove(name).is_some() {
            self.tell(conn, name);
        }
    }

    fn tell(&mut self, writer: Option<Conn>, name: &str) {
        let watchers = self.watchers.remove(name).unwrap_or_default();
        let told = watchers.into_iter().filter(|conn| Some(*conn) != writer);
        let pushes = told.map(|conn| (conn, Push::Changed(name.to_owned())));
        self.effects.pushes.extend(pushes);
    }

    fn token(&self, name: &str) -> Option<Token> {
        match self.items.get(name)?.value {
            Value::Token(token) => Some(token),
            _ => None,
        }
    }

    fn stamp(&self, name: &str) -> Option<Stamp> {
        match self.items.get(name)?.value {
            Value::Stamp(stamp) => Some(stamp),
            _ => None,
        }
    }
}

/// The id of an entry's bytes.
pub(super) fn id_of(bytes: &[u8]) -> Option<Token> {
    let id = bytes.get(8..24)?;
    Some(cache_core::EntryId(id.try_into().ok()?))
}
