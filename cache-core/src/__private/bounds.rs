//! Asks for what the cache needs of a user's types once, so that what is missing is one error, at
//! the user's own type or argument, however often the macros' output uses it.
//!
//! Two things make it one. With two implementations to choose from, the compiler reports that there
//! is none, rather than each bound that is missing. And the types returned are projections: where
//! they fail they are in error themselves, and nobody asks about them again. (An opaque type would
//! do so too, but the lifetimes hidden in it cost the caller's future its `Send`.)

use std::sync::LazyLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::batch::Elements;
use crate::Cache;
use crate::key::Argument;
use crate::shape::{FallibleOptional, Outline};
use crate::value::Carry;

/// An argument of the key.
pub fn argument<T: Keyed<Way> + ?Sized, Way>(argument: &T) -> GivenOf<'_, T, Way> {
    Argument(<T as Keyed<Way>>::given(argument))
}

type GivenOf<'a, T, Way> = Argument<<T as Keyed<Way>>::Given<&'a T>>;

/// The reference in a `cache = expression` option.
pub fn cache<C: Chosen<Way> + ?Sized, Way>(cache: &C) -> &Cache {
    cache.chosen()
}

/// A shape whose value can be cached. Each thing that this takes is asked of what the one before gave:
/// of a value that lacks several the first is reported.
pub fn checked<R, S, A, B, C>(shape: S) -> Checked<S::Value, S::Carry, S, A, B, C>
where
    S: Outline<R>,
    S::Value: Copied<A>,
    CopiedOf<S::Value, A>: Shared<B>,
    SharedOf<S::Value, A, B>: Carried<C, S::Carry>,
{
    <SharedOf<S::Value, A, B> as Carried<C, S::Carry>>::given(shape)
}

type CopiedOf<V, A> = <V as Copied<A>>::Given<V>;
type SharedOf<V, A, B> = <CopiedOf<V, A> as Shared<B>>::Given<V>;
type Checked<V, Carry, T, A, B, C> = <SharedOf<V, A, B> as Carried<C, Carry>>::Given<T>;

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

/// The shape of one element of a batch that returns `R`, whose value can be cached.
pub fn element<R, S, A, B, C, const NONE: bool, const LOCAL: bool>(
    _shape: S,
) -> Checked<ValueOf<R, S>, Carry<LOCAL>, FallibleOptional<NONE, false, LOCAL>, A, B, C>
where
    S: Outline<R, Value: Elements>,
    ValueOf<R, S>: Copied<A>,
    CopiedOf<ValueOf<R, S>, A>: Shared<B>,
    SharedOf<ValueOf<R, S>, A, B>: Carried<C, Carry<LOCAL>>,
{
    <SharedOf<ValueOf<R, S>, A, B> as Carried<C, Carry<LOCAL>>>::given(FallibleOptional)
}

/// The value of one element.
type ValueOf<R, S> = <<S as Outline<R>>::Value as Elements>::Value;

/// `Clone`, as something that is there or not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be cached, since it is not `Clone`",
    label = "a cached value is cloned on each hit",
    note = "derive `Clone`, or return an `Arc<{Self}>`"
)]
pub trait Copied<Way>: Clone + 'static {
    /// `T` itself.
    type Given<T>;

    /// Gives it back.
    fn given<T>(it: T) -> Self::Given<T>;
}

/// `Send` and `Sync`, as something that is there or not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be cached, since it is not `Send` and `Sync`",
    label = "a cached value is shared by threads",
    note = "hold it in `Arc` and `Mutex` instead of `Rc` and `RefCell`, or return what it is made of"
)]
pub trait Shared<Way>: Send + Sync {
    /// `T` itself.
    type Given<T>;

    /// Gives it back.
    fn given<T>(it: T) -> Self::Given<T>;
}

/// [`Carries`](crate::value::Carries), as something that is there or not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be stored outside of this process, since it is not `Serialize` and `Deserialize`",
    label = "a value that is shared is written as bytes",
    note = "derive them: `#[derive(serde::Serialize, serde::Deserialize)]`; or write `local_only` to keep it in this process"
)]
pub trait Carried<Way, C> {
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

macro_rules! given {
    () => {
        type Given<U> = U;

        fn given<U>(it: U) -> U {
            it
        }
    };
}

macro_rules! either_way {
    ($name:ident[$($more:ty)?] for $($bound:tt)*) => {
        impl<T: $($bound)*> $name<Open $(, $more)?> for T {
            given!();
        }

        impl<T: $($bound)* + Never> $name<Closed $(, $more)?> for T {
            given!();
        }
    };
}

either_way!(Keyed[] for Serialize + ?Sized);
either_way!(Copied[] for Clone + 'static);
either_way!(Shared[] for Send + Sync);
either_way!(Carried[Carry<false>] for Serialize + DeserializeOwned);

impl<T> Carried<Open, Carry<true>> for T {
    given!();
}
