use std::collections::HashMap;

use cache_core::cached;

#[cached(kind = "user", each = ids, cache_err)]
fn users(ids: &[u64]) -> Result<HashMap<u64, u64>, String> {
    let _ = ids;
    Err(String::new())
}

fn main() {}
