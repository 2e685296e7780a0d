//! What the macros' output calls. Not public API: it changes with the macros, which are pinned to
//! this very version.

mod bounds;
mod invalidates;

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::pin::Pin;

use serde::Serialize;

use crate::cache::with_current;
use crate::driver::{self, block_on};
use crate::engine::{Call, Engine, Function, Solo, Targets};
use crate::key::args_text;
use crate::metrics::Count;
use crate::shape::Shape;
use crate::{Cache, Error, Invalidation, Key, Result, Tag};

/// What the macros' output names of it.
pub mod shape {
    pub use crate::shape::*;
}

pub use self::bounds::{argument, cache, checked};
pub use self::invalidates::{Armed, Plan};
pub use crate::registry::{Instance, Site, Spec};
pub use crate::tag::Part;
pub use crate::{__shape as shape, __success as success};

/// Collects the tags of a call.
#[derive(Debug)]
pub struct Tags(std::result::Result<Vec<String>, Error>);

impl Tags {
    /// The tags that every entry of a kind carries: the namespace's and the kind's.
    fn of_kind(kind: &str) -> Self {
        Self(Ok(vec![
            Tag::namespace().as_str().to_owned(),
            Tag::of_kind(kind).as_str().to_owned(),
        ]))
    }

    /// Adds one tag.
    pub fn tag(&mut self, parts: &[Part<'_>]) {
        let Ok(tags) = &mut self.0 else {
            return;
        };
        match Tag::from_parts(parts) {
            Ok(tag) if tags.iter().any(|known| known == tag.as_str()) => {}
            Ok(tag) => tags.push(tag.as_str().to_owned()),
            // Without all of its tags an entry would outlive an invalidation.
            Err(error) => self.0 = Err(error),
        }
    }
}

/// A call that found nothing it could use in the local tier.
pub struct Ticket<R, S> {
    shape: S,
    way: Way,
    returned: PhantomData<fn() -> R>,
}

/// How a call goes on after a local miss.
enum Way {
    /// Past the cache.
    Past,
    /// Past it too, while the shared tier can't be reached.
    Solo(Solo),
    Call(Box<Call>),
}

impl<R, S> std::fmt::Debug for Ticket<R, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

impl<R, S: Shape<R>> Ticket<R, S> {
    fn bypass(shape: S) -> Self {
        Self {
            shape,
            way: Way::Past,
            returned: PhantomData,
        }
    }

    /// The value is given: no function runs that could be counted or timed.
    fn given(mut self) -> Self {
        if let Way::Call(call) = &mut self.way {
            call.given = true;
        }
        self
    }

    async fn run(self, body: impl Future<Output = R>) -> (R, bool) {
        match self.way {
            Way::Call(call) => call.run(self.shape, body).await,
            Way::Solo(solo) => (solo.run(self.shape, body).await, false),
            Way::Past => (body.await, false),
        }
    }

    fn run_blocking(mut self, body: impl FnOnce() -> R) -> (R, bool) {
        match &mut self.way {
            // A plain function that the driver's thread calls, from the `Drop` of a value, say.
            Way::Call(_) if driver::is_here() => (body(), false),
            Way::Call(call) => {
                call.blocking = true;
                block_on(self.run(async move { body() }))
            }
            Way::Solo(_) => block_on(self.run(async move { body() })),
            Way::Past => (body(), false),
        }
    }
}

/// The function, if its calls are cached here.
fn served<'a, R, S: Shape<R>>(
    engine: &'a Engine,
    site: &'static Site,
    instance: Instance,
    shape: S,
) -> Option<&'a std::sync::Arc<Function>> {
    let registered = site.registered(instance);
    let function = engine.function::<R, S::Value>(registered, shape.plain());
    if engine.enabled && !function.bypassed {
        return Some(function);
    }
    function.kind.counters.count(Count::Bypassed);
    None
}

/// Looks for a value; a miss gives the ticket with which to load it.
pub fn lookup<R, S: Shape<R>, A: Serialize>(
    site: &'static Site,
    instance: Instance,
    shape: S,
    cache: Option<&Cache>,
    args: &A,
    tags: impl FnOnce(&mut Tags),
) -> std::result::Result<R, Ticket<R, S>> {
    with_current(cache, |engine, _| {
        let Some(function) = served(engine, site, instance, shape) else {
            return Err(Ticket::bypass(shape));
        };
        let counters = &function.kind.counters;
        let Ok(args) = args_text(args) else {
            // An argument that can't be told apart must not share a key.
            counters.count(Count::Unkeyed);
            return Err(Ticket::bypass(shape));
        };
        let key = crate::local::KeyRef {
            function: function.number,
            args: args.as_str(),
        };
        let mut early = None;
        if let Some(value) = engine.local_hit::<S::Value>(function, key, &mut early) {
            return Ok(shape.join(value));
        }
        if let Some(solo) = Solo::begin(engine, function, args.as_str()) {
            return Err(Ticket {
                shape,
                way: Way::Solo(solo),
                returned: PhantomData,
            });
        }
        let mut ticket = ticket(engine, function, shape, &args, tags);
        if let Way::Call(call) = &mut ticket.way {
            call.early = early;
        }
        Err(ticket)
    })
}

/// Like [`lookup`], but looks nowhere: for `refresh` and `put`.
pub fn refresh<R, S: Shape<R>, A: Serialize>(
    site: &'static Site,
    instance: Instance,
    shape: S,
    cache: Option<&Cache>,
    args: &A,
    tags: impl FnOnce(&mut Tags),
) -> Ticket<R, S> {
    with_current(cache, |engine, _| {
        let Some(function) = served(engine, site, instance, shape) else {
            return Ticket::bypass(shape);
        };
        let Ok(args) = args_text(args) else {
            function.kind.counters.count(Count::Unkeyed);
            return Ticket::bypass(shape);
        };
        let mut ticket = ticket(engine, function, shape, &args, tags);
        if let Way::Call(call) = &mut ticket.way {
            call.refresh = true;
        }
        ticket
    })
}

fn ticket<R, S: Shape<R>>(
    engine: &std::sync::Arc<Engine>,
    function: &std::sync::Arc<Function>,
    shape: S,
    args: &crate::key::ArgsText,
    tags: impl FnOnce(&mut Tags),
) -> Ticket<R, S> {
    let mut collected = Tags::of_kind(&function.kind.name);
    tags(&mut collected);
    let way = if let Ok(tags) = collected.0 {
        Way::Call(Box::new(Call::new(engine, function, args, tags)))
    } else {
        function.kind.counters.count(Count::Unkeyed);
        Way::Past
    };
    Ticket {
        shape,
        way,
        returned: PhantomData,
    }
}

/// Loads what was missed, or waits for who is loading it.
///
/// A plain function that returns a boxed future, so that a hit never pays for the body's, and
/// recursive functions have a size.
pub fn load<R, S: Shape<R>, F: Future<Output = R>>(
    ticket: Ticket<R, S>,
    body: F,
) -> Pin<Box<impl Future<Output = R>>> {
    Box::pin(async move { ticket.run(body).await.0 })
}

/// [`load`] for a plain function.
pub fn load_blocking<R, S: Shape<R>>(ticket: Ticket<R, S>, body: impl FnOnce() -> R) -> R {
    ticket.run_blocking(body).0
}

/// Stores what the function would have returned, as a load that began at this call; `false` where it
/// is not stored.
pub async fn put<R, S: Shape<R>>(ticket: Ticket<R, S>, value: R) -> bool {
    ticket.given().run(ready(value)).await.1
}

/// [`put`] for a plain function.
pub fn put_blocking<R, S: Shape<R>>(ticket: Ticket<R, S>, value: R) -> bool {
    ticket.given().run_blocking(|| value).1
}

/// The key of a call.
pub fn key<A: Serialize>(site: &'static Site, instance: Instance, args: &A) -> Result<Key> {
    let registered = site.registered(instance);
    let args = args_text(args)?;
    let key = Key::new(registered.kind.into(), registered.name.clone(), &args);
    Ok(key.or_under(registered.other.clone()))
}

/// What is cached for a call, without loading it.
pub async fn peek<R, S: Shape<R>, A: Serialize>(
    site: &'static Site,
    instance: Instance,
    shape: S,
    cache: Option<&Cache>,
    args: &A,
) -> Option<R> {
    let call = with_current(cache, |engine, _| {
        let registered = site.registered(instance);
        let function = engine.function::<R, S::Value>(registered, shape.plain());
        if !engine.enabled || function.bypassed {
            return None;
        }
        let tags = Tags::of_kind(&function.kind.name).0.ok()?;
        Some(Call::new(engine, function, &args_text(args).ok()?, tags))
    })?;
    call.peek::<S::Value>().await.map(|value| shape.join(value))
}

/// [`peek`] for a plain function.
pub fn peek_blocking<R, S: Shape<R>, A: Serialize>(
    site: &'static Site,
    instance: Instance,
    shape: S,
    cache: Option<&Cache>,
    args: &A,
) -> Option<R> {
    if driver::is_here() {
        return None;
    }
    block_on(peek(site, instance, shape, cache, args))
}

/// Removes the entry at a key.
pub async fn invalidate(cache: Option<&Cache>, key: Result<Key>) -> Result<Invalidation> {
    let key = key?;
    let engine = with_current(cache, |engine, _| std::sync::Arc::clone(engine));
    Ok(engine.invalidate(Targets::key(key)).await)
}

/// [`invalidate`] for a plain function.
pub fn invalidate_blocking(cache: Option<&Cache>, key: Result<Key>) -> Result<Invalidation> {
    block_on(invalidate(cache, key))
}
