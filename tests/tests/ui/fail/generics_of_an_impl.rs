use cache_core::cached;

struct Users<T>(T);

impl<T: Default + Into<u64>> Users<T> {
    #[cached(kind = "user_profile", companions = false)]
    fn profile(id: u64) -> u64 {
        id + T::default().into()
    }
}

fn main() {}
