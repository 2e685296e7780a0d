use cache_core::cached;

#[derive(Clone)]
struct Profile;

#[cached(kind = "user_profile")]
async fn user_profile(id: u64) -> Option<Profile> {
    let _ = id;
    None
}

fn main() {}
