use cache_core::cached;

struct Profile;

#[cached(kind = "user_profile")]
fn Profile2(id: u64) -> u64 {
    id
}

mod user_profile {}

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> u64 {
    id
}

fn main() {}
