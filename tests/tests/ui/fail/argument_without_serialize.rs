use cache_core::cached;

struct Db;

#[cached(kind = "user_profile")]
async fn user_profile(db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

fn main() {}
