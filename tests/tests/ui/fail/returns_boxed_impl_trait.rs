use cache_core::cached;

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> impl Future<Output = impl Clone> {
    async move { id }
}

fn main() {}
