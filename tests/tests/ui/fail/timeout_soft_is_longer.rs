use cache_core::cached;

#[cached(kind = "user_profile", timeout(soft = "3s", hard = "2s"))]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
