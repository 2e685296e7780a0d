use cache_core::cached;

#[cached(kind = "user_profile", tags_with = |value| ["length:{value.len()}", value])]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
