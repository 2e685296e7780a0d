use std::collections::{BTreeMap, HashSet};

use cache_core::cached;

#[cached(kind = "count", ttl = 60)]
fn count(named: Option<&HashSet<u64>>, groups: &[HashSet<u64>], by_name: BTreeMap<String, HashSet<u64>>) -> usize {
    named.map_or(0, HashSet::len) + groups.len() + by_name.len()
}

fn main() {}
