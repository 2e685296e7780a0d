use cache_core::cached;

#[cached(kind = "user_profile", cache_none)]
fn user_profile(id: u64) -> u64 {
    id
}

fn main() {}
