//! A call after a local miss, with its types: the thin layer between a function and the engine, which
//! knows of no types.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};
use std::time::Duration;

use super::course::{Course, Side};
use super::terms::{IntoTag, IntoTtl, Terms};
use crate::driver;
use crate::engine::{Call, Engine, Solo};
use crate::local::{Held, LocalKey};
use crate::policy::Settings;
use crate::shape::{Class, Shape};
use crate::value::Value;

/// A call that found nothing it could use in the local tier, and what it is to return, once there is
/// something. Under way it stays what it is: each struct more would be one more for each type that a
/// function returns.
pub struct Ticket<R, S> {
    way: Way,
    shape: S,
    terms: Terms,
    returned: Option<R>,
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

    /// Takes it.
    fn course(&mut self) -> Course {
        Course::new(mem::replace(self, Self::Past))
    }

    /// Whether nothing but the function is waited for. Nobody may wait on the driver's thread, which may
    /// call a plain function from the `Drop` of a value, say.
    pub(super) fn waits_for_nothing(&self) -> bool {
        match self {
            Self::Past => true,
            Self::Solo(_) => false,
            Self::Call(_) | Self::Look(_) => driver::is_here(),
        }
    }
}

impl<R, S> fmt::Debug for Ticket<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

impl<R, S: Shape<R>> Ticket<R, S> {
    pub(super) fn new(shape: S, way: Way) -> Self {
        Self {
            way,
            shape,
            terms: Terms::default(),
            returned: None,
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
        let class = self.shape.class(value);
        self.terms
            .of(value, usual_ttl(&call.function.settings, class))
    }

    /// The value is given: no function runs that could be counted or timed.
    pub(super) fn given(mut self) -> Self {
        if let Way::Call(call) = &mut self.way {
            call.given = true;
        }
        self
    }

    /// Runs the call to its end: gives what the function returned or would have returned.
    pub(super) fn run<F: Future<Output = R>>(mut self, body: F) -> Load<R, S, F> {
        Load {
            course: self.way.course(),
            ticket: self,
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
    pub(super) fn run_blocking(self, body: impl FnOnce() -> R) -> (R, bool) {
        if self.way.waits_for_nothing() {
            return (body(), false);
        }
        let body = pin!(Plain(Some(body)));
        self.blocking().block(body)
    }

    fn block(mut self, mut body: Pin<&mut dyn Future<Output = R>>) -> (R, bool) {
        let mut course = self.way.course();
        loop {
            course.block(&mut Typed {
                shape: self.shape,
                terms: &self.terms,
                returned: &mut self.returned,
                body: body.as_mut(),
            });
            if let Some(returned) = self.returned.take() {
                return (returned, course.is_stored());
            }
        }
    }

    fn poll(
        &mut self,
        course: &mut Course,
        body: Pin<&mut dyn Future<Output = R>>,
        context: &mut Context<'_>,
    ) -> Poll<R> {
        let mut typed = Typed {
            shape: self.shape,
            terms: &self.terms,
            returned: &mut self.returned,
            body,
        };
        if course.poll(&mut typed, context).is_pending() {
            return Poll::Pending;
        }
        // At the end there is something; once it has been given there is nothing any more.
        match self.returned.take() {
            Some(returned) => Poll::Ready(returned),
            None => Poll::Pending,
        }
    }
}

/// A call after a local miss, under way. What depends on types is here, and as little of it as can be:
/// the course it takes is the same for all.
///
/// Dropped at any time, it first gives up what others wait for, and the function's future then.
pub struct Load<R, S, F> {
    course: Course,
    ticket: Ticket<R, S>,
    /// On the heap, so that recursive functions have a size.
    body: Pin<Box<F>>,
}

impl<R, S, F> Load<R, S, F> {
    /// Whether the value is stored, at the end.
    pub(super) fn is_stored(&self) -> bool {
        self.course.is_stored()
    }
}

// Nothing in it but the function's future is ever pinned, and that is on the heap.
impl<R, S, F> Unpin for Load<R, S, F> {}

impl<R, S, F> fmt::Debug for Load<R, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").finish_non_exhaustive()
    }
}

impl<R, S: Shape<R>, F: Future<Output = R>> Future for Load<R, S, F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let this = &mut *self;
        this.ticket
            .poll(&mut this.course, this.body.as_mut(), context)
    }
}

/// A call with its types, for one poll.
struct Typed<'p, R, S> {
    shape: S,
    terms: &'p Terms,
    returned: &'p mut Option<R>,
    body: Pin<&'p mut dyn Future<Output = R>>,
}

// Matches rather than combinators: each of those would be compiled for each type that a function returns.
#[allow(clippy::manual_map, clippy::question_mark, clippy::manual_let_else)]
impl<R, S: Shape<R>> Side for Typed<'_, R, S> {
    fn run(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self.body.as_mut().poll(context) {
            Poll::Ready(returned) => {
                let is_error = self.shape.is_error(&returned);
                *self.returned = Some(returned);
                Poll::Ready(is_error)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn serve(&mut self, held: &dyn Held) -> bool {
        match copy(held) {
            Some(value) => {
                *self.returned = Some(self.shape.join(value));
                true
            }
            None => false,
        }
    }

    fn give(&mut self, value: Box<dyn Value>) -> bool {
        let mut place: Option<S::Value> = None;
        value.give(&mut place);
        match place {
            Some(value) => {
                *self.returned = Some(self.shape.join(value));
                true
            }
            None => false,
        }
    }

    fn value(&mut self, settings: &Settings) -> Option<(Box<dyn Value>, Duration, Vec<String>)> {
        let shape = self.shape;
        let Some(returned) = self.returned.take() else {
            return None;
        };
        let value = match shape.split(returned) {
            Ok(value) => value,
            Err(other) => {
                *self.returned = Some(other);
                return None;
            }
        };
        let usual = usual_ttl(settings, shape.class(&value));
        let fate = match self.terms.of(&value, usual) {
            Some((ttl, tags)) => Some((shape.wrap(value.clone()), ttl, tags)),
            None => None,
        };
        *self.returned = Some(shape.join(value));
        fate
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
pub(super) fn usual_ttl(settings: &Settings, class: Class) -> Duration {
    match class {
        Class::Value => None,
        Class::None => settings.none_ttl,
        Class::Err => settings.err_ttl,
    }
    .unwrap_or(settings.ttl)
}

/// The value of a local entry.
pub(super) fn copy<V: Clone + 'static>(held: &dyn Held) -> Option<V> {
    // As it stands: `map` would be compiled for each type too.
    #[allow(clippy::manual_map)]
    match held.typed::<V>() {
        Some(stored) => Some(stored.value.clone()),
        None => None,
    }
}
