use std::collections::HashMap;

use cache_core::cached;

#[cached(kind = "user")]
fn user(id: u64) -> Option<u64> {
    Some(id)
}

#[cached(entries_of = user)]
fn users(ids: &[u64]) -> HashMap<u64, u64> {
    let _ = ids;
    HashMap::new()
}

fn main() {}
