//! A call whose value another call of this process loads already: it waits for the end of that one's flight.
//! Of ten thousand that come to a cold key at once all but one do nothing else, so this is no future of its
//! own, with an allocation and all that a search may need; a search begins where this has brought nothing.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::fetch::Budgets;
use super::{Call, Within};
use crate::env::Bound;
use crate::flight::{Followed, Follower, Joined};
use crate::local::Held;
use crate::metrics::Count;

/// A call that follows another's flight.
pub(super) struct Following {
    other: Follower,
    /// Ends when it has waited for as long as it may.
    late: Bound,
    /// When it began to wait, by the coarse clock.
    since: Duration,
}

/// What a search begins with.
pub(crate) enum Begun {
    /// Nothing has been asked.
    Nothing,
    /// What the call has to do about its key.
    Turn(Joined),
    /// How another's flight has ended, if it has, and how long the call has waited for it.
    Followed(Option<Followed>, Duration),
}

impl Call {
    /// Waits for another call that loads the value, if there is one. Ready with the value, counted, or with what
    /// a search begins with.
    pub(crate) fn poll_follow(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Arc<dyn Held>, Begun>> {
        if self.following().is_none() {
            match self.begin_to_follow() {
                Ok(begun) => *self.following() = Some(begun),
                Err(begun) => return Poll::Ready(Err(begun)),
            }
        }
        let Some(following) = self.following() else {
            return Poll::Ready(Err(Begun::Nothing));
        };
        let ended = match following.other.poll_end(context) {
            Poll::Ready(followed) => Some(followed),
            Poll::Pending => {
                ready!(Pin::new(&mut following.late).poll(context));
                None
            }
        };
        let since = following.since;
        *self.following() = None;
        match ended {
            Some(Followed::Value(held)) if self.function.values.are(&*held) => {
                self.count(Count::Coalesced);
                Poll::Ready(Ok(held))
            }
            ended => {
                let waited = self.engine.env.coarse().saturating_sub(since);
                Poll::Ready(Err(Begun::Followed(ended, waited)))
            }
        }
    }

    /// Joins another call's flight, unless it is this one's turn, or there is more to be minded than that.
    fn begin_to_follow(&self) -> Result<Following, Begun> {
        let plain = !self.refresh
            && self.waiting.is_none()
            && self.function.settings.soft_timeout.is_none()
            && !Within::covers(&self.engine, &self.key);
        if !plain {
            return Err(Begun::Nothing);
        }
        let other = match self.turn() {
            Joined::Follow(other) => other,
            turn => return Err(Begun::Turn(turn)),
        };
        let env = &self.engine.env;
        let budgets = self.budgets.unwrap_or_else(|| Budgets::of(self));
        Ok(Following {
            other,
            since: env.coarse(),
            late: env.bound(budgets.waits),
        })
    }

    /// Joins the flight of its key, or begins one.
    pub(super) fn turn(&self) -> Joined {
        let engine = &self.engine;
        engine.flights.join(
            &self.key,
            self.began,
            engine.epoch(),
            self.trusts(),
            self.blocking,
            engine.env.coarse(),
        )
    }

    fn following(&mut self) -> &mut Option<Following> {
        let following = self.following.get_mut();
        following.unwrap_or_else(PoisonError::into_inner)
    }
}
