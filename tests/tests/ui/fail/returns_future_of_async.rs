use cache_core::cached;

#[cached(kind = "user_profile")]
async fn user_profile(id: u64) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move { id })
}

fn main() {}
