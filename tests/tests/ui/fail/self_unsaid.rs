use cache_core::cached;

struct Users {
    tenant: u8,
}

impl Users {
    #[cached(kind = "user_profile")]
    pub async fn profile(&self, id: u64) -> u64 {
        id + u64::from(self.tenant)
    }
}

fn main() {}
