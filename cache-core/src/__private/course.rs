//! The course of a call after a local miss, whatever its types: search, run the function, store. Of the
//! types it knows the three things only that a [`Side`] does.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tracing::Span;

use super::subject::Named;
use super::terms::Terms;
use super::ticket::Way;
use crate::codec::Reader;
use crate::driver::{BoxFuture, block_on};
use crate::engine::{Begun, Call, Fate, Lead, Payload, Prepared, Running, Solo, Within, spans};
use crate::local::Held;
use crate::metrics::Count;
use crate::refusal::Refusal;
use crate::shape::Class;
use crate::value::Erased;

/// What a call's types are needed for.
pub(super) trait Side {
    /// Polls the function, which may only be done until it has returned. Ready: whether it has failed.
    fn run(&mut self, context: &mut Context<'_>) -> Poll<bool>;

    /// Has the call return this entry's value, unless it is of another type.
    fn serve(&mut self, held: &dyn Held) -> bool;

    /// Has the call return the value that is read here.
    fn read(&mut self, reader: Reader<'_, '_>) -> Result<(), Refusal>;

    /// Shows the value in what the function returned, if there is one, and what it stands for.
    fn show(&mut self, to: &mut dyn FnMut(Erased<'_>, Class));
}

/// A call that is still to begin, and what is said of its value.
pub(super) struct Missed {
    pub(super) way: Way,
    pub(super) terms: Terms,
}

impl Missed {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            terms: Terms::default(),
        }
    }

    /// The call it will make, if it is to make one.
    pub(super) fn call(&mut self) -> Option<&mut Call> {
        match &mut self.way {
            Way::Call(call) => Some(call),
            Way::Past | Way::Solo(_) | Way::Look(_) => None,
        }
    }

    /// Those of a plain function wait for nobody where nobody may wait: whether this goes past the cache.
    pub(super) fn begins_blocking(&mut self) -> bool {
        let is_past = self.way.waits_for_nothing();
        if is_past {
            self.way = Way::Past;
        } else if let Some(call) = self.call() {
            call.blocking = true;
        }
        is_past
    }
}

/// How far a call has come.
pub(super) struct Course {
    step: Step,
    stored: bool,
    /// Entered whenever it goes on, so that whatever it does belongs to it.
    span: Span,
    /// What is said of the value.
    terms: Terms,
}

enum Step {
    /// It is asked for when it is first polled: only then is it known in whose scope.
    PutOff(Option<Box<Named>>),
    /// The function runs past the cache.
    Past,
    /// It does so while the shared tier can't be reached, since then.
    Solo(Solo, Option<(Duration, Span)>),
    /// In a transaction.
    Looking(With<Option<Arc<dyn Held>>>),
    /// It reads for itself.
    Reading(With<Option<Payload>>),
    /// It waits for another call that loads the value, if there is one. There always is a call.
    Following(Option<Box<Call>>),
    Searching(With<Prepared>),
    /// The function runs, and what it returns is for this call alone.
    Alone(Box<Call>, Running),
    /// The function runs, for others too.
    Leading(Box<Leading>),
    /// What is returned is settled; what is cached is being changed accordingly.
    Leaving(BoxFuture<'static, ()>),
    Storing(BoxFuture<'static, bool>),
    Ended,
}

/// The call, and what it has come to.
type With<T> = BoxFuture<'static, (Box<Call>, T)>;

struct Leading {
    // In this order: what is dropped first ends first.
    running: Running,
    lead: Box<Lead>,
    call: Box<Call>,
    within: Within,
}

impl Step {
    /// The first one of a call, and the call's span.
    fn first(way: Way) -> (Self, Span) {
        match way {
            Way::Past => (Self::Past, Span::none()),
            Way::Solo(solo) => {
                let span = spans::call(solo.function());
                spans::record(&span, Count::Miss);
                (Self::Solo(solo, None), span)
            }
            Way::Look(mut call) => {
                let span = call.show();
                let looking = Self::Looking(Box::pin(async move {
                    let found = call.find_in_transaction().await;
                    (call, found)
                }));
                (looking, span)
            }
            Way::Call(mut call) => {
                let span = call.show();
                if !call.looks_first() {
                    return (Self::Following(Some(call)), span);
                }
                let reading = Self::Reading(Box::pin(async move {
                    let found = call.look_first().await;
                    (call, found)
                }));
                (reading, span)
            }
        }
    }
}

impl Course {
    pub(super) fn new(missed: Missed) -> Self {
        let Missed { way, terms } = missed;
        let (step, span) = Step::first(way);
        Self {
            step,
            stored: false,
            span,
            terms,
        }
    }

    /// The course of a call that is to be refreshed, once it is polled.
    pub(super) fn put_off(call: Box<Named>) -> Self {
        Self {
            step: Step::PutOff(Some(call)),
            stored: false,
            span: Span::none(),
            terms: Terms::default(),
        }
    }

    /// Whether the value is stored, at the end.
    pub(super) fn is_stored(&self) -> bool {
        self.stored
    }

    /// What is left to be done once what is returned is there, and the store has been asked: its answer is to
    /// be heard. It ends the flight then, whoever polls it.
    pub(super) fn detach(&mut self) -> Option<BoxFuture<'static, bool>> {
        match mem::replace(&mut self.step, Step::Ended) {
            Step::Storing(storing) => Some(storing),
            other => {
                self.step = other;
                None
            }
        }
    }

    /// Goes on, or to the end where there is no context, blocking this thread.
    pub(super) fn go(
        &mut self,
        side: &mut dyn Side,
        context: Option<&mut Context<'_>>,
    ) -> Poll<()> {
        if let Some(context) = context {
            return self.poll(side, context);
        }
        self.block(side);
        Poll::Ready(())
    }

    /// Goes on to the end, blocking this thread.
    pub(super) fn block(&mut self, side: &mut dyn Side) {
        block_on(poll_fn(|context| self.poll(side, context)));
    }

    /// Goes on. Ready, when what is to be returned is there.
    pub(super) fn poll(&mut self, side: &mut dyn Side, context: &mut Context<'_>) -> Poll<()> {
        if let Step::PutOff(call) = &mut self.step
            && let Some(call) = call.take()
        {
            *self = Self::new(Missed::new(call.refreshed()));
        }
        let Self {
            step,
            stored,
            span,
            terms,
        } = self;
        let _shown = span.enter();
        loop {
            *step = match step {
                Step::Past => {
                    ready!(side.run(context));
                    Step::Ended
                }
                Step::Solo(solo, began) => {
                    let (began, load) = began
                        .get_or_insert_with(|| (solo.load_begins(), spans::load(solo.function())));
                    let is_error = ready!(load.in_scope(|| side.run(context)));
                    spans::loaded(load, is_error);
                    solo.load_ended(*began, is_error);
                    Step::Ended
                }
                Step::Looking(looking) => {
                    let (call, found) = ready!(looking.as_mut().poll(context));
                    if found.is_some_and(|held| side.serve(&*held)) {
                        *stored = true;
                        Step::Ended
                    } else {
                        Step::alone(call)
                    }
                }
                Step::Reading(reading) => {
                    let (mut call, found) = ready!(reading.as_mut().poll(context));
                    let read = &mut |reader: Reader<'_, '_>| side.read(reader);
                    if found.is_some_and(|payload| call.take(&payload, read)) {
                        *stored = true;
                        Step::Ended
                    } else {
                        Step::Following(Some(call))
                    }
                }
                Step::Following(following) => {
                    let came = match following {
                        Some(call) => ready!(call.poll_follow(context)),
                        None => return Poll::Ready(()),
                    };
                    match (came, following.take()) {
                        (Ok(held), _) if side.serve(&*held) => {
                            *stored = true;
                            Step::Ended
                        }
                        // Another type's, which the engine hands to nobody.
                        (Ok(_), _) | (_, None) => Step::Past,
                        (Err(begun), Some(call)) => Step::searching(call, begun),
                    }
                }
                Step::Searching(searching) => {
                    let (call, prepared) = ready!(searching.as_mut().poll(context));
                    match prepared {
                        Prepared::Value(held) if side.serve(&*held) => {
                            *stored = true;
                            Step::Ended
                        }
                        // Another type's, which the engine hands to nobody.
                        Prepared::Value(_) => Step::Past,
                        Prepared::Alone => Step::alone(call),
                        Prepared::Lead(lead) => Step::Leading(Box::new(Leading {
                            running: call.run(&lead),
                            within: call.within(),
                            lead,
                            call,
                        })),
                    }
                }
                Step::Alone(call, running) => {
                    let is_error = ready!(running.span.in_scope(|| side.run(context)));
                    call.ran(running, is_error);
                    Step::Ended
                }
                Step::Leading(leading) => {
                    let is_error = ready!(leading.poll(side, context));
                    match mem::replace(step, Step::Past) {
                        Step::Leading(leading) => (*leading).end(is_error, side, terms),
                        other => other,
                    }
                }
                Step::Leaving(leaving) => {
                    ready!(leaving.as_mut().poll(context));
                    Step::Ended
                }
                Step::Storing(storing) => {
                    *stored = ready!(storing.as_mut().poll(context));
                    Step::Ended
                }
                Step::PutOff(_) | Step::Ended => return Poll::Ready(()),
            };
        }
    }
}

impl Step {
    fn searching(call: Box<Call>, begun: Begun) -> Self {
        Self::Searching(Box::pin(async move {
            let prepared = call.prepare(begun).await;
            (call, prepared)
        }))
    }

    fn alone(call: Box<Call>) -> Self {
        let running = call.run_alone();
        Self::Alone(call, running)
    }
}

impl Leading {
    /// Polls the function. Ready: whether it has failed; `None`: it runs for too long.
    fn poll(&mut self, side: &mut dyn Side, context: &mut Context<'_>) -> Poll<Option<bool>> {
        let within = self.within.enter();
        let ran = self.running.span.in_scope(|| side.run(context));
        if let Poll::Ready(is_error) = ran {
            return Poll::Ready(Some(is_error));
        }
        drop(within);
        match &mut self.running.hard {
            Some(hard) => hard.as_mut().poll(context).map(|()| None),
            None => Poll::Pending,
        }
    }

    /// What becomes of what the function returned.
    fn end(self, ended: Option<bool>, side: &mut dyn Side, terms: &Terms) -> Step {
        let Self {
            running,
            lead,
            call,
            ..
        } = self;
        let Some(is_error) = ended else {
            let stale = call.too_late(lead);
            return if stale.is_some_and(|held| side.serve(&*held)) {
                Step::Ended
            } else {
                // It goes on for its caller alone.
                Step::Past
            };
        };
        let cost = call.ran(&running, is_error);
        drop(running);
        let lead = if is_error {
            match call.rescue(lead) {
                Err(lead) => lead,
                Ok(held) => {
                    // Where it can't be had, the error stands.
                    side.serve(&*held);
                    return Step::Ended;
                }
            }
        } else {
            lead
        };
        let (mut lead, mut filling) = (Some(lead), None);
        side.show(&mut |value, class| {
            let said = terms.of_class(value.any(), &call.function.settings, class);
            if let Some((ttl, tags)) = said
                && let Some(lead) = lead.take()
            {
                filling = Some(call.pack(lead, value, Fate { ttl, cost, tags }));
            }
        });
        match (filling, lead) {
            (Some(filling), _) => {
                Step::Storing(Box::pin(async move { call.finish(filling).await }))
            }
            (None, Some(lead)) => Step::Leaving(Box::pin(async move {
                call.leave_out(lead, is_error).await;
            })),
            (None, None) => Step::Ended,
        }
    }
}
