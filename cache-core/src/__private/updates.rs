//! What `#[updates]` does around a function: the value that a write returns becomes the cached one.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde::Serialize;

use super::asked::{Asked, Said, Tagging, Untold, registered_key, served};
use super::course::Missed;
use super::subject::{Offered, offer};
use super::terms::Terms;
use super::ticket::Way;
use super::{Tags, Ticket};
use crate::cache::{Transaction, with_current};
use crate::driver;
use crate::engine::{Call, Targets, Update};
use crate::key::Args;
use crate::metrics::Count;
use crate::registry::{Instance, Site};
use crate::shape::{Outline, Shape};
use crate::tag::Tag;
use crate::value::Described;
use crate::{Cache, Error};

/// A write whose value will be cached, noted before its body runs: its arguments may be moved into it.
///
/// Dropped once it has begun, it ends the entry and its tags in the background: the write may have
/// happened.
#[must_use = "dropped, it invalidates what is cached"]
pub struct Updating<R> {
    update: Update,
    /// The cached function's.
    terms: Terms,
    offer: fn(R) -> Offered,
}

impl<R> Updating<R> {
    pub(super) fn new(update: Update, terms: Terms, offer: fn(R) -> Offered) -> Self {
        Self {
            update,
            terms,
            offer,
        }
    }

    /// One write updates both: what either ends, the other does not take for another write. To be said
    /// before this one begins.
    pub fn beside<Q>(self, other: &Updating<Q>) -> Self {
        Self::new(self.update.beside(&other.update), self.terms, self.offer)
    }

    /// Readies the key, right before the body runs.
    pub async fn begin(self) -> Self {
        Self::new(self.update.begin().await, self.terms, self.offer)
    }

    /// [`begin`](Self::begin) for a plain function.
    pub fn begin_blocking(self) -> Self {
        if driver::is_here() {
            // On the driver's own thread nobody can wait for what it drives.
            return Self::new(self.update.begin_unclaimed(), self.terms, self.offer);
        }
        driver::block_on(self.begin())
    }

    /// Carries out what the write has come to. Its own result stands whatever comes of this.
    pub fn end(self, outcome: Outcome<R>) -> impl Future<Output = ()> {
        let Self {
            update,
            terms,
            offer,
        } = self;
        let offered = match outcome {
            Outcome::Failed => None,
            Outcome::Nothing => Some(None),
            Outcome::Value(returned) => Some(Some(offer(returned))),
        };
        async move {
            let Some(offered) = offered else {
                return update.failed();
            };
            let agreed = offered
                .zip(update.call())
                .and_then(|(offered, call)| offered.take(&call.function.settings, &terms));
            match agreed {
                Some((value, ttl, tags)) => update.stored(value, ttl, tags).await,
                None => update.ended().await,
            }
        }
    }
}

impl<R> fmt::Debug for Updating<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Updating").field(&self.update).finish()
    }
}

/// Notes what a write will update: the entry of this call.
pub fn updating<R, S: Shape<R>, A: Serialize>(
    site: &'static Site,
    instance: &Instance,
    _shape: S,
    cache: Option<&Cache>,
    args: &A,
    tags: impl FnMut(&mut Tags),
    terms: impl FnOnce(Ticket<R, S>) -> Ticket<R, S>,
) -> Updating<R> {
    let terms = terms(Ticket::new::<S>(Missed::new(Way::Past))).terms();
    let mut packed = Args::new();
    let args = packed.write(args).map(|()| packed);
    let update = note(site, instance, cache, &args, S::DESCRIBED, &mut Said(tags));
    Updating::new(update, terms, offer::<R, S>)
}

/// Notes it, whatever its types.
pub(super) fn note(
    site: &'static Site,
    instance: &Instance,
    cache: Option<&Cache>,
    args: &Result<Args, Error>,
    values: &'static Described,
    tags: &mut dyn Tagging,
) -> Update {
    let untold = &mut Untold;
    let asked = Asked::new(values, untold);
    with_current(cache, |engine, _| {
        // What a transaction writes may never be committed: what is cached goes, if it is.
        let function = Transaction::around(engine)
            .is_none()
            .then(|| served(engine, site, instance, &asked))
            .flatten();
        let mut targets = Targets::default();
        match args {
            Ok(args) => targets.keys.push(registered_key(site, instance, args)),
            // A call whose arguments make no key is never cached: there is nothing to remove.
            Err(error) => tracing::debug!("nothing to update: {error}"),
        }
        let mut collected = Tags::none();
        tags.add(&mut collected);
        let call = match collected.0 {
            Ok(tags) => {
                targets.tags.extend(tags.iter().map(str::to_owned));
                let keyed = function.zip(args.as_ref().ok());
                keyed.map(|(function, args)| Box::new(Call::new(engine, function, args, tags)))
            }
            Err(error) => {
                // What cannot be named cannot be left alone either: everything of the namespace goes.
                tracing::error!("#[updates] clears the whole namespace: {error}");
                targets.tags.push(Tag::namespace().as_str().to_owned());
                None
            }
        };
        if let (None, Some(function)) = (&call, function) {
            function.kind.counters.count(Count::Unkeyed);
        }
        Update::of(engine, call, targets)
    })
}

/// What a write came to, in the terms of the cached function, which returns `R`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<R> {
    /// What the cached function would return now.
    Value(R),
    /// It has succeeded, and there is no value to be cached.
    Nothing,
    /// It has failed, and changed nothing.
    Failed,
}

/// What the cached function returns, made of what a write returned.
#[diagnostic::on_unimplemented(
    message = "a write that returns `{V}` can't update a function that returns `{Self}`",
    label = "the write's value is to become what the cached function would return",
    note = "return the value that is cached from the write, or use `#[invalidates(of(..))]` instead"
)]
pub trait Joins<V>: Sized {
    /// What the function would have returned with this value.
    fn joined(value: &V) -> Self;
}

impl<T: Clone> Joins<T> for T {
    fn joined(value: &T) -> Self {
        value.clone()
    }
}

impl<T: Clone> Joins<T> for Option<T> {
    fn joined(value: &T) -> Self {
        Some(value.clone())
    }
}

impl<T: Clone, E> Joins<T> for Result<T, E> {
    fn joined(value: &T) -> Self {
        Ok(value.clone())
    }
}

impl<T: Clone, E> Joins<T> for Result<Option<T>, E> {
    fn joined(value: &T) -> Self {
        Ok(Some(value.clone()))
    }
}

impl<T: Clone, E> Joins<T> for Option<Result<T, E>> {
    fn joined(value: &T) -> Self {
        Some(Ok(value.clone()))
    }
}

/// What a write returned, and what that is to the cached function.
pub fn outcome<W, S: Outline<W>, R: Joins<S::Value>>(shape: S, returned: W) -> (W, Outcome<R>) {
    match shape.split(returned) {
        Ok(value) => {
            let outcome = Outcome::Value(R::joined(&value));
            (shape.join(value), outcome)
        }
        Err(returned) if shape.is_error(&returned) => (returned, Outcome::Failed),
        Err(returned) => (returned, Outcome::Nothing),
    }
}

/// Waits for what a plain write has to wait for. On the driver's own thread, where nobody can, what is
/// not done at once is carried out in the background.
pub fn block_on(future: impl Future<Output = ()>) {
    if !driver::is_here() {
        driver::block_on(future);
        return;
    }
    let mut context = Context::from_waker(Waker::noop());
    let polled: Poll<()> = pin!(future).poll(&mut context);
    // Dropped before its end, an update invalidates.
    let _ = polled;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_may_return_its_value_in_another_wrapping_than_the_cached_function() {
        let written: Result<u8, ()> = Ok(1);
        let (returned, told) =
            outcome::<_, _, Option<u8>>(crate::__shape!(Result<u8, ()>), written);
        assert_eq!((returned, told), (Ok(1), Outcome::Value(Some(1))));
        let (_, told) = outcome::<_, _, Result<Option<u8>, String>>(crate::__shape!(u8), 2_u8);
        assert_eq!(told, Outcome::Value(Ok(Some(2))));
        let (_, told) = outcome::<_, _, u8>(crate::__shape!(Option<u8>), Some(3_u8));
        assert_eq!(told, Outcome::Value(3));
    }

    #[test]
    fn what_failed_and_what_brings_no_value_are_told_apart() {
        type Returned = Result<Option<u8>, ()>;
        let of = |returned: Returned| {
            let (back, told) = outcome::<_, _, Returned>(crate::__shape!(Returned), returned);
            assert_eq!(back, returned);
            told
        };
        assert_eq!(of(Ok(Some(1))), Outcome::Value(Ok(Some(1))));
        assert_eq!(of(Ok(None)), Outcome::Nothing);
        assert_eq!(of(Err(())), Outcome::Failed);
    }
}
