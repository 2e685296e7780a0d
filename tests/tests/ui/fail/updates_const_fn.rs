use cache_core::{cached, updates};

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

#[updates(user_profile(id))]
const fn save(id: u64) -> u64 {
    id
}

fn main() {}
