//! Asks for what the cache needs of a user's types once, so that what is missing is one error, at
//! the user's own type or argument, however often the macros' output uses it.
//!
//! Two things make it one. With two implementations to choose from, the compiler reports that there
//! is none, rather than each bound that is missing. And the types returned are projections: where
//! they fail they are in error themselves, and nobody asks about them again. (An opaque type would
//! do so too, but the lifetimes hidden in it cost the caller's future its `Send`.)

use std::sync::LazyLock;

use serde::Serialize;

use super::shape::{CacheValue, Outline};
use crate::Cache;

/// An argument of the key.
pub fn argument<T: Keyed<Way> + ?Sized, Way>(argument: &T) -> <T as Keyed<Way>>::Given<&T> {
    <T as Keyed<Way>>::given(argument)
}

/// The reference in a `cache = expression` option.
pub fn cache<C: Chosen<Way> + ?Sized, Way>(cache: &C) -> &Cache {
    cache.chosen()
}

/// A shape whose value can be cached.
pub fn checked<R, S, Way>(shape: S) -> <S::Value as Cacheable<Way>>::Given<S>
where
    S: Outline<R>,
    S::Value: Cacheable<Way>,
{
    <S::Value as Cacheable<Way>>::given(shape)
}

/// What can be told apart from others of its type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of a key",
    label = "an argument in the key needs `Serialize`",
    note = "leave it out with `skip(..)`, say what of it counts with `key(..)`, or derive `serde::Serialize`"
)]
pub trait Keyed<Way>: Serialize {
    /// `T` itself.
    type Given<T>;

    /// Gives it back.
    fn given<T>(it: T) -> Self::Given<T>;
}

/// [`CacheValue`], as something that is there or not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be cached",
    label = "a cached value needs `Clone`, `Send`, `Sync`, `Serialize` and `Deserialize`, and may borrow nothing",
    note = "derive them: `#[derive(Clone, serde::Serialize, serde::Deserialize)]`; return owned data instead of references"
)]
pub trait Cacheable<Way>: CacheValue {
    /// `T` itself.
    type Given<T>;

    /// Gives it back.
    fn given<T>(it: T) -> Self::Given<T>;
}

/// What `cache = expression` takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cache",
    label = "expected a `Cache`, or what is `AsRef<Cache>`",
    note = "write `cache = state.cache`, say, or `cache = CACHE` with a `static CACHE: LazyLock<Cache>`"
)]
pub trait Chosen<Way> {
    /// The cache.
    fn chosen(&self) -> &Cache;
}

impl<T: AsRef<Cache> + ?Sized> Chosen<Open> for T {
    fn chosen(&self) -> &Cache {
        self.as_ref()
    }
}

/// A cache in a static, which is no `AsRef`.
#[derive(Debug)]
pub struct Lazy;

impl<F: FnOnce() -> Cache> Chosen<Lazy> for LazyLock<Cache, F> {
    fn chosen(&self) -> &Cache {
        self
    }
}

/// The implementation that is found.
#[derive(Debug)]
pub struct Open;
/// The other one, which never is.
#[derive(Debug)]
pub struct Closed;

/// What nothing is.
pub trait Never {}

macro_rules! either_way {
    ($name:ident for $($bound:tt)*) => {
        impl<T: $($bound)*> $name<Open> for T {
            type Given<U> = U;

            fn given<U>(it: U) -> U {
                it
            }
        }

        impl<T: $($bound)* + Never> $name<Closed> for T {
            type Given<U> = U;

            fn given<U>(it: U) -> U {
                it
            }
        }
    };
}

either_way!(Keyed for Serialize + ?Sized);
either_way!(Cacheable for CacheValue);
