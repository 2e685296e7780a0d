use cache_core::cached;

#[cached(kind = "user_profile", skip(bd))]
fn user_profile(db: u8, id: u64) -> u64 {
    id + u64::from(db)
}

fn main() {}
