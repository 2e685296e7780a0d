use cache_core::cached;

#[cached(kind = "User", ttl = "1x", tags("{}"), skip(bd))]
fn user_profile(_db: u8, _id: u64) {}

fn main() {}
