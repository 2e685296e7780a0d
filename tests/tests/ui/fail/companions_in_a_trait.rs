use cache_core::cached;

trait Profiles {
    fn profile(&self, id: u64) -> u64;
}

struct Users;

impl Profiles for Users {
    #[cached(kind = "user_profile", skip(self), companions)]
    fn profile(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
