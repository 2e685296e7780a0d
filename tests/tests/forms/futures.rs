//! Functions that return a future without being `async fn`: `#[async_trait]`, boxes, `impl Future`.

use std::future::{Future, ready};
use std::pin::Pin;

use cache_core::{Error, cached, invalidates};
use futures_util::future::{BoxFuture, FutureExt as _, LocalBoxFuture};

#[async_trait::async_trait]
trait Profiles {
    async fn profile(&self, id: u64) -> Result<String, String>;
    async fn rename(&mut self, id: u64, name: &str) -> Result<(), String>;

    #[cached(kind = "trait_default", skip(self))]
    async fn by_default(&self, id: u64) -> Option<usize> {
        let found = self.profile(id).await.ok()?;
        Some(found.len())
    }

    async fn of_no_self(name: &str) -> usize
    where
        Self: Sized;
}

struct Users {
    tenant: String,
    loads: std::sync::atomic::AtomicU32,
}

#[async_trait::async_trait]
impl Profiles for Users {
    #[cached(kind = "trait_profile", key(self.tenant, id), tags("profile:{id}"))]
    async fn profile(&self, id: u64) -> Result<String, String> {
        if id == 0 {
            return Err("nobody".to_owned());
        }
        let loads = self
            .loads
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let tenant = ready(self.tenant.clone()).await;
        Ok(format!("{tenant}/{id}/{loads}"))
    }

    #[invalidates(tags("profile:{id}"))]
    async fn rename(&mut self, id: u64, name: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err(format!("no name for {id}"));
        }
        Ok(())
    }

    #[cached(kind = "trait_static", method)]
    async fn of_no_self(name: &str) -> usize {
        ready(name.len()).await
    }
}

#[async_trait::async_trait(?Send)]
trait Local {
    async fn local(&self, id: u64) -> u64;
}

#[async_trait::async_trait(?Send)]
impl Local for Users {
    #[cached(kind = "trait_local", skip(self))]
    async fn local(&self, id: u64) -> u64 {
        let here = std::rc::Rc::new(id);
        ready(()).await;
        *here
    }
}

trait Plain {
    async fn plain(&self, id: u64) -> u64;
    fn unnamed(&self, id: u64) -> impl Future<Output = u64> + Send;
}

impl Plain for Users {
    #[cached(kind = "impl_plain", skip(self))]
    async fn plain(&self, id: u64) -> u64 {
        ready(id).await
    }

    #[cached(kind = "impl_unnamed", skip(self))]
    fn unnamed(&self, id: u64) -> impl Future<Output = u64> + Send {
        let next = id + 1;
        async move { ready(next).await }
    }
}

impl Users {
    #[cached(kind = "boxed_method", key(self.tenant, id))]
    pub fn boxed<'a>(&'a self, id: u64, name: &'a str) -> BoxFuture<'a, Result<String, String>> {
        if name.is_empty() {
            return ready(Err("no name".to_owned())).boxed();
        }
        async move { Ok(format!("{}/{id}/{name}", self.tenant)) }.boxed()
    }
}

#[cached(kind = "pinned")]
fn pinned(id: u64) -> Pin<Box<dyn Future<Output = Option<u64>> + Send>> {
    Box::pin(async move { Some(ready(id).await + 1) })
}

#[cached(kind = "local_box")]
fn local_box(text: &str) -> LocalBoxFuture<'_, usize> {
    async move { ready(text.len()).await }.boxed_local()
}

#[cached(kind = "unnamed")]
fn unnamed(id: u64) -> impl Future<Output = u64> + Send {
    let doubled = id * 2;
    async move { ready(doubled).await }
}

#[invalidates(of(pinned(id)))]
fn pinned_again(id: u64) -> Pin<Box<dyn Future<Output = Result<u64, String>> + Send>> {
    if id == 0 {
        return Box::pin(ready(Err("zero".to_owned())));
    }
    Box::pin(async move { Ok(id) })
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all() -> Result<(), Error> {
    let mut users = Users {
        tenant: "acme".to_owned(),
        loads: 0.into(),
    };
    assert_eq!(send(users.profile(1)).await.as_deref(), Ok("acme/1/0"));
    assert_eq!(users.profile(1).await.as_deref(), Ok("acme/1/0"));
    assert_eq!(users.profile(0).await, Err("nobody".to_owned()));
    assert!(send(users.rename(1, "")).await.is_err());
    assert_eq!(users.profile(1).await.as_deref(), Ok("acme/1/0"));
    assert!(users.rename(1, "x").await.is_ok());
    assert_eq!(users.profile(1).await.as_deref(), Ok("acme/1/1"));
    assert_eq!(users.by_default(1).await, Some(8));
    assert_eq!(Users::of_no_self("abc").await, 3);
    assert_eq!(users.local(4).await, 4);
    assert_eq!(users.plain(5).await, 5);
    assert_eq!(send(users.unnamed(5)).await, 6);

    assert_eq!(users.boxed(1, "").await, Err("no name".to_owned()));
    assert_eq!(users.boxed(1, "x").await.as_deref(), Ok("acme/1/x"));
    assert_eq!(users.boxed(1, "").await.as_deref(), Ok("acme/1/x"));
    users.boxed_invalidate(1).await?;
    assert_eq!(users.boxed_refresh(1, "y").await.as_deref(), Ok("acme/1/y"));
    assert_eq!(send(pinned(1)).await, Some(2));
    assert_eq!(pinned::peek(1).await, Some(Some(2)));
    assert!(pinned_again(0).await.is_err());
    assert!(pinned::peek(1).await.is_some());
    assert_eq!(send(pinned_again(1)).await, Ok(1));
    assert!(pinned::peek(1).await.is_none());
    assert_eq!(local_box("abc").await, 3);
    assert_eq!(send(unnamed(3)).await, 6);
    assert_eq!(unnamed::peek(3).await, Some(6));
    assert_eq!(unnamed::warm([3, 4]).await.loaded, 2);
    Ok(())
}

pub fn main() -> Result<(), Error> {
    crate::block_on(all())
}
