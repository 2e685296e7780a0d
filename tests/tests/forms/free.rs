//! Free functions: what a user writes, and every companion of it.

use std::time::Duration;

use cache_core::{Error, Invalidation, Key, cached};

pub struct Db;

impl Db {
    async fn load(&self, id: u64) -> Result<String, std::io::Error> {
        std::future::ready(Ok(format!("user {id}"))).await
    }
}

const HOUR: Duration = Duration::from_hours(1);

/// Finds a user.
#[cached(kind = "user_profile", ttl = "30m", tags("user:{id}"), skip(db))]
pub async fn user_profile(db: &Db, id: u64) -> Result<String, std::io::Error> {
    let found = db.load(id).await?;
    if found.is_empty() {
        return Ok("nobody".to_owned());
    }
    Ok(found)
}

/// What only the options use is used.
#[deny(unused_variables)]
#[cached(kind = "elsewhere", key(id), tags("tenant:{tenant}"), cache = cache)]
fn in_another_cache(cache: &cache_core::Cache, tenant: &str, id: u64) -> u64 {
    id * 2
}

#[cached(kind = "plain", ttl = 60)]
fn plain(a: u32, b: &str) -> String {
    format!("{a}{b}")
}

#[cached(kind = "none", ttl = HOUR, schema = 3)]
async fn nothing_in_the_key() -> Option<u8> {
    std::future::ready(Some(1)).await
}

#[cached(kind = "patterns", tags("sum:{a}", "{x}/{c.len()}"), ttl = "1h30m")]
fn patterns((a, b): (u32, u32), mut c: Vec<u8>, Wrapper { x }: Wrapper, _: u8) -> u32 {
    c.push(1);
    a + b + x + u32::try_from(c.len()).unwrap_or(0)
}

#[cached(kind = "keyed_patterns", key(a, &c[..1]))]
fn keyed_patterns((mut a, b): (u32, u32), c: Vec<u8>) -> u32 {
    a += b;
    a + u32::from(c[0])
}

#[derive(serde::Serialize, Clone, Copy)]
pub struct Wrapper {
    x: u32,
}

#[cached(kind = "elided", skip(other))]
async fn elided(a: &str, b: &str, other: &mut Vec<String>) -> usize {
    other.push(a.to_owned());
    std::future::ready(a.len() + b.len()).await
}

#[cached(kind = "named", key(a.len()))]
async fn named<'a, 'b: 'a>(a: &'a str, b: &'b str) -> Result<usize, Borrowing<'a>> {
    if a == b {
        Err(Borrowing(a))
    } else {
        std::future::ready(Ok(1)).await
    }
}

#[derive(Debug)]
struct Borrowing<'a>(&'a str);

#[cached(kind = "captured", tags("{format!(\"{id:03}\")}", "b{{race}}", "{if id > 1 { \"many\" } else { \"one\" }}"), key(id + 1))]
fn captured(id: u32, unused_in_key: &str) -> u32 {
    id + u32::try_from(unused_in_key.len()).unwrap_or(0)
}

#[cached(kind = "recursive")]
async fn recursive(n: u64) -> u64 {
    if n < 2 {
        n
    } else {
        recursive(n - 1).await + recursive(n - 2).await
    }
}

#[cached(kind = "value", ttl = "5s")]
fn value(value: u32, r#type: u32) -> u32 {
    value + r#type
}

#[cached(kind = "shadow", key(ticket, key), tags("{found}"))]
async fn shadow(ticket: u32, key: u32, found: u32, probed: u32, tags: u32) -> u32 {
    std::future::ready(ticket + key + found + probed + tags).await
}

macro_rules! cached_by_macro {
    ($name:ident, $kind:expr, $ttl:expr, $argument:ident: $ty:ty) => {
        #[cached(kind = $kind, ttl = $ttl, key($argument), tags("n"))]
        fn $name($argument: $ty) -> $ty {
            $argument
        }
    };
}

cached_by_macro!(by_macro, "by_macro", 60, id: u8);

#[cached(kind = "raw")]
fn r#match(r#in: u32) -> u32 {
    r#in
}

#[cached(kind = "lone", companions = false)]
async fn lone((a, b): (u32, u32)) -> u32 {
    std::future::ready(a + b).await
}

#[cached(kind = "many")]
#[allow(clippy::too_many_arguments, clippy::many_single_char_names)]
fn many(
    a: u8,
    b: u8,
    c: u8,
    d: u8,
    e: u8,
    f: u8,
    g: u8,
    h: u8,
    i: u8,
    j: u8,
    k: u8,
    l: u8,
    m: u8,
    n: u8,
    o: u8,
    p: u8,
    q: u8,
) -> Vec<u8> {
    vec![a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]
}

/// Documented, and deprecated.
#[cached(kind = "attributes")]
#[cfg(not(any()))]
#[must_use]
#[deprecated(note = "use another")]
#[inline]
pub fn attributes(id: u8) -> u8 {
    id
}

#[cached(kind = "absent")]
#[cfg(any())]
fn absent(id: Nothing) -> Nothing {
    id
}

#[cached(kind = "expecting")]
#[expect(unused_variables, reason = "to see that it is met")]
fn expecting(id: u8) -> u8 {
    let unused = 1;
    id
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all() -> Result<(), Error> {
    let db = Db;
    assert_eq!(
        send(user_profile(&db, 7)).await.ok().as_deref(),
        Some("user 7")
    );
    assert_eq!(
        send(user_profile::uncached(&db, 7)).await.ok().as_deref(),
        Some("user 7")
    );
    assert_eq!(
        send(user_profile::refresh(&db, 7)).await.ok().as_deref(),
        Some("user 7")
    );
    let _: Key = user_profile::key(7)?;
    let _: Invalidation = send(user_profile::invalidate(7)).await?;
    let _: Option<Result<String, std::io::Error>> = send(user_profile::peek(7)).await;
    let _: bool = send(user_profile::put(7, Ok("other".to_owned()))).await;

    assert_eq!(nothing_in_the_key().await, Some(1));
    nothing_in_the_key::invalidate().await?;
    let mut other = Vec::new();
    assert_eq!(send(elided("a", "bc", &mut other)).await, 3);
    elided::invalidate("a", "bc").await?;
    assert_eq!(send(named("a", "bc")).await.map_err(|error| error.0), Ok(1));
    assert_eq!(shadow(1, 2, 3, 4, 5).await, 15);
    shadow::invalidate(1, 2).await?;
    shadow::put(1, 2, 3, 15).await;
    assert_eq!(send(recursive(10)).await, 55);
    assert_eq!(send(lone((1, 2))).await, 3);
    Ok(())
}

fn blocking() -> Result<(), Error> {
    assert_eq!(plain(1, "b"), "1b");
    plain::invalidate(1, "b")?;
    let _: Option<String> = plain::peek(1, "b");
    let _: bool = plain::put(1, "b", "2c".to_owned());
    assert_eq!(plain::refresh(1, "b"), "1b");
    assert_eq!(patterns((1, 2), vec![1], Wrapper { x: 3 }, 0), 8);
    patterns::invalidate((1, 2), vec![1], Wrapper { x: 3 }, 0)?;
    assert_eq!(keyed_patterns((1, 2), vec![5]), 8);
    keyed_patterns::invalidate((1, 2), vec![5])?;
    assert_eq!(captured(4, "ab"), 6);
    captured::invalidate(4)?;
    assert_eq!(value(1, 2), 3);
    value::put(1, 2, 3);
    assert_eq!(by_macro(1), 1);
    by_macro::invalidate(1)?;
    assert_eq!(r#match(1), 1);
    r#match::invalidate(1)?;
    assert_eq!(
        many(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16).len(),
        17
    );
    #[expect(deprecated)]
    let attributes = attributes(1);
    assert_eq!(attributes, 1);
    assert_eq!(expecting(1), 1);
    local()
}

fn local() -> Result<(), Error> {
    #[cached(kind = "local")]
    fn within(id: u8) -> u8 {
        id
    }

    assert_eq!(within(1), 1);
    within::invalidate(1)?;
    Ok(())
}

pub fn main() -> Result<(), Error> {
    assert_eq!(
        in_another_cache(&cache_core::Cache::current(), "acme", 2),
        4
    );
    blocking()?;
    crate::block_on(all())
}
