//! What a `begin` has to do about each stamp: little, where it was seen to last, or seen not to be there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::store::{Begin, Stamp};

use super::Attached;

/// What `begin` does about a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// It is made where it is not there, and asked for its end.
    End,
    /// It was not there a moment ago: it is made, and its end is known then.
    Made,
    /// It lasts, and is read back.
    Same(Stamp),
    /// It lasts, and whoever asks has been told of no end: it is taken for what it is known to be. At worst it
    /// has gone meanwhile, and what is loaded is stored in vain.
    Nothing(Stamp),
}

impl Want {
    pub(super) fn is_made(self) -> bool {
        matches!(self, Self::End | Self::Made)
    }

    pub(super) fn is_read(self) -> bool {
        !matches!(self, Self::Nothing(_))
    }
}

impl Attached {
    /// What is to be done about each stamp that is to last until then. By force nothing is taken for granted:
    /// nobody has looked before.
    pub(super) fn wants(&self, request: &Begin<'_>, until: Duration) -> Vec<Want> {
        let lasting = self.lasting.lock();
        let of = |(at, tag): (usize, &String)| {
            let known = request.known.get(at).copied();
            let Some(Some(known)) = known else {
                let is_missing = known.is_some() && !request.force;
                return if is_missing { Want::Made } else { Want::End };
            };
            match lasting.get(tag) {
                Some((stamp, end)) if *stamp == known && *end >= until => {
                    if request.force {
                        Want::Same(known)
                    } else {
                        Want::Nothing(known)
                    }
                }
                _ => Want::End,
            }
        };
        request.tags.iter().enumerate().map(of).collect()
    }
}

/// Stamps that were seen to last for long, until then: what nearly every call carries, the namespace and its
/// kind, need not be made, nor their ends be asked for, each time.
#[derive(Default)]
pub(super) struct Lasting(Mutex<HashMap<String, (Stamp, Duration)>>);

/// How many are remembered.
const MOST: usize = 1024;

impl Lasting {
    pub(super) fn note(&self, tag: &str, stamp: Stamp, end: Duration) {
        let mut lasting = self.lock();
        if lasting.len() >= MOST {
            // Those that matter are back with the next call that has them.
            lasting.clear();
        }
        lasting.insert(tag.to_owned(), (stamp, end));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Stamp, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
