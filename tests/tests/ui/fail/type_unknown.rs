use cache_core::cached;

#[cached(kind = "user_profile")]
async fn user_profile(id: u64) -> Result<Profile, String> {
    Err(id.to_string())
}

fn main() {}
