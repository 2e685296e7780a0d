use cache_core::cached;

#[cached(kind = "user_profile", ttl = "30m", ttl = "1h")]
fn user_profile(id: u64) -> u64 {
    id
}

fn main() {}
