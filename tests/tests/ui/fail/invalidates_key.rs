use cache_core::invalidates;

#[invalidates(key(user_profile(id)))]
fn save(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
