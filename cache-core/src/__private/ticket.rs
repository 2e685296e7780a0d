//! A call after a local miss, with its types: the thin layer between a function and the engine, which
//! knows of no types.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::Duration;

use super::course::{Course, Side};
use super::terms::{IntoTag, IntoTtl, Terms};
use crate::driver::{self, block_on};
use crate::engine::{Call, Engine, Solo};
use crate::local::{Held, LocalKey};
use crate::policy::Settings;
use crate::shape::{Class, Outline, Shape};
use crate::value::Value;

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
        let usual = usual_ttl(&call.function.settings, self.shape.class(value));
        self.terms.of(value, usual)
    }

    /// The value is given: no function runs that could be counted or timed.
    pub(super) fn given(mut self) -> Self {
        if let Way::Call(call) = &mut self.way {
            call.given = true;
        }
        self
    }

    /// Runs the call to its end: gives what the function returned or would have returned.
    pub(super) fn run<F: Future<Output = R>>(self, body: F) -> Load<R, S, F> {
        Load {
            course: Course::new(self.way),
            returns: Returns {
                shape: self.shape,
                terms: self.terms,
                returned: None,
            },
            body: Box::pin(body),
        }
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

    /// [`Ticket::run`] for a plain function. Returns what it gives, and whether the value is stored.
    pub(super) fn run_blocking(mut self, body: impl FnOnce() -> R) -> (R, bool) {
        // Nobody may wait on the driver's thread, which may call a plain function from the `Drop` of
        // a value, say.
        if let Way::Past = self.way {
            return (body(), false);
        }
        if let Way::Call(_) | Way::Look(_) = self.way
            && driver::is_here()
        {
            return (body(), false);
        }
        self = self.blocking();
        let mut load = self.run(Plain(Some(body)));
        let returned = block_on(&mut load);
        (returned, load.is_stored())
    }
}

/// A call after a local miss, under way. What depends on types is here, and as little of it as can be:
/// the course it takes is the same for all.
///
/// Dropped at any time, it first gives up what others wait for, and the function's future then.
pub struct Load<R, S: Outline<R>, F> {
    course: Course,
    returns: Returns<R, S>,
    /// On the heap, so that recursive functions have a size.
    body: Pin<Box<F>>,
}

impl<R, S: Outline<R>, F> Load<R, S, F> {
    /// Whether the value is stored, at the end.
    pub(super) fn is_stored(&self) -> bool {
        self.course.is_stored()
    }
}

// Nothing in it but the function's future is ever pinned, and that is on the heap.
impl<R, S: Outline<R>, F> Unpin for Load<R, S, F> {}

impl<R, S: Outline<R>, F> fmt::Debug for Load<R, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").finish_non_exhaustive()
    }
}

impl<R, S: Shape<R>, F: Future<Output = R>> Future for Load<R, S, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let this = self.get_mut();
        let mut typed = Typed {
            returns: &mut this.returns,
            body: this.body.as_mut(),
        };
        match this.course.poll(&mut typed, context) {
            // At the end there is something; once it has been given there is nothing any more.
            Poll::Ready(()) => match this.returns.returned.take() {
                Some(returned) => Poll::Ready(returned),
                None => Poll::Pending,
            },
            Poll::Pending => Poll::Pending,
        }
    }
}

/// What a call is to return, and how it is made of a value, or a value of it.
struct Returns<R, S: Outline<R>> {
    shape: S,
    terms: Terms<S::Value>,
    returned: Option<R>,
}

/// A call with its types, for one poll.
struct Typed<'p, R, S: Outline<R>> {
    returns: &'p mut Returns<R, S>,
    body: Pin<&'p mut dyn Future<Output = R>>,
}

impl<R, S: Shape<R>> Side for Typed<'_, R, S> {
    fn run(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self.body.as_mut().poll(context) {
            Poll::Ready(returned) => {
                let is_error = self.returns.shape.is_error(&returned);
                self.returns.returned = Some(returned);
                Poll::Ready(is_error)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn serve(&mut self, held: &dyn Held) -> bool {
        let Some(value) = copy(held) else {
            return false;
        };
        self.returns.returned = Some(self.returns.shape.join(value));
        true
    }

    fn give(&mut self, value: Box<dyn Value>) -> bool {
        let mut place: Option<S::Value> = None;
        value.give(&mut place);
        let Some(value) = place else {
            return false;
        };
        self.returns.returned = Some(self.returns.shape.join(value));
        true
    }

    fn value(&mut self, settings: &Settings) -> Option<(Box<dyn Value>, Duration, Vec<String>)> {
        let Returns {
            shape,
            terms,
            returned,
        } = &mut *self.returns;
        let value = match shape.split(returned.take()?) {
            Ok(value) => value,
            Err(other) => {
                *returned = Some(other);
                return None;
            }
        };
        let terms = terms.of(&value, usual_ttl(settings, shape.class(&value)));
        let Some((ttl, tags)) = terms else {
            *returned = Some(shape.join(value));
            return None;
        };
        *returned = Some(shape.join(value.clone()));
        Some((shape.wrap(value), ttl, tags))
    }
}

/// A plain function, as a future that is ready at once.
struct Plain<B>(Option<B>);

impl<B> Unpin for Plain<B> {}

impl<R, B: FnOnce() -> R> Future for Plain<B> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R> {
        match self.0.take() {
            Some(body) => Poll::Ready(body()),
            None => Poll::Pending,
        }
    }
}

/// How long a value of a class is fresh.
fn usual_ttl(settings: &Settings, class: Class) -> Duration {
    match class {
        Class::Value => None,
        Class::None => settings.none_ttl,
        Class::Err => settings.err_ttl,
    }
    .unwrap_or(settings.ttl)
}

/// The value of a local entry.
pub(super) fn copy<V: Clone + 'static>(held: &dyn Held) -> Option<V> {
    Some(held.typed::<V>()?.value.clone())
}
