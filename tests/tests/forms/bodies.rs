//! Bodies of every sort: early `return`, `?`, `loop`, blocks and closures, items of their own.

use cache_core::{Error, cached, invalidates};

#[cached(kind = "returns_early")]
async fn returns_early(id: u8) -> Result<u8, String> {
    if id == 0 {
        return Err("none".to_owned());
    }
    for found in 0..id {
        if found * found >= id {
            return Ok(found);
        }
    }
    Err("too small".to_owned())
}

#[cached(kind = "asks")]
async fn asks(text: &str) -> Result<u8, std::num::ParseIntError> {
    let there: Option<u8> = async {
        let found = text.parse::<u8>().ok()?;
        Some(found / 2 * 2)
    }
    .await;
    let here = text.parse::<u8>()?;
    Ok(there.unwrap_or(0) + here)
}

#[cached(kind = "loops")]
fn loops(until: u8) -> u8 {
    let mut at = 0;
    loop {
        at += 1;
        if at >= until {
            break at;
        }
    }
}

#[cached(kind = "loops_for_ever")]
async fn loops_for_ever(id: u8) -> u8 {
    loop {
        if id > 0 {
            return id;
        }
        std::future::pending::<()>().await;
    }
}

#[cached(kind = "panics_at_zero")]
fn panics_at_zero(id: u8) -> u8 {
    match id {
        0 => panic!("zero"),
        1 => unreachable!("one"),
        id => id,
    }
}

#[cached(kind = "with_items")]
fn with_items(id: u8) -> u8 {
    const MORE: u8 = 2;
    struct Holder(u8);
    impl Holder {
        fn new(of: u8) -> Self {
            Self(of)
        }
    }
    fn double(of: u8) -> u8 {
        of * MORE
    }
    let id = double(Holder::new(id).0);
    let id = { id + 1 };
    let add = |by: u8| id + by;
    add(1)
}

#[cached(kind = "fib")]
async fn fib(n: u64) -> u64 {
    match n {
        0 | 1 => n,
        _ => fib(n - 1).await + fib(n - 2).await,
    }
}

#[cached(kind = "fib_plain")]
fn fib_plain(n: u64) -> u64 {
    match n {
        0 | 1 => n,
        _ => fib_plain(n - 1) + fib_plain(n - 2),
    }
}

#[invalidates(kind = "loops")]
fn writes_early(id: u8) -> Result<u8, String> {
    if id == 0 {
        return Err("none".to_owned());
    }
    Ok(id)
}

mod tests {
    use super::*;

    #[cached(kind = "within_mod_tests")]
    pub(super) fn within(id: u8) -> u8 {
        #[cached(kind = "within_within")]
        fn within(id: u8) -> u8 {
            id + 1
        }

        within(id) + 1
    }
}

macro_rules! lookups {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty = $kind:literal, $body:expr;)*) => {
        $(
            $(#[$meta])*
            #[cached(kind = $kind, ttl = "1m", tags("lookups"))]
            $vis fn $name($($arg: $ty),*) -> $out {
                $body
            }
        )*
    };
}

lookups! {
    /// Made by an example.
    pub fn first(a: u8, b: u8) -> u8 = "by_example_first", a + b;
    fn second(name: &str) -> usize = "by_example_second", name.len();
}

async fn all() {
    assert_eq!(returns_early(0).await, Err("none".to_owned()));
    assert_eq!(returns_early(9).await, Ok(3));
    assert_eq!(asks("7").await, Ok(13));
    assert!(asks("x").await.is_err());
    assert_eq!(loops_for_ever(2).await, 2);
    assert_eq!(fib(20).await, 6765);
}

pub fn main() -> Result<(), Error> {
    assert_eq!(loops(3), 3);
    assert_eq!(panics_at_zero(2), 2);
    assert_eq!(with_items(1), 4);
    assert_eq!(fib_plain(20), 6765);
    assert_eq!(writes_early(1), Ok(1));
    assert_eq!(tests::within(1), 3);
    assert_eq!((first(1, 2), second("ab")), (3, 2));
    first::invalidate(1, 2)?;
    crate::block_on(all());
    Ok(())
}
