//! What Redis tells by itself: pushes, mapped to events inside the connection's reader; and whether
//! the connections, taken together, tell everything there is to tell.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cache_core::store::{Event, Observer};
use redis::{PushInfo, PushKind, Value};

use crate::keys::Keys;

/// What is done with a push, in the connection's driver: before any reply that comes after it on the
/// wire is released (guard G5).
pub(crate) type PushHandler = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// A push that is not what Redis sends.
#[derive(Debug)]
pub(crate) struct Strange;

/// One connection's part in the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Never there so far: nothing was read over it.
    Unused,
    /// It is there, and reads nothing.
    Silent,
    /// It is there, and is told of changes to what it reads. What it was told last is good until
    /// then.
    Tracked(Duration),
    /// It is there and reads, and is told nothing.
    Blind,
    /// It was there.
    Lost,
}

/// All connections of a store, and the observer of what they tell.
pub(crate) struct Coherence {
    observer: Weak<dyn Observer>,
    keys: Keys,
    state: Mutex<State>,
}

struct State {
    standings: Vec<Standing>,
    /// Whether the observer was last told that events flow.
    proven: bool,
}

impl Coherence {
    /// For this many connections, numbered from zero.
    pub(crate) fn new(observer: Weak<dyn Observer>, keys: Keys, connections: usize) -> Self {
        Self {
            observer,
            keys,
            state: Mutex::new(State {
                standings: vec![Standing::Unused; connections],
                proven: false,
            }),
        }
    }

    /// A connection is there, or has shown that it still is. To be told before anybody gets it.
    pub(crate) fn stands(&self, connection: usize, standing: Standing) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.standings[connection] = standing;
        let event = match (state.proven, state.trusted_until()) {
            (false, Some(until)) => Event::Proven { until },
            (true, Some(until)) => Event::Alive { until },
            (true, None) => Event::Lost,
            (false, None) => return,
        };
        state.proven = !matches!(event, Event::Lost);
        // With the lock held: the observer is told one thing at a time.
        self.observe(event);
    }

    /// A connection was lost. To be told before there is a new one.
    pub(crate) fn lost(&self, connection: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.standings[connection] = Standing::Lost;
        state.proven = false;
        self.observe(Event::Lost);
    }

    /// Takes a push. One that makes no sense may say that anything has changed: the connection that
    /// brought it is not to be relied on. Kinds that this client has not asked for are none of its
    /// business, but those that answer a subscription, of which it has none.
    pub(crate) fn pushed(&self, push: &PushInfo) -> Result<(), Strange> {
        match &push.kind {
            PushKind::Invalidate => {}
            PushKind::Subscribe
            | PushKind::PSubscribe
            | PushKind::SSubscribe
            | PushKind::Unsubscribe
            | PushKind::PUnsubscribe
            | PushKind::SUnsubscribe => return Err(Strange),
            PushKind::Other(kind) if kind.is_empty() => return Err(Strange),
            _ => return Ok(()),
        }
        let names = match push.data.as_slice() {
            [Value::Nil] => {
                self.observe(Event::Flushed);
                return Ok(());
            }
            [Value::Array(names)] => names.as_slice(),
            _ => return Err(Strange),
        };
        for name in names {
            let Value::BulkString(name) = name else {
                return Err(Strange);
            };
            // Keys of others, in this database or another one, are none of ours.
            if let Some(event) = self.keys.event(name) {
                self.observe(event);
            }
        }
        Ok(())
    }

    /// A connection said something that makes no sense: it is given up, and whatever was read over
    /// it may be wrong. To be told at once, before anybody makes use of what comes next.
    pub(crate) fn strange(&self) {
        self.observe(Event::Strange);
    }

    fn observe(&self, event: Event) {
        if let Some(observer) = self.observer.upgrade() {
            observer.observe(event);
        }
    }
}

impl State {
    /// Until when everything that was read is known to be current; `None` if that can't be known.
    fn trusted_until(&self) -> Option<Duration> {
        let mut until: Option<Duration> = None;
        for standing in &self.standings {
            match *standing {
                Standing::Unused | Standing::Silent => {}
                Standing::Tracked(good) => until = Some(until.map_or(good, |min| min.min(good))),
                Standing::Blind | Standing::Lost => return None,
            }
        }
        until
    }
}

#[cfg(test)]
mod tests;
