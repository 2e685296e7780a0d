use cache_core::updates;

fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

#[updates(user_profile(id))]
fn save(id: u64) -> Result<String, String> {
    Ok(id.to_string())
}

fn main() {}
