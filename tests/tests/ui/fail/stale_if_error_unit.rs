use cache_core::cached;

#[cached(kind = "user_profile", stale_if_error = "5 years")]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
