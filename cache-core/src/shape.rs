//! What a function's return type is to the cache: a value, an `Option`, a `Result`. Found by
//! probing the type rather than by reading its name, so that aliases are seen through.
//!
//! The probe is method resolution with one reference more for each more special case, as dtolnay's
//! autoref specialization describes it.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use crate::value::{CacheValue, Carries, Carry, Described};

/// How a return type `R` carries the value that is cached.
#[diagnostic::on_unimplemented(
    message = "`cache_none` needs an `Option` to be returned, and `cache_err` a `Result`",
    label = "there is no `None` or no `Err` in what this function returns",
    note = "remove the option that doesn't fit"
)]
pub trait Outline<R>: Copy + Send + Sync + fmt::Debug + 'static {
    /// What is cached.
    type Value;
    /// Whether it travels: a `Carry`.
    type Carry: 'static;
    /// The shape.
    const SHAPE: Self;
    /// Whether this shape takes everything for a value, because nothing else was seen in the type.
    const PLAIN: bool = false;

    /// The value, where the function returned one that is cached; else what it returned.
    fn split(self, returned: R) -> Result<Self::Value, R>;

    /// Whether the value is in what is returned as it is.
    const LENDS: bool = true;

    /// That value: so it can be copied without taking apart what holds it.
    fn lend(self, returned: &R) -> Option<&Self::Value>;

    /// What the function would have returned with this value.
    fn join(self, value: Self::Value) -> R;

    /// Whether it is an `Err`.
    fn is_error(self, _returned: &R) -> bool {
        false
    }

    /// What a value is that is cached although it is none.
    fn class(self, _value: &Self::Value) -> Class {
        Class::Value
    }
}

/// What a cached value stands for: each has a time to live of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What the function is for.
    Value,
    /// `None`, with `cache_none`.
    None,
    /// `Err`, with `cache_err`.
    Err,
}

/// An [`Outline`] whose value can be cached.
pub trait Shape<R>: Outline<R, Value: CacheValue, Carry: Carries<Self::Value>> {
    /// What the engine knows of such values, and the name of the type that is returned, where nothing but a value was
    /// seen in it.
    const DESCRIBED: &'static Described;
}

impl<R, S> Shape<R> for S
where
    S: Outline<R>,
    S::Value: CacheValue,
    S::Carry: Carries<S::Value>,
{
    const DESCRIBED: &'static Described = &Described {
        values: S::Carry::VALUES,
        plain: if S::PLAIN { Some(type_name::<R>) } else { None },
    };
}

/// Asks whether a return value stands for success: `Ok`, or anything that is no `Result`.
pub trait Success<R>: Copy {
    /// What success brings.
    type Value;

    /// What it brought, if it was one.
    fn value(self, returned: &R) -> Option<&Self::Value>;

    /// Whether it was one.
    fn succeeded(self, returned: &R) -> bool {
        self.value(returned).is_some()
    }
}

/// A type to be probed. Its flags are the options `cache_none`, `cache_err` and `local_only`.
pub struct Probe<R, const NONE: bool, const ERR: bool, const LOCAL: bool>(PhantomData<fn() -> R>);

impl<R, const NONE: bool, const ERR: bool, const LOCAL: bool> Probe<R, NONE, ERR, LOCAL> {
    /// The probe of `R`.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R, const NONE: bool, const ERR: bool, const LOCAL: bool> Default
    for Probe<R, NONE, ERR, LOCAL>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<R, const NONE: bool, const ERR: bool, const LOCAL: bool> fmt::Debug
    for Probe<R, NONE, ERR, LOCAL>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// The probe of a type without any of the options. The macros' output names this one: each `false` that they
/// wrote as an argument would be a constant of its own to the compiler, to be checked and evaluated.
pub type Bare<R> = Probe<R, false, false, false>;

/// The traits that a probe is resolved by.
pub mod probing {
    pub use super::{
        ViaFallible as _, ViaFallibleOptional as _, ViaOptional as _, ViaOptionalFallible as _,
        ViaPlain as _,
    };
}

/// Neither an `Option` nor a `Result`: every value is cached.
#[derive(Clone, Copy, Debug)]
pub struct Plain<const NONE: bool, const ERR: bool, const LOCAL: bool>;
/// An `Option`.
#[derive(Clone, Copy, Debug)]
pub struct Optional<const NONE: bool, const ERR: bool, const LOCAL: bool>;
/// A `Result`.
#[derive(Clone, Copy, Debug)]
pub struct Fallible<const NONE: bool, const ERR: bool, const LOCAL: bool>;
/// A `Result` of an `Option`.
#[derive(Clone, Copy, Debug)]
pub struct FallibleOptional<const NONE: bool, const ERR: bool, const LOCAL: bool>;
/// An `Option` of a `Result`.
#[derive(Clone, Copy, Debug)]
pub struct OptionalFallible<const NONE: bool, const ERR: bool, const LOCAL: bool>;

/// Whether anything came of a call at all.
#[derive(Clone, Copy, Debug)]
pub struct Always;
/// Whether it was `Ok`.
#[derive(Clone, Copy, Debug)]
pub struct UnlessErr;

impl<T, const LOCAL: bool> Outline<T> for Plain<false, false, LOCAL> {
    type Value = T;
    type Carry = Carry<LOCAL>;
    const SHAPE: Self = Self;
    const PLAIN: bool = true;

    fn split(self, returned: T) -> Result<T, T> {
        Ok(returned)
    }

    fn lend(self, returned: &T) -> Option<&T> {
        Some(returned)
    }

    fn join(self, value: T) -> T {
        value
    }
}

/// One combination of a shape with the options. `value`: what is cached of it. `split`: the value in
/// what was returned, or that again; `lend`: the same by reference, `false` where it is made of parts; `join`: the way back. None of them is a closure, and in none is
/// a combinator: each would be compiled once more for each type that a function returns.
macro_rules! outline {
    (
        $shape:ident<$none:literal, $err:literal>, [$($generic:ident),*], $returned:ty => $value:ty,
        split: |$split:ident| $splits:expr, lend: |$lend:ident| $lends:expr $(, $whether:literal)?, join: |$join:ident| $joins:expr,
        error: |$error:ident| $is_error:expr, class: |$class:ident| $classes:expr
    ) => {
        #[allow(clippy::manual_map, clippy::manual_ok_err, clippy::redundant_pattern_matching)]
        impl<$($generic,)* const LOCAL: bool> Outline<$returned> for $shape<$none, $err, LOCAL> {
            type Value = $value;
            type Carry = Carry<LOCAL>;
            const SHAPE: Self = Self;

            fn split(self, $split: $returned) -> Result<$value, $returned> {
                $splits
            }

            $(const LENDS: bool = $whether;)?

            fn lend(self, $lend: &$returned) -> Option<&$value> {
                $lends
            }

            fn join(self, $join: $value) -> $returned {
                $joins
            }

            fn is_error(self, $error: &$returned) -> bool {
                $is_error
            }

            fn class(self, $class: &$value) -> Class {
                $classes
            }
        }
    };
}

const fn none_if(none: bool) -> Class {
    if none { Class::None } else { Class::Value }
}

const fn err_if(err: bool) -> Class {
    if err { Class::Err } else { Class::Value }
}

outline!(Optional<false, false>, [T], Option<T> => T,
    split: |returned| match returned {
        Some(value) => Ok(value),
        None => Err(None),
    },
    lend: |returned| match returned {
        Some(value) => Some(value),
        None => None,
    },
    join: |value| Some(value),
    error: |_returned| false, class: |_value| Class::Value);
outline!(Optional<true, false>, [T], Option<T> => Option<T>,
    split: |returned| Ok(returned), lend: |returned| Some(returned),
    join: |value| value,
    error: |_returned| false, class: |value| none_if(value.is_none()));
outline!(Fallible<false, false>, [T, E], Result<T, E> => T,
    split: |returned| match returned {
        Ok(value) => Ok(value),
        Err(error) => Err(Err(error)),
    },
    lend: |returned| match returned {
        Ok(value) => Some(value),
        Err(_) => None,
    },
    join: |value| Ok(value),
    error: |returned| matches!(returned, Err(_)), class: |_value| Class::Value);
outline!(Fallible<false, true>, [T, E], Result<T, E> => Result<T, E>,
    split: |returned| Ok(returned), lend: |returned| Some(returned),
    join: |value| value,
    error: |returned| matches!(returned, Err(_)), class: |value| err_if(value.is_err()));
outline!(FallibleOptional<false, false>, [T, E], Result<Option<T>, E> => T,
    split: |returned| match returned {
        Ok(Some(value)) => Ok(value),
        other => Err(other),
    },
    lend: |returned| match returned {
        Ok(Some(value)) => Some(value),
        _ => None,
    },
    join: |value| Ok(Some(value)),
    error: |returned| matches!(returned, Err(_)), class: |_value| Class::Value);
outline!(FallibleOptional<true, false>, [T, E], Result<Option<T>, E> => Option<T>,
    split: |returned| match returned {
        Ok(value) => Ok(value),
        Err(error) => Err(Err(error)),
    },
    lend: |returned| match returned {
        Ok(value) => Some(value),
        Err(_) => None,
    },
    join: |value| Ok(value),
    error: |returned| matches!(returned, Err(_)), class: |value| none_if(value.is_none()));
outline!(FallibleOptional<false, true>, [T, E], Result<Option<T>, E> => Result<T, E>,
    split: |returned| match returned {
        Ok(Some(value)) => Ok(Ok(value)),
        Ok(None) => Err(Ok(None)),
        Err(error) => Ok(Err(error)),
    },
    lend: |_returned| None, false,
    join: |value| match value {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(error),
    },
    error: |returned| matches!(returned, Err(_)), class: |value| err_if(value.is_err()));
outline!(FallibleOptional<true, true>, [T, E], Result<Option<T>, E> => Result<Option<T>, E>,
split: |returned| Ok(returned), lend: |returned| Some(returned),
    join: |value| value,
error: |returned| matches!(returned, Err(_)),
class: |value| match value {
    Ok(Some(_)) => Class::Value,
    Ok(None) => Class::None,
    Err(_) => Class::Err,
});
outline!(OptionalFallible<false, false>, [T, E], Option<Result<T, E>> => T,
    split: |returned| match returned {
        Some(Ok(value)) => Ok(value),
        other => Err(other),
    },
    lend: |returned| match returned {
        Some(Ok(value)) => Some(value),
        _ => None,
    },
    join: |value| Some(Ok(value)),
    error: |returned| matches!(returned, Some(Err(_))), class: |_value| Class::Value);
outline!(OptionalFallible<true, false>, [T, E], Option<Result<T, E>> => Option<T>,
    split: |returned| match returned {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        other => Err(other),
    },
    lend: |_returned| None, false,
    join: |value| value.map(Ok),
    error: |returned| matches!(returned, Some(Err(_))), class: |value| none_if(value.is_none()));
outline!(OptionalFallible<false, true>, [T, E], Option<Result<T, E>> => Result<T, E>,
    split: |returned| match returned {
        Some(value) => Ok(value),
        None => Err(None),
    },
    lend: |returned| returned.as_ref(),
    join: |value| Some(value),
    error: |returned| matches!(returned, Some(Err(_))), class: |value| err_if(value.is_err()));
outline!(OptionalFallible<true, true>, [T, E], Option<Result<T, E>> => Option<Result<T, E>>,
split: |returned| Ok(returned), lend: |returned| Some(returned),
    join: |value| value,
error: |returned| matches!(returned, Some(Err(_))),
class: |value| match value {
    Some(Ok(_)) => Class::Value,
    None => Class::None,
    Some(Err(_)) => Class::Err,
});

impl<R> Success<R> for Always {
    type Value = R;

    fn value(self, returned: &R) -> Option<&R> {
        Some(returned)
    }
}

impl<T, E> Success<Result<T, E>> for UnlessErr {
    type Value = T;

    fn value(self, returned: &Result<T, E>) -> Option<&T> {
        returned.as_ref().ok()
    }
}

macro_rules! probe {
    ($name:ident, [$($refs:tt)*], [$($generic:ident),*], $type:ty, $shape:ident) => {
        /// One step of the probe.
        pub trait $name {
            /// The shape found.
            type Shape;

            /// The shape found.
            fn shape(&self) -> Self::Shape;
        }

        impl<$($generic,)* const NONE: bool, const ERR: bool, const LOCAL: bool> $name
            for $($refs)* Probe<$type, NONE, ERR, LOCAL>
        {
            type Shape = $shape<NONE, ERR, LOCAL>;

            fn shape(&self) -> Self::Shape {
                $shape
            }
        }
    };
}

probe!(ViaFallibleOptional, [&&], [T, E], Result<Option<T>, E>, FallibleOptional);
probe!(ViaOptionalFallible, [&&], [T, E], Option<Result<T, E>>, OptionalFallible);
probe!(ViaFallible, [&], [T, E], Result<T, E>, Fallible);
probe!(ViaOptional, [&], [T], Option<T>, Optional);
probe!(ViaPlain, [], [R], R, Plain);

/// One step of the probe for success.
pub trait ViaResult {
    /// What tells.
    fn success(&self) -> UnlessErr {
        UnlessErr
    }
}

/// The last one.
pub trait ViaAnything {
    /// What tells.
    fn success(&self) -> Always {
        Always
    }
}

impl<T, E> ViaResult for &Probe<Result<T, E>, false, false, false> {}
impl<R> ViaAnything for Probe<R, false, false, false> {}

/// The shape of a return type: with the options `cache_none`, `cache_err` and `local_only`, where any
/// is there.
#[doc(hidden)]
#[macro_export]
macro_rules! __shape {
    ($returned:ty) => {{
        #[allow(unused_imports)]
        use $crate::__private::shape::probing::*;
        (&&&$crate::__private::shape::Bare::<$returned>::new()).shape()
    }};
    ($returned:ty, $none:literal, $err:literal, $local:literal) => {{
        #[allow(unused_imports)]
        use $crate::__private::shape::probing::*;
        (&&&$crate::__private::shape::Probe::<$returned, $none, $err, $local>::new()).shape()
    }};
}

/// What tells success from failure in a return type.
#[doc(hidden)]
#[macro_export]
macro_rules! __success {
    ($returned:ty) => {{
        #[allow(unused_imports)]
        use $crate::__private::shape::{ViaAnything as _, ViaResult as _};
        (&&$crate::__private::shape::Bare::<$returned>::new()).success()
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

    fn generic<T: CacheValue + serde::Serialize + serde::de::DeserializeOwned>(
        value: Result<T, ()>,
    ) -> bool {
        cached(crate::__shape!(Result<T, ()>), value)
    }

    #[test]
    fn shapes_are_seen_around_a_type_parameter() {
        assert!(generic(Ok(1_u8)));
        assert!(!generic::<u8>(Err(())));
    }

    #[test]
    fn a_none_and_an_err_are_values_where_the_options_say_so() {
        type Found = Result<Option<u8>, u8>;
        type Tried = Option<Result<u8, u8>>;
        fn class<R, S: Shape<R>>(shape: S, returned: R) -> Option<Class> {
            let value = shape.split(returned).ok()?;
            let class = shape.class(&value);
            let _returned = shape.join(value);
            Some(class)
        }
        let (value, none, err) = (Some(Class::Value), Some(Class::None), Some(Class::Err));
        for (returned, wanted) in [
            (Ok(Some(1)), [value, value, value, value]),
            (Ok(None), [None, none, None, none]),
            (Err(1), [None, None, err, err]),
        ] {
            let found = [
                class::<Found, _>(crate::__shape!(Found, false, false, false), returned),
                class::<Found, _>(crate::__shape!(Found, true, false, true), returned),
                class::<Found, _>(crate::__shape!(Found, false, true, false), returned),
                class::<Found, _>(crate::__shape!(Found, true, true, true), returned),
            ];
            assert_eq!(found, wanted, "{returned:?}");
            let tried = returned.transpose();
            let found = [
                class::<Tried, _>(crate::__shape!(Tried, false, false, false), tried),
                class::<Tried, _>(crate::__shape!(Tried, true, false, true), tried),
                class::<Tried, _>(crate::__shape!(Tried, false, true, false), tried),
                class::<Tried, _>(crate::__shape!(Tried, true, true, true), tried),
            ];
            assert_eq!(found, wanted, "{tried:?}");
        }
        let shape = crate::__shape!(Found, false, true, false);
        let returned: [Found; 2] = [Ok(Some(1)), Err(2)];
        for returned in returned {
            assert_eq!(
                shape.split(returned).map(|value| shape.join(value)),
                Ok(returned)
            );
        }
        let none: Found = Ok(None);
        assert_eq!(shape.split(none), Err(none));
        let shape = crate::__shape!(Tried, true, false, false);
        let returned: [Tried; 2] = [Some(Ok(1)), None];
        for returned in returned {
            assert_eq!(
                shape.split(returned).map(|value| shape.join(value)),
                Ok(returned)
            );
        }
        let err: Tried = Some(Err(3));
        assert_eq!(shape.split(err), Err(err));
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
