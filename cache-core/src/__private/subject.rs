//! What a companion is about: one call, with all it takes to name it, to look for its value, or to store
//! one. The companions of a function share it, so that shape, key and tags are checked once for all of them.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;

use super::Tags;
use super::asked::{self, Asked, Tagging, Untold, registered_key};
use super::course::{Course, Side};
use super::terms::Terms;
use super::ticket::{Way, copy, usual_ttl};
use super::updates::{Updating, note};
use crate::driver;
use crate::engine;
use crate::key::Args;
use crate::local::Held;
use crate::policy::Settings;
use crate::registry::{Instance, Site};
use crate::shape::{Class, Shape};
use crate::value::{Described, Value};
use crate::{Key, Result};

/// A call of a function that returns `R`. It owns all it needs, so that what is made of it borrows nothing.
pub struct Subject<R> {
    call: Call,
    join: fn(&dyn Held) -> Option<R>,
    offer: fn(R) -> Offered,
}

impl<R> fmt::Debug for Subject<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

/// The call with these arguments, and with its tags where it is `tagged`.
pub fn subject<R, S: Shape<R>, A: Serialize>(
    site: &'static Site,
    instance: &Instance,
    _shape: S,
    args: &A,
    tagged: bool,
    tags: impl FnOnce(&mut Tags),
) -> Subject<R> {
    let mut packed = Args::new();
    let written = packed.write(args);
    let mut own = Tags::none();
    if tagged {
        tags(&mut own);
    }
    Subject {
        call: Call {
            site,
            instance: *instance,
            args: written.map(|()| packed),
            tags: Noted(own),
            values: S::values,
        },
        join: join::<R, S>,
        offer: offer::<R, S>,
    }
}

fn join<R, S: Shape<R>>(held: &dyn Held) -> Option<R> {
    copy(held).map(|value| S::SHAPE.join(value))
}

/// What would have been returned, as the engine takes it.
pub struct Offered {
    pub(super) value: Option<(Box<dyn Value>, Class)>,
    pub(super) is_error: bool,
}

pub(super) fn offer<R, S: Shape<R>>(returned: R) -> Offered {
    let shape = S::SHAPE;
    let is_error = shape.is_error(&returned);
    let value = shape.split(returned).ok().map(|value| {
        let class = shape.class(&value);
        (shape.wrap(value), class)
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
        join(&*sought?.peek().await?)
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
            let mut course = Course::new(call.given(false));
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
        let mut course = Course::new(way);
        course.block(&mut given);
        course.is_stored()
    }

    /// A write that will update it, before it begins.
    pub fn updating(self) -> Updating<R> {
        let Call {
            site,
            instance,
            args,
            mut tags,
            values,
        } = self.call;
        let update = note(site, &instance, None, &args, values, &mut tags);
        Updating::new(update, self.offer)
    }
}

/// The call, in which nothing depends on types.
struct Call {
    site: &'static Site,
    instance: Instance,
    args: Result<Args>,
    /// Its own tags, where they were asked for.
    tags: Noted,
    values: Described,
}

impl Call {
    /// As one that is looked for and not made.
    fn sought(self) -> Option<Box<engine::Call>> {
        let untold = &mut Untold;
        let asked = Asked::of(self.values, untold);
        asked::peek(
            self.site,
            &self.instance,
            None,
            self.args.as_ref().ok(),
            &asked,
        )
    }

    /// As one whose value is given: no function runs that could be counted or timed.
    fn given(mut self, blocking: bool) -> Way {
        let asked = &mut Asked::of(self.values, &mut self.tags);
        let args = self.args.as_ref().ok();
        let mut way = asked::refresh(self.site, &self.instance, None, args, asked);
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

    fn give(&mut self, _: Box<dyn Value>) -> bool {
        true
    }

    fn value(&mut self, settings: &Settings) -> Option<(Box<dyn Value>, Duration, Vec<String>)> {
        self.0.take(settings)
    }
}

impl Offered {
    /// The value, with how long it is fresh, and no tags of its own.
    pub(super) fn take(
        &mut self,
        settings: &Settings,
    ) -> Option<(Box<dyn Value>, Duration, Vec<String>)> {
        let (value, class) = self.value.take()?;
        let (ttl, tags) = Terms::default().of(&(), usual_ttl(settings, class))?;
        Some((value, ttl, tags))
    }
}
