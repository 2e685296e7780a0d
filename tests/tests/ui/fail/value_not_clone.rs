use cache_core::cached;

#[derive(serde::Serialize, serde::Deserialize)]
struct Profile;

#[cached(kind = "user_profile")]
async fn user_profile(id: u64) -> Option<Profile> {
    let _ = id;
    None
}

fn main() {}
