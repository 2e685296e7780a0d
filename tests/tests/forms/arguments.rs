//! Arguments of every sort: shadowed names, patterns, `mut`, raw names, none at all, twenty.

use std::borrow::Cow;
use std::fmt::Display;

use cache_core::{Error, cached, invalidates};

/// What the expansion itself calls its variables, and what it calls.
#[cached(kind = "own_names", tags("{__tags}/{__key}"), enabled = __enabled > 0)]
#[allow(clippy::too_many_arguments)]
async fn own_names(
    __ticket: u8,
    __found: u8,
    __tags: u8,
    __key: u8,
    __probed: u8,
    __returned: u8,
    __enabled: u8,
    __updating: u8,
) -> u8 {
    std::future::ready(__ticket + __found + __tags + __key + __probed + __returned + __updating)
        .await
}

#[cached(kind = "usual_names", key(cache, value), tags("{key}"))]
fn usual_names(cache: u8, value: u8, key: u8, tags: u8, site: u8, usual_names: u8) -> u8 {
    cache + value + key + tags + site + usual_names
}

#[invalidates(tags("{__plan}"), kind = "own_names")]
async fn own_names_of_writes(__plan: u8, __armed: u8, __returned: u8) -> u8 {
    std::future::ready(__plan + __armed + __returned).await
}

#[cached(kind = "none_at_all")]
fn none_at_all() -> u8 {
    1
}

#[cached(kind = "twenty")]
#[allow(clippy::too_many_arguments, clippy::many_single_char_names)]
async fn twenty(
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
    r: u8,
    s: &str,
    t: Option<&str>,
) -> usize {
    let sum = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r];
    let sum: usize = sum.into_iter().map(usize::from).sum();
    std::future::ready(sum + s.len() + t.map_or(0, str::len)).await
}

#[derive(Clone, Copy, serde::Serialize)]
pub struct Point {
    x: u8,
    y: u8,
}

#[cached(kind = "every_pattern", tags("{x}", "{first}"))]
fn every_pattern(
    (mut a, (b, _)): (u8, (u8, u8)),
    Point { x, y: height }: Point,
    [first, .., last]: [u8; 4],
    mut list: Vec<u8>,
    _: u8,
    _unused: u8,
    &c: &u8,
    r#type: u8,
) -> u8 {
    a += 1;
    list.push(b);
    a + x + height + first + last + c + r#type + list.iter().sum::<u8>()
}

#[cached(kind = "borrowed")]
async fn borrowed(a: &str, b: &[u8], c: Option<&str>, d: (&str, u8), e: &Cow<'_, str>) -> usize {
    std::future::ready(a.len() + b.len() + c.map_or(0, str::len) + d.0.len() + e.len()).await
}

#[cached(kind = "by_trait", skip(source, other))]
fn by_trait(source: &impl Display, other: impl Fn(u8) -> u8, id: u8) -> String {
    format!("{source}{}", other(id))
}

#[cached(kind = "by_object", skip(source, call))]
async fn by_object(
    source: &(dyn Display + Sync),
    call: Box<dyn Fn(u8) -> u8 + Send>,
    id: u8,
) -> String {
    std::future::ready(format!("{source}{}", call(id))).await
}

#[cached(kind = "by_exclusive", skip(log))]
async fn by_exclusive(log: &mut Vec<u8>, id: u8) -> u8 {
    log.push(id);
    std::future::ready(id).await
}

async fn all() -> Result<(), Error> {
    assert_eq!(own_names(1, 2, 3, 4, 5, 6, 7, 8).await, 29);
    assert_eq!(own_names::peek(1, 2, 3, 4, 5, 6, 7, 8).await, Some(29));
    assert_eq!(own_names_of_writes(3, 2, 1).await, 6);
    assert_eq!(own_names::peek(1, 2, 3, 4, 5, 6, 7, 8).await, None);
    assert_eq!(
        twenty(
            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "ab", None
        )
        .await,
        20
    );
    assert_eq!(
        borrowed("a", b"bc", None, ("d", 1), &Cow::Borrowed("ef")).await,
        6
    );
    borrowed::invalidate("a", b"bc", None, ("d", 1), &Cow::Borrowed("ef")).await?;
    assert_eq!(by_object(&"x", Box::new(|id| id + 1), 1).await, "x2");
    assert_eq!(by_object(&"y", Box::new(|id| id + 2), 1).await, "x2");
    let mut log = Vec::new();
    assert_eq!(by_exclusive(&mut log, 3).await, 3);
    assert_eq!(by_exclusive(&mut log, 3).await, 3);
    assert_eq!(log, [3]);
    Ok(())
}

pub fn main() -> Result<(), Error> {
    assert_eq!(usual_names(1, 2, 3, 4, 5, 6), 21);
    assert_eq!(usual_names::peek(1, 2), Some(21));
    assert!(usual_names::put(1, 2, 3, 7));
    assert_eq!(usual_names(1, 2, 0, 0, 0, 0), 7);
    assert_eq!(none_at_all(), 1);
    assert_eq!(none_at_all::peek(), Some(1));
    let point = Point { x: 1, y: 2 };
    let sum = every_pattern((1, (2, 3)), point, [4, 0, 0, 5], vec![1], 0, 0, &6, 7);
    assert_eq!(sum, 30);
    let found = every_pattern::peek((1, (2, 3)), point, [4, 0, 0, 5], vec![1], 0, 0, &6, 7);
    assert_eq!(found, Some(30));
    assert_eq!(by_trait(&"x", |id| id + 1, 1), "x2");
    assert_eq!(by_trait(&"y", |id| id + 2, 1), "x2");
    by_trait::invalidate(1)?;
    assert_eq!(by_trait(&"y", |id| id + 2, 1), "y3");
    crate::block_on(all())
}
