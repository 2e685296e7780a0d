//! What the macros' output calls. Not public API: it changes with the macros, which are pinned to
//! this very version.

pub mod shape;

use std::any::TypeId;
use std::fmt::Display;
use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

use self::shape::Shape;
use crate::{Cache, Error, Invalidation, Key};

pub use crate::{__shape as shape, __success as success};

/// What the attribute says of a function, known at compile time.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Spec {
    pub module: &'static str,
    pub name: &'static str,
    pub kind: &'static str,
    pub file: &'static str,
    pub line: u32,
    pub column: u32,
    /// `type_name` of an item declared inside the function, or of its companion.
    pub path: fn() -> &'static str,
    pub ttl: fn() -> Option<Duration>,
    pub schema: Option<u64>,
}

/// A cached function in the source: one static each.
#[derive(Debug)]
pub struct Site {
    pub(crate) spec: Spec,
}

impl Site {
    /// The site of `spec`.
    #[must_use]
    pub const fn new(spec: Spec) -> Self {
        Self { spec }
    }
}

/// One instantiation of a site: the types its static cannot tell apart.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    pub(crate) id: TypeId,
    pub(crate) name: fn() -> &'static str,
}

/// A part of a tag's template.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, missing_docs)]
pub enum Part<'a> {
    Text(&'a str),
    Value(&'a dyn Display),
}

/// Collects the tags of a call.
#[derive(Debug, Default)]
pub struct Tags(());

impl Tags {
    /// Adds one tag.
    pub fn tag(&mut self, _parts: &[Part<'_>]) {}
}

/// A call that found nothing local.
#[derive(Debug)]
pub struct Ticket<R, S>(PhantomData<fn() -> (R, S)>);

// The bodies below stand in for the engine while it is being built.

/// The reference in a `cache = expression` option.
pub fn cache<C: AsRef<Cache> + ?Sized>(cache: &C) -> &Cache {
    cache.as_ref()
}

impl Instance {
    /// The instantiation for these types: `()` where there is only one.
    pub fn of<T: ?Sized>() -> Self {
        Self {
            id: TypeId::of::<()>(),
            name: std::any::type_name::<T>,
        }
    }
}

/// Looks for a value; a miss gives the ticket with which to load it.
pub fn lookup<R, S: Shape<R>, A: Serialize>(
    _site: &'static Site,
    _instance: Instance,
    _shape: S,
    _cache: Option<&Cache>,
    _args: &A,
    _tags: impl FnOnce(&mut Tags),
) -> Result<R, Ticket<R, S>> {
    Err(Ticket(PhantomData))
}

/// Like [`lookup`], but looks nowhere: for `refresh`.
pub fn refresh<R, S: Shape<R>, A: Serialize>(
    _site: &'static Site,
    _instance: Instance,
    _shape: S,
    _cache: Option<&Cache>,
    _args: &A,
    _tags: impl FnOnce(&mut Tags),
) -> Ticket<R, S> {
    Ticket(PhantomData)
}

/// Loads what was missed, or waits for who is loading it.
pub fn load<R, S: Shape<R>, F: Future<Output = R>>(
    _ticket: Ticket<R, S>,
    body: F,
) -> std::pin::Pin<Box<impl Future<Output = R>>> {
    Box::pin(body)
}

/// [`load`] for a plain function.
pub fn load_blocking<R, S: Shape<R>>(_ticket: Ticket<R, S>, body: impl FnOnce() -> R) -> R {
    body()
}

/// The key of a call.
pub fn key<A: Serialize>(
    _site: &'static Site,
    _instance: Instance,
    _args: &A,
) -> Result<Key, Error> {
    Ok(Key)
}

/// What is cached for a call, without loading it.
pub async fn peek<R, S: Shape<R>, A: Serialize>(
    _site: &'static Site,
    _instance: Instance,
    _shape: S,
    _cache: Option<&Cache>,
    _args: &A,
) -> Option<R> {
    None
}

/// [`peek`] for a plain function.
pub fn peek_blocking<R, S: Shape<R>, A: Serialize>(
    _site: &'static Site,
    _instance: Instance,
    _shape: S,
    _cache: Option<&Cache>,
    _args: &A,
) -> Option<R> {
    None
}

/// Stores what the function would have returned; `false` where that is not cached.
pub async fn put<R, S: Shape<R>>(_ticket: Ticket<R, S>, _value: R) -> bool {
    false
}

/// [`put`] for a plain function.
pub fn put_blocking<R, S: Shape<R>>(_ticket: Ticket<R, S>, _value: R) -> bool {
    false
}

/// Removes the entry at a key.
pub async fn invalidate(
    _cache: Option<&Cache>,
    _key: Result<Key, Error>,
) -> Result<Invalidation, Error> {
    Ok(Invalidation::Applied)
}

/// [`invalidate`] for a plain function.
pub fn invalidate_blocking(
    _cache: Option<&Cache>,
    _key: Result<Key, Error>,
) -> Result<Invalidation, Error> {
    Ok(Invalidation::Applied)
}

/// What an `#[invalidates]` function will invalidate, noted before its body runs.
#[derive(Debug)]
pub struct Plan(());

impl Plan {
    /// A plan for the given cache, or the current one.
    pub fn new(_cache: Option<&Cache>) -> Self {
        Self(())
    }

    /// Adds a tag.
    pub fn tag(&mut self, _parts: &[Part<'_>]) {}

    /// Adds everything of a kind.
    pub fn kind(&mut self, _kind: &'static str) {}

    /// Adds the entry at a key.
    pub fn key(&mut self, _key: Result<Key, Error>) {}

    /// Guards the body: if it is dropped or panics in the middle, the plan is carried out in the
    /// background, since the write may have happened.
    pub fn arm(self) -> Armed {
        Armed(())
    }
}

/// A plan whose function is under way.
#[derive(Debug)]
pub struct Armed(());

impl Armed {
    /// Carries the plan out where `succeeded`, else forgets it.
    pub async fn finish(self, _succeeded: bool) {}

    /// [`finish`](Self::finish) for a plain function.
    pub fn finish_blocking(self, _succeeded: bool) {}
}
