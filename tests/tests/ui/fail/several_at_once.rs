use cache_core::cached;

#[cached(kind = "User", ttl = "1x", tags("{}"), skip(bd))]
fn user_profile(db: u8, id: u64) {}

fn main() {}
