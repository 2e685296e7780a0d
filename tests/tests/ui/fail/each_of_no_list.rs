use std::collections::HashMap;

use cache_core::cached;

#[cached(kind = "user", each = id)]
fn users(id: u64) -> HashMap<u64, u64> {
    [(id, id)].into()
}

fn main() {}
