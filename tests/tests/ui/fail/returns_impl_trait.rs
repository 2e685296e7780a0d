use cache_core::cached;

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> impl Iterator<Item = u64> {
    0..id
}

fn main() {}
