//! The crate `accelerator`, whose attribute takes methods with a cache in `self`.

use std::sync::Arc;

use accelerator::builder::LevelCacheBuilder;
use accelerator::config::CacheMode;
use accelerator::macros::cacheable;
use accelerator::{CacheResult, LevelCache};

use super::names::ACCELERATOR;
use super::{BOUND, TTL, text_of};
use crate::Result;
use crate::measure::Contestant;

struct Service {
    cache: LevelCache<u64, Arc<String>>,
}

impl Service {
    #[cacheable(cache = self.cache, key = id, allow_stale = false, on_cache_error = "ignore")]
    async fn text(&self, id: u64) -> CacheResult<Option<Arc<String>>> {
        Ok(Some(text_of(id)))
    }
}

pub(super) fn awaited() -> Result<Contestant> {
    let local = accelerator::local::moka::<Arc<String>>()
        .max_capacity(BOUND)
        .build()?;
    let cache = LevelCacheBuilder::<u64, Arc<String>>::new()
        .area("benchmark")
        .mode(CacheMode::Local)
        .local(local)
        .local_ttl(TTL)
        .build()?;
    let service = Service { cache };
    Ok(Contestant::awaited(ACCELERATOR, async move |id| {
        let found = service.text(id).await.expect("nothing here can fail");
        found.expect("every key has a text")
    }))
}
