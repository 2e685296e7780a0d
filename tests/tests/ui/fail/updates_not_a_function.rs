use cache_core::{cached, updates};

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

#[updates(user_profile(1))]
struct Save;

fn main() {}
