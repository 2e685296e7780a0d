//! A call as it begins: which function, which key, what the local tier has. Compiled once: of a call's
//! types it knows what a [`Described`] tells.

use std::mem;
use std::sync::Arc;

use super::Tags;
use super::course::Missed;
use super::subject::Packs;
use super::ticket::Way;
use crate::cache::{Transaction, scope, with_current};
use crate::engine::{Call, Engine, Function, Solo, Targets};
use crate::key::Args;
use crate::local::{Held, Lent, View};
use crate::metrics::Count;
use crate::registry::{Instance, Site};
use crate::shape::Shape;
use crate::tag::Texts;
use crate::value::Described;
use crate::{Cache, Key};

/// What a call's types are needed for.
pub(super) struct Asked<'t> {
    /// What the engine does with the function's values, and the name of the type it returns, where
    /// nothing but a value was seen in it.
    values: &'static Described,
    tags: &'t mut dyn Tagging,
}

/// Who says the tags of a call.
pub trait Tagging {
    /// Adds them.
    fn add(&mut self, tags: &mut Tags);
}

/// What the macros' output says them with.
pub(super) struct Said<T>(pub(super) T);

/// Where there is nothing to be said of them.
pub(super) struct Untold;

impl<T: FnMut(&mut Tags)> Tagging for Said<T> {
    fn add(&mut self, tags: &mut Tags) {
        (self.0)(tags);
    }
}

impl Tagging for Untold {
    fn add(&mut self, _: &mut Tags) {}
}

impl<'t> Asked<'t> {
    pub(super) fn new(values: &'static Described, tags: &'t mut dyn Tagging) -> Self {
        Self { values, tags }
    }
}

/// What a call would have returned with an entry's value; nothing, if there is none or it is of another type.
#[cfg_attr(not(debug_assertions), inline(always))]
#[allow(clippy::inline_always)]
pub(super) fn joined<R, S: Shape<R>>(view: Option<View<'_>>) -> Option<R> {
    // As it stands: combinators would be compiled for each type too.
    #[allow(clippy::manual_map)]
    match view {
        Some(view) => match view.value::<S::Value>() {
            Some(value) => Some(S::SHAPE.join(value.clone())),
            None => None,
        },
        None => None,
    }
}

/// What came of looking for a value in the local tier.
pub(super) enum Looked<'c> {
    /// It is in the table.
    Lent(Lent<'c>),
    /// It was found where calls look that are not usual.
    Held(Arc<dyn Held>),
    /// How the call goes on.
    Missed(Way),
}

impl Looked<'_> {
    /// The entry.
    #[inline]
    pub(super) fn view(&self) -> Option<View<'_>> {
        match self {
            Self::Lent(lent) => Some(lent.view()),
            Self::Held(held) => Some(held.view()),
            Self::Missed(_) => None,
        }
    }

    /// The call, which found nothing it can use. By reference: what is moved is dropped where it may not have been,
    /// and that is compiled for each type.
    pub(super) fn missed(&mut self) -> Missed {
        let past = Self::Missed(Way::Past);
        Missed::new(match mem::replace(self, past) {
            Self::Missed(way) => way,
            // Another type's.
            Self::Lent(_) | Self::Held(_) => Way::Past,
        })
    }
}

/// Looks for a value in the local tier, for a function that has no cache of its own: in the way that most calls take,
/// and then in the others.
pub(super) fn find(
    site: &'static Site,
    instance: &Instance,
    args: &dyn Packs,
    values: &'static Described,
    tags: &mut dyn Tagging,
) -> Looked<'static> {
    let (args, mut early) = (args.pack().ok(), None);
    if let Some(args) = &args
        && let Some(lent) = hit(site, instance, None, args, &mut early)
    {
        return Looked::Lent(lent);
    }
    look(site, instance, None, args.as_ref(), early, values, tags)
}

/// The value in the local tier: what most calls come to, and nothing else. Whatever is unusual is left to
/// [`look`]. `early`: as with [`Engine::hit`].
pub(super) fn hit<'c>(
    site: &'static Site,
    instance: &Instance,
    cache: Option<&'c Cache>,
    args: &Args,
    early: &mut Option<bool>,
) -> Option<Lent<'c>> {
    if scope::are_used() && scope::is_around() {
        return None;
    }
    let engine = scope::unscoped(cache)?;
    engine.hit(site.first(instance)?, args, early)
}

/// How a call goes on that has not found its value so.
#[cold]
#[inline(never)]
pub(super) fn look<'c>(
    site: &'static Site,
    instance: &Instance,
    cache: Option<&'c Cache>,
    args: Option<&Args>,
    early: Option<bool>,
    values: &'static Described,
    tags: &mut dyn Tagging,
) -> Looked<'c> {
    let asked = &mut Asked::new(values, tags);
    match unusual(site, instance, cache, args, early, asked) {
        Ok(held) => Looked::Held(held),
        Err(way) => Looked::Missed(way),
    }
}

/// The same. `Ok`: it has found it now.
fn unusual(
    site: &'static Site,
    instance: &Instance,
    cache: Option<&Cache>,
    args: Option<&Args>,
    mut early: Option<bool>,
    asked: &mut Asked<'_>,
) -> Result<Arc<dyn Held>, Way> {
    with_current(cache, |engine, _| {
        let Some(function) = served(engine, site, instance, asked) else {
            return Err(Way::Past);
        };
        let Some(args) = args else {
            // An argument that can't be told apart must not share a key.
            function.kind.counters.count(Count::Unkeyed);
            return Err(Way::Past);
        };
        if let Some(transaction) = Transaction::around(engine) {
            let way = planned(engine, function, args, asked);
            let text = args.text();
            let touched = |call: &Call| transaction.touches(function, text.as_str(), call.tags());
            if !matches!(&way, Way::Call(call) if !touched(call)) {
                function.kind.counters.count(Count::Bypassed);
                return Err(Way::Past);
            }
            let hit = engine.look_again(function, args, &mut Some(false));
            return hit.ok_or_else(|| way.looking());
        }
        // Where the first look found nothing, for whatever reason, a second one costs next to nothing of a miss.
        engine
            .look_again(function, args, &mut early)
            .ok_or_else(|| missed(engine, function, args, early, asked))
    })
}

/// How a call goes on that looks nowhere.
pub(super) fn refresh(
    site: &'static Site,
    instance: &Instance,
    cache: Option<&Cache>,
    args: Option<&Args>,
    asked: &mut Asked<'_>,
) -> Way {
    with_current(cache, |engine, _| {
        let Some(function) = served(engine, site, instance, asked) else {
            return Way::Past;
        };
        let Some(args) = args else {
            function.kind.counters.count(Count::Unkeyed);
            return Way::Past;
        };
        if let Some(transaction) = Transaction::around(engine) {
            // What it brings may never be committed; what is cached goes, if it is.
            transaction.collect(Targets::key(registered_key(site, instance, args)));
            return Way::Past;
        }
        let mut way = planned(engine, function, args, asked);
        if let Way::Call(call) = &mut way {
            call.refresh = true;
        }
        way
    })
}

/// Counts a call that goes past the cache.
pub(super) fn bypass(
    site: &'static Site,
    instance: &Instance,
    cache: Option<&Cache>,
    asked: &Asked<'_>,
) {
    with_current(cache, |engine, _| {
        if let Some(function) = engine.function(site.registered(instance), asked.values) {
            function.kind.counters.count(Count::Bypassed);
        }
    });
}

/// The call, to be looked for without loading it.
pub(super) fn peek(
    site: &'static Site,
    instance: &Instance,
    cache: Option<&Cache>,
    args: Option<&Args>,
    asked: &Asked<'_>,
) -> Option<Box<Call>> {
    with_current(cache, |engine, _| {
        let function = engine.function(site.registered(instance), asked.values)?;
        if !function.is_served() {
            return None;
        }
        let call = Call::new(engine, function, args?, Texts::default());
        Some(Box::new(call))
    })
}

pub(super) fn registered_key(site: &'static Site, instance: &Instance, args: &Args) -> Key {
    let registered = site.registered(instance);
    let key = Key::new(
        registered.kind.into(),
        registered.name.clone(),
        &args.text(),
    );
    key.or_under(registered.other.clone())
}

/// The function, if its calls are cached here.
pub(super) fn served<'e>(
    engine: &'e Engine,
    site: &'static Site,
    instance: &Instance,
    asked: &Asked<'_>,
) -> Option<&'e Arc<Function>> {
    let function = engine.function(site.registered(instance), asked.values)?;
    if function.is_served() {
        return Some(function);
    }
    function.kind.counters.count(Count::Bypassed);
    None
}

/// How a call goes on that has found nothing in the local tier.
fn missed(
    engine: &Arc<Engine>,
    function: &Arc<Function>,
    args: &Args,
    early: Option<bool>,
    asked: &mut Asked<'_>,
) -> Way {
    if let Some(solo) = Solo::begin(engine, function, args.as_bytes()) {
        return Way::Solo(solo);
    }
    let mut way = planned(engine, function, args, asked);
    if let Way::Call(call) = &mut way {
        call.early = early;
    }
    way
}

fn planned(
    engine: &Arc<Engine>,
    function: &Arc<Function>,
    args: &Args,
    asked: &mut Asked<'_>,
) -> Way {
    let mut collected = Tags::none();
    asked.tags.add(&mut collected);
    if let Ok(tags) = collected.0 {
        return Way::Call(Box::new(Call::new(engine, function, args, tags)));
    }
    function.kind.counters.count(Count::Unkeyed);
    Way::Past
}
