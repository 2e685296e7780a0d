use cache_core::cached;

struct Users;

impl Users {
    #[cached(kind = "user_profile", skip(self))]
    async fn profile(&self, id: u64) -> u64 {
        id.to_string()
    }

    #[cached(kind = "user_name", skip(self))]
    fn name(&self, id: u64) -> String {
        id
    }
}

fn main() {}
