use cache_core::cached;

#[cached(kind = "user_profile")]
fn user_profile<T: Default>(id: u64) -> T {
    let _ = id;
    T::default()
}

fn main() {}
