use cache_core::cached;

#[cached(kind = "UserProfile")]
fn user_profile(id: u64) -> u64 {
    id
}

fn main() {}
