use cache_core::cached;

#[cached(kind = "user_profile", timeout(soft = "1s", soft = "2s"))]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
