use std::collections::HashMap;

use cache_core::cached;

#[cached(kind = "user", each = ids, skip(log))]
fn users(log: &mut Vec<u64>, ids: &[u64]) -> HashMap<u64, u64> {
    log.extend(ids);
    HashMap::new()
}

fn main() {}
