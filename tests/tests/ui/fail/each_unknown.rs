use std::collections::HashMap;

use cache_core::cached;

#[cached(kind = "user", each = idds)]
fn users(ids: &[u64]) -> HashMap<u64, String> {
    ids.iter().map(|id| (*id, id.to_string())).collect()
}

fn main() {}
