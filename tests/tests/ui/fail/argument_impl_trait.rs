use cache_core::cached;

#[cached(kind = "user_profile")]
fn user_profile(id: impl Into<u64>) -> u64 {
    id.into()
}

fn main() {}
