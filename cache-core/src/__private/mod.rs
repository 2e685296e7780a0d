//! What the macros' output calls. Not public API: it changes with the macros, which are pinned to
//! this very version.

pub mod shape;

use std::any::TypeId;
use std::fmt::Display;
use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

use self::shape::{Shape, Success};
use crate::{Cache, Error, Invalidation, Key};

pub use crate::{__shape as shape, __success as success};

/// What the attribute says of a function, known at compile time.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Spec {
    pub module: &'static str,
    pub name: &'static str,
    pub kind: &'static str,
    pub file: &'static str,
    pub line: u32,
    pub column: u32,
    /// `type_name` of an item declared inside the function, or of its companion.
    pub path: fn() -> &'static str,
    pub ttl: fn() -> Option<Duration>,
    pub schema: Option<u64>,
}

/// A cached function in the source: one static each.
#[derive(Debug)]
pub struct Site {
    pub(crate) spec: Spec,
}

impl Site {
    /// The site of `spec`.
    #[must_use]
    pub const fn new(spec: Spec) -> Self {
        Self { spec }
    }
}

/// One instantiation of a site: the types its static cannot tell apart.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    pub(crate) id: TypeId,
    pub(crate) name: fn() -> &'static str,
}

/// A part of a tag's template.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, missing_docs)]
pub enum Part<'a> {
    Text(&'a str),
    Value(&'a dyn Display),
}

/// Collects the tags of a call.
#[derive(Debug, Default)]
pub struct Tags(());

impl Tags {
    /// Adds one tag.
    pub fn tag(&mut self, _parts: &[Part<'_>]) {}
}

/// A call that found nothing local.
#[derive(Debug)]
pub struct Ticket<R, S>(PhantomData<fn() -> (R, S)>);

// The bodies below stand in for the engine while it is being built.

#[allow(missing_docs, clippy::result_large_err)]
pub fn lookup<R, S: Shape<R>, A: Serialize>(
    _site: &'static Site,
    _instance: Instance,
    _shape: S,
    _cache: Option<&Cache>,
    _args: &A,
    _tags: impl FnOnce(&mut Tags),
) -> Result<R, Ticket<R, S>> {
    Err(Ticket(PhantomData))
}
