//! What a function's return type is to the cache: a value, an `Option`, a `Result`. Found by
//! probing the type rather than by reading its name, so that aliases are seen through.
//!
//! The probe is method resolution with one reference more for each more special case, as dtolnay's
//! autoref specialization describes it.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a cached value must be able to do.
pub trait CacheValue: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> CacheValue for T {}

/// How a return type `R` carries the value that is cached.
pub trait Outline<R>: Copy + Send + Sync + fmt::Debug + 'static {
    /// What is cached.
    type Value;

    /// The value, where the function returned one that is cached; else what it returned.
    fn split(self, returned: R) -> Result<Self::Value, R>;

    /// What the function would have returned with this value.
    fn join(self, value: Self::Value) -> R;

    /// Whether it is an `Err`.
    fn is_error(self, _returned: &R) -> bool {
        false
    }

    /// Whether this shape takes everything for a value, because nothing else was seen in the type.
    fn plain(self) -> bool {
        false
    }
}

/// An [`Outline`] whose value can be cached.
pub trait Shape<R>: Outline<R, Value: CacheValue> {}

impl<R, S: Outline<R, Value: CacheValue>> Shape<R> for S {}

/// Asks whether a return value stands for success: `Ok`, or anything that is no `Result`.
pub trait Success<R>: Copy {
    /// Whether it does.
    fn succeeded(self, returned: &R) -> bool;
}

/// A type to be probed.
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Probe<R> {
    /// The probe of `R`.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> Default for Probe<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for Probe<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// Every value is cached.
#[derive(Clone, Copy, Debug)]
pub struct Plain;
/// `Some` is cached, `None` is not.
#[derive(Clone, Copy, Debug)]
pub struct Optional;
/// `Ok` is cached, `Err` is not.
#[derive(Clone, Copy, Debug)]
pub struct Fallible;
/// `Ok(Some)` is cached, nothing else.
#[derive(Clone, Copy, Debug)]
pub struct FallibleOptional;
/// `Some(Ok)` is cached, nothing else.
#[derive(Clone, Copy, Debug)]
pub struct OptionalFallible;

impl<T> Outline<T> for Plain {
    type Value = T;

    fn split(self, returned: T) -> Result<T, T> {
        Ok(returned)
    }

    fn join(self, value: T) -> T {
        value
    }

    fn plain(self) -> bool {
        true
    }
}

impl<T> Outline<Option<T>> for Optional {
    type Value = T;

    fn split(self, returned: Option<T>) -> Result<T, Option<T>> {
        returned.ok_or(None)
    }

    fn join(self, value: T) -> Option<T> {
        Some(value)
    }
}

impl<T, E> Outline<Result<T, E>> for Fallible {
    type Value = T;

    fn split(self, returned: Result<T, E>) -> Result<T, Result<T, E>> {
        returned.map_err(Err)
    }

    fn join(self, value: T) -> Result<T, E> {
        Ok(value)
    }

    fn is_error(self, returned: &Result<T, E>) -> bool {
        returned.is_err()
    }
}

impl<T, E> Outline<Result<Option<T>, E>> for FallibleOptional {
    type Value = T;

    fn split(self, returned: Result<Option<T>, E>) -> Result<T, Result<Option<T>, E>> {
        match returned {
            Ok(Some(value)) => Ok(value),
            other => Err(other),
        }
    }

    fn join(self, value: T) -> Result<Option<T>, E> {
        Ok(Some(value))
    }

    fn is_error(self, returned: &Result<Option<T>, E>) -> bool {
        returned.is_err()
    }
}

impl<T, E> Outline<Option<Result<T, E>>> for OptionalFallible {
    type Value = T;

    fn split(self, returned: Option<Result<T, E>>) -> Result<T, Option<Result<T, E>>> {
        match returned {
            Some(Ok(value)) => Ok(value),
            other => Err(other),
        }
    }

    fn join(self, value: T) -> Option<Result<T, E>> {
        Some(Ok(value))
    }

    fn is_error(self, returned: &Option<Result<T, E>>) -> bool {
        matches!(returned, Some(Err(_)))
    }
}

impl<R> Success<R> for Plain {
    fn succeeded(self, _: &R) -> bool {
        true
    }
}

impl<T, E> Success<Result<T, E>> for Fallible {
    fn succeeded(self, returned: &Result<T, E>) -> bool {
        returned.is_ok()
    }
}

macro_rules! probe {
    ($name:ident, $method:ident, [$($refs:tt)*], [$($generic:ident),*], $type:ty, $shape:ident) => {
        /// One step of the probe.
        pub trait $name {
            /// The shape found.
            fn $method(&self) -> $shape {
                $shape
            }
        }

        impl<$($generic),*> $name for $($refs)* Probe<$type> {}
    };
}

probe!(ViaFallibleOptional, shape, [&&], [T, E], Result<Option<T>, E>, FallibleOptional);
probe!(ViaOptionalFallible, shape, [&&], [T, E], Option<Result<T, E>>, OptionalFallible);
probe!(ViaFallible, shape, [&], [T, E], Result<T, E>, Fallible);
probe!(ViaOptional, shape, [&], [T], Option<T>, Optional);
probe!(ViaPlain, shape, [], [R], R, Plain);
probe!(ViaResult, success, [&], [T, E], Result<T, E>, Fallible);
probe!(ViaAnything, success, [], [R], R, Plain);

/// The shape of a return type.
#[doc(hidden)]
#[macro_export]
macro_rules! __shape {
    ($returned:ty) => {{
        #[allow(unused_imports)]
        use $crate::__private::shape::{
            ViaFallible as _, ViaFallibleOptional as _, ViaOptional as _, ViaOptionalFallible as _,
            ViaPlain as _,
        };
        (&&&$crate::__private::shape::Probe::<$returned>::new()).shape()
    }};
}

/// What tells success from failure in a return type.
#[doc(hidden)]
#[macro_export]
macro_rules! __success {
    ($returned:ty) => {{
        #[allow(unused_imports)]
        use $crate::__private::shape::{ViaAnything as _, ViaResult as _};
        (&&$crate::__private::shape::Probe::<$returned>::new()).success()
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    type Alias<T> = Result<T, fmt::Error>;

    fn cached<R, S: Shape<R>>(shape: S, returned: R) -> bool {
        shape.split(returned).is_ok()
    }

    #[test]
    fn shapes_are_seen_through_aliases_and_nesting() {
        assert!(cached(crate::__shape!(u8), 1_u8));
        assert!(cached(crate::__shape!(Vec<u8>), vec![1_u8]));
        assert!(cached(crate::__shape!(Option<u8>), Some(1_u8)));
        assert!(!cached(crate::__shape!(Option<u8>), None::<u8>));
        assert!(cached::<Alias<u8>, _>(crate::__shape!(Alias<u8>), Ok(1)));
        assert!(!cached::<Alias<u8>, _>(
            crate::__shape!(Alias<u8>),
            Err(fmt::Error)
        ));
        assert!(!cached::<Alias<Option<u8>>, _>(
            crate::__shape!(Alias<Option<u8>>),
            Ok(None)
        ));
        assert!(!cached::<Option<Alias<u8>>, _>(
            crate::__shape!(Option<Alias<u8>>),
            Some(Err(fmt::Error))
        ));
    }

    #[test]
    fn what_was_split_is_joined_again() {
        let joined: Alias<Option<u8>> = crate::__shape!(Alias<Option<u8>>).join(3);
        assert_eq!(joined, Ok(Some(3)));
        let joined: Option<Alias<u8>> = crate::__shape!(Option<Alias<u8>>).join(3);
        assert_eq!(joined, Some(Ok(3)));
    }

    fn generic<T: CacheValue>(value: Result<T, ()>) -> bool {
        cached(crate::__shape!(Result<T, ()>), value)
    }

    #[test]
    fn shapes_are_seen_around_a_type_parameter() {
        assert!(generic(Ok(1_u8)));
        assert!(!generic::<u8>(Err(())));
    }

    #[test]
    fn only_an_err_is_a_failure() {
        let ok: Alias<()> = Ok(());
        let err: Alias<()> = Err(fmt::Error);
        assert!(crate::__success!(u8).succeeded(&1_u8));
        assert!(crate::__success!(()).succeeded(&()));
        assert!(crate::__success!(Option<u8>).succeeded(&None::<u8>));
        assert!(crate::__success!(Alias<()>).succeeded(&ok));
        assert!(!crate::__success!(Alias<()>).succeeded(&err));
    }
}
