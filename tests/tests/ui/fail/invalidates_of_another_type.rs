use cache_core::{cached, invalidates};

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> u64 {
    id
}

#[invalidates(of(user_profile(name)))]
fn save(name: &str) {
    let _ = name;
}

fn main() {}
