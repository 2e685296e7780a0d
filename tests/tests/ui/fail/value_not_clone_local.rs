use cache_core::cached;

struct Profile;

#[cached(kind = "user_profile", local_only)]
async fn user_profile(id: u64) -> Option<Profile> {
    let _ = id;
    None
}

fn main() {}
