//! What the macros' output calls. Not public API: it changes with the macros, which are pinned to
//! this very version.

mod asked;
mod batch;
mod bounds;
mod course;
mod invalidates;
mod subject;
mod terms;
mod ticket;
mod updates;

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;

use self::asked::{Asked, Said, Tagging, Untold, joined, registered_key};
use crate::cache::with_current;
use crate::driver;
use crate::engine::{Call, Targets};
use crate::key::Args;
use crate::shape::Shape;
use crate::tag::Texts;
use crate::{Cache, Error, Invalidation, Key, Result, Tag, Warm};

/// What the macros' output names of it.
pub mod shape {
    pub use crate::shape::*;
}

pub use self::batch::{Each, Elements, Failed, batch, batch_blocking, elements, told};
pub use self::bounds::{argument, cache, checked, element};
use self::course::Missed;
pub use self::invalidates::{Armed, Plan};
pub use self::subject::{Aim, Look, Name, Offered, Store, Subject, reload, reload_blocking};
pub use self::terms::{IntoTag, IntoTtl};
pub use self::ticket::{Load, Ticket, load, load_blocking};
use self::ticket::{Way, block};
pub use self::updates::{Joins, Outcome, Updating, block_on, outcome, updating};
pub use crate::key::Argument;
pub use crate::registry::{Given, Instance, Site, Spec};
pub use crate::tag::Part;
pub use crate::{__shape as shape, __success as success};

/// Collects the tags of a call: in one text, since most calls that wait for others never ask for them.
#[derive(Debug)]
pub struct Tags(std::result::Result<Texts, Error>);

impl Tags {
    fn none() -> Self {
        Self(Ok(Texts::default()))
    }

    /// Adds those of another collection.
    fn extend(&mut self, others: Self) {
        match (&mut self.0, others.0) {
            (Ok(tags), Ok(others)) => others.iter().for_each(|other| tags.add(other.to_owned())),
            (all, Err(error)) => *all = Err(error),
            (Err(_), Ok(_)) => {}
        }
    }

    /// Adds one tag.
    pub fn tag(&mut self, parts: &[Part<'_>]) {
        let Ok(tags) = &mut self.0 else {
            return;
        };
        match Tag::text_of_parts(parts) {
            Ok(tag) => tags.add(tag),
            // Without all of its tags an entry would outlive an invalidation.
            Err(error) => self.0 = Err(error),
        }
    }
}

/// One tag, for `tags_with`.
pub fn tag(parts: &[Part<'_>]) -> Result<Tag> {
    Tag::from_parts(parts)
}

/// Looks for a value; a miss gives the ticket with which to load it.
#[cfg_attr(not(debug_assertions), inline(always))]
#[allow(clippy::inline_always)]
pub fn lookup<R, S: Shape<R>, A: Serialize>(
    site: &'static Site,
    instance: &Instance,
    _shape: S,
    cache: Option<&Cache>,
    args: &A,
    tags: impl FnMut(&mut Tags),
) -> std::result::Result<R, Ticket<R, S>> {
    let mut packed = Args::new();
    let args = packed.write(args).is_ok().then_some(&packed);
    looked::<R, S, S>(site, instance, cache, args, &mut Said(tags))
}

/// The rest of [`lookup`], compiled for each type that is returned and not for each function; where hits are to be
/// fast, a part of it.
#[cfg_attr(not(debug_assertions), inline(always))]
#[allow(clippy::inline_always)]
fn looked<R, S: Shape<R>, T>(
    site: &'static Site,
    instance: &Instance,
    cache: Option<&Cache>,
    args: Option<&Args>,
    tags: &mut dyn Tagging,
) -> std::result::Result<R, Ticket<R, T>> {
    let mut early = None;
    if let Some(args) = args
        && let Some(lent) = asked::hit(site, instance, cache, args, &mut early)
        && let Some(value) = lent.view().value::<S::Value>()
    {
        return Ok(S::SHAPE.join(value.clone()));
    }
    missed::<R, S, T>(site, instance, cache, args, early, tags)
}

/// The rest of that: out of the way of hits.
#[cold]
#[inline(never)]
fn missed<R, S: Shape<R>, T>(
    site: &'static Site,
    instance: &Instance,
    cache: Option<&Cache>,
    args: Option<&Args>,
    early: Option<bool>,
    tags: &mut dyn Tagging,
) -> std::result::Result<R, Ticket<R, T>> {
    let mut looked = asked::look(site, instance, cache, args, early, S::DESCRIBED, tags);
    match joined::<R, S>(looked.view()) {
        Some(returned) => Ok(returned),
        None => Err(Ticket::new::<S>(looked.missed())),
    }
}

/// Like [`lookup`], but looks nowhere: for `refresh` and `put`.
pub fn refresh<R, S: Shape<R>, A: Serialize>(
    site: &'static Site,
    instance: &Instance,
    _shape: S,
    cache: Option<&Cache>,
    args: &A,
    tags: impl FnMut(&mut Tags),
) -> Ticket<R, S> {
    let mut packed = Args::new();
    let args = packed.write(args).is_ok().then_some(&packed);
    let tags = &mut Said(tags);
    let asked = &mut Asked::new(S::DESCRIBED, tags);
    let way = asked::refresh(site, instance, cache, args, asked);
    Ticket::new::<S>(Missed::new(way))
}

/// A call that goes past the cache, because its `enabled` says so.
pub fn bypass<R, S: Shape<R>>(
    site: &'static Site,
    instance: &Instance,
    _shape: S,
    cache: Option<&Cache>,
) -> Ticket<R, S> {
    let untold = &mut Untold;
    asked::bypass(site, instance, cache, &Asked::new(S::DESCRIBED, untold));
    Ticket::new::<S>(Missed::new(Way::Past))
}

/// Stores what the function would have returned, as a load that began at this call; `false` where it
/// is not stored.
pub async fn put<R, S: Shape<R>>(ticket: Ticket<R, S>, value: R) -> bool {
    let mut load = load(ticket.given(), ready(value));
    (&mut load).await;
    load.is_stored()
}

/// [`put`] for a plain function.
pub fn put_blocking<R, S: Shape<R>>(ticket: Ticket<R, S>, value: R) -> bool {
    let Ticket { missed, drive, .. } = ticket.given();
    block(missed, drive, &mut ready(value)).1
}

/// What `make` gives, made when it is awaited: only then is it known in whose scope.
pub async fn later<F: Future>(make: impl FnOnce() -> F) -> F::Output {
    make().await
}

/// The calls of `items`, made by `call` when their turn comes, and whether they have succeeded.
pub fn warm<I, R, T>(
    items: I,
    success: impl shape::Success<R>,
    mut call: impl FnMut(I::Item) -> T,
) -> Warm<impl Iterator<Item = impl Future<Output = bool>>>
where
    I: IntoIterator,
    T: Future<Output = R>,
{
    Warm::new(items.into_iter().map(move |item| {
        let call = call(item);
        async move { success.succeeded(&call.await) }
    }))
}

/// [`warm`] for a plain function.
pub fn warm_blocking<I, R>(
    items: I,
    success: impl shape::Success<R>,
    mut call: impl FnMut(I::Item) -> R,
) -> Warm<impl Iterator<Item = bool>>
where
    I: IntoIterator,
{
    Warm::new(
        items
            .into_iter()
            .map(move |item| success.succeeded(&call(item))),
    )
}

/// The key of a call.
pub fn key<A: Serialize>(site: &'static Site, instance: &Instance, args: &A) -> Result<Key> {
    let mut packed = Args::new();
    packed.write(args)?;
    Ok(registered_key(site, instance, &packed))
}

/// A call that is looked for and not made. It owns all it needs, so that what looks borrows nothing.
pub struct Sought<R, S> {
    call: Option<Box<Call>>,
    shape: PhantomData<fn(S) -> R>,
}

impl<R, S> std::fmt::Debug for Sought<R, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sought").finish_non_exhaustive()
    }
}

/// What [`peek`] looks for.
pub fn seek<R, S: Shape<R>, A: Serialize>(
    site: &'static Site,
    instance: &Instance,
    _shape: S,
    cache: Option<&Cache>,
    args: &A,
) -> Sought<R, S> {
    let mut packed = Args::new();
    let args = packed.write(args).is_ok().then_some(&packed);
    let untold = &mut Untold;
    Sought {
        call: asked::peek(
            site,
            instance,
            cache,
            args,
            &Asked::new(S::DESCRIBED, untold),
        ),
        shape: PhantomData,
    }
}

/// What is cached for a call, without loading it.
pub async fn peek<R, S: Shape<R>>(sought: Sought<R, S>) -> Option<R> {
    let held = sought.call?.peek().await?;
    joined::<R, S>(Some(held.view()))
}

/// [`peek`] for a plain function.
pub fn peek_blocking<R, S: Shape<R>>(sought: Sought<R, S>) -> Option<R> {
    if driver::is_here() {
        return None;
    }
    driver::block_on(peek(sought))
}

/// Removes the entry at a key.
pub async fn invalidate(cache: Option<&Cache>, key: Result<Key>) -> Result<Invalidation> {
    let key = key?;
    let engine = with_current(cache, |engine, _| Arc::clone(engine));
    Ok(engine.invalidate(Targets::key(key)).await)
}

/// Removes the entries at several keys at once.
pub async fn invalidate_all(
    cache: Option<&Cache>,
    keys: impl IntoIterator<Item = Result<Key>>,
) -> Result<Invalidation> {
    let targets = of_keys(keys)?;
    let engine = with_current(cache, |engine, _| Arc::clone(engine));
    Ok(engine.invalidate(targets).await)
}

fn of_keys(keys: impl IntoIterator<Item = Result<Key>>) -> Result<Targets> {
    Ok(Targets {
        keys: keys.into_iter().collect::<Result<_>>()?,
        ..Targets::default()
    })
}

/// [`invalidate_all`] for a plain function.
pub fn invalidate_all_blocking(
    cache: Option<&Cache>,
    keys: impl IntoIterator<Item = Result<Key>>,
) -> Result<Invalidation> {
    let targets = of_keys(keys)?;
    Ok(with_current(cache, |engine, _| Arc::clone(engine)).invalidate_blocking(targets))
}

/// [`invalidate`] for a plain function.
pub fn invalidate_blocking(cache: Option<&Cache>, key: Result<Key>) -> Result<Invalidation> {
    let targets = Targets::key(key?);
    Ok(with_current(cache, |engine, _| Arc::clone(engine)).invalidate_blocking(targets))
}
