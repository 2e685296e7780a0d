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
use super::course::{Course, Missed, Side};
use super::subject::Named;
use super::terms::{IntoTag, IntoTtl, Terms};
use crate::codec::Reader;
use crate::driver::{self, BoxFuture};
use crate::engine::{Call, Engine, Solo};
use crate::local::{Held, LocalKey};
use crate::policy::Settings;
use crate::refusal::Refusal;
use crate::shape::{Class, Shape};
use crate::value::{Carries, Erased};

/// A call that found nothing it could use in the local tier. Nothing in it is of the function's types, so that
/// dropping one is compiled once. Its shape is needed for the types of its terms alone; else it is `()`.
pub struct Ticket<R, S> {
    pub(super) missed: Missed,
    pub(super) drive: Drive<R>,
    shape: PhantomData<fn() -> S>,
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
        self.missed.terms.cache_if(cache_if);
        self
    }

    /// Asks each value how long it is fresh.
    #[must_use]
    pub fn ttl_with<D: IntoTtl + 'static>(mut self, ttl: fn(&S::Value) -> D) -> Self {
        self.missed.terms.ttl_with(ttl);
        self
    }

    /// Asks each value for tags of its own.
    #[must_use]
    pub fn tags_with<T>(mut self, tags: fn(&S::Value) -> T) -> Self
    where
        T: IntoIterator<Item: IntoTag> + 'static,
    {
        self.missed.terms.tags_with(tags);
        self
    }
}

impl<R, S> Ticket<R, S> {
    /// That of a call of this shape.
    pub(super) fn new<T: Shape<R>>(missed: Missed) -> Self {
        Self {
            missed,
            drive: drive::<R, T>,
            shape: PhantomData,
        }
    }

    /// The value is given: no function runs that could be counted or timed.
    pub(super) fn given(mut self) -> Self {
        if let Some(call) = self.missed.call() {
            call.given = true;
        }
        self
    }

    /// What its terms are.
    pub(super) fn terms(self) -> Terms {
        self.missed.terms
    }

    /// Has a flag up while it waits for somebody else.
    pub(super) fn watched(mut self, waiting: &Arc<AtomicBool>) -> Self {
        if let Some(call) = self.missed.call() {
            call.waiting = Some(Arc::clone(waiting));
        }
        self
    }

    /// It is a plain function's.
    pub(super) fn blocking(mut self) -> Self {
        if let Some(call) = self.missed.call() {
            call.blocking = true;
        }
        self
    }

    /// Whose call it is, if it is one, and the key it may come to load.
    pub(super) fn within(&mut self) -> Option<(Arc<Engine>, LocalKey)> {
        let call = self.missed.call()?;
        Some((Arc::clone(&call.engine), call.key.clone()))
    }
}

/// Loads what was missed, or waits for who is loading it: gives what the function returned, or would have returned.
///
/// A plain function that returns a future with the body's on the heap, so that a hit never pays for
/// that, and recursive functions have a size.
#[cold]
#[inline(never)]
pub fn load<R, S, F: Future<Output = R>>(ticket: Ticket<R, S>, body: F) -> Load<R, F> {
    Load {
        course: Course::new(ticket.missed),
        drive: ticket.drive,
        returned: None,
        body: Box::pin(body),
    }
}

/// [`load`] for a plain function.
#[cold]
#[inline(never)]
pub fn load_blocking<R, S>(ticket: Ticket<R, S>, body: impl FnOnce() -> R) -> R {
    let mut body = Plain(Some(body));
    block(ticket.missed, ticket.drive, &mut body).0
}

/// Runs a call to its end, blocking this thread. Returns what it gives, and whether the value is stored.
pub(super) fn block<R>(
    mut missed: Missed,
    drive: Drive<R>,
    body: &mut (dyn Future<Output = R> + Unpin),
) -> (R, bool) {
    let is_past = missed.begins_blocking();
    let mut course = Course::new(missed);
    let mut returned = None;
    loop {
        let body: Pin<&mut (dyn Future<Output = R> + Unpin)> = Pin::new(&mut *body);
        let parts = Parts {
            returned: &mut returned,
            body,
        };
        // What waits for nothing is ready when it is first asked.
        let context = &mut Context::from_waker(Waker::noop());
        let _ended = drive(&mut course, parts, is_past.then_some(context));
        if let Some(returned) = returned {
            return (returned, course.is_stored());
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
        course: Course::put_off(call),
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
    course: Course,
    drive: Drive<R>,
    returned: Option<R>,
    /// On the heap, so that recursive functions have a size.
    body: Pin<Box<F>>,
}

impl<R, F> Load<R, F> {
    /// Whether the value is stored, at the end.
    pub(super) fn is_stored(&self) -> bool {
        self.course.is_stored()
    }

    /// What is returned, before it is known whether it is stored: the store has been asked, and what is given
    /// beside it hears the answer.
    pub(super) fn detach(&mut self) -> Option<(R, BoxFuture<'static, bool>)> {
        let storing = self.course.detach()?;
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
            returned: &mut this.returned,
            body: this.body.as_mut(),
        };
        if (this.drive)(&mut this.course, parts, Some(context)).is_pending() {
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
    returned: &'p mut Option<R>,
    body: Pin<&'p mut dyn Future<Output = R>>,
}

/// The same, with its shape.
struct Typed<'p, R, S>(Parts<'p, R>, S);

// Matches rather than combinators: each of those would be compiled for each type that a function returns.
#[allow(clippy::manual_let_else, clippy::single_match_else)]
impl<R, S: Shape<R>> Side for Typed<'_, R, S> {
    fn run(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        // Where it is made it is handed on: what has a name has to be dropped, in a panic too.
        if !settle(self.0.returned, self.0.body.as_mut().poll(context)) {
            return Poll::Pending;
        }
        match self.0.returned {
            Some(returned) => Poll::Ready(self.1.is_error(returned)),
            None => Poll::Ready(false),
        }
    }

    fn serve(&mut self, held: &dyn Held) -> bool {
        put(self.0.returned, joined::<R, S>(Some(held.view())))
    }

    fn read(&mut self, reader: Reader<'_, '_>) -> Result<(), Refusal> {
        match S::Carry::read(reader) {
            Ok(value) => {
                put(self.0.returned, Some(self.1.join(value)));
                Ok(())
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn show(&mut self, to: &mut dyn FnMut(Erased<'_>, Class)) {
        if !S::LENDS {
            return self.show_apart(to);
        }
        if let Some(returned) = &*self.0.returned
            && let Some(value) = self.1.lend(returned)
        {
            to(S::Carry::erased(value), self.1.class(value));
        }
    }
}

impl<R, S: Shape<R>> Typed<'_, R, S> {
    /// [`show`](Side::show) where the value is not there as it is.
    fn show_apart(&mut self, to: &mut dyn FnMut(Erased<'_>, Class)) {
        let Some(returned) = self.0.returned.take() else {
            return;
        };
        let returned = match self.1.split(returned) {
            Ok(value) => {
                to(S::Carry::erased(&value), self.1.class(&value));
                self.1.join(value)
            }
            Err(other) => other,
        };
        *self.0.returned = Some(returned);
    }
}

/// Puts there what is returned, if it is there.
fn put<R>(place: &mut Option<R>, returned: Option<R>) -> bool {
    *place = returned;
    // Not `is_some`, which would be compiled for each type too.
    #[allow(clippy::redundant_pattern_matching)]
    {
        matches!(place, Some(_))
    }
}

/// The same, where it may come yet.
fn settle<R>(place: &mut Option<R>, returned: Poll<R>) -> bool {
    match returned {
        Poll::Ready(returned) => put(place, Some(returned)),
        Poll::Pending => false,
    }
}

/// A plain function, as a future that is ready at once.
pub(super) struct Plain<B>(pub(super) Option<B>);

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
