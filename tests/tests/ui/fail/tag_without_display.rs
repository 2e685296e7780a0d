use cache_core::cached;

#[derive(serde::Serialize)]
struct Id(u64);

#[cached(kind = "user_profile", tags("user:{id}"))]
fn user_profile(id: Id) -> u64 {
    id.0
}

fn main() {}
