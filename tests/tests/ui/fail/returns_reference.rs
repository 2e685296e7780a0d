use cache_core::cached;

#[cached(kind = "user_profile")]
fn user_profile(name: &str) -> Option<&str> {
    Some(name)
}

fn main() {}
