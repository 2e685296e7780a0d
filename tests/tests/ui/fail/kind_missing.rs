use cache_core::cached;

#[cached(ttl = "30m")]
async fn user_profile(id: u64) -> u64 {
    id
}

fn main() {}
