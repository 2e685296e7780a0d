use cache_core::cached;

const TTL: u64 = 5;

#[cached(kind = "user_profile", ttl = TTL)]
fn user_profile(id: u64) -> u64 {
    id
}

fn main() {}
