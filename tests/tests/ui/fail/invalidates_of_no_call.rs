use cache_core::invalidates;

#[invalidates(of("user:{id}"))]
async fn save(_id: u64) {}

fn main() {}
