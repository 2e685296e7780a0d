//! The loop that owns a connection: it connects, lends the connection out, and connects again.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{Live, LiveState, Phase, Role, Shared};
use crate::coherence::{PushHandler, Standing, Strange};
use crate::dial::{Dialled, Tracking, dial};
use crate::failure::Failure;

/// A connection that lived this long was a good one: its loss is no reason to wait.
const STEADY: Duration = Duration::from_secs(1);
/// The shortest and the longest wait after a failed attempt.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

impl Shared {
    /// What is done with the pushes of a connection: if one makes no sense, the connection ends.
    fn pushes(&self, state: &Arc<LiveState>) -> Option<PushHandler> {
        if self.role != Role::Data || !self.endpoint.tracking {
            return None;
        }
        let (coherence, blame) = (self.coherence.clone(), Self::blame(state));
        Some(Arc::new(move |push| {
            if let Err(Strange) = coherence.pushed(&push) {
                blame.distrust(Failure::strange("a push from the server makes no sense"));
            }
        }))
    }

    /// What a new connection is worth.
    fn standing(&self, tracking: &Tracking) -> Standing {
        match (self.role, tracking) {
            (Role::Invalidation, _) => Standing::Silent,
            (Role::Data, Tracking::Since(asked)) => {
                Standing::Tracked(*asked + self.endpoint.bound())
            }
            (Role::Data, Tracking::Unasked | Tracking::Refused(_)) => Standing::Blind,
        }
    }

    /// Shows again and again that nothing is left to be told, from one PING's sending to the next
    /// one's. Ends when the connection is given up.
    async fn beat(&self, live: &Arc<Live>) {
        while !live.state.dead.load(Ordering::Acquire) {
            let sent = self.env.now();
            if self.check(live.clone()).await.is_ok() {
                // Every push that was sent before the answer has been handled by now.
                let standing = Standing::Tracked(sent + self.endpoint.bound());
                self.coherence.stands(self.number, standing);
            }
            let past = self.env.now().saturating_sub(sent);
            self.env
                .sleep(self.endpoint.heartbeat.saturating_sub(past))
                .await;
        }
    }

    /// The loop. It ends when the link is dropped, and the connection with it.
    pub(super) async fn run(&self, phase: watch::Sender<Phase>) {
        let url = &self.endpoint.described;
        let mut lost = false;
        let mut told = false;
        let mut told_blind = false;
        let mut attempt = 0;
        let mut streak = 0;
        loop {
            attempt += 1;
            let state = Arc::new(LiveState::new(self.coherence.clone()));
            let pushes = self.pushes(&state);
            let dialled = tokio::select! {
                dialled = dial(&self.endpoint, &self.env, pushes.as_ref()) => dialled,
                () = phase.closed() => return,
            };
            let failure = match dialled {
                Err(failure) => {
                    streak += 1;
                    if failure.is_strange() {
                        self.coherence.strange();
                    }
                    // Once for each outage: the attempts go on for as long as it lasts.
                    if !told {
                        tracing::warn!(role = ?self.role, %url, %failure, "no connection to Redis");
                        told = true;
                    }
                    failure
                }
                Ok(dialled) => {
                    if lost || told {
                        tracing::info!(role = ?self.role, %url, "connected to Redis again");
                    }
                    if let Tracking::Refused(why) = &dialled.tracking
                        && !std::mem::replace(&mut told_blind, true)
                    {
                        tracing::warn!(
                            %url,
                            "Redis can't tell of changes ({why}): each call asks it whether its \
                             local value still stands"
                        );
                    }
                    told = false;
                    let since = self.env.now();
                    let Some(failure) = self.serve(dialled, state, &phase).await else {
                        return;
                    };
                    lost = true;
                    tracing::warn!(role = ?self.role, %url, %failure, "lost the connection to Redis");
                    if self.env.now().saturating_sub(since) >= STEADY {
                        streak = 0;
                        continue;
                    }
                    streak += 1;
                    failure
                }
            };
            // Armed before the failure is published: who is told of it can wake the loop.
            let mut woken = pin!(self.wake.notified());
            woken.as_mut().enable();
            phase.send_replace(Phase::Down(failure, attempt));
            tokio::select! {
                () = self.env.sleep(backoff(streak, self.env.draw())) => {}
                () = woken => {}
                () = phase.closed() => return,
            }
        }
    }

    /// Lends a connection out until it ends; says why it did, or nothing if nobody wants it any
    /// more.
    async fn serve(
        &self,
        dialled: Dialled,
        state: Arc<LiveState>,
        phase: &watch::Sender<Phase>,
    ) -> Option<Failure> {
        let Dialled {
            connection,
            traffic,
            driver,
            tracking,
        } = dialled;
        let live = Arc::new(Live {
            connection,
            traffic: traffic.clone(),
            state: state.clone(),
        });
        // Before the first caller gets it: nothing that was read earlier counts any more.
        self.coherence.stands(self.number, self.standing(&tracking));
        phase.send_replace(Phase::Up(live.clone()));
        let heart = async {
            if let Tracking::Since(_) = tracking {
                self.beat(&live).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            // A caller that waits for an answer is told why, if there is one.
            () = driver => if !traffic.is_broken() {
                Self::blame(&state).distrust(Failure::garbage());
            },
            () = state.condemned.notified() => {}
            () = heart => {}
            () = phase.closed() => return None,
        }
        // From here on callers wait for the next connection. The event comes before it.
        state.dead.store(true, Ordering::Release);
        self.coherence.lost(self.number);
        phase.send_replace(Phase::Connecting);
        let cause = state
            .cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Some(cause.unwrap_or_else(|| Failure::unavailable("the server closed the connection")))
    }
}

/// The wait after the `streak`th failure in a row: doubling, and half of it random, so that a fleet
/// does not come back all at once.
fn backoff(streak: u32, random: u64) -> Duration {
    let (shortest, longest) = BACKOFF;
    let whole = shortest
        .saturating_mul(1 << streak.saturating_sub(1).min(16))
        .min(longest);
    let half = whole / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random % spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_within_its_bounds() {
        assert_eq!(backoff(1, 0), Duration::from_millis(25));
        assert!(backoff(1, u64::MAX) < Duration::from_millis(50));
        assert_eq!(backoff(3, 0), Duration::from_millis(100));
        assert_eq!(backoff(1000, 0), Duration::from_secs(1));
        assert!(backoff(u32::MAX, u64::MAX) < Duration::from_secs(2));
    }
}
