use cache_core::cached;

use std::pin::Pin;

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move { id })
}

fn main() {}
