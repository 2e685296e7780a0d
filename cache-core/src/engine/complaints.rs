//! What goes wrong again and again is logged once a while, and counted each time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::env::Env;

/// The pause between two complaints about the same thing.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets one complaint through every ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    next: Mutex<Duration>,
}

impl Complaints {
    /// Runs `complain`, unless it was run a moment ago.
    pub(crate) fn say(&self, env: &Env, complain: impl FnOnce()) {
        let now = env.now();
        {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            if now < *next {
                return;
            }
            *next = now + PAUSE;
        }
        complain();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::ManualClock;

    #[test]
    fn a_complaint_is_made_once_in_ten_seconds() {
        let clock = ManualClock::new();
        let env = Env::system().with_clock(clock.clone());
        let complaints = Complaints::default();
        let said = Cell::new(0);
        for _ in 0..100 {
            complaints.say(&env, || said.set(said.get() + 1));
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(said.get(), 10);
    }
}
