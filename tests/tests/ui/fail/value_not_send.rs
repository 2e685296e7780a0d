use cache_core::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Profile(#[serde(skip)] std::marker::PhantomData<*const u8>);

#[cached(kind = "user_profile")]
async fn user_profile(id: u64) -> Option<Profile> {
    let _ = id;
    None
}

fn main() {}
