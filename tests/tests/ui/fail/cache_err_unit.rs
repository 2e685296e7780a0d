use cache_core::cached;

#[cached(kind = "user_profile", cache_err = "5 parsecs")]
fn user_profile(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
