//! A call after a local miss, with its types: the thin layer between a function and the engine, which
//! knows of no types.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;
use std::time::Duration;

use super::terms::{IntoTag, IntoTtl, Terms};
use crate::driver::{self, block_on};
use crate::engine::{Call, Engine, Fate, Prepared, Running, Solo, Within};
use crate::local::{Held, LocalKey};
use crate::shape::{Class, Outline, Shape};

/// A call that found nothing it could use in the local tier.
pub struct Ticket<R, S: Outline<R>> {
    shape: S,
    way: Way,
    terms: Terms<S::Value>,
    returned: PhantomData<fn() -> R>,
}

/// How a call goes on after a local miss.
pub(super) enum Way {
    /// Past the cache.
    Past,
    /// Past it too, while the shared tier can't be reached.
    Solo(Solo),
    /// Past it, unless the shared tier has the value: in a transaction.
    Look(Box<Call>),
    Call(Box<Call>),
}

impl Way {
    /// The same, without storing anything.
    pub(super) fn looking(self) -> Self {
        match self {
            Self::Call(call) => Self::Look(call),
            other => other,
        }
    }
}

impl<R, S: Outline<R>> fmt::Debug for Ticket<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

impl<R, S: Shape<R>> Ticket<R, S> {
    pub(super) fn new(shape: S, way: Way) -> Self {
        Self {
            shape,
            way,
            terms: Terms::default(),
            returned: PhantomData,
        }
    }

    pub(super) fn bypass(shape: S) -> Self {
        Self::new(shape, Way::Past)
    }

    /// Caches only values of which this is true.
    #[must_use]
    pub fn cache_if(mut self, cache_if: fn(&S::Value) -> bool) -> Self {
        self.terms.cache_if(cache_if);
        self
    }

    /// Asks each value how long it is fresh.
    #[must_use]
    pub fn ttl_with<D: IntoTtl + 'static>(mut self, ttl: fn(&S::Value) -> D) -> Self {
        self.terms.ttl_with(ttl);
        self
    }

    /// Asks each value for tags of its own.
    #[must_use]
    pub fn tags_with<T>(mut self, tags: fn(&S::Value) -> T) -> Self
    where
        T: IntoIterator<Item: IntoTag> + 'static,
    {
        self.terms.tags_with(tags);
        self
    }

    /// What its terms say of a value that a call stores: how long it is fresh, and its own tags. `None`:
    /// it is not cached.
    pub(super) fn terms_of(
        &self,
        value: &S::Value,
        call: &Call,
    ) -> Option<(Duration, Vec<String>)> {
        let usual = call.usual_ttl(self.shape.class(value));
        self.terms.of(value, usual)
    }

    /// The value is given: no function runs that could be counted or timed.
    pub(super) fn given(mut self) -> Self {
        if let Way::Call(call) = &mut self.way {
            call.given = true;
        }
        self
    }

    /// Runs the call to its end: returns what the function returned or would have returned, and
    /// whether the value is stored.
    pub(super) async fn run(self, body: impl Future<Output = R>) -> (R, bool) {
        let Self {
            shape, way, terms, ..
        } = self;
        let call = match way {
            Way::Call(call) => call,
            Way::Solo(solo) => {
                let began = solo.load_begins();
                let returned = body.await;
                solo.load_ended(began, shape.is_error(&returned));
                return (returned, false);
            }
            Way::Look(call) => {
                if let Some(value) = call
                    .find_in_transaction()
                    .await
                    .and_then(|held| copy(&*held))
                {
                    return (shape.join(value), true);
                }
                let running = call.run_alone();
                let returned = body.await;
                call.ran(&running, shape.is_error(&returned));
                return (returned, false);
            }
            Way::Past => return (body.await, false),
        };
        let mut body = pin!(body);
        let found = |held: &dyn Held| copy(held).map(|value| shape.join(value));
        let lead = match call.prepare().await {
            Prepared::Lead(lead) => lead,
            Prepared::Value(held) => {
                if let Some(returned) = found(&*held) {
                    return (returned, true);
                }
                // Another type's, which the engine hands to nobody.
                return (body.await, false);
            }
            Prepared::Alone => {
                let running = call.run_alone();
                let returned = body.await;
                call.ran(&running, shape.is_error(&returned));
                return (returned, false);
            }
        };
        let mut running = call.run(&lead);
        let within = call.within();
        let returned = in_time(&mut running, &within, body.as_mut()).await;
        let Some(returned) = returned else {
            let stale = call.too_late(lead);
            if let Some(returned) = stale.and_then(|held| found(&*held)) {
                return (returned, false);
            }
            return (body.await, false);
        };
        let is_error = shape.is_error(&returned);
        let cost = call.ran(&running, is_error);
        drop(running);
        let lead = if is_error {
            match call.rescue(lead) {
                Err(lead) => lead,
                Ok(held) => return (found(&*held).unwrap_or(returned), false),
            }
        } else {
            lead
        };
        let value = match shape.split(returned) {
            Ok(value) => value,
            Err(returned) => {
                call.leave_out(lead, is_error).await;
                return (returned, false);
            }
        };
        let Some((ttl, tags)) = terms.of(&value, call.usual_ttl(shape.class(&value))) else {
            call.leave_out(lead, is_error).await;
            return (shape.join(value), false);
        };
        let copy = value.clone();
        let fate = Fate { ttl, cost, tags };
        let stored = call.finish(lead, shape.wrap(value), fate).await;
        (shape.join(copy), stored)
    }

    /// Has a flag up while it waits for somebody else.
    pub(super) fn watched(mut self, waiting: &Arc<AtomicBool>) -> Self {
        if let Way::Call(call) = &mut self.way {
            call.waiting = Some(Arc::clone(waiting));
        }
        self
    }

    /// It is a plain function's.
    pub(super) fn blocking(mut self) -> Self {
        if let Way::Call(call) = &mut self.way {
            call.blocking = true;
        }
        self
    }

    /// The key it may come to load, if it may.
    pub(super) fn within(&self) -> Option<(Arc<Engine>, LocalKey)> {
        match &self.way {
            Way::Call(call) => Some((Arc::clone(&call.engine), call.key.clone())),
            Way::Past | Way::Solo(_) | Way::Look(_) => None,
        }
    }

    pub(super) fn run_blocking(mut self, body: impl FnOnce() -> R) -> (R, bool) {
        match &mut self.way {
            // A plain function that the driver's thread calls, from the `Drop` of a value, say.
            Way::Call(_) | Way::Look(_) if driver::is_here() => (body(), false),
            Way::Call(call) => {
                call.blocking = true;
                block_on(self.run(async move { body() }))
            }
            Way::Solo(_) | Way::Look(_) => block_on(self.run(async move { body() })),
            Way::Past => (body(), false),
        }
    }
}

impl Call {
    /// How long a value of a class is fresh.
    pub(super) fn usual_ttl(&self, class: Class) -> Duration {
        let settings = &self.function.settings;
        match class {
            Class::Value => None,
            Class::None => settings.none_ttl,
            Class::Err => settings.err_ttl,
        }
        .unwrap_or(settings.ttl)
    }
}

/// What the function returns, unless it runs for too long.
async fn in_time<R>(
    running: &mut Running,
    within: &Within,
    mut body: std::pin::Pin<&mut impl Future<Output = R>>,
) -> Option<R> {
    poll_fn(|context| {
        if let Poll::Ready(returned) = within.run(|| body.as_mut().poll(context)) {
            return Poll::Ready(Some(returned));
        }
        match &mut running.hard {
            Some(hard) => hard.as_mut().poll(context).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// The value of a local entry.
pub(super) fn copy<V: Clone + 'static>(held: &dyn Held) -> Option<V> {
    Some(held.typed::<V>()?.value.clone())
}
