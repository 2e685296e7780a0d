use cache_core::cached;

#[cached(kind = "user_profile", outage_ttl = std::time::Duration::from_secs(id))]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
