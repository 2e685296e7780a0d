use cache_core::cached;

#[cached(kind = "user_profile", key(db, id), skip(db))]
fn user_profile(db: u8, id: u64) -> u64 {
    id + u64::from(db)
}

fn main() {}
