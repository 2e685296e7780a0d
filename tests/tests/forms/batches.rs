//! `each = ids`: many elements in one call, as functions and methods, over entries of their own or of
//! the function for one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use cache_core::{Error, cached};

/// Remembers what it was asked for.
#[derive(Default)]
pub struct Db(Mutex<Vec<Vec<u64>>>);

impl Db {
    fn load(&self, ids: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let ids: Vec<u64> = ids.into_iter().collect();
        if let Ok(mut asked) = self.0.lock() {
            asked.push(ids.clone());
        }
        ids
    }

    fn asked(&self) -> Vec<Vec<u64>> {
        self.0
            .lock()
            .map(|mut asked| std::mem::take(&mut *asked))
            .unwrap_or_default()
    }
}

type Users = HashMap<u64, String>;

#[cached(kind = "each_user", tags("each_user:{ids}"), skip(db), each = ids)]
async fn users(db: &Db, ids: &[u64]) -> Result<Users, String> {
    if ids.contains(&13) {
        return Err("unlucky".to_owned());
    }
    let found = std::future::ready(db.load(ids.iter().copied())).await;
    Ok(found
        .into_iter()
        .map(|id| (id, format!("user {id}")))
        .collect())
}

#[cached(kind = "one_user", tags("one_user:{id}"), skip(db))]
async fn one(db: &Db, id: u64) -> Result<Option<String>, String> {
    let found = std::future::ready(db.load([id])).await;
    Ok(found.first().map(|id| format!("user {id}")))
}

#[cached(entries_of = one, tags("one_user:{ids}"), skip(db), each = ids)]
async fn several(db: &Db, ids: Vec<u64>) -> Result<Users, String> {
    let found = std::future::ready(db.load(ids)).await;
    Ok(found
        .into_iter()
        .map(|id| (id, format!("user {id}")))
        .collect())
}

#[cached(kind = "each_in_a_set", each = ids, key(tenant, *ids + 1), skip(db), cache_none, cache_if = |name| name.as_ref().is_none_or(|name| !name.is_empty()), enabled = *ids < 100)]
fn in_a_set(db: &Db, tenant: String, ids: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let found = db.load(ids.iter().copied());
    let small = found.into_iter().filter(|id| *id < 3 || *id > 99);
    small.map(|id| (id, format!("{tenant}/{id}"))).collect()
}

#[cached(kind = "each_alone", each = ids, companions = false, skip(db))]
fn alone(db: &Db, ids: &[u64]) -> Vec<(u64, u64)> {
    let found = db.load(ids.iter().copied());
    found.into_iter().map(|id| (id, id * 2)).collect()
}

struct Repository {
    db: Db,
    tenant: u8,
}

trait Totals {
    async fn totals(&self, ids: &[u64]) -> Option<HashMap<u64, u64>>;
}

impl Totals for Repository {
    #[cached(kind = "each_total", key(self.tenant, ids), each = ids)]
    async fn totals(&self, ids: &[u64]) -> Option<HashMap<u64, u64>> {
        if ids.is_empty() {
            return None;
        }
        let found = std::future::ready(self.db.load(ids.iter().copied())).await;
        Some(found.into_iter().map(|id| (id, id + 1)).collect())
    }
}

impl Repository {
    #[cached(kind = "each_name", key(self.tenant, ids), each = ids)]
    pub async fn names(&self, ids: &[u64]) -> HashMap<u64, String> {
        let found = std::future::ready(self.db.load(ids.iter().copied())).await;
        found.into_iter().map(|id| (id, id.to_string())).collect()
    }
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all() -> Result<(), Error> {
    let db = Db::default();
    let found = send(users(&db, &[1, 2])).await.unwrap_or_default();
    assert_eq!(found.len(), 2);
    assert_eq!(users(&db, &[3, 2]).await.unwrap_or_default()[&3], "user 3");
    assert_eq!(db.asked(), [vec![1, 2], vec![3]]);
    users::invalidate(&[2, 13]).await?;
    assert_eq!(users(&db, &[1, 2]).await.unwrap_or_default().len(), 2);
    assert_eq!(db.asked(), [vec![2]]);
    assert_eq!(users(&db, &[13, 1]).await, Err("unlucky".to_owned()));
    assert_eq!(
        users::uncached(&db, &[1]).await.unwrap_or_default().len(),
        1
    );
    db.asked();

    assert_eq!(one(&db, 1).await, Ok(Some("user 1".to_owned())));
    assert_eq!(several(&db, vec![1, 2]).await.unwrap_or_default().len(), 2);
    assert_eq!(one(&db, 2).await, Ok(Some("user 2".to_owned())));
    assert_eq!(db.asked(), [vec![1], vec![2]]);
    several::invalidate(vec![1]).await?;
    assert_eq!(one(&db, 1).await, Ok(Some("user 1".to_owned())));
    assert_eq!(db.asked(), [vec![1]]);
    assert_eq!(several::key(1)?, one::key(1)?);
    assert!(send(users::refresh(&db, &[1, 2])).await.is_ok());
    assert!(users(&db, &[1, 2]).await.is_ok());
    assert_eq!(db.asked(), [vec![1, 2]]);

    let repository = Repository { db, tenant: 1 };
    assert_eq!(repository.totals(&[5]).await.unwrap_or_default()[&5], 6);
    assert_eq!(repository.totals(&[5]).await.unwrap_or_default()[&5], 6);
    assert_eq!(send(repository.names(&[7])).await[&7], "7");
    repository.names_invalidate(&[7]).await?;
    assert_eq!(repository.names(&[7]).await[&7], "7");
    assert_eq!(repository.db.asked(), [vec![5], vec![7], vec![7]]);
    Ok(())
}

pub fn main() -> Result<(), Error> {
    let db = Db::default();
    let ids: BTreeSet<u64> = [1, 5, 100].into();
    for _ in 0..2 {
        let found = in_a_set(&db, "a".to_owned(), &ids);
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [1, 100]);
    }
    assert_eq!(db.asked(), [vec![1, 5, 100], vec![100]]);
    in_a_set::invalidate("a".to_owned(), &[5].into())?;
    in_a_set(&db, "a".to_owned(), &[1, 5].into());
    assert_eq!(db.asked(), [vec![5]]);
    assert_eq!(alone(&db, &[1, 2]), [(1, 2), (2, 4)]);
    assert_eq!(alone(&db, &[2, 3]), [(2, 4), (3, 6)]);
    assert_eq!(db.asked(), [vec![1, 2], vec![3]]);
    crate::block_on(all())
}
