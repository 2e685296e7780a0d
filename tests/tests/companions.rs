//! Calls, companions and `#[invalidates]` agree on which entry is meant.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cache_core::{Cache, Error, ErrorKind, cached, invalidates};

/// Every load gives another number.
fn next() -> u32 {
    static LOADS: AtomicU32 = AtomicU32::new(1);
    LOADS.fetch_add(1, Relaxed)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

#[cached(kind = "numbered", ttl = "1h", tags("number:{id}"), skip(db))]
async fn numbered(db: &(), id: u64) -> Result<u32, Error> {
    let () = db;
    let loaded = std::future::ready(next()).await;
    if id == 0 {
        return Err(Error::new(ErrorKind::Key, "nobody has number 0"));
    }
    Ok(loaded)
}

#[cached(kind = "typed", ttl = "1h")]
fn typed<T: serde::Serialize, const N: usize>(id: T) -> u32 {
    drop(id);
    next()
}

#[cached(kind = "patterned", ttl = "1h", key(a))]
fn patterned((a, _b): (u8, u8)) -> Option<u32> {
    (a < 5).then(next)
}

struct Users {
    tenant: &'static str,
}

impl Users {
    #[cached(kind = "of_method", ttl = "1h", key(self.tenant, id))]
    pub(crate) fn number(&self, id: u8) -> String {
        format!("{}/{id}/{}", self.tenant, next())
    }

    #[invalidates(of(self.number(id)))]
    fn change(&self, id: u8) {
        let _ = (self, id);
    }

    #[cached(kind = "of_type", ttl = "1h", method)]
    pub(crate) fn made(id: u8) -> u32 {
        u32::from(id) * 1000 + next()
    }
}

#[invalidates(tags("number:{id}"))]
async fn renumber(id: u64, succeed: bool) -> Result<(), std::io::Error> {
    if !succeed {
        return Err(std::io::Error::other("no"));
    }
    std::future::ready(Ok(())).await
}

#[invalidates(of(typed::<u8, 1>(id)))]
fn retype(id: u8) -> u8 {
    id
}

#[test]
fn a_call_is_found_again_and_each_companion_means_it() -> Result<(), Error> {
    block_on(async {
        let first = numbered(&(), 1).await?;
        assert_eq!(numbered(&(), 1).await?, first);
        assert_ne!(numbered(&(), 2).await?, first);
        assert_eq!(numbered::peek(1).await.transpose()?, Some(first));
        assert_ne!(numbered::uncached(&(), 1).await?, first);
        assert_eq!(numbered(&(), 1).await?, first);
        let refreshed = numbered::refresh(&(), 1).await?;
        assert_ne!(refreshed, first);
        assert_eq!(numbered(&(), 1).await?, refreshed);
        assert!(numbered::put(1, Ok(0)).await);
        assert_eq!(numbered(&(), 1).await?, 0);
        numbered::invalidate(1).await?;
        assert!(numbered::peek(1).await.is_none());
        assert_ne!(numbered(&(), 1).await?, 0);
        Ok(())
    })
}

#[test]
fn companions_belong_to_the_scope_they_are_awaited_in() -> Result<(), Error> {
    block_on(async {
        let cache = Cache::builder().build();
        let within = cache.scope(numbered::refresh(&(), 21)).await?;
        assert!(numbered::peek(21).await.is_none());
        assert_eq!(
            cache.scope(numbered::peek(21)).await.transpose()?,
            Some(within)
        );
        assert!(cache.scope(numbered::put(21, Ok(0))).await);
        assert!(numbered::peek(21).await.is_none());
        assert_eq!(cache.scope(numbered(&(), 21)).await?, 0);
        cache.scope(numbered::invalidate(21)).await?;
        assert!(cache.scope(numbered::peek(21)).await.is_none());
        Ok(())
    })
}

#[test]
fn only_success_invalidates() -> Result<(), Error> {
    block_on(async {
        let first = numbered(&(), 11).await?;
        assert!(renumber(11, false).await.is_err());
        assert_eq!(numbered(&(), 11).await?, first);
        assert!(renumber(11, true).await.is_ok());
        assert_ne!(numbered(&(), 11).await?, first);
        Ok(())
    })
}

#[test]
fn instantiations_are_entries_of_their_own() -> Result<(), Error> {
    let first = typed::<u8, 1>(7);
    assert_eq!(typed::<u8, 1>(7), first);
    assert_ne!(typed::<u8, 2>(7), first);
    assert_ne!(typed::<u16, 1>(7), first);
    typed::invalidate::<u8, 2>(7)?;
    assert_eq!(typed::<u8, 1>(7), first);
    retype(7);
    assert_ne!(typed::<u8, 1>(7), first);
    Ok(())
}

#[test]
fn a_key_from_a_pattern_leaves_the_rest_out() -> Result<(), Error> {
    let first = patterned((1, 1));
    assert!(first.is_some());
    assert_eq!(patterned((1, 2)), first);
    assert_ne!(patterned((2, 1)), first);
    assert_eq!(patterned((9, 1)), None);
    patterned::invalidate((1, 3))?;
    assert_ne!(patterned((1, 1)), first);
    Ok(())
}

#[test]
fn methods_tell_their_selves_apart() -> Result<(), Error> {
    let (here, there) = (Users { tenant: "here" }, Users { tenant: "there" });
    let first = here.number(1);
    assert_eq!(here.number(1), first);
    assert_ne!(there.number(1), first);
    there.number_invalidate(1)?;
    assert_eq!(here.number(1), first);
    here.change(1);
    assert_ne!(here.number(1), first);
    let made = Users::made(1);
    assert_eq!(Users::made(1), made);
    Users::made_invalidate(1)?;
    assert_ne!(Users::made(1), made);
    Ok(())
}

#[test]
fn another_cache_is_asked_by_all_companions() -> Result<(), Error> {
    #[cached(kind = "elsewhere", ttl = "1h", cache = cache, skip(cache))]
    fn elsewhere(cache: &Cache, id: u8) -> u32 {
        let _ = cache;
        u32::from(id) * 1000 + next()
    }

    let (one, other) = (Cache::builder().build(), Cache::builder().build());
    let first = elsewhere(&one, 1);
    assert_eq!(elsewhere(&one, 1), first);
    assert_ne!(elsewhere(&other, 1), first);
    assert_eq!(elsewhere::peek(&one, 1), Some(first));
    elsewhere::invalidate(&one, 1)?;
    assert_eq!(elsewhere::peek(&one, 1), None);
    assert!(elsewhere::peek(&other, 1).is_some());
    Ok(())
}
