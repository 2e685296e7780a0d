//! `#[invalidates]` on free functions.

use cache_core::{Error, cached, invalidates};

pub struct User {
    id: u64,
    name: String,
}

mod users {
    use cache_core::cached;

    #[cached(kind = "name", tags("user:{id}"))]
    pub(super) async fn name(id: u64) -> String {
        std::future::ready(format!("user {id}")).await
    }

    #[cached(kind = "typed")]
    pub(super) fn typed<T: serde::Serialize + ToString>(id: T) -> String {
        id.to_string()
    }
}

#[cached(kind = "by_name")]
fn by_name(name: String) -> usize {
    name.len()
}

/// Saves.
#[invalidates(tags("user:{user.id}", "users"), of(users::name(user.id), by_name(user.name.clone())), kind = "typed")]
pub async fn save(user: User) -> Result<u64, std::io::Error> {
    if user.name.is_empty() {
        return Err(std::io::Error::other("empty"));
    }
    let id = std::future::ready(Ok::<_, std::io::Error>(user.id)).await?;
    Ok(id)
}

#[invalidates(of(users::typed::<u64>(user.id)))]
fn touch(user: &mut User) {
    user.id += 1;
    if user.id > 5 {
        return;
    }
    user.name.clear();
}

#[invalidates(tags("user:{id}"))]
async fn several((id, _): (u64, u8), a: &str, b: &mut String) -> Option<usize> {
    b.push_str(a);
    let first = std::future::ready(a.chars().next()).await?;
    Some(first.len_utf8() + usize::from(id > 0))
}

#[invalidates(kind = "typed")]
fn iterates(count: u32) -> impl Iterator<Item = u32> {
    0..count
}

fn send<T: Send>(value: T) -> T {
    value
}

pub fn main() -> Result<(), Error> {
    let mut user = User {
        id: 7,
        name: "x".to_owned(),
    };
    touch(&mut user);
    assert_eq!(user.id, 8);
    assert_eq!(iterates(3).sum::<u32>(), 3);
    assert_eq!(by_name("abc".to_owned()), 3);
    crate::block_on(async {
        assert_eq!(send(save(user)).await.ok(), Some(8));
        let mut text = String::new();
        assert_eq!(send(several((1, 2), "a", &mut text)).await, Some(2));
        assert_eq!(text, "a");
        assert_eq!(users::name(1).await, "user 1");
        assert_eq!(users::typed(1), "1");
        Ok(())
    })
}
