use std::collections::HashMap;

use cache_core::cached;

#[cached(kind = "user")]
fn user(id: u64) -> Option<u64> {
    Some(id)
}

#[cached(kind = "user", ttl = "1m", entries_of = user, each = ids)]
fn users(ids: &[u64]) -> HashMap<u64, u64> {
    let _ = ids;
    HashMap::new()
}

fn main() {}
