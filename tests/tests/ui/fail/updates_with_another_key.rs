use cache_core::{cached, updates};

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

#[updates(user_profile("x"))]
fn save(id: u64) -> Result<String, String> {
    Ok(id.to_string())
}

fn main() {}
