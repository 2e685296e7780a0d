use cache_core::cached;

struct Users;

impl Users {
    #[cached(kind = "user_profile")]
    pub async fn profile(id: u64) -> u64 {
        id
    }
}

fn main() {}
