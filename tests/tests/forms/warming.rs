//! `warm`: many calls from an iterator of their arguments.

use std::borrow::Cow;
use std::future::IntoFuture;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cache_core::cached;

pub struct Db(AtomicU64);

#[cached(kind = "warm_user", skip(db))]
async fn user(db: &Db, id: u64) -> Result<String, String> {
    db.0.fetch_add(1, Relaxed);
    if id == 13 {
        return Err("nobody".to_owned());
    }
    std::future::ready(Ok(format!("user {id}"))).await
}

#[cached(kind = "warm_plain")]
fn plain(id: u64) -> Option<u64> {
    id.checked_sub(1)
}

/// An argument of the function's own name, and lifetimes left out in every place.
#[cached(kind = "warm_names")]
async fn names(names: &str, other: Option<&str>, all: &[&str], cow: Cow<'_, str>) -> usize {
    std::future::ready(names.len() + other.map_or(0, str::len) + all.len() + cow.len()).await
}

#[cached(kind = "warm_named_lifetimes", skip(call))]
async fn lifetimes<'a, 'b: 'a, T: serde::Serialize + Sync>(
    a: &'a Pair<'b>,
    b: &T,
    call: &(dyn Fn(&str) -> usize + Sync),
) -> Result<usize, Borrowed<'a>> {
    if a.0.is_empty() {
        return Err(Borrowed(a));
    }
    let _ = b;
    std::future::ready(Ok(call(a.0))).await
}

#[derive(serde::Serialize)]
struct Pair<'a>(&'a str);

struct Borrowed<'a>(#[expect(dead_code, reason = "only its type is used")] &'a Pair<'a>);

struct Users<T> {
    tenant: T,
}

impl<T: serde::Serialize + Sync + std::fmt::Display> Users<T> {
    #[cached(kind = "warm_method", key(self.tenant, id))]
    pub async fn user(&self, other: &Self, id: &u64) -> String {
        let _ = other;
        std::future::ready(format!("{}/{id}", self.tenant)).await
    }

    #[cached(kind = "warm_plain_method", skip(self))]
    pub fn plain(&self, id: u64) -> u64 {
        id
    }
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all() {
    let db = Db(0.into());
    let calls = (10..20).map(|id| (&db, id));
    let warmed = send(user::warm(calls.clone()).concurrency(3).into_future()).await;
    assert_eq!((warmed.loaded, warmed.failed), (9, 1));
    assert_eq!(warmed.expected, Some(10));
    assert_eq!(db.0.load(Relaxed), 10);
    assert_eq!(user::warm(calls).await.done(), 10);
    assert_eq!(db.0.load(Relaxed), 11);

    let text = "abc".to_owned();
    let warmed = names::warm([(text.as_str(), None, &["a", "b"][..], Cow::Borrowed("x"))]).await;
    assert_eq!(warmed.loaded, 1);
    assert_eq!(names("abc", None, &["a", "b"], Cow::Borrowed("x")).await, 6);

    let pairs = [Pair("a"), Pair("")];
    let length: &(dyn Fn(&str) -> usize + Sync) = &|text| text.len();
    let warmed = lifetimes::warm::<u8>(pairs.iter().map(|pair| (pair, &1, length))).await;
    assert_eq!((warmed.loaded, warmed.failed), (1, 1));

    let users = Users { tenant: "acme" };
    let ids = [1, 2];
    let warmed = send(
        users
            .user_warm(ids.iter().map(|id| (&users, id)))
            .into_future(),
    )
    .await;
    assert_eq!(warmed.loaded, 2);
    assert_eq!(users.user_peek(&1).await.as_deref(), Some("acme/1"));
}

pub fn main() {
    let warmed = plain::warm(0..3).run();
    assert_eq!((warmed.loaded, warmed.failed), (3, 0));
    assert_eq!(plain::peek(2), Some(Some(1)));
    assert_eq!(plain::peek(0), None);
    assert_eq!(Users { tenant: 1 }.plain_warm([1, 2]).run().loaded, 2);
    crate::block_on(all());
}
