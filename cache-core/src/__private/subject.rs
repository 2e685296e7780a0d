//! What a function's companions are about: one call, with all it takes to name it, to look for its value, or to
//! store one. The function itself and all of them share one hidden function that gives it, so that shape, key and
//! tags are checked once.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;

use super::Tags;
use super::asked::{self, Asked, Said, Tagging, Untold, joined, registered_key};
use super::course::{Course, Missed, Side};
use super::terms::Terms;
use super::ticket::{Drive, Load, Plain, Ticket, Way, block, drive, run_later};
use super::updates::{Updating, note};
use crate::codec::Reader;
use crate::driver;
use crate::engine;
use crate::key::Args;
use crate::local::{Held, View};
use crate::policy::Settings;
use crate::refusal::Refusal;
use crate::registry::{Instance, Site};
use crate::shape::{Class, Shape};
use crate::value::{Described, Erased, Waiting, Wrapped};
use crate::{Key, Result};

/// What a call is asked for. A type and no flag, so that what is never asked for is never compiled.
pub trait Aim: Sized {
    /// What there is to give.
    type Outcome<R>;

    /// Gives it, of the call with these arguments: all that is compiled for each function. What gives the shape is
    /// never called, and so not compiled either.
    #[inline]
    fn of<R, S: Shape<R>, A: Serialize>(
        self,
        site: &'static Site,
        instance: &Instance,
        _shape: impl FnOnce() -> S,
        args: &A,
        tags: impl FnMut(&mut Tags),
    ) -> Self::Outcome<R> {
        self.give::<R, S>(site, instance, args, &mut Said(tags))
    }

    /// The same, whatever the types of the arguments.
    fn give<R, S: Shape<R>>(
        self,
        site: &'static Site,
        instance: &Instance,
        args: &dyn Packs,
        tags: &mut dyn Tagging,
    ) -> Self::Outcome<R>;
}

/// The arguments of a call.
pub trait Packs {
    /// Packs them.
    ///
    /// # Errors
    /// Where there is no key for them.
    fn pack(&self) -> Result<Args>;
}

impl<A: Serialize> Packs for A {
    fn pack(&self) -> Result<Args> {
        let mut args = Args::new();
        args.write(self)?;
        Ok(args)
    }
}

/// Its value; a miss gives the ticket with which to load it.
#[derive(Debug)]
pub struct Look;

/// The call itself, without its tags.
#[derive(Debug)]
pub struct Name;

/// The call itself, for what stores a value.
#[derive(Debug)]
pub struct Store;

impl Aim for Look {
    type Outcome<R> = std::result::Result<R, Ticket<R, ()>>;

    // Where hits are to be fast, a part of the function itself: by way of what was packed, one with a text takes
    // 22 to 33 instructions more, however that is inlined. Else what is compiled for each function is as little as
    // can be.
    #[cfg(not(debug_assertions))]
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn of<R, S: Shape<R>, A: Serialize>(
        self,
        site: &'static Site,
        instance: &Instance,
        _shape: impl FnOnce() -> S,
        args: &A,
        tags: impl FnMut(&mut Tags),
    ) -> Self::Outcome<R> {
        let mut packed = Args::new();
        let args = packed.write(args).is_ok().then_some(&packed);
        super::looked::<R, S, ()>(site, instance, None, args, &mut Said(tags))
    }

    fn give<R, S: Shape<R>>(
        self,
        site: &'static Site,
        instance: &Instance,
        args: &dyn Packs,
        tags: &mut dyn Tagging,
    ) -> Self::Outcome<R> {
        let mut looked = asked::find(site, instance, args, S::DESCRIBED, tags);
        match joined::<R, S>(looked.view()) {
            Some(returned) => Ok(returned),
            None => Err(Ticket::new::<S>(looked.missed())),
        }
    }
}

impl Aim for Name {
    type Outcome<R> = Subject<R>;

    fn give<R, S: Shape<R>>(
        self,
        site: &'static Site,
        instance: &Instance,
        args: &dyn Packs,
        _tags: &mut dyn Tagging,
    ) -> Subject<R> {
        subject::<R, S>(Named::new(site, instance, args, Tags::none(), S::DESCRIBED))
    }
}

impl Aim for Store {
    type Outcome<R> = Subject<R>;

    fn give<R, S: Shape<R>>(
        self,
        site: &'static Site,
        instance: &Instance,
        args: &dyn Packs,
        tags: &mut dyn Tagging,
    ) -> Subject<R> {
        let mut own = Tags::none();
        tags.add(&mut own);
        subject::<R, S>(Named::new(site, instance, args, own, S::DESCRIBED))
    }
}

/// A call of a function that returns `R`. It owns all it needs, so that what is made of it borrows nothing.
pub struct Subject<R> {
    call: Named,
    drive: Drive<R>,
    join: fn(Option<View<'_>>) -> Option<R>,
    offer: fn(R) -> Offered,
}

impl<R> fmt::Debug for Subject<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

fn subject<R, S: Shape<R>>(call: Named) -> Subject<R> {
    Subject {
        call,
        drive: drive::<R, S>,
        join: joined::<R, S>,
        offer: offer::<R, S>,
    }
}

/// Runs the function and caches what it returns, whatever is cached when this is awaited.
pub fn reload<R, F: Future<Output = R>>(subject: Subject<R>, body: F) -> Load<R, F> {
    run_later(Box::new(subject.call), subject.drive, body)
}

/// [`reload`] for a plain function.
pub fn reload_blocking<R>(subject: Subject<R>, body: impl FnOnce() -> R) -> R {
    let missed = Missed::new(subject.call.refreshed());
    block(missed, subject.drive, &mut Plain(Some(body))).0
}

/// What would have been returned, as the engine takes it.
pub struct Offered {
    pub(super) value: Option<(Box<dyn Waiting>, Class)>,
    pub(super) is_error: bool,
}

pub(super) fn offer<R, S: Shape<R>>(returned: R) -> Offered {
    let shape = S::SHAPE;
    let is_error = shape.is_error(&returned);
    let value = shape.split(returned).ok().map(|value| {
        let class = shape.class(&value);
        let value: Box<dyn Waiting> = Box::new(Wrapped::<_, S::Carry>::new(value));
        (value, class)
    });
    Offered { value, is_error }
}

impl<R> Subject<R> {
    /// The key of the call.
    pub fn key(self) -> Result<Key> {
        let args = self.call.args?;
        Ok(registered_key(self.call.site, &self.call.instance, &args))
    }

    /// What is cached for it, without loading it.
    pub async fn peek(self) -> Option<R> {
        let Self { call, join, .. } = self;
        let sought = call.sought();
        join(Some(sought?.peek().await?.view()))
    }

    /// [`peek`](Self::peek) for a plain function.
    pub fn peek_blocking(self) -> Option<R> {
        if driver::is_here() {
            return None;
        }
        driver::block_on(self.peek())
    }

    /// Stores what the function would have returned, as a load that begins when this is awaited; `false`
    /// where it is not stored.
    pub fn put(self, value: R) -> impl Future<Output = bool> {
        let mut given = Given((self.offer)(value));
        let call = self.call;
        async move {
            let mut course = Course::new(Missed::new(call.given(false)));
            poll_fn(|context| course.poll(&mut given, context)).await;
            course.is_stored()
        }
    }

    /// [`put`](Self::put) for a plain function.
    pub fn put_blocking(self, value: R) -> bool {
        let mut given = Given((self.offer)(value));
        let way = self.call.given(true);
        if way.waits_for_nothing() {
            return false;
        }
        let mut course = Course::new(Missed::new(way));
        course.block(&mut given);
        course.is_stored()
    }

    /// A write that will update it, before it begins.
    pub fn updating(self) -> Updating<R> {
        let Named {
            site,
            instance,
            args,
            mut tags,
            values,
        } = self.call;
        let update = note(site, &instance, None, &args, values, &mut tags);
        Updating::new(update, Terms::default(), self.offer)
    }
}

/// The call, in which nothing depends on types.
pub(super) struct Named {
    site: &'static Site,
    instance: Instance,
    args: Result<Args>,
    /// Its own tags, where they were asked for.
    tags: Noted,
    values: &'static Described,
}

impl Named {
    fn new(
        site: &'static Site,
        instance: &Instance,
        args: &dyn Packs,
        tags: Tags,
        values: &'static Described,
    ) -> Self {
        Self {
            site,
            instance: *instance,
            args: args.pack(),
            tags: Noted(tags),
            values,
        }
    }

    /// As one that is looked for and not made.
    fn sought(self) -> Option<Box<engine::Call>> {
        let untold = &mut Untold;
        let asked = Asked::new(self.values, untold);
        asked::peek(
            self.site,
            &self.instance,
            None,
            self.args.as_ref().ok(),
            &asked,
        )
    }

    /// As one whose function runs, whatever is cached.
    pub(super) fn refreshed(mut self) -> Way {
        let asked = &mut Asked::new(self.values, &mut self.tags);
        let args = self.args.as_ref().ok();
        asked::refresh(self.site, &self.instance, None, args, asked)
    }

    /// As one whose value is given: no function runs that could be counted or timed.
    fn given(self, blocking: bool) -> Way {
        let mut way = self.refreshed();
        if let Way::Call(call) = &mut way {
            (call.given, call.blocking) = (true, blocking);
        }
        way
    }
}

/// Tags that were noted before anybody asked for them.
struct Noted(Tags);

impl Tagging for Noted {
    fn add(&mut self, tags: &mut Tags) {
        tags.extend(mem::replace(&mut self.0, Tags::none()));
    }
}

/// A value that is given, in place of a function that returns it.
struct Given(Offered);

impl Side for Given {
    fn run(&mut self, _: &mut Context<'_>) -> Poll<bool> {
        Poll::Ready(self.0.is_error)
    }

    // What others have is not what was given.
    fn serve(&mut self, _: &dyn Held) -> bool {
        true
    }

    fn read(&mut self, _: Reader<'_, '_>) -> std::result::Result<(), Refusal> {
        Ok(())
    }

    fn show(&mut self, to: &mut dyn FnMut(Erased<'_>, Class)) {
        if let Some((value, class)) = &self.0.value {
            to(value.erased(), *class);
        }
    }
}

impl Offered {
    /// The value, with how long it is fresh and its own tags; if it is cached at all.
    pub(super) fn take(
        self,
        settings: &Settings,
        terms: &Terms,
    ) -> Option<(Box<dyn Waiting>, Duration, Vec<String>)> {
        let (value, class) = self.value?;
        let (ttl, tags) = terms.of_class(value.erased().any(), settings, class)?;
        Some((value, ttl, tags))
    }
}
