//! A call after a local miss, with its types: the thin layer between a function and the engine, which
//! knows of no types.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::asked::joined;
use super::course::{Course, Side};
use super::subject::Named;
use super::terms::{IntoTag, IntoTtl, Terms};
use crate::driver::{self, BoxFuture};
use crate::engine::{Call, Engine, Solo};
use crate::local::{Held, LocalKey};
use crate::policy::Settings;
use crate::shape::{Class, Shape};
use crate::value::Value;

/// A call that found nothing it could use in the local tier. Nothing in it is of the function's types, so that
/// dropping one is compiled once. Its shape is needed for the types of its terms alone; else it is `()`.
pub struct Ticket<R, S> {
    call: Missed,
    drive: Drive<R>,
    shape: PhantomData<fn() -> S>,
}

/// What a ticket is about, whatever its types.
struct Missed {
    way: Way,
    terms: Terms,
}

/// The same under way.
struct Under {
    course: Course,
    terms: Terms,
}

impl Missed {
    fn begin(self) -> Under {
        Under {
            course: Course::new(self.way),
            terms: self.terms,
        }
    }

    /// The call of a plain function, which waits for nobody where nobody may wait.
    fn begin_blocking(mut self) -> (Under, bool) {
        let is_past = self.way.waits_for_nothing();
        if is_past {
            self.way = Way::Past;
        } else if let Way::Call(call) = &mut self.way {
            call.blocking = true;
        }
        (self.begin(), is_past)
    }
}

/// Goes on with a course, whose shape is known here: to the end, blocking this thread, where there is no context.
pub(super) type Drive<R> = fn(&mut Course, Parts<'_, R>, Option<&mut Context<'_>>) -> Poll<()>;

pub(super) fn drive<R, S: Shape<R>>(
    course: &mut Course,
    parts: Parts<'_, R>,
    context: Option<&mut Context<'_>>,
) -> Poll<()> {
    course.go(&mut Typed(parts, S::SHAPE), context)
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
    /// Caches only values of which this is true.
    #[must_use]
    pub fn cache_if(mut self, cache_if: fn(&S::Value) -> bool) -> Self {
        self.call.terms.cache_if(cache_if);
        self
    }

    /// Asks each value how long it is fresh.
    #[must_use]
    pub fn ttl_with<D: IntoTtl + 'static>(mut self, ttl: fn(&S::Value) -> D) -> Self {
        self.call.terms.ttl_with(ttl);
        self
    }

    /// Asks each value for tags of its own.
    #[must_use]
    pub fn tags_with<T>(mut self, tags: fn(&S::Value) -> T) -> Self
    where
        T: IntoIterator<Item: IntoTag> + 'static,
    {
        self.call.terms.tags_with(tags);
        self
    }
}

impl<R, S> Ticket<R, S> {
    /// That of a call of this shape.
    pub(super) fn new<T: Shape<R>>(_: T, way: Way) -> Self {
        Self::driven(way, drive::<R, T>)
    }

    pub(super) fn driven(way: Way, drive: Drive<R>) -> Self {
        Self {
            call: Missed {
                way,
                terms: Terms::default(),
            },
            drive,
            shape: PhantomData,
        }
    }

    /// The value is given: no function runs that could be counted or timed.
    pub(super) fn given(mut self) -> Self {
        if let Way::Call(call) = &mut self.call.way {
            call.given = true;
        }
        self
    }

    /// Runs the call to its end: gives what the function returned or would have returned.
    pub(super) fn run<F: Future<Output = R>>(self, body: F) -> Load<R, F> {
        Load {
            under: self.call.begin(),
            drive: self.drive,
            returned: None,
            body: Box::pin(body),
        }
    }

    /// What its terms are.
    pub(super) fn terms(self) -> Terms {
        self.call.terms
    }

    /// Has a flag up while it waits for somebody else.
    pub(super) fn watched(mut self, waiting: &Arc<AtomicBool>) -> Self {
        if let Way::Call(call) = &mut self.call.way {
            call.waiting = Some(Arc::clone(waiting));
        }
        self
    }

    /// It is a plain function's.
    pub(super) fn blocking(mut self) -> Self {
        if let Way::Call(call) = &mut self.call.way {
            call.blocking = true;
        }
        self
    }

    /// Whose call it is, if it is one.
    pub(super) fn engine(&self) -> Option<Arc<Engine>> {
        self.within().map(|(engine, _)| engine)
    }

    /// The key it may come to load, if it may.
    pub(super) fn within(&self) -> Option<(Arc<Engine>, LocalKey)> {
        match &self.call.way {
            Way::Call(call) => Some((Arc::clone(&call.engine), call.key.clone())),
            Way::Past | Way::Solo(_) | Way::Look(_) => None,
        }
    }

    /// [`Ticket::run`] for a plain function. Returns what it gives, and whether the value is stored.
    pub(super) fn run_blocking(self, body: impl FnOnce() -> R) -> (R, bool) {
        let mut body = Plain(Some(body));
        let body: Pin<&mut Plain<_>> = Pin::new(&mut body);
        self.block(body)
    }

    fn block(self, mut body: Pin<&mut dyn Future<Output = R>>) -> (R, bool) {
        let (mut under, is_past) = self.call.begin_blocking();
        let mut returned = None;
        loop {
            let parts = Parts {
                terms: &under.terms,
                returned: &mut returned,
                body: body.as_mut(),
            };
            // What waits for nothing is ready when it is first asked.
            let context = &mut Context::from_waker(Waker::noop());
            let _ended = (self.drive)(&mut under.course, parts, is_past.then_some(context));
            if let Some(returned) = returned {
                return (returned, under.course.is_stored());
            }
        }
    }
}

/// Runs a call that is asked for when this is first polled.
pub(super) fn run_later<R, F: Future<Output = R>>(
    call: Box<Named>,
    drive: Drive<R>,
    body: F,
) -> Load<R, F> {
    Load {
        under: Under {
            course: Course::put_off(call),
            terms: Terms::default(),
        },
        drive,
        returned: None,
        body: Box::pin(body),
    }
}

/// A call after a local miss, under way, and what it is to return, once there is something. What depends on types
/// is here, and as little of it as can be: the course it takes is the same for all.
///
/// Dropped at any time, it first gives up what others wait for, and the function's future then.
pub struct Load<R, F> {
    under: Under,
    drive: Drive<R>,
    returned: Option<R>,
    /// On the heap, so that recursive functions have a size.
    body: Pin<Box<F>>,
}

impl<R, F> Load<R, F> {
    /// Whether the value is stored, at the end.
    pub(super) fn is_stored(&self) -> bool {
        self.under.course.is_stored()
    }

    /// What is returned, before it is known whether it is stored: the store has been asked, and what is given
    /// beside it hears the answer.
    pub(super) fn detach(&mut self) -> Option<(R, BoxFuture<'static, bool>)> {
        let storing = self.under.course.detach()?;
        Some((self.returned.take()?, storing))
    }
}

// Nothing in it but the function's future is ever pinned, and that is on the heap.
impl<R, F> Unpin for Load<R, F> {}

impl<R, F> fmt::Debug for Load<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").finish_non_exhaustive()
    }
}

impl<R, F: Future<Output = R>> Future for Load<R, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let this = self.get_mut();
        let parts = Parts {
            terms: &this.under.terms,
            returned: &mut this.returned,
            body: this.body.as_mut(),
        };
        if (this.drive)(&mut this.under.course, parts, Some(context)).is_pending() {
            return Poll::Pending;
        }
        // At the end there is something; once it has been given there is nothing any more.
        match this.returned.take() {
            Some(returned) => Poll::Ready(returned),
            None => Poll::Pending,
        }
    }
}

/// What a call has that depends on the type it returns, for one poll.
pub(super) struct Parts<'p, R> {
    terms: &'p Terms,
    returned: &'p mut Option<R>,
    body: Pin<&'p mut dyn Future<Output = R>>,
}

/// The same, with its shape.
struct Typed<'p, R, S>(Parts<'p, R>, S);

// Matches rather than combinators: each of those would be compiled for each type that a function returns.
#[allow(clippy::manual_map, clippy::question_mark, clippy::manual_let_else)]
impl<R, S: Shape<R>> Side for Typed<'_, R, S> {
    fn run(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self.0.body.as_mut().poll(context) {
            Poll::Ready(returned) => {
                let is_error = self.1.is_error(&returned);
                *self.0.returned = Some(returned);
                Poll::Ready(is_error)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn serve(&mut self, held: &dyn Held) -> bool {
        match joined::<R, S>(held) {
            Some(returned) => {
                *self.0.returned = Some(returned);
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
                *self.0.returned = Some(self.1.join(value));
                true
            }
            None => false,
        }
    }

    fn value(&mut self, settings: &Settings) -> Option<(Box<dyn Value>, Duration, Vec<String>)> {
        if S::LENDS {
            let Some(returned) = &*self.0.returned else {
                return None;
            };
            let Some(value) = self.1.lend(returned) else {
                return None;
            };
            let said = self.0.terms.of_class(value, settings, self.1.class(value));
            match said {
                Some((ttl, tags)) => Some((self.1.wrap(value.clone()), ttl, tags)),
                None => None,
            }
        } else {
            self.taken_apart(settings)
        }
    }
}

impl<R, S: Shape<R>> Typed<'_, R, S> {
    /// [`value`](Side::value) where it is not there as it is.
    fn taken_apart(
        &mut self,
        settings: &Settings,
    ) -> Option<(Box<dyn Value>, Duration, Vec<String>)> {
        let value = match self.1.split(self.0.returned.take()?) {
            Ok(value) => value,
            Err(other) => {
                *self.0.returned = Some(other);
                return None;
            }
        };
        let said = self
            .0
            .terms
            .of_class(&value, settings, self.1.class(&value));
        let fate = said.map(|(ttl, tags)| (self.1.wrap(value.clone()), ttl, tags));
        *self.0.returned = Some(self.1.join(value));
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
