use cache_core::invalidates;

#[invalidates]
async fn save(id: u64) {}

fn main() {}
