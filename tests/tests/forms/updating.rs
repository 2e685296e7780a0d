//! `#[updates]`: what a write returns is what the next call gets.

use std::future::Future;

use cache_core::{Error, cached, invalidates, updates};

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct User {
    id: u64,
    name: String,
}

impl User {
    fn new(id: u64, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
        }
    }
}

#[cached(kind = "updated_user", tags("updated:{id}"), cache_if = |user| user.id < 100)]
async fn user(id: u64) -> Result<Option<User>, String> {
    std::future::ready(Ok(Some(User::new(id, "loaded")))).await
}

#[cached(kind = "updated_name", skip(loads))]
fn name(loads: &mut u32, id: u64) -> User {
    *loads += 1;
    User::new(id, "loaded")
}

#[cached(kind = "updated_typed")]
fn typed<T: serde::Serialize>(id: T) -> Option<User> {
    drop(id);
    None
}

/// In another wrapping than the cached function's, with arguments that the body moves.
#[updates(user(new.id))]
async fn save(new: User) -> Result<User, String> {
    if new.name.is_empty() {
        return Err("no name".to_owned());
    }
    let saved = std::future::ready(Ok::<_, String>(new)).await?;
    Ok(saved)
}

/// Several at once, one of them generic; stacked on what it invalidates.
#[invalidates(kind = "updated_typed")]
#[updates(user(id), name(id), typed::<u8>(1))]
fn rename(id: u64, __updating_0: &str, __returned: u8) -> User {
    if __returned == 0 {
        return User::new(id, "zero");
    }
    User::new(id, __updating_0)
}

#[updates(user(id))]
async fn delete(id: u64) -> Result<Option<User>, String> {
    let _ = id;
    std::future::ready(Ok(None)).await
}

#[updates(user(id), crate = cache_core)]
fn boxed(id: u64) -> std::pin::Pin<Box<dyn Future<Output = Option<User>> + Send>> {
    Box::pin(async move { Some(User::new(id, "boxed")) })
}

mod deep {
    use super::*;

    #[cached(kind = "updated_deep", cache_none)]
    pub(super) async fn found(id: u64) -> Option<User> {
        std::future::ready(User::new(id, "deep")).await.into()
    }
}

#[updates(deep::found(new.id))]
async fn found_again(new: &User) -> User {
    std::future::ready(new.clone()).await
}

#[derive(Clone)]
struct Users {
    tenant: u8,
}

impl Users {
    #[cached(kind = "updated_method", key(self.tenant, id))]
    pub async fn user(&self, id: u64) -> Result<User, String> {
        std::future::ready(Ok(User::new(id, "loaded"))).await
    }

    #[cached(kind = "updated_static", method)]
    pub fn of_type(id: u64) -> User {
        User::new(id, "loaded")
    }

    #[updates(self.user(id))]
    async fn save(&mut self, id: u64, name: String) -> Result<User, String> {
        std::future::ready(Ok(User { id, name })).await
    }

    #[updates(Self::of_type(id), Users::user(&other, id))]
    fn save_both(self, other: Users, id: u64) -> User {
        let _ = (self, other);
        User::new(id, "both")
    }
}

#[async_trait::async_trait]
trait Writes {
    async fn write(&self, id: u64, name: &str) -> Result<User, String>;
}

#[async_trait::async_trait]
impl Writes for Users {
    #[updates(self.user(id))]
    async fn write(&self, id: u64, name: &str) -> Result<User, String> {
        std::future::ready(Ok(User::new(id, name))).await
    }
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all() -> Result<(), Error> {
    let name = |found: Result<Option<User>, String>| found.ok().flatten().map(|user| user.name);
    assert_eq!(name(user(1).await).as_deref(), Some("loaded"));
    assert!(send(save(User::new(1, "saved"))).await.is_ok());
    assert_eq!(name(user(1).await).as_deref(), Some("saved"));
    assert!(save(User::new(1, "")).await.is_err());
    assert_eq!(name(user(1).await).as_deref(), Some("saved"));
    assert!(save(User::new(100, "saved")).await.is_ok());
    assert!(user::peek(100).await.is_none());
    assert!(send(delete(1)).await.is_ok());
    assert!(user::peek(1).await.is_none());
    assert!(send(boxed(1)).await.is_some());
    assert_eq!(name(user(1).await).as_deref(), Some("boxed"));
    found_again(&User::new(1, "again")).await;
    assert_eq!(deep::found(1).await, Some(User::new(1, "again")));

    let mut users = Users { tenant: 1 };
    assert!(users.user(1).await.is_ok());
    assert!(send(users.save(1, "saved".to_owned())).await.is_ok());
    assert_eq!(users.user(1).await, Ok(User::new(1, "saved")));
    assert!(send(users.write(1, "written")).await.is_ok());
    assert_eq!(users.user(1).await, Ok(User::new(1, "written")));
    Ok(())
}

pub fn main() -> Result<(), Error> {
    crate::block_on(all())?;
    let mut loads = 0;
    assert_eq!(name(&mut loads, 2), User::new(2, "loaded"));
    assert_eq!(rename(2, "renamed", 1), User::new(2, "renamed"));
    assert_eq!(name(&mut loads, 2), User::new(2, "renamed"));
    assert_eq!(rename(2, "renamed", 0), User::new(2, "zero"));
    assert_eq!(name(&mut loads, 2), User::new(2, "zero"));
    assert_eq!(loads, 1);
    let found = crate::block_on(user(2)).ok().flatten();
    assert_eq!(found, Some(User::new(2, "zero")));

    let (users, other) = (Users { tenant: 2 }, Users { tenant: 3 });
    users.save_both(other.clone(), 5);
    assert_eq!(Users::of_type(5), User::new(5, "both"));
    assert_eq!(crate::block_on(other.user(5)), Ok(User::new(5, "both")));
    Ok(())
}
