use cache_core::cached;

#[cached(kind = "user_profile")]
async fn user_profile(id: UserId) -> u64 {
    1
}

fn main() {}
