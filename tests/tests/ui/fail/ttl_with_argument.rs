use cache_core::cached;

#[cached(kind = "user_profile", ttl_with = |value| std::time::Duration::from_secs(id + value.len() as u64))]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
