use cache_core::invalidates;

#[invalidates(key(id, "user:{id}"))]
async fn save(id: u64) {}

fn main() {}
