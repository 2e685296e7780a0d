//! The crate `hitbox`, through its `hitbox-fn`: a cached function is called with its cache. It keeps
//! bytes, also in memory, and takes no `Arc`.

// A cached function that has nothing to wait for is awaited all the same.
#![allow(clippy::unused_async)]

use hitbox::policy::PolicyConfig;
use hitbox_fn::{Cache, cached};
use hitbox_moka::MokaBackend;

use super::names::HITBOX;
use super::{BOUND, TTL, text_of};
use crate::measure::Contestant;

#[cached]
async fn text(id: u64) -> String {
    text_of(id).as_ref().clone()
}

pub(super) fn awaited() -> Contestant {
    let cache = Cache::builder()
        .backend(MokaBackend::builder().max_entries(BOUND).build())
        .policy(PolicyConfig::builder().ttl(TTL).build())
        .build();
    Contestant::awaited(HITBOX, async move |id| text(id).cache(&cache).await)
}
