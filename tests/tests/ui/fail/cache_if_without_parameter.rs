use cache_core::cached;

#[cached(kind = "user_profile", cache_if = || true)]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
