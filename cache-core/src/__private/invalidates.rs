//! What `#[invalidates]` does around a function.

use std::sync::Arc;

use super::terms::IntoTag;
use crate::cache::with_current;
use crate::driver::{self, block_on};
use crate::engine::{Engine, Targets};
use crate::kind::Kind;
use crate::tag::{Part, Tag};
use crate::{Cache, Error, Key, Result};

/// What an `#[invalidates]` function will invalidate, noted before its body runs: its arguments may
/// be moved into it.
pub struct Plan {
    engine: Arc<Engine>,
    targets: Targets,
}

impl Plan {
    /// A plan for the given cache, or the current one.
    pub fn new(cache: Option<&Cache>) -> Self {
        Self {
            engine: with_current(cache, |engine, _| Arc::clone(engine)),
            targets: Targets::default(),
        }
    }

    /// Adds a tag.
    pub fn tag(&mut self, parts: &[Part<'_>]) {
        match Tag::from_parts(parts) {
            Ok(tag) => self.targets.tags.push(tag.as_str().to_owned()),
            Err(error) => self.widen(&error),
        }
    }

    /// Adds everything of a kind.
    pub fn kind(&mut self, kind: &'static str) {
        match Kind::new(kind) {
            Ok(kind) => self
                .targets
                .tags
                .push(Tag::of_kind(kind.as_str()).as_str().to_owned()),
            Err(error) => self.widen(&error),
        }
    }

    /// Adds the entry at a key.
    pub fn key(&mut self, key: Result<Key>) {
        match key {
            Ok(key) => self.targets.keys.push(key),
            // A call whose arguments make no key is never cached: there is nothing to remove.
            Err(error) => tracing::debug!("nothing to invalidate: {error}"),
        }
    }

    /// What cannot be named cannot be left alone either: everything of the namespace goes.
    fn widen(&mut self, error: &Error) {
        tracing::error!("#[invalidates] clears the whole namespace: {error}");
        self.targets.tags.push(Tag::namespace().as_str().to_owned());
    }

    /// Carries it out now, before the body.
    pub async fn before(&self) {
        let _ = self.engine.invalidate(self.targets.clone()).await;
    }

    /// [`before`](Self::before) for a plain function.
    pub fn before_blocking(&self) {
        let _ = self.engine.invalidate_blocking(self.targets.clone());
    }

    /// Guards the body: if it is dropped or panics in the middle, the plan is carried out in the
    /// background, since the write may have happened.
    pub fn arm(self) -> Armed {
        Armed { plan: Some(self) }
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// A plan whose function is under way.
#[derive(Debug)]
pub struct Armed {
    plan: Option<Plan>,
}

impl Armed {
    /// Adds the tags that only the value knows of which the function has returned, if it has succeeded.
    pub fn tags_with<V, T>(&mut self, value: Option<&V>, tags: fn(&V) -> T)
    where
        T: IntoIterator<Item: IntoTag>,
    {
        let (Some(plan), Some(value)) = (&mut self.plan, value) else {
            return;
        };
        for tag in tags(value) {
            match tag.into_tag() {
                Ok(tag) => plan.targets.tags.push(tag.as_str().to_owned()),
                Err(error) => plan.widen(&error),
            }
        }
    }

    /// Carries the plan out where `succeeded`, else forgets it.
    pub async fn finish(mut self, succeeded: bool) {
        let Some(plan) = self.plan.take().filter(|_| succeeded) else {
            return;
        };
        // Queued or applied: the function's own result stands, and the metrics tell.
        let _ = plan.engine.invalidate(plan.targets).await;
    }

    /// [`finish`](Self::finish) for a plain function.
    pub fn finish_blocking(mut self, succeeded: bool) {
        if !succeeded {
            self.plan = None;
        } else if !driver::is_here() {
            block_on(self.finish(true));
        }
        // On the driver's own thread nobody can wait: dropped, it is carried out in the background.
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        if let Some(plan) = self.plan.take() {
            // The local effect is there when this returns; the rest outlives us.
            drop(plan.engine.start_invalidation(plan.targets));
        }
    }
}
