use cache_core::cached;

#[cached(kind = "user_profile")]
async fn user_profile(id: u64) -> u64 {
    id.to_string()
}

fn main() {}
