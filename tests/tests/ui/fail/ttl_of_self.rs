use cache_core::cached;

struct Users;

impl Users {
    const TTL: std::time::Duration = std::time::Duration::from_secs(1);

    #[cached(kind = "user_profile", ttl = Self::TTL, skip(self))]
    pub fn profile(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
