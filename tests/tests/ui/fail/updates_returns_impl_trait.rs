use cache_core::{cached, updates};

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

#[updates(user_profile(id))]
fn save(id: u64) -> impl Clone {
    id
}

fn main() {}
