use std::collections::HashMap;

use cache_core::cached;

#[cached(kind = "user", each = ids)]
fn users(ids: &[u64]) -> usize {
    let _: HashMap<u8, u8> = HashMap::new();
    ids.len()
}

fn main() {}
