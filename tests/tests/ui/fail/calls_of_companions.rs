use cache_core::cached;

// A mistake that has nothing to do with the key: what calls the companions is not wrong as well.
#[cached(kind = "user_profile", tll = "30m", skip(db))]
fn user_profile(db: &str, id: u64) -> u64 {
    id + db.len() as u64
}

fn main() -> Result<(), cache_core::Error> {
    user_profile("db", 7);
    user_profile::invalidate(7)?;
    user_profile::put(7, 8);
    Ok(())
}
