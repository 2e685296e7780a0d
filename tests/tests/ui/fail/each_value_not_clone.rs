use std::collections::HashMap;

use cache_core::cached;

struct User;

#[cached(kind = "user", each = ids)]
fn users(ids: &[u64]) -> HashMap<u64, User> {
    let _ = ids;
    HashMap::new()
}

fn main() {}
