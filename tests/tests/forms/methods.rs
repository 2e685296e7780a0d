//! Methods: every receiver, siblings as companions, traits, associated functions.

use std::sync::Arc;

use cache_core::{Cache, Error, cached, invalidates};

#[derive(Clone)]
pub struct Users {
    tenant: String,
    loads: u32,
}

impl Users {
    /// By reference.
    #[cached(kind = "profile", ttl = "30m", key(self.tenant, id), tags("user:{self.tenant}/{id}"))]
    pub async fn profile(&self, id: u64) -> Result<String, std::io::Error> {
        if id == 0 {
            return Ok(String::new());
        }
        std::future::ready(Ok(format!("{}/{id}", self.tenant))).await
    }

    #[cached(kind = "count", skip(self))]
    pub(crate) fn count(&mut self, by: u32) -> u32 {
        self.loads += by;
        self.loads
    }

    #[cached(kind = "shared", key(self.tenant))]
    pub async fn shared(self: Arc<Self>, (a, b): (u8, u8)) -> String {
        std::future::ready(format!("{}{a}{b}", self.tenant)).await
    }

    #[cached(kind = "owned", key(self.tenant, id), companions)]
    async fn owned(mut self, id: u8) -> String {
        self.tenant.push('!');
        std::future::ready(format!("{}{id}", self.tenant)).await
    }

    #[cached(kind = "private", key(self.tenant, id))]
    async fn private(&self, mut id: u8) -> Option<u8> {
        id += 1;
        let there = std::future::ready(Some(id)).await?;
        Some(there)
    }

    // On one line, as rustfmt leaves none: the compiler must not call its braces superfluous.
    #[rustfmt::skip]
    #[cached(kind = "one_line", key(self.tenant, id))]
    async fn one_line(&self, id: u8) -> Option<u8> { self.private(id).await }

    #[rustfmt::skip]
    #[cached(kind = "one_line", key(self.tenant, id), companions)]
    async fn one_line_with_companions(&self, id: u8) -> Option<u8> { self.private(id).await }

    #[rustfmt::skip]
    #[invalidates(kind = "one_line")]
    async fn one_line_that_invalidates(&self, id: u8) -> Option<u8> { self.private(id).await }

    #[cached(kind = "private_owned", key(self.tenant))]
    fn private_owned(mut self) -> String {
        self.tenant.push('!');
        self.tenant
    }

    #[cached(kind = "private_changed", skip(self))]
    async fn private_changed(&mut self, by: u32) -> u32 {
        self.loads += by;
        std::future::ready(self.loads).await
    }

    #[cached(kind = "made")]
    pub fn made(name: &str) -> usize {
        Self::len(name)
    }

    #[cached(kind = "made_privately", method)]
    async fn made_privately(name: &str) -> usize {
        std::future::ready(name.len()).await
    }

    #[cached(kind = "generic_method", key(self.tenant, T::from(1)), skip(other))]
    pub fn generic_method<T: From<u8> + serde::Serialize>(&self, other: &Cache) -> usize {
        let _ = other;
        self.tenant.len()
    }

    fn len(name: &str) -> usize {
        name.len()
    }

    #[invalidates(of(self.profile(id)), tags("user:{self.tenant}/{id}"))]
    pub async fn save(&mut self, id: u64) -> Result<(), std::io::Error> {
        self.tenant.push('?');
        std::future::ready(Ok(())).await
    }

    #[invalidates(of(Self::made(name), Users::made("other")))]
    fn rename(self: Box<Self>, name: &str) -> Self {
        Self {
            tenant: name.to_owned(),
            ..*self
        }
    }
}

struct Holder<T> {
    value: T,
}

impl<T: serde::Serialize + Clone + std::fmt::Display> Holder<T> {
    #[cached(kind = "held", key(self.value))]
    pub fn held(&self) -> String {
        self.value.to_string()
    }
}

trait Load {
    async fn load(&self, id: u32) -> Result<u32, String>;
    fn load_now(&self, id: u32) -> u32;

    #[cached(kind = "by_default", skip(self))]
    fn by_default(&self, id: u32) -> u32 {
        self.load_now(id) + 1
    }

    fn forget(&self, id: u32);
}

impl Load for Users {
    #[cached(kind = "load", skip(self))]
    async fn load(&self, id: u32) -> Result<u32, String> {
        std::future::ready(Ok(id + self.loads)).await
    }

    #[cached(kind = "load_now", key(self.loads, id), companions = false)]
    fn load_now(&self, id: u32) -> u32 {
        id + self.loads
    }

    #[invalidates(kind = "load", kind = "load_now", tags("{id}"))]
    fn forget(&self, id: u32) {
        let _ = id;
    }
}

async fn all() -> Result<(), Error> {
    let mut users = Users {
        tenant: "a".to_owned(),
        loads: 0,
    };
    assert_eq!(users.profile(7).await.ok().as_deref(), Some("a/7"));
    users.profile_invalidate(7).await?;
    assert!(
        users
            .profile_peek(7)
            .await
            .is_none_or(|found| found.is_ok())
    );
    users.profile_put(7, Ok(String::new())).await;
    assert_eq!(users.profile_refresh(7).await.ok().as_deref(), Some("a/7"));
    assert_eq!(users.profile_uncached(7).await.ok().as_deref(), Some("a/7"));
    users.profile_key(7)?;
    assert_eq!(Arc::new(users.clone()).shared((1, 2)).await, "a12");
    users.shared_invalidate().await?;
    assert_eq!(users.clone().owned(1).await, "a!1");
    users.owned_invalidate(1).await?;
    assert_eq!(users.private(1).await, Some(2));
    assert_eq!(users.one_line(1).await, Some(2));
    assert_eq!(users.one_line_with_companions(1).await, Some(2));
    assert_eq!(users.one_line_that_invalidates(1).await, Some(2));
    assert_eq!(users.private_changed(0).await, 0);
    assert_eq!(Users::made_privately("abc").await, 3);
    assert_eq!(users.load(1).await, Ok(1));
    assert!(users.save(7).await.is_ok());
    assert_eq!(users.tenant, "a?");
    Ok(())
}

pub fn main() -> Result<(), Error> {
    let mut users = Users {
        tenant: "a".to_owned(),
        loads: 0,
    };
    assert_eq!(users.count(2), 2);
    users.count_invalidate(2)?;
    assert_eq!(users.clone().private_owned(), "a!");
    assert_eq!(Users::made("abc"), 3);
    Users::made_invalidate("abc")?;
    let other = Cache::builder().build();
    assert_eq!(users.generic_method::<u16>(&other), 1);
    users.generic_method_invalidate::<u16>()?;
    assert_eq!(users.load_now(1), 3);
    assert_eq!(users.by_default(1), 4);
    users.forget(1);
    assert_eq!(Holder { value: 5 }.held(), "5");
    Holder { value: "x" }.held_invalidate()?;
    assert_eq!(Box::new(users).rename("b").tenant, "b");
    crate::block_on(all())
}
