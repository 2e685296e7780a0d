use cache_core::cached;

struct Users;

impl Users {
    #[cached(kind = "user_profile", skip(self), cache_if = |value| *value > self.least)]
    pub fn profile(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
