use cache_core::cached;

trait Profiles {
    #[cached(kind = "user_profile", skip(self))]
    fn profile(&self, id: u64) -> u64;
}

fn main() {}
