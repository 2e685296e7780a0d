use cache_core::cached;

#[cached(kind = KIND)]
fn user_profile(id: u64) -> u64 {
    id
}

fn main() {}
